//! The vocabulary of a copy: plain data that every other module, and every other program, may use.

mod aftermath;
mod error;
mod event;
mod operation;
pub(crate) mod os_path;
mod outcome;
mod request;
mod source_change;
mod system_error;

pub use aftermath::Aftermath;
pub use error::{Error, ErrorKind};
pub use event::{Event, LayoutReason, Observer, Presence, Progress, SandboxGap, Stats, Step, Stop, Warning};
pub use operation::{Operation, SharedOption};
pub use outcome::{Checksum, Loss, LossReason, Outcome, Preserved};
pub use source_change::SourceChange;
pub use system_error::SystemError;

pub(crate) use request::is_standard;
pub use request::{
    Backup, Destination, Fsync, Hash, Overwrite, Parties, Preserve, Request, Role, SourceLinks, Sparse,
    Verify,
};
