//! A bell for systems without a wait on addresses that works across processes: a byte in a FIFO.

use super::contract::Side;
use super::folder::{Folder, OPEN_FLAGS, side_name};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The sleeper waits until there is a byte. A byte that is left over only causes one needless wake-up.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

/// The name of a bell, beside the pipe's file. It does not contain the generation: the bell is removed with the pipe.
fn name(key: &str, sleeper: Side) -> String {
    format!("{key}-{}-bell", side_name(sleeper))
}

impl Bell {
    pub(crate) fn open(folder: &Folder, key: &str, sleeper: Side) -> io::Result<Self> {
        let name = name(key, sleeper);
        let path = [folder.path.as_bytes(), b"/", name.as_bytes()].concat();
        let c_path = CString::new(path).map_err(io::Error::other)?;
        // SAFETY: the path ends with a zero and outlives the call. The FIFO may exist already.
        let made = unsafe { libc::mkfifo(c_path.as_ptr(), 0o600) } == 0;
        // For reading and writing, so that no side has to wait until the other one opens it.
        let open = || rustix::fs::openat(&folder.descriptor, &name, OFlags::RDWR | OPEN_FLAGS, Mode::empty());
        let bell = rustix::io::retry_on_intr(open)?;
        let stat = rustix::fs::fstat(&bell)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo || folder.rejects(&stat).is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{name}: not a bell")));
        }
        if made {
            folder.open_up(&bell)?;
        }
        Ok(Self(bell))
    }

    pub(crate) fn sleep(&self, _word: &AtomicU32, limit: Duration) {
        let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
        // Every outcome (woken, timed out, signal) means the same: check again.
        let _ = rustix::event::poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit));
        let _ = rustix::io::read(&self.0, &mut [0_u8; 64]);
    }

    pub(crate) fn ring(&self, _word: &AtomicU32) {
        // If the FIFO is full, the sleeper wakes up anyway.
        let _ = rustix::io::write(&self.0, &[1]);
    }
}

/// Removes both bells of a pipe.
pub(crate) fn forget(directory: &OwnedFd, key: &str) {
    for side in [Side::Producer, Side::Consumer] {
        let _ = rustix::fs::unlinkat(directory, name(key, side), AtFlags::empty());
    }
}
