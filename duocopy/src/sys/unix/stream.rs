//! Pipes, devices and standard streams.

use super::dir::Directory;
use super::file::file_kind;
use super::system;
use crate::sys::contract::FileKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, IntoRawFd};
use std::sync::atomic::{AtomicU8, Ordering};

/// How long [`poll_ready`] waits at most: a twentieth of a second.
const POLL_TIMEOUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Opens a named pipe or a device in this directory for writing; returns `None` for a pipe that no process reads yet.
/// Links are not followed.
pub fn open_stream_output(directory: &Directory, name: &OsStr) -> io::Result<Option<File>> {
    let access = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    // Opening a disk exclusively fails while it is mounted.
    let exclusive = if kind == FileType::BlockDevice { OFlags::EXCL } else { OFlags::empty() };
    match retry_on_intr(|| rustix::fs::openat(directory, name, access | exclusive, Mode::empty())) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::NXIO) if kind == FileType::Fifo => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The standard streams that were closed when the process started: 1 for input, 2 for output, 4 for messages. Before
/// `main`, `/dev/null` is opened in their place, or a directory, which nobody can read from or write to.
static CLOSED: AtomicU8 = AtomicU8::new(0);

ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn remember_closed_streams() {
        for (bit, stream) in
            [(1, rustix::stdio::stdin()), (2, rustix::stdio::stdout()), (4, rustix::stdio::stderr())]
        {
            if rustix::io::fcntl_getfd(stream).is_err() {
                CLOSED.fetch_or(bit, Ordering::Relaxed);
                // The new descriptor gets this number, the lowest that is free. The Rust runtime would end the process
                // where there is no `/dev/null`.
                let null = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty());
                let opened = null.or_else(|_| rustix::fs::open(c"/", OFlags::RDONLY, Mode::empty()));
                let _ = opened.map(IntoRawFd::into_raw_fd);
            }
        }
    }
}

/// Duplicates standard input. If it was closed when the process started, that is an error.
pub fn standard_input() -> io::Result<File> {
    opened_at_start(&io::stdin(), 1, OFlags::WRONLY)
}

/// Duplicates standard output. If it was closed when the process started, that is an error.
pub fn standard_output() -> io::Result<File> {
    opened_at_start(&io::stdout(), 2, OFlags::RDONLY)
}

/// Duplicates the standard stream with this bit. Fails if the bit is in [`CLOSED`], or if the stream can only be used
/// in the `wrong` direction.
fn opened_at_start(stream: &impl AsFd, bit: u8, wrong: OFlags) -> io::Result<File> {
    let access = rustix::fs::fcntl_getfl(stream)? & OFlags::RWMODE;
    if access == wrong || CLOSED.load(Ordering::Relaxed) & bit != 0 {
        return Err(Errno::BADF.into());
    }
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

/// Checks that somebody can receive what is written to standard output.
///
/// # Errors
/// Fails as a write would: standard output was closed when the process started, or the program that reads it has ended.
pub fn check_standard_output() -> io::Result<()> {
    let output = standard_output()?;
    let mut polled = [PollFd::new(&output, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default()))?;
    if polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
        return Err(Errno::PIPE.into());
    }
    // Some devices refuse whatever is written. A command may have nothing to write, and must not depend on that.
    if file_kind(&output)? == FileKind::Device {
        rustix::io::write(&output, &[])?;
    }
    Ok(())
}

/// Waits up to a twentieth of a second until a read, or a write, would not block. The end of the stream and an error
/// count as ready.
pub fn poll_ready(file: &File, for_writing: bool) -> io::Result<bool> {
    let wanted = if for_writing { PollFlags::OUT } else { PollFlags::IN };
    match poll(&mut [PollFd::new(file, wanted)], Some(&POLL_TIMEOUT)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes what a file or a disk has in the cache to the medium. Pipes and other devices have nothing to sync.
pub fn sync_stream(file: &File) -> io::Result<()> {
    match file_kind(file)? {
        FileKind::Regular | FileKind::Disk => file.sync_all(),
        _ => Ok(()),
    }
}

/// Returns the device number of the terminal on standard error; 0 if it is not a terminal.
pub fn terminal_id() -> u64 {
    let error = io::stderr();
    match rustix::fs::fstat(&error) {
        Ok(stat) if rustix::termios::isatty(&error) => system::device(stat.st_rdev),
        _ => 0,
    }
}
