//! Gate and seats as locks on whole files, for systems whose locks on bytes belong to processes.
//!
//! The gate is the lock of the pipe's own file. Each seat has a file beside it, named after the pipe's file and its
//! inode number, so that a pipe whose name somebody removed keeps its own seats. The files are created under the gate.
//!
//! `flock` can only query a lock by taking it. So a process that checks a seat takes a *shared* lock for a moment: such
//! processes do not disturb each other, and a process that tries to take the seat meanwhile tries again.

use super::fcntl;
use super::folder::{Folder, OPEN_FLAGS};
use super::lock::Lock;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct Locks {
    seats: OnceLock<[Seat; 2]>,
}

#[derive(Debug)]
struct Seat {
    /// The file that holds the lock.
    file: OwnedFd,
    /// The same file, opened a second time to query the lock.
    query: OwnedFd,
    taken: AtomicBool,
}

impl Locks {
    pub(crate) fn new() -> Self {
        Self { seats: OnceLock::new() }
    }

    /// Takes the lock. Returns `false` if another process has it.
    pub(crate) fn take(&self, folder: &Folder, name: &str, file: &OwnedFd, lock: Lock) -> io::Result<bool> {
        let Some(seat) = self.seat(folder, name, file, lock)? else {
            return try_lock(file, FlockOperation::NonBlockingLockExclusive);
        };
        let taken = try_lock(&seat.file, FlockOperation::NonBlockingLockExclusive)?;
        seat.taken.store(taken, Ordering::Relaxed);
        Ok(taken)
    }

    pub(crate) fn release(&self, file: &OwnedFd, lock: Lock) -> io::Result<()> {
        let file = match (lock, self.seats.get()) {
            (Lock::Gate, _) => file,
            (_, None) => return Ok(()),
            (_, Some(seats)) => {
                let seat = &seats[lock as usize - 1];
                seat.taken.store(false, Ordering::Relaxed);
                &seat.file
            }
        };
        Ok(retry_on_intr(|| rustix::fs::flock(file, FlockOperation::Unlock))?)
    }

    /// Returns whether another process has the lock.
    pub(crate) fn is_held(
        &self,
        folder: &Folder,
        name: &str,
        file: &OwnedFd,
        lock: Lock,
    ) -> io::Result<bool> {
        assert!(lock != Lock::Gate, "the gate is only ever taken, never queried");
        if let Some(seats) = self.seats.get() {
            let seat = &seats[lock as usize - 1];
            return if seat.taken.load(Ordering::Relaxed) { Ok(false) } else { is_locked(&seat.query) };
        }
        // An observer creates nothing.
        let (name, flags) = (seat_name(name, file, lock)?, OFlags::RDWR | OPEN_FLAGS);
        match retry_on_intr(|| rustix::fs::openat(&folder.descriptor, &name, flags, Mode::empty())) {
            Ok(query) => is_locked(&query),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the files beside the pipe's file that belong to the locks.
    #[expect(clippy::unused_self, reason = "what is removed is known by name")]
    pub(crate) fn unlink_files(&self, directory: &OwnedFd, name: &str, file: &OwnedFd) {
        for lock in [Lock::Producer, Lock::Consumer] {
            if let Ok(name) = seat_name(name, file, lock) {
                // A leftover is empty and harmless: its name never stands for anything else.
                let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
            }
        }
    }

    /// Returns the seat of this lock, or `None` for the gate. The first call is made under the gate.
    fn seat(&self, folder: &Folder, name: &str, file: &OwnedFd, lock: Lock) -> io::Result<Option<&Seat>> {
        if lock == Lock::Gate {
            return Ok(None);
        }
        if self.seats.get().is_none() {
            let open = |lock| -> io::Result<Seat> {
                let name = seat_name(name, file, lock)?;
                let open = || {
                    rustix::fs::openat(&folder.descriptor, &name, OFlags::RDWR | OPEN_FLAGS, Mode::empty())
                };
                let (file, _) = folder.open_or_create(&name)?;
                Ok(Seat { file, query: retry_on_intr(open)?, taken: AtomicBool::new(false) })
            };
            let seats = [open(Lock::Producer)?, open(Lock::Consumer)?];
            let _ = self.seats.set(seats);
        }
        Ok(self.seats.get().map(|seats| &seats[lock as usize - 1]))
    }
}

fn seat_name(name: &str, file: &OwnedFd, lock: Lock) -> io::Result<String> {
    Ok(format!("{name}-{:x}-{}", rustix::fs::fstat(file)?.st_ino, lock as u8))
}

fn is_locked(query: &OwnedFd) -> io::Result<bool> {
    let free = try_lock(query, FlockOperation::NonBlockingLockShared)?;
    if free {
        retry_on_intr(|| rustix::fs::flock(query, FlockOperation::Unlock))?;
    }
    Ok(!free)
}

fn try_lock(file: &OwnedFd, how: FlockOperation) -> io::Result<bool> {
    match retry_on_intr(|| rustix::fs::flock(file, how)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Locks a user card as only a process that may write to it can: `flock` would let everybody.
pub(crate) fn hold(file: &OwnedFd) -> io::Result<()> {
    fcntl::lock(file, libc::F_SETLK, 0, libc::F_WRLCK).map(drop)
}

/// Returns whether a process that may write to the user card holds its lock now. These locks belong to processes, and a
/// process cannot see its own.
pub(crate) fn is_held(file: &OwnedFd, own: bool) -> io::Result<bool> {
    Ok(own || fcntl::lock(file, libc::F_GETLK, 0, libc::F_RDLCK)? == libc::F_WRLCK as libc::c_short)
}
