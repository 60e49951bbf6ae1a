//! The directory of a pipe's files: one of this user alone, and the open one, for a process that gives up its rights
//! once it has joined.

use crate::block::Trust;
use crate::consumer::Consumer;
use crate::pipe::Pipe;
use crate::producer::Producer;
use crate::sys::{Directory, Location};
use std::ffi::OsStr;

impl<T: Trust> Pipe<T> {
    /// Lets the two processes meet in this directory, which must belong to this user and have mode 0700, instead of the
    /// user's usual one. The open directory is checked, so nothing that has taken its place is used:
    /// [`JoinError::Foreign`](crate::JoinError::Foreign). Its path is not followed if the last name is a link.
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
