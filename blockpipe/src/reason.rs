//! The reason that one end gives when it aborts.

use std::fmt;

/// Why a pipe was aborted: a number for programs and a text for people.
///
/// # Examples
/// ```
/// use blockpipe::Reason;
///
/// let reason = Reason::new(28, "no space left on /srv");
/// assert_eq!((reason.code, reason.to_string().as_str()), (28, "no space left on /srv"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The application's own code; the library gives it no meaning.
    pub code: u32,
    /// A message for people. At most 696 bytes reach the peer; the rest is cut off.
    pub message: String,
}

impl Reason {
    /// Creates a reason from a code and a message. See the [example](#examples).
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
