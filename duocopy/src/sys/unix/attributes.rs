//! Extended attributes, all of them read and written through the open file, or through its path in `/proc`.

use super::system::HAS_ACCESS_LISTS;
use crate::sys::access_list::AccessList;
use crate::sys::contract::{Attribute, DefaultList};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use xattr::{FileExt, XAttrs};

/// Files can have extended attributes.
pub const HAS_ATTRIBUTES: bool = true;

/// The access list of a file, and the one that a directory gives to new files.
const ACCESS_LIST: &str = "system.posix_acl_access";
const DEFAULT_LIST: &str = "system.posix_acl_default";

/// What a file system without extended attributes answers.
const UNSUPPORTED: [Errno; 3] = [Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS];

/// A file whose attributes can be read.
pub(super) trait Readable {
    fn list(&self) -> io::Result<XAttrs>;
    fn get(&self, name: &OsStr) -> io::Result<Option<Vec<u8>>>;
}

impl Readable for File {
    fn list(&self) -> io::Result<XAttrs> {
        self.list_xattr()
    }

    fn get(&self, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        self.get_xattr(name)
    }
}

/// A file that was opened with `O_PATH`. Its attributes can be read only through its path in `/proc`.
pub(super) struct LookedUp(PathBuf);

impl LookedUp {
    /// Returns `None` if `/proc` is not mounted.
    pub fn new(file: &File) -> Option<Self> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        path.exists().then_some(Self(path))
    }
}

impl Readable for LookedUp {
    fn list(&self) -> io::Result<XAttrs> {
        xattr::list_deref(&self.0)
    }

    fn get(&self, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        xattr::get_deref(&self.0, name)
    }
}

/// Returns all attributes that this user may see, each with its value if this user may read it. A file system without
/// attributes has none.
pub fn attributes(file: &File) -> io::Result<Vec<Attribute>> {
    attributes_of(file)
}

pub(super) fn attributes_of(file: &impl Readable) -> io::Result<Vec<Attribute>> {
    let names = match file.list() {
        Ok(names) => names,
        Err(error) if is_unsupported(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let with_value = |name: OsString| {
        let value = file.get(&name).ok().flatten();
        (name, value)
    };
    Ok(names.map(with_value).collect())
}

/// Sets an attribute, whether it exists or not.
pub fn set_attribute(file: &File, name: &OsStr, value: &[u8]) -> io::Result<()> {
    file.set_xattr(name, value)
}

/// Removes an attribute if the file has it.
pub fn remove_attribute(file: &File, name: &OsStr) {
    let _ = file.remove_xattr(name);
}

/// Returns the name of an attribute that came from another process; `None` if it is empty or contains a NUL.
pub fn attribute_name(name: &[u8]) -> Option<OsString> {
    (!name.is_empty() && !name.contains(&0)).then(|| OsString::from_vec(name.to_vec()))
}

/// Returns the access list of a file; `None` if its mode says everything.
pub fn access_list(file: &File) -> io::Result<Option<AccessList>> {
    access_list_of(file)
}

pub(super) fn access_list_of(file: &impl Readable) -> io::Result<Option<AccessList>> {
    read_list(file, ACCESS_LIST).map(|list| list.filter(|list| !list.is_minimal()))
}

/// Sets the access list of a file, or removes it. A list also sets the permission bits of the mode; removing the list
/// does not change them.
pub fn set_access_list(file: &File, list: Option<&AccessList>) -> io::Result<()> {
    match list {
        Some(list) => file.set_xattr(ACCESS_LIST, &list.pack()),
        None if access_list(file)?.is_none() => Ok(()),
        None => file.remove_xattr(ACCESS_LIST),
    }
}

/// Returns the mode for a copy of this file that does not get its access list: the group bits are the rights of the
/// owning group, and not the mask. The second value says whether the file has a list.
pub fn plain_mode(file: &File, mode: u32) -> (u32, bool) {
    match access_list(file) {
        Ok(None) => (mode, false),
        Ok(Some(list)) => (mode & !0o777 | list.plain_mode(), true),
        // Nobody may get more than the list gave, so the group gets nothing.
        Err(_) => (mode & !0o070, true),
    }
}

/// Returns the access list that this open directory gives to new files.
pub(super) fn default_list(directory: &impl Readable) -> DefaultList {
    match read_list(directory, DEFAULT_LIST) {
        Ok(Some(list)) => DefaultList::Given(list),
        Ok(None) => DefaultList::Absent,
        Err(_) => DefaultList::Unknown,
    }
}

fn read_list(file: &impl Readable, name: &str) -> io::Result<Option<AccessList>> {
    if !HAS_ACCESS_LISTS {
        return Ok(None);
    }
    match file.get(OsStr::new(name)) {
        Ok(None) => Ok(None),
        Err(error) if is_unsupported(&error) => Ok(None),
        Ok(Some(bytes)) => AccessList::parse(&bytes).map(Some).ok_or(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(error),
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|error| UNSUPPORTED.contains(&error))
}
