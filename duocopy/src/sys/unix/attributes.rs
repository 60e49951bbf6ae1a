//! Extended attributes, all of them read and written through the open file.

use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use xattr::FileExt;

/// Files can have extended attributes.
pub const HAS_ATTRIBUTES: bool = true;

/// What a file system without extended attributes answers.
const UNSUPPORTED: [Errno; 3] = [Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS];

/// Returns all attributes that this user may see, each with its value if this user may read it. A file system without
/// attributes has none.
pub fn attributes(file: &File) -> io::Result<Vec<(OsString, Option<Vec<u8>>)>> {
    let names = match file.list_xattr() {
        Ok(names) => names,
        Err(error) if Errno::from_io_error(&error).is_some_and(|error| UNSUPPORTED.contains(&error)) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let with_value = |name: OsString| {
        let value = file.get_xattr(&name).ok().flatten();
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
