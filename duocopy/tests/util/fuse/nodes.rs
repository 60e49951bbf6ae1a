//! The files of the directory, as the kernel knows them: by number, and by handle while they are open.

use super::{COARSE, Call, Fault};
use fuser::{Errno, FileAttr, FileHandle, FileType, FopenFlags, INodeNo, TimeOrNow};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

struct Node {
    /// Opened with `O_PATH`, so that its number is not reused.
    file: OwnedFd,
    /// How often the kernel has got this node.
    lookups: u64,
}

/// What the kernel knows of the directory, and the files that it has open.
pub struct Nodes {
    faults: Vec<Fault>,
    known: Mutex<HashMap<u64, Node>>,
    files: Mutex<HashMap<u64, File>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic while it is held")
}

impl Nodes {
    pub fn new(backing: &Path, faults: &[Fault]) -> io::Result<Self> {
        let root = fs::open(backing, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let nodes = HashMap::from([(INodeNo::ROOT.0, Node { file: root, lookups: 1 })]);
        Ok(Self { faults: faults.to_vec(), known: Mutex::new(nodes), files: Mutex::default() })
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Returns how long the kernel may cache the attributes of files.
    pub fn memory(&self) -> Duration {
        if self.has(Fault::Remembered) { Duration::from_secs(3600) } else { Duration::ZERO }
    }

    pub fn check(&self, call: Call) -> Result<(), Errno> {
        let refuses = |fault: &Fault| match fault {
            Fault::Refuses(refused, error) if *refused == call => Some(*error),
            _ => None,
        };
        self.faults.iter().find_map(refuses).map_or(Ok(()), Err)
    }

    pub fn ignores(&self, call: Call) -> bool {
        self.has(Fault::Ignores(call))
    }

    /// Returns a path that leads to this node, whatever its name is now.
    pub fn path(&self, node: INodeNo) -> Result<PathBuf, Errno> {
        let nodes = locked(&self.known);
        let node = nodes.get(&node.0).ok_or(Errno::ESTALE)?;
        Ok(format!("/proc/self/fd/{}", node.file.as_raw_fd()).into())
    }

    pub fn child(&self, parent: INodeNo, name: &OsStr) -> Result<PathBuf, Errno> {
        Ok(self.path(parent)?.join(name))
    }

    pub fn look_up(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        let path = self.child(parent, name)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?.into();
        let metadata = file.metadata()?;
        let mut nodes = locked(&self.known);
        nodes.entry(metadata.ino()).or_insert(Node { file: file.into(), lookups: 0 }).lookups += 1;
        Ok(self.attributes(&metadata))
    }

    pub fn forget(&self, node: INodeNo, lookups: u64) {
        let mut nodes = locked(&self.known);
        if let Some(known) = nodes.get_mut(&node.0) {
            known.lookups = known.lookups.saturating_sub(lookups);
            if known.lookups == 0 {
                nodes.remove(&node.0);
            }
        }
    }

    pub fn stat(&self, node: INodeNo) -> Result<FileAttr, Errno> {
        let attributes = self.attributes(&self.path(node)?.metadata()?);
        Ok(FileAttr { ino: node, ..attributes })
    }

    fn attributes(&self, it: &Metadata) -> FileAttr {
        let is_file = it.is_file();
        let size = self.faults.iter().find_map(Fault::size).filter(|_| is_file);
        let mode = self.faults.iter().find_map(Fault::mode).filter(|_| is_file);
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock that is right");
        let time = |seconds: i64, nanoseconds: i64| {
            if self.has(Fault::PresentTimes) {
                return SystemTime::UNIX_EPOCH + now;
            }
            let (seconds, nanoseconds) = (seconds.cast_unsigned(), nanoseconds.cast_unsigned() as u32);
            let since = if self.has(Fault::CoarseTimes) {
                Duration::from_secs(seconds / COARSE * COARSE)
            } else {
                Duration::new(seconds, nanoseconds)
            };
            SystemTime::UNIX_EPOCH + since
        };
        FileAttr {
            ino: INodeNo(it.ino()),
            size: size.unwrap_or(it.len()),
            blocks: it.blocks(),
            atime: time(it.atime(), it.atime_nsec()),
            mtime: time(it.mtime(), it.mtime_nsec()),
            ctime: time(it.ctime(), it.ctime_nsec()),
            crtime: SystemTime::UNIX_EPOCH,
            kind: FileType::from_std(it.file_type()).expect("a file of a known kind"),
            perm: mode.unwrap_or((it.mode() & 0o7777) as u16),
            nlink: it.nlink() as u32,
            uid: it.uid(),
            gid: it.gid(),
            rdev: it.rdev() as u32,
            blksize: 4096,
            flags: 0,
        }
    }

    /// Keeps a file open, and returns its number and how the kernel is to treat it.
    pub fn keep(&self, file: File) -> (FileHandle, FopenFlags) {
        let number = file.as_raw_fd().unsigned_abs().into();
        locked(&self.files).insert(number, file);
        let direct = self.faults.iter().any(|fault| fault.size().is_some());
        (FileHandle(number), if direct { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::empty() })
    }

    pub fn release(&self, handle: FileHandle) {
        locked(&self.files).remove(&handle.0);
    }

    pub fn with<T>(&self, handle: FileHandle, act: impl FnOnce(&File) -> io::Result<T>) -> Result<T, Errno> {
        let files = locked(&self.files);
        Ok(act(files.get(&handle.0).ok_or(Errno::EBADF)?)?)
    }

    pub fn change(&self, node: INodeNo, change: &Change) -> Result<FileAttr, Errno> {
        let path = self.path(node)?;
        let Change { mode, owner, group, length, accessed, modified } = *change;
        if let Some(mode) = mode.filter(|_| !self.ignores(Call::Chmod)) {
            self.check(Call::Chmod)?;
            std::fs::set_permissions(&path, Permissions::from_mode(mode & 0o7777))?;
        }
        if (owner.is_some() || group.is_some()) && !self.ignores(Call::Chown) {
            self.check(Call::Chown)?;
            chown(&path, owner, group)?;
        }
        if let Some(length) = length {
            self.check(Call::Truncate)?;
            File::options().write(true).open(&path)?.set_len(length)?;
        }
        if accessed.is_some() || modified.is_some() {
            self.check(Call::SetTimes)?;
            let times = fs::Timestamps { last_access: spec(accessed), last_modification: spec(modified) };
            fs::utimensat(CWD, &path, &times, AtFlags::empty()).map_err(io::Error::from)?;
        }
        self.stat(node)
    }
}

impl Fault {
    /// Returns the length that is told, if it is not the true one.
    fn size(&self) -> Option<u64> {
        match self {
            Self::SizeZero => Some(0),
            Self::Size(size) => Some(*size),
            _ => None,
        }
    }

    /// Returns the mode to report, if it is not the true one.
    fn mode(&self) -> Option<u16> {
        match self {
            Self::Mode(mode) => Some(*mode),
            _ => None,
        }
    }
}

/// The changes that `setattr` asks for.
pub struct Change {
    pub mode: Option<u32>,
    pub owner: Option<u32>,
    pub group: Option<u32>,
    pub length: Option<u64>,
    pub accessed: Option<TimeOrNow>,
    pub modified: Option<TimeOrNow>,
}

fn spec(time: Option<TimeOrNow>) -> fs::Timespec {
    let now = |tv_nsec| fs::Timespec { tv_sec: 0, tv_nsec };
    match time {
        None => now(fs::UTIME_OMIT),
        Some(TimeOrNow::Now) => now(fs::UTIME_NOW),
        Some(TimeOrNow::SpecificTime(time)) => {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            fs::Timespec { tv_sec: since.as_secs().cast_signed(), tv_nsec: since.subsec_nanos().into() }
        }
    }
}
