//! What a system provides in place of a call that it does not have.
//!
//! Each system module re-exports the items that it lacks. A question gets the answer that changes nothing; an action
//! fails with [`io::ErrorKind::Unsupported`], unless doing nothing is a correct way to perform it.

#![allow(dead_code, reason = "each system uses only the items that it lacks")]
#![allow(clippy::unnecessary_wraps, reason = "the signatures are those of the systems that have the call")]

use super::access_list::AccessList;
use super::contract::{FileSystemKind, Protection, SandboxPolicy, Time, Unconfined};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

/// Fails in a way that a caller can tell from other errors.
fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Does nothing: there is no sandbox that a running process can enter by itself.
pub fn confine<P, D>(_policy: &SandboxPolicy<P, D>) -> Vec<Unconfined> {
    Vec::new()
}

/// Returns `None`: without a sandbox, a file can be created when it is needed.
pub fn prepare_file<D>(_directory: &D, _name: &OsStr) -> Option<File> {
    None
}

/// Fails: no file is ever prepared.
pub fn name_prepared<D>(_directory: &D, _file: File, _name: &OsStr) -> io::Result<File> {
    unsupported()
}

/// Does nothing: see [`has_writer`].
pub fn mark_written(_file: &File) {}

/// Does nothing: see [`has_writer`].
pub fn unmark_written(_file: &File) {}

/// Returns `true`: whoever holds the lock of a file is taken for its Writer.
pub fn has_writer(_file: &File) -> io::Result<bool> {
    Ok(true)
}

// The page cache.

/// [`drop_cached`] does nothing.
pub const CAN_DROP_CACHED: bool = false;

/// Does nothing: the system has no call that drops a range from the cache.
pub fn drop_cached(_file: &File, _bytes: Range<u64>) {}

/// Returns `false`: no known file system of these systems gets another device number each time it is mounted.
pub fn is_anonymous_device(_device: u64) -> bool {
    false
}

/// Returns `true`: the system does not tell, and a caller that waits for the device anyway loses nothing.
pub fn is_cached(_file: &File, _offset: u64) -> bool {
    true
}

/// Returns `None`: the system does not tell which file systems are memory.
pub fn free_memory(_file: &File) -> Option<u64> {
    None
}

/// Fails: the cache cannot be bypassed through a file that is open already.
pub fn set_direct(_file: &File, _direct: bool) -> io::Result<()> {
    unsupported()
}

/// Returns `false`: the text of every link leads to what the link stands for.
pub fn has_magic_links<D>(_directory: &D) -> bool {
    false
}

/// Returns `Local`: the system does not tell, and most files are.
pub fn file_system_kind(_file: &File) -> FileSystemKind {
    FileSystemKind::Local
}

/// Returns `None`: no file can change while it is open as a source.
pub fn read_file_clock() -> Option<Time> {
    None
}

/// Returns `false`: space that is reserved does not keep the file from being compressed, as far as is known.
pub fn may_compress(_file: &File) -> bool {
    false
}

/// Returns nothing: the system is not asked.
pub fn protection<D>(_directory: &D, _name: &OsStr) -> Protection {
    Protection::default()
}

/// Returns `None`: the system does not tell, or nobody can move an open directory.
pub fn path_of<D>(_directory: &D) -> Option<PathBuf> {
    None
}

// Streams.

/// Fails: named pipes and devices cannot be opened by a path for writing.
pub fn open_stream_output<D>(_directory: &D, _name: &OsStr) -> io::Result<Option<File>> {
    unsupported()
}

/// Returns `true`: the system does not tell in advance whether a read or a write would wait.
pub fn poll_ready(_file: &File, _for_writing: bool) -> io::Result<bool> {
    Ok(true)
}

/// Succeeds: closing a file reports no error that writing or flushing it has not reported.
pub fn check_close(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Returns everything from the offset on: holes are read as zeros.
pub fn next_data(_file: &File, offset: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(offset..u64::MAX))
}

// Extended attributes.

/// [`attributes`] returns none.
pub const HAS_ATTRIBUTES: bool = false;

/// No extended attribute is an access list.
pub const HAS_ACCESS_LISTS: bool = false;

/// Returns no attributes.
pub fn attributes(_file: &File) -> io::Result<Vec<(OsString, Option<Vec<u8>>)>> {
    Ok(Vec::new())
}

/// Fails: files have no extended attributes.
pub fn set_attribute(_file: &File, _name: &OsStr, _value: &[u8]) -> io::Result<()> {
    unsupported()
}

/// Does nothing: there is no attribute to remove.
pub fn remove_attribute(_file: &File, _name: &OsStr) {}

// Access lists.

/// Returns no list.
pub fn access_list(_file: &File) -> io::Result<Option<AccessList>> {
    Ok(None)
}

/// Fails, unless there is no list to set.
pub fn set_access_list(_file: &File, list: Option<&AccessList>) -> io::Result<()> {
    if list.is_some() { unsupported() } else { Ok(()) }
}

/// Returns the mode, and `false`: no list changes the meaning of a mode.
pub fn plain_mode(_file: &File, mode: u32) -> (u32, bool) {
    (mode, false)
}

// Users and owners.

/// Users and groups have no numbers.
pub const HAS_OWNERS: bool = false;

/// No mode has bits that give a program its owner's rights.
pub const MODE_WITHOUT_SETID: u32 = u32::MAX;

/// Returns `None`: users have no numbers.
pub fn effective_user() -> Option<u32> {
    None
}

/// Fails: users have no numbers.
pub fn user_id(_name: &str) -> io::Result<u32> {
    unsupported()
}

/// Fails: groups have no numbers.
pub fn group_id(_name: &str) -> io::Result<u32> {
    unsupported()
}

/// Fails: groups have no numbers.
pub fn is_member(_user: u32, _group: u32) -> io::Result<bool> {
    unsupported()
}

/// Does nothing: users have no numbers.
pub fn remember_names() {}

/// Returns `None`: users have no numbers.
pub fn user_name(_user: u32) -> Option<String> {
    None
}

/// Returns nobody: groups have no numbers.
pub fn group_members(_group: u32) -> Vec<u32> {
    Vec::new()
}

/// Fails: owners have no numbers.
pub fn set_owner(_file: &File, _owner: (u32, u32)) -> io::Result<()> {
    unsupported()
}

/// Returns `false`: a mode says nothing about others.
pub fn others_may_write(_mode: u32) -> bool {
    false
}

/// Fails: owners have no numbers.
pub fn set_user(_file: &File, _user: u32) -> io::Result<()> {
    unsupported()
}

/// Returns `true`: there is no other owner that could look the same.
pub fn is_known_owner(_file: &File, _owner: (u32, u32)) -> bool {
    true
}

/// Returns 0: new files take nothing from a mask.
pub fn umask() -> u32 {
    0
}
