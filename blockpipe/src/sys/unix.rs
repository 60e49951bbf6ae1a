//! Seats and memory for systems where a pipe is a file, which carries header, blocks and locks.
//!
//! How to lock, to reserve space and to wake a sleeper differs between these systems (`system`).

pub(crate) use super::cards::Card;
pub(crate) use super::system::Bell;

use super::contract::{Location, OpenError, Side, pause};
use super::folder::{self, Folder, OPEN_FLAGS};
use super::forks::forks;
use super::lock::Lock;
use super::system::{self, Locks};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::mm::{MapFlags, ProtFlags};
use std::ffi::OsString;
use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The same numbers as in `layout.rs`, deliberately not imported: a port is written without knowing what lies above.
const HEADER_LENGTH: u64 = 8192;
const REGION_START: u64 = 64 << 10;
const MAGIC: &[u8; 8] = b"BLKPIPE\0";

#[derive(Debug)]
pub(crate) struct Seats {
    folder: Folder,
    name: String,
    path: String,
    file: OwnedFd,
    locks: Locks,
    /// The user card of this end: the file that proves its user.
    card: OnceLock<OwnedFd>,
    origin: Origin,
}

impl Seats {
    pub(crate) fn open(location: &Location, key: u128) -> Result<(Self, bool), OpenError> {
        let (folder, name) = (Folder::open(location, &system::directory())?, name_of(key));
        let path = format!("{}/{name}", folder.path.to_string_lossy());
        let (file, new) = folder.open_or_create(&name).map_err(|error| cannot_open(&folder, &name, error))?;
        let seats = Self {
            folder,
            name,
            path,
            file,
            locks: Locks::new(),
            card: OnceLock::new(),
            origin: Origin::here(),
        };
        Ok((seats.checked()?, new))
    }

    pub(crate) fn existing(location: &Location, key: u128) -> Result<Option<Self>, OpenError> {
        let Some(folder) = Folder::existing(location, &system::directory())? else { return Ok(None) };
        let name = name_of(key);
        let path = format!("{}/{name}", folder.path.to_string_lossy());
        let open = || rustix::fs::openat(&folder.descriptor, &name, OFlags::RDWR | OPEN_FLAGS, Mode::empty());
        let file = match retry_on_intr(open) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(cannot_open(&folder, &name, error)),
        };
        let seats = Self {
            folder,
            name,
            path,
            file,
            locks: Locks::new(),
            card: OnceLock::new(),
            origin: Origin::here(),
        }
        .checked()?;
        // An empty file is not a pipe yet, and an observer must not make it one.
        let used = seats.is_used();
        Ok(used.then_some(seats))
    }

    pub(crate) fn keys(location: &Location) -> Result<Vec<u128>, OpenError> {
        let Some(folder) = Folder::existing(location, &system::directory())? else { return Ok(Vec::new()) };
        let failed = |error: Errno| OpenError::Io {
            doing: format!("listing {}", folder.path.to_string_lossy()),
            source: error.into(),
        };
        let names = folder.names().map_err(failed)?;
        let key = |name: &String| (name.len() == 32).then(|| u128::from_str_radix(name, 16).ok())?;
        Ok(names.iter().filter_map(key).collect())
    }

    /// Returns an error if this is not a file that this library makes.
    fn checked(self) -> Result<Self, OpenError> {
        let foreign = |what| Err(OpenError::Foreign { path: self.path.clone(), what });
        let stat = rustix::fs::fstat(&self.file).map_err(|error| OpenError::Io {
            doing: format!("checking {}", self.path),
            source: error.into(),
        })?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return foreign("not a regular file");
        }
        if let Some(why) = self.folder.rejects(&stat) {
            return foreign(why);
        }
        if stat.st_nlink > 1 {
            self.folder.remove_first_names(&self.name, &self.file);
            if !matches!(rustix::fs::fstat(&self.file), Ok(now) if now.st_nlink <= 1) {
                return foreign("has a second hard link");
            }
        }
        // New files grow from nothing to a full header in one step.
        if (1..HEADER_LENGTH.cast_signed()).contains(&stat.st_size) {
            return foreign("shorter than a pipe");
        }
        Ok(self)
    }

    /// Returns whether a header has been written to the file.
    fn is_used(&self) -> bool {
        self.magic().as_ref() == Some(MAGIC)
    }

    /// Returns the first bytes of the file, if there are any.
    fn magic(&self) -> Option<[u8; 8]> {
        let mut magic = [0; 8];
        let read = rustix::io::pread(&self.file, &mut magic, 0);
        matches!(read, Ok(8)).then_some(magic)
    }

    pub(crate) fn publish_user(&self, side: Side, generation: u64) -> Result<(), OpenError> {
        let card = self.folder.publish_user(&self.file, &self.name, side, generation)?;
        if let Some(card) = card {
            let _ = self.card.set(card);
        }
        Ok(())
    }

    pub(crate) fn peer_card(&self, side: Side, generation: u64) -> io::Result<Card> {
        self.folder.card(&self.file, &self.name, side, generation)
    }

    #[expect(clippy::unnecessary_wraps, reason = "on Windows pipes are not files")]
    pub(crate) fn directory(&self) -> Option<Directory<'_>> {
        Some(Directory(self.folder.descriptor.as_fd()))
    }

    pub(crate) fn location(&self) -> &str {
        &self.path
    }

    pub(crate) fn lock_gate(&self, until: Instant) -> io::Result<bool> {
        let mut time = Duration::from_micros(20);
        while !self.lock(Lock::Gate)? {
            if Instant::now() >= until {
                return Ok(false);
            }
            // A blocking lock has no time limit, and the gate is held for microseconds.
            pause(time);
            time = (time * 2).min(Duration::from_millis(2));
        }
        Ok(true)
    }

    pub(crate) fn unlock_gate(&self) -> io::Result<()> {
        self.locks.release(&self.file, Lock::Gate)
    }

    pub(crate) fn is_current(&self) -> io::Result<bool> {
        Ok(self.folder.leads_to(&self.name, &self.file)?)
    }

    pub(crate) fn is_held(&self, seat: Side) -> io::Result<bool> {
        self.locks.is_held(&self.folder, &self.name, &self.file, seat.into())
    }

    pub(crate) fn take(&self, seat: Side) -> io::Result<bool> {
        self.lock(seat.into())
    }

    pub(crate) fn release(&self, seat: Side) -> io::Result<()> {
        if let Some(card) = self.card.get() {
            self.folder.unlink_card(card, &self.name, seat);
        }
        self.locks.release(&self.file, seat.into())
    }

    pub(crate) fn unlink(&self) -> io::Result<()> {
        // The name last: if the process is killed in between, the next one creates the rest again.
        self.locks.unlink_files(&self.folder.descriptor, &self.name, &self.file);
        system::unlink_bells(&self.folder.descriptor, &self.name);
        self.folder.unlink_cards(&self.name);
        self.folder.remove(&self.name)
    }

    pub(crate) fn peer_can_unlink(&self) -> bool {
        let is_own =
            || rustix::fs::fstat(&self.file).map(|stat| stat.st_uid == rustix::process::geteuid().as_raw());
        !self.folder.sticky || !is_own().unwrap_or(false)
    }

    pub(crate) fn bell(&self, _generation: u64, sleeper: Side) -> io::Result<Bell> {
        Bell::open(&self.folder, &self.name, sleeper)
    }

    pub(crate) fn header(&self) -> io::Result<Segment> {
        // Not by the length alone: a process may have died when the file had its length and not all of its memory.
        if self.length()? < HEADER_LENGTH || self.magic() == Some([0; 8]) {
            self.reserve(0, HEADER_LENGTH)?;
        }
        Segment::map(&self.file, 0, HEADER_LENGTH)
    }

    pub(crate) fn header_copy(&self) -> io::Result<Segment> {
        let segment = Segment::anonymous(HEADER_LENGTH)?;
        let mut at = 0;
        let mut bytes = [0; HEADER_LENGTH as usize];
        while at < bytes.len() {
            match retry_on_intr(|| rustix::io::pread(&self.file, &mut bytes[at..], at as u64))? {
                0 => break,
                read => at += read,
            }
        }
        // SAFETY: the mapping is as long as the bytes are, and nobody else uses it.
        unsafe { segment.address.copy_from_nonoverlapping(NonNull::from(&bytes).cast(), bytes.len()) };
        Ok(segment)
    }

    pub(crate) fn create_region(&self, _generation: u64, length: u64) -> io::Result<Segment> {
        self.reserve(REGION_START, length)?;
        Segment::map(&self.file, REGION_START, length)
    }

    pub(crate) fn open_region(&self, _generation: u64, length: u64) -> io::Result<Segment> {
        // The file never shrinks, so what exists now stays.
        if self.length()?.checked_sub(REGION_START).is_none_or(|there| there < length) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the pipe's memory is shorter than its header says",
            ));
        }
        Segment::map(&self.file, REGION_START, length)
    }

    /// Reserves memory. If there is too little, the error says where, how much was needed and how much is free.
    fn reserve(&self, start: u64, length: u64) -> io::Result<()> {
        system::reserve(&self.file, start, length).map_err(|error| match rustix::fs::fstatvfs(&self.file) {
            Ok(system) if error.kind() == io::ErrorKind::StorageFull => {
                let (path, free) = (self.folder.path.to_string_lossy(), system.f_bavail * system.f_frsize);
                io::Error::new(error.kind(), format!("{path}: no space for {length} bytes ({free} free)"))
            }
            _ => error,
        })
    }

    fn length(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.file)?.st_size.cast_unsigned())
    }

    /// Takes a lock. Returns `false` if another process has it.
    fn lock(&self, lock: Lock) -> io::Result<bool> {
        self.locks.take(&self.folder, &self.name, &self.file, lock)
    }
}

/// The open directory of a pipe's files ([`Producer::directory`](crate::Producer::directory),
/// [`Consumer::directory`](crate::Consumer::directory)). On Unix it has a descriptor (`AsFd`).
///
/// # Examples
/// ```
/// # #[cfg(unix)] {
/// # mod setup { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/setup.rs")); }
/// use std::os::fd::AsFd;
///
/// # let (producer, consumer) = setup::pair();
/// let directory = producer.directory().expect("on Unix pipes are files");
/// let descriptor = directory.as_fd(); // for `landlock_add_rule`, say
/// # assert!(descriptor.try_clone_to_owned().is_ok() && consumer.directory().is_some());
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a>(BorrowedFd<'a>);

impl AsFd for Directory<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

/// The process that made a value, which its forked children copy.
#[derive(Debug)]
struct Origin {
    forks: u32,
    process: u32,
}

impl Origin {
    fn here() -> Self {
        Self { forks: forks(), process: std::process::id() }
    }

    fn is_here(&self) -> bool {
        // The number, too, because a process can be made by a bare `clone` call. (It alone is not enough: each container
        // counts from 1.)
        self.forks == forks() && self.process == std::process::id()
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        // A child shares the open file, and with it the locks. They are its parent's.
        if !self.origin.is_here() {
            return;
        }
        // Closing the file is not enough: a mapping keeps the open file and its locks alive, and a monitor keeps a
        // mapping.
        for lock in [Lock::Producer, Lock::Consumer, Lock::Gate] {
            let _ = self.locks.release(&self.file, lock);
        }
    }
}

/// Returns the directory of the pipes: the chosen one, or this user's own.
#[expect(clippy::unnecessary_wraps, reason = "on Windows pipes are not files")]
pub(crate) fn directory(location: &Location) -> Option<OsString> {
    Some(folder::path_of(location, &system::directory()))
}

fn name_of(key: u128) -> String {
    format!("{key:032x}")
}

fn cannot_open(folder: &Folder, name: &str, error: Errno) -> OpenError {
    let path = format!("{}/{name}", folder.path.to_string_lossy());
    match error {
        // Links are not followed, and directories and sockets cannot be opened for writing.
        Errno::LOOP | Errno::ISDIR | Errno::NXIO => OpenError::Foreign { path, what: "not a regular file" },
        // The same error is returned for a missing file in a directory that this user may not enter.
        Errno::ACCESS if folder.has(name) => OpenError::Foreign { path, what: "this user may not open it" },
        _ => OpenError::Io { doing: format!("opening {path}"), source: error.into() },
    }
}

/// A part of the pipe's file in this process's memory.
#[derive(Debug)]
pub(crate) struct Segment {
    address: NonNull<u8>,
    length: usize,
    origin: Origin,
}

// SAFETY: the mapping belongs to the process and not to a thread; users of the bytes order their accesses themselves.
unsafe impl Send for Segment {}
// SAFETY: as above: a shared reference gives only the address and the length.
unsafe impl Sync for Segment {}

impl Segment {
    /// Maps each part of a file once, for sanitizers (`blockpipe/tests/sanitize.sh`), which know memory by its address:
    /// two ends in one process share the mapping. It is never unmapped, so the file's inode number is never reused.
    #[cfg(blockpipe_one_mapping)]
    fn map(file: impl AsFd, offset: u64, length: u64) -> io::Result<Self> {
        type Part = (u64, u64, u64);
        static MAPPED: std::sync::Mutex<Vec<(Part, Segment)>> = std::sync::Mutex::new(Vec::new());
        let stat = rustix::fs::fstat(&file)?;
        let part = (stat.st_ino, offset, length);
        let mut mapped = MAPPED.lock().expect("nobody panics while holding the lock");
        let known = mapped.iter().find(|(known, _)| *known == part);
        let (address, length) = if let Some((_, segment)) = known {
            (segment.address, segment.length)
        } else {
            let segment = Self::map_new(file, offset, length)?;
            let same = (segment.address, segment.length);
            mapped.push((part, segment));
            same
        };
        Ok(Self { address, length, origin: Origin::here() })
    }

    #[cfg(not(blockpipe_one_mapping))]
    fn map(file: impl AsFd, offset: u64, length: u64) -> io::Result<Self> {
        Self::map_new(file, offset, length)
    }

    fn map_new(file: impl AsFd, offset: u64, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let address = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), length, access, MapFlags::SHARED, file, offset)?
        };
        let segment = Self {
            address: NonNull::new(address.cast())
                .expect("mmap returns no null pointer without a fixed address"),
            length,
            origin: Origin::here(),
        };
        system::keep_from_children(segment.address, length)?;
        Ok(segment)
    }

    /// Maps memory that only this process can see.
    fn anonymous(length: u64) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let length = length as usize;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let address =
            unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), length, access, MapFlags::PRIVATE)? };
        Ok(Self {
            address: NonNull::new(address.cast()).expect("mmap returns no null pointer"),
            length,
            origin: Origin::here(),
        })
    }

    /// Returns the address of the first byte, aligned to a page.
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.address
    }

    /// Returns the number of mapped bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

#[cfg(not(blockpipe_one_mapping))]
impl Drop for Segment {
    fn drop(&mut self) {
        // A child does not get the mapping, and may have another one at this address.
        if !self.origin.is_here() {
            return;
        }
        // SAFETY: address and length are those of a mapping that only this value owns.
        let _ = unsafe { rustix::mm::munmap(self.address.as_ptr().cast(), self.length) };
    }
}
