//! Extended attributes, where they are those of Linux and macOS.

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// More than any value has.
const MOST: usize = 1 << 20;

/// All that this user may see, with their values where they can be read. None where the file system has none.
pub fn attributes(file: &File) -> io::Result<Vec<(OsString, Option<Vec<u8>>)>> {
    let mut names = vec![0; MOST];
    let length = match flistxattr(file, &mut names) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut value = vec![0; MOST];
    Ok(names
        .map(|name| {
            let read = fgetxattr(file, OsStr::from_bytes(name), &mut value);
            (OsString::from_vec(name.to_vec()), read.ok().map(|length| value[..length].to_vec()))
        })
        .collect())
}

pub fn set_attribute(file: &File, name: &OsStr, value: &[u8]) -> io::Result<()> {
    Ok(fsetxattr(file, name, value, XattrFlags::empty())?)
}

/// If it has it.
pub fn remove_attribute(file: &File, name: &OsStr) {
    let _ = fremovexattr(file, name);
}
