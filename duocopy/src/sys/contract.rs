//! The types that all systems share.

use super::access_list::AccessList;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Identifies a file of this machine for as long as the file exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// A time of a file, in seconds and nanoseconds since 1970 (Windows: since 1601).
pub type Time = (i64, i64);

/// What `stat` tells about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub file: FileId,
    pub length: u64,
    /// Time of the last write.
    pub modified: Time,
    /// Time of the last change to the file or its inode; zeros on Windows.
    pub changed: Time,
    /// Time of the last read.
    pub accessed: Time,
    /// Permission bits. Windows: whether the file is writable, and its attributes *hidden* and *system*.
    pub mode: u32,
    /// User and group; zeros on Windows.
    pub owner: (u32, u32),
    /// When the file was created, in nanoseconds since 1970; 0 if that is unknown. Inode numbers are reused, so this
    /// tells two files with one number apart.
    pub birth_time: u64,
    /// True if the file takes less space than its length says.
    pub has_holes: bool,
}

/// Where the files of a file system are stored, which decides what their lengths and times mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystemKind {
    /// On this machine: this kernel sets the times.
    Local,
    /// On another machine or in another program, which may have a clock of its own: a network file system, FUSE.
    Remote,
    /// Nowhere: the content is generated when it is read, so lengths mean nothing.
    Pseudo,
}

/// An extended attribute. It has no value if that could not be read; an empty name stands for attributes whose names could
/// not be read.
pub type Attribute = (OsString, Option<Vec<u8>>);

/// How reliably a rename avoided replacing a file.
#[cfg_attr(windows, expect(dead_code, reason = "Windows never falls back to a check"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReplace {
    /// The call itself would have failed.
    Guaranteed,
    /// The file system can do no better than to be asked for the name just before.
    CheckedBefore,
}

/// The metadata that a file to be replaced can hand on to the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// User and group; zeros on Windows.
    pub owner: (u32, u32),
    /// The mode for a file without a list: its group bits are what the owning group may do, and not the mask.
    pub mode: u32,
    pub list: Option<AccessList>,
    /// All extended attributes but those that are another form of mode or list.
    pub attributes: Vec<Attribute>,
}

/// The access list that a directory gives to new files.
#[cfg_attr(windows, allow(dead_code, reason = "Windows has other access lists"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultList {
    /// None: a new file has no list, and the umask limits its mode.
    Absent,
    /// A new file gets this list, and the umask does not count.
    Given(AccessList),
    /// The directory's list could not be read.
    Unknown,
}

/// What an open file or a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Regular,
    Directory,
    /// A pipe or a socket.
    Pipe,
    /// A device that produces or consumes bytes: a terminal, `/dev/null`.
    Device,
    /// A device that stores bytes: a partition.
    Disk,
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Regular(FileId),
    Directory,
    /// A symbolic link that can be copied.
    #[cfg_attr(windows, expect(dead_code, reason = "links are not copied on Windows"))]
    Link(FileId),
    Other,
}

/// What keeps a name from being replaced, or new names from a directory, besides the rights of users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// The file is immutable, or only grows: it can be neither replaced nor removed. A directory takes no new names, or
    /// gives none away.
    pub is_fixed: bool,
    /// Another file or file system is mounted there.
    pub is_mount_point: bool,
}

/// The owner of a file, for the decision whether this process may use the file.
#[cfg_attr(windows, expect(dead_code, reason = "Windows has no sticky directories"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOwner {
    /// The user of this process.
    ThisUser,
    /// Another user.
    Other,
    /// Another user, who may have put the file there as a trap: the directory is sticky, others can write to it, and
    /// the file belongs neither to the user of this process nor to the owner of the directory.
    Suspect,
}

/// A symbolic link that is not followed, because another user may have put it there as a trap.
#[derive(Debug)]
pub struct ForeignLink(pub PathBuf);

impl fmt::Display for ForeignLink {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a symbolic link of another user in a sticky directory: {}", self.0.display())
    }
}

impl std::error::Error for ForeignLink {}

/// Returns the path of the link that was not followed, relative to the directory where the lookup began; `None` if the
/// error has another cause.
pub fn foreign_link(error: &io::Error) -> Option<&Path> {
    Some(&error.get_ref()?.downcast_ref::<ForeignLink>()?.0)
}

/// Returns whether the file system refuses a call whatever it asks for: it does not have the call, or decides itself.
pub fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

/// Why a path cannot name a file, as `normalize` finds it. Only Windows has such paths.
#[cfg_attr(unix, expect(dead_code, reason = "on Unix every path can name a file"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// The path names a device, such as `NUL`.
    Device,
    /// A name in the path contains a colon, so that it names a stream of a file.
    Stream,
    /// A name in the path has more than 255 characters.
    TooLong,
    /// The path cannot be made absolute.
    Unusable,
}

/// A right that a confined process keeps in a directory and in everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryRight {
    /// Open files for reading.
    ReadFiles,
    /// List names.
    ListNames,
    /// Remove files.
    RemoveFiles,
    /// Rename and remove files, and give them second names.
    RenameFiles,
}

/// The rights that a confined process keeps, besides what it has open. `P` and `D` are open directories.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has a sandbox"))]
#[derive(Clone, Debug)]
pub struct SandboxPolicy<'a, P, D> {
    /// The directory of the pipe's files.
    pub pipe: Option<(P, Vec<DirectoryRight>)>,
    /// The directory in which this process has made that of the pipe: it may remove empty directories there.
    pub pipe_parent: Option<D>,
    /// The directory of the destination.
    pub destination: Option<(D, Vec<DirectoryRight>)>,
    /// The only file whose length, mode, owner, attributes and times may change. The filter recognises it by the number
    /// of its descriptor, so it stays open until the process ends: otherwise another file could get that number.
    pub changeable: Option<&'a File>,
}

/// A part of the sandbox that could not be set up.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has a sandbox"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxGap {
    /// The process can still open files that the policy does not list.
    Paths,
    /// The process can still make any system call.
    SystemCalls,
}

/// Reports a gap in the sandbox, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfined {
    pub gap: SandboxGap,
    pub reason: String,
}
