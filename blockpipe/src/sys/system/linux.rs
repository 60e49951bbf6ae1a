//! The parts that are specific to Linux: the location of shared memory, and the futex.

pub(crate) use super::super::ofd::{Locks, hold, is_held};

use super::super::contract::Side;
use super::super::folder::Folder;
use super::super::zeros::write_zeros;
use rustix::fd::OwnedFd;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::mm::Advice;
use rustix::thread::futex;
use rustix::thread::futex::Timespec;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Returns the directory of this user's pipes. It is a tmpfs, so blocks never touch a disk; only this user can enter
/// it.
pub(crate) fn directory() -> String {
    format!("/dev/shm/blockpipe-{}", rustix::process::geteuid().as_raw())
}

/// Returns the number that stands for every user that this process's user namespace does not know, unless a user of the
/// namespace has that number.
pub(crate) fn unknown_user() -> Option<u32> {
    const OVERFLOW: u32 = 65534;
    let read = |path: &str| {
        let mut text = vec![0; 4096];
        let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let length = opened.and_then(|file| rustix::io::read(file, &mut text[..])).unwrap_or(0);
        text.truncate(length);
        String::from_utf8(text).unwrap_or_default()
    };
    let unknown = read("/proc/sys/kernel/overflowuid").trim().parse().unwrap_or(OVERFLOW);
    // Each line: the first number inside, the first one outside, and how many there are.
    let has = |line: &str| {
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        let (first, count) = (words.next()??, words.nth(1)??);
        Some((first..first + count).contains(&u64::from(unknown)))
    };
    let is_known = read("/proc/self/uid_map").lines().any(|line| has(line).unwrap_or(false));
    (!is_known).then_some(unknown)
}

/// Reserves real memory now, so that a full file system is an error here and not a bus error at the first access. Where
/// the file system of a chosen directory cannot reserve, or a filter of system calls forbids it, writes zeros.
pub(crate) fn reserve(file: &OwnedFd, start: u64, length: u64) -> io::Result<()> {
    match retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), start, length)) {
        reserved @ (Ok(()) | Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Ok(reserved?),
        Err(_) => write_zeros(file, start, length),
    }
}

/// Keeps these pages out of forked children.
pub(crate) fn keep_from_children(address: NonNull<u8>, length: usize) -> io::Result<()> {
    // SAFETY: the range is a whole mapping of this process; the advice changes only what its children get.
    unsafe { rustix::mm::madvise(address.as_ptr().cast(), length, Advice::LinuxDontFork)? };
    Ok(())
}

/// Does nothing: bells are words in the header, and there is no file beside the pipe's.
pub(crate) fn unlink_bells(_directory: &OwnedFd, _key: &str) {}

/// A shared futex on the sleeper's word: not `PRIVATE`, because the other side is another process.
#[derive(Debug)]
pub(crate) struct Bell;

impl Bell {
    #[expect(clippy::unnecessary_wraps, reason = "other systems open a named object here")]
    pub(crate) fn open(_folder: &Folder, _key: &str, _sleeper: Side) -> io::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "other systems sleep on an object instead of the word")]
    pub(crate) fn sleep(&self, word: &AtomicU32, limit: Duration) {
        let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
        // Every outcome (woken, word changed, timed out, signal) means the same: check again.
        let _ = futex::wait(word, futex::Flags::empty(), 1, Some(&limit));
    }

    #[expect(clippy::unused_self, reason = "as in `sleep`")]
    pub(crate) fn ring(&self, word: &AtomicU32) {
        let _ = futex::wake(word, futex::Flags::empty(), 1);
    }
}
