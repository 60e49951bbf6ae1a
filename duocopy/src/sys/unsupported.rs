//! Extended attributes where there are none that could be kept: on Windows named streams and access lists stay where they
//! are, and on FreeBSD there are other calls, which no crate has.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

pub const HAS_ATTRIBUTES: bool = false;
pub const HAS_ACCESS_LISTS: bool = false;

#[expect(clippy::unnecessary_wraps, reason = "elsewhere they are read")]
pub fn attributes(_file: &File) -> io::Result<Vec<(OsString, Option<Vec<u8>>)>> {
    Ok(Vec::new())
}

pub fn set_attribute(_file: &File, _name: &OsStr, _value: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn remove_attribute(_file: &File, _name: &OsStr) {}
