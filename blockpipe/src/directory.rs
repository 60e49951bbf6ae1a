//! The directory of a pipe's files: choosing a private one, and passing the open directory to a process that gives up
//! its rights after joining.

use crate::block::Trust;
use crate::consumer::Consumer;
use crate::pipe::Pipe;
use crate::producer::Producer;
use crate::sys::{Directory, Location};
use std::ffi::OsStr;

impl<T: Trust> Pipe<T> {
    /// Lets the two processes meet in this directory instead of the user's usual one. It must belong to this user and
    /// have mode 0700. The check is made on the open directory, so another directory in its place is refused with
    /// [`JoinError::Foreign`](crate::JoinError::Foreign). A symbolic link as the last name of the path is refused, too.
    ///
    /// The directory must exist. Network file systems and FUSE are refused.
    ///
    /// Not supported on Windows: joining fails there. Example: [a directory of one user](#a-directory-of-one-user).
    #[must_use]
    pub fn in_private_directory(mut self, directory: impl AsRef<OsStr>) -> Self {
        self.location = Location::Private(directory.as_ref().into());
        self
    }
}

impl<T: Trust> Producer<T> {
    /// Returns the open directory of the pipe's files, from which this end removes them when it leaves; `None` on
    /// Windows. Pass this directory to a sandbox, and not its path, which may lead elsewhere by now.
    /// Example: [`Directory`].
    pub fn directory(&self) -> Option<Directory<'_>> {
        self.end.seats.directory()
    }
}

impl<T: Trust> Consumer<T> {
    /// Returns the open directory of the pipe's files, as [`Producer::directory`] does.
    pub fn directory(&self) -> Option<Directory<'_>> {
        self.end.seats.directory()
    }
}
