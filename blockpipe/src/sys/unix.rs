//! Seats and memory for systems where a pipe is a file: it carries header, blocks and the locks.
//!
//! How locks are had, space is reserved and a sleeper is woken differs between these systems (`system`).

use super::system::Locks;
use super::{OpenError, Side, pause, system};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::mm::{MapFlags, ProtFlags};
use std::io;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// What is locked. The numbers are those of the bytes where bytes are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    Gate = 0,
    Producer = 1,
    Consumer = 2,
}

/// Same numbers as `layout.rs`, on purpose not imported: a port is written without knowing what lies above.
const HEADER_LENGTH: u64 = 4096;
const REGION_START: u64 = 64 << 10;
/// Never through a link, and never blocking on what is no file.
const OPEN: OFlags =
    OFlags::RDWR.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);
const MAGIC: &[u8; 8] = b"BLKPIPE\0";

#[derive(Debug)]
pub(crate) struct Seats {
    directory: OwnedFd,
    name: String,
    path: String,
    file: OwnedFd,
    locks: Locks,
}

impl From<Side> for Lock {
    fn from(seat: Side) -> Self {
        match seat {
            Side::Producer => Self::Producer,
            Side::Consumer => Self::Consumer,
        }
    }
}

impl Seats {
    pub(crate) fn open(key: u128) -> Result<Self, OpenError> {
        let folder = system::directory();
        let directory = private_directory(&folder)?;
        let name = format!("{key:032x}");
        let path = format!("{folder}/{name}");
        let foreign = |what| OpenError::Foreign { path: path.clone(), what };
        let (file, created) = open_or_create(&directory, &name).map_err(|error| match error {
            // Links are not followed, and directories and sockets cannot be opened for writing.
            Errno::LOOP | Errno::ISDIR | Errno::NXIO => foreign("not a regular file"),
            _ => OpenError::Io { doing: format!("opening {path}"), source: error.into() },
        })?;
        let stat = rustix::fs::fstat(&file)
            .map_err(|error| OpenError::Io { doing: format!("looking at {path}"), source: error.into() })?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(foreign("not a regular file"));
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(foreign("belongs to another user"));
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(foreign("other users may open it"));
        }
        if stat.st_nlink > 1 {
            return Err(foreign("has another name besides this one"));
        }
        // New files grow from nothing to a whole header in one step.
        if (1..HEADER_LENGTH.cast_signed()).contains(&stat.st_size) {
            return Err(foreign("shorter than a pipe"));
        }
        let seats = Self { directory, name, path, file, locks: Locks::new() };
        if created {
            seats.remove_dead();
        }
        Ok(seats)
    }

    /// Removes what killed pairs left under other names, to which perhaps nobody ever comes again. Whatever cannot
    /// be had at once is left to the next one.
    fn remove_dead(&self) {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.directory) else { return };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.len() != self.name.len() || name == self.name {
                continue;
            }
            let Ok(file) = rustix::fs::openat(&self.directory, name, OPEN, Mode::empty()) else { continue };
            let mut magic = [0; MAGIC.len()];
            if !matches!(rustix::io::pread(&file, &mut magic, 0), Ok(length) if length == MAGIC.len() && magic == *MAGIC)
            {
                continue;
            }
            let other = Self {
                directory: match self.directory.try_clone() {
                    Ok(directory) => directory,
                    Err(_) => return,
                },
                name: name.into(),
                path: String::new(),
                file,
                locks: Locks::new(),
            };
            // As in every arrival: under the gate, still of this name, both seats free.
            if let Ok(true) = other.lock(Lock::Gate)
                && let Ok(true) = other.current()
                && let (Ok(false), Ok(false)) = (other.held(Side::Producer), other.held(Side::Consumer))
            {
                let _ = other.forget();
            }
        }
    }

    pub(crate) fn where_it_is(&self) -> &str {
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
        self.locks.give_back(&self.file, Lock::Gate)
    }

    pub(crate) fn current(&self) -> io::Result<bool> {
        Ok(rustix::fs::fstat(&self.file)?.st_nlink != 0)
    }

    pub(crate) fn held(&self, seat: Side) -> io::Result<bool> {
        self.locks.is_taken(&self.directory, &self.name, &self.file, seat.into())
    }

    pub(crate) fn take(&self, seat: Side) -> io::Result<bool> {
        self.lock(seat.into())
    }

    pub(crate) fn release(&self, seat: Side) -> io::Result<()> {
        self.locks.give_back(&self.file, seat.into())
    }

    pub(crate) fn forget(&self) -> io::Result<()> {
        // The name last: killed in between, the next one makes the rest again.
        self.locks.forget(&self.directory, &self.name, &self.file);
        system::forget_bells(&self.directory, &self.name);
        Ok(rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty())?)
    }

    pub(crate) fn header(&self) -> io::Result<Segment> {
        // Only a file that nobody has used yet is shorter.
        if self.length()? < HEADER_LENGTH {
            system::reserve(&self.file, 0, HEADER_LENGTH)?;
        }
        Segment::map(&self.file, 0, HEADER_LENGTH)
    }

    pub(crate) fn create_region(&self, _generation: u64, length: u64) -> io::Result<Segment> {
        system::reserve(&self.file, REGION_START, length)?;
        Segment::map(&self.file, REGION_START, length)
    }

    pub(crate) fn open_region(&self, _generation: u64, length: u64) -> io::Result<Segment> {
        // The file never shrinks, so what is there now stays there.
        if self.length()?.checked_sub(REGION_START).is_none_or(|there| there < length) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the pipe is shorter than its header says",
            ));
        }
        Segment::map(&self.file, REGION_START, length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.file)?.st_size.cast_unsigned())
    }

    /// `false` if somebody else has it.
    fn lock(&self, lock: Lock) -> io::Result<bool> {
        self.locks.take(&self.directory, &self.name, &self.file, lock)
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        // Closing is not enough: a mapping keeps the open file and its locks, and a monitor keeps a mapping.
        for lock in [Lock::Producer, Lock::Consumer, Lock::Gate] {
            let _ = self.locks.give_back(&self.file, lock);
        }
    }
}

/// Opens the user's directory, made if it is missing, and refuses one that others could reach into.
fn private_directory(path: &str) -> Result<OwnedFd, OpenError> {
    let failed = |error: Errno| OpenError::Io { doing: format!("opening {path}"), source: error.into() };
    let made = match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(OpenError::Io { doing: format!("making {path}"), source: error.into() }),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()));
    let mut opened = open();
    if made && matches!(opened, Err(Errno::ACCESS)) {
        // The umask has shut out even this user. What is opened now is looked at below, whatever it is.
        rustix::fs::chmod(path, Mode::RWXU).map_err(failed)?;
        opened = open();
    }
    let directory = match opened {
        Ok(directory) => directory,
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return Err(OpenError::Foreign { path: path.into(), what: "not a directory" });
        }
        Err(error) => return Err(failed(error)),
    };
    let stat = rustix::fs::fstat(&directory).map_err(failed)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(OpenError::Foreign { path: path.into(), what: "belongs to another user" });
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(OpenError::Foreign { path: path.into(), what: "other users may enter it" });
    }
    if made {
        // Whatever the umask says, this user may use it.
        rustix::fs::fchmod(&directory, Mode::RWXU).map_err(failed)?;
    }
    Ok(directory)
}

/// The file, and whether it is new.
fn open_or_create(directory: &OwnedFd, name: &str) -> rustix::io::Result<(OwnedFd, bool)> {
    // Somebody else may make or remove it between the two calls; each such step is somebody's arrival or leaving.
    let mut tries = 0;
    loop {
        tries += 1;
        match retry_on_intr(|| rustix::fs::openat(directory, name, OPEN, Mode::empty())) {
            Err(Errno::NOENT) => {}
            other => return Ok((other?, false)),
        }
        let create = OPEN | OFlags::CREATE | OFlags::EXCL;
        match retry_on_intr(|| rustix::fs::openat(directory, name, create, Mode::RUSR | Mode::WUSR)) {
            Err(Errno::EXIST) if tries < 1000 => {}
            other => {
                let file = other?;
                // Whatever the umask says, this user may open it again.
                rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
                return Ok((file, true));
            }
        }
    }
}

/// Real memory by writing zeros, for systems whose own way does not hold on every file system: a full one is an
/// error here and not a bus error at the first touch.
#[cfg_attr(
    all(target_os = "linux", not(blockpipe_portable)),
    expect(dead_code, reason = "Linux has a better way")
)]
pub(super) fn write_zeros(file: &OwnedFd, start: u64, length: u64) -> io::Result<()> {
    let before = rustix::fs::fstat(file)?.st_size.cast_unsigned();
    let (mut at, end) = (start, start + length);
    let zeros = vec![0; (1 << 20).min(length as usize)];
    while at < end {
        let piece = (end - at).min(zeros.len() as u64) as usize;
        match rustix::io::pwrite(file, &zeros[..piece], at) {
            Ok(written) => at += written as u64,
            Err(Errno::INTR) => {}
            Err(error) => {
                // Nobody has mapped what is new.
                let _ = rustix::fs::ftruncate(file, before);
                return Err(error.into());
            }
        }
    }
    Ok(())
}

/// A part of the pipe's file in this process's memory.
#[derive(Debug)]
pub(crate) struct Segment {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process and not to a thread; whoever touches the bytes orders it themselves.
unsafe impl Send for Segment {}
// SAFETY: as above: a shared reference gives only the address and the length.
unsafe impl Sync for Segment {}

impl Segment {
    /// For sanitizers (`blockpipe/tests/sanitize.sh`), which know memory by its address: two ends in one process get
    /// the same mapping of the same part of a file. It stays for good, so the file's number is never used again.
    #[cfg(blockpipe_one_mapping)]
    fn map(file: impl AsFd, offset: u64, length: u64) -> io::Result<Self> {
        type Part = (u64, u64, u64);
        static MAPPED: std::sync::Mutex<Vec<(Part, Segment)>> = std::sync::Mutex::new(Vec::new());
        let stat = rustix::fs::fstat(&file)?;
        let part = (stat.st_ino, offset, length);
        let mut mapped = MAPPED.lock().expect("nobody panics with it");
        let known = mapped.iter().find(|(known, _)| *known == part);
        let (address, length) = if let Some((_, segment)) = known {
            (segment.address, segment.length)
        } else {
            let segment = Self::map_anew(file, offset, length)?;
            let same = (segment.address, segment.length);
            mapped.push((part, segment));
            same
        };
        Ok(Self { address, length })
    }

    #[cfg(not(blockpipe_one_mapping))]
    fn map(file: impl AsFd, offset: u64, length: u64) -> io::Result<Self> {
        Self::map_anew(file, offset, length)
    }

    fn map_anew(file: impl AsFd, offset: u64, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let address = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), length, access, MapFlags::SHARED, file, offset)?
        };
        let segment = Self {
            address: NonNull::new(address.cast()).expect("mmap gives no null without a fixed address"),
            length,
        };
        system::keep_from_children(segment.address, length)?;
        Ok(segment)
    }

    /// The first byte, aligned to a page.
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.address
    }

    /// How many bytes are mapped.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

#[cfg(not(blockpipe_one_mapping))]
impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: address and length are those of a mapping that only this value owns.
        let _ = unsafe { rustix::mm::munmap(self.address.as_ptr().cast(), self.length) };
    }
}
