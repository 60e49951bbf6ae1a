//! A disk that records each write and each flush, in order, before it answers.
//!
//! It is the only file in a FUSE file system, and there is a loop device on it.

use crate::util::mounts::Mounted;
use crate::util::*;
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite,
    Request, WriteFlags,
};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

const NAME: &str = "disk";
const NODE: INodeNo = INodeNo(2);
/// Nothing changes but the content, which the kernel does not cache.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

/// What reached the disk.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// These bytes were written at this offset of the disk. They are at `at` in the log's data.
    Write {
        offset: u64,
        length: usize,
        at: u64,
    },
    Flush,
}

/// Everything that reached a disk.
pub struct Log {
    entries: Mutex<Vec<Entry>>,
    data: File,
}

impl Log {
    pub fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().expect("no panic while it is held")
    }

    /// Returns the position at which the next entry will be.
    pub fn position(&self) -> usize {
        self.entries().len()
    }

    /// Returns the bytes of a write.
    pub fn bytes(&self, length: usize, at: u64) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.data.read_exact_at(&mut bytes, at).expect("reading the log");
        bytes
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut entries = self.entries();
        let end = |entry: &Entry| match entry {
            Entry::Write { length, at, .. } => Some(at + *length as u64),
            Entry::Flush => None,
        };
        let at = entries.iter().rev().find_map(end).unwrap_or(0);
        self.data.write_all_at(bytes, at)?;
        entries.push(Entry::Write { offset, length: bytes.len(), at });
        Ok(())
    }
}

struct Disk {
    content: File,
    length: u64,
    log: Arc<Log>,
}

impl Disk {
    fn attributes(&self, node: INodeNo) -> FileAttr {
        let is_root = node == INodeNo::ROOT;
        FileAttr {
            ino: node,
            size: if is_root { 0 } else { self.length },
            blocks: self.length / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_root { FileType::Directory } else { FileType::RegularFile },
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME {
            reply.entry(&FOR_EVER, &self.attributes(NODE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &self.attributes(node));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Each write arrives here at once.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut bytes = vec![0; u64::from(size).min(self.length.saturating_sub(offset)) as usize];
        match self.content.read_exact_at(&mut bytes, offset) {
            Ok(()) => reply.data(&bytes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.content.write_all_at(bytes, offset).and_then(|()| self.log.write(offset, bytes));
        match written {
            Ok(()) => reply.written(bytes.len() as u32),
            Err(error) => reply.error(error.into()),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.log.entries().push(Entry::Flush);
        reply.ok();
    }
}

/// A file system on a disk that records.
///
/// Only other processes may use the file system. If this one were killed while it waits for its own answer, the kernel
/// would wait for ever.
pub struct Recorded<'a> {
    // They are unmounted in this order.
    system: Mounted<'a>,
    disk: Mounted<'a>,
    _session: BackgroundSession,
    pub log: Arc<Log>,
}

impl<'a> Recorded<'a> {
    /// Mounts a copy of this image at this directory of the folder.
    pub fn new(folder: &'a Folder, image: &str, name: &'a str, options: &str) -> Self {
        copy_image(folder, image, "content");
        let content = File::options().read(true).write(true).open(folder.path("content"));
        let content = content.expect("opening the content of a disk");
        let length = content.metadata().expect("inspecting the content of a disk").len();
        let data = File::options().read(true).write(true).create_new(true).open(folder.path("log"));
        let log = Arc::new(Log { entries: Mutex::default(), data: data.expect("making a file for a log") });
        let served = Disk { content, length, log: Arc::clone(&log) };
        let session = fuser::spawn_mount(served, folder.make("fuse"), &Config::default());
        let session = session.expect("mounting a FUSE file system");
        let disk = Mounted::at(folder, "fuse");
        let system = Mounted::new(folder, &format!("fuse/{NAME}"), name, ("loop", options));
        Self { system: system.expect("mounting a file system"), disk, _session: session, log }
    }

    /// Returns the option that selects its loop device.
    pub fn device(&self) -> String {
        let mut command = Command::new("findmnt");
        command
            .args(["-n", "-o", "SOURCE", "--mountpoint"])
            .arg(self.system.folder().path(self.system.name()));
        let ended = self.system.folder().start(command, false).end();
        format!("loop={}", ended.expect(0, &[]).output.trim())
    }

    /// Unmounts it and returns what was recorded.
    pub fn end(self) -> Arc<Log> {
        self.system.unmount();
        self.disk.unmount();
        self.log
    }
}

/// Copies an image with its holes.
pub fn copy_image(folder: &Folder, from: &str, to: &str) {
    let mut command = Command::new("cp");
    command.arg("--sparse=always").args([from, to]);
    folder.start(command, false).end().expect(0, &[]);
}
