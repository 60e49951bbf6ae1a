//! Sentences for people: the only place where errors, events and outcomes become English.

mod audience;
mod cause;
mod error;
mod event;
mod stats;

pub use audience::{
    Audience, NOT_PRESERVED, SIGNAL, printable_lines, quoted, role_name, show, show_name, show_tag, user,
};
pub use error::{exit_code, message};
pub use event::{joined, kept, layout, not_preserved, plan, replaced, resumed, step, warning};
pub use stats::stats;
