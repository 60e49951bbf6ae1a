//! Hostile peers and hostile third users: what they can do is a waste of time, and nothing else.

mod claims;
mod rights;
mod sticky;
