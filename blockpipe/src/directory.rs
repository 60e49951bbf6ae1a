//! The open directory of a pipe's files, for a process that gives up its rights once it has joined.

use crate::block::Trust;
use crate::consumer::Consumer;
use crate::producer::Producer;
use crate::sys::Directory;

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
