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
use std::os::fd::AsFd;

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

/// Duplicates standard input. If it was closed when the process started, that is an error.
pub fn standard_input() -> io::Result<File> {
    opened_at_start(&io::stdin(), OFlags::WRONLY)
}

/// Duplicates standard output. If it was closed when the process started, that is an error.
pub fn standard_output() -> io::Result<File> {
    opened_at_start(&io::stdout(), OFlags::RDONLY)
}

/// Duplicates a standard stream, unless it was closed when the process started, or can only be used in the `wrong`
/// direction.
///
/// In place of a closed stream, the Rust runtime opens `/dev/null` for both directions. A shell opens it for one.
fn opened_at_start(stream: &impl AsFd, wrong: OFlags) -> io::Result<File> {
    let access = rustix::fs::fcntl_getfl(stream)? & OFlags::RWMODE;
    let is_null = || {
        let (stat, null) = (rustix::fs::fstat(stream)?, rustix::fs::stat("/dev/null")?);
        rustix::io::Result::Ok((stat.st_mode, stat.st_rdev) == (null.st_mode, null.st_rdev))
    };
    if access == wrong || access == OFlags::RDWR && is_null().unwrap_or(false) {
        return Err(Errno::BADF.into());
    }
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

/// Returns an error if nobody gets what is written to standard output: it was closed when the process started, or the
/// program that read from it has ended.
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
