//! Reads and creates symbolic links.

use super::{Directory, link_stat};
use crate::sys::contract::{Entry, Stat, Time};
use crate::sys::unix::file::timestamps;
use rustix::fs::AtFlags;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

impl Directory {
    /// Returns the status and the text of a symbolic link, whoever owns it; `None` if the name is not a link, or does
    /// not exist.
    pub fn symbolic_link(&self, name: &OsStr) -> io::Result<Option<(Stat, Vec<u8>)>> {
        let Some(Entry::Link(_)) = self.entry(name)? else { return Ok(None) };
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let text = rustix::fs::readlinkat(&self.0, name, Vec::new())?;
        Ok(Some((link_stat(&stat), text.into_bytes())))
    }

    /// Creates a symbolic link with this text; fails if the name is taken.
    pub fn create_symbolic_link(&self, name: &OsStr, text: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(OsStr::from_bytes(text), &self.0, name)?)
    }

    /// Gives a symbolic link to this user and this group. If this user may not do that, sets only the group, and still
    /// returns the error.
    pub fn set_link_owner(&self, name: &OsStr, (user, group): (u32, u32)) -> io::Result<()> {
        let user = rustix::process::Uid::from_raw(user);
        let set = |user| {
            let group = rustix::process::Gid::from_raw(group);
            rustix::fs::chownat(&self.0, name, user, Some(group), AtFlags::SYMLINK_NOFOLLOW)
        };
        Ok(set(Some(user)).inspect_err(|_| {
            let _ = set(None);
        })?)
    }

    /// Sets the times of a symbolic link, each as [`Stat`] has it.
    pub fn set_link_times(&self, name: &OsStr, accessed: Time, modified: Time) -> io::Result<()> {
        let times = timestamps(accessed, modified);
        Ok(rustix::fs::utimensat(&self.0, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}
