//! How to reserve space where the system's own call does not work on every file system.

use rustix::fd::OwnedFd;
use rustix::io::{Errno, retry_on_intr};
use std::io;

/// Reserves real memory by writing zeros, for systems whose own call does not work on every file system: a full file
/// system is an error here and not a bus error at the first access.
pub(crate) fn write_zeros(file: &OwnedFd, start: u64, length: u64) -> io::Result<()> {
    let before = rustix::fs::fstat(file)?.st_size.cast_unsigned();
    let (mut at, end) = (start, start + length);
    let zeros = vec![0; length.min(1 << 20) as usize];
    // The last byte first: zeros are written page by page, and another process must not see a file that is shorter than a
    // header, which would not be a pipe. (A process that has given up its rights may write, but not set a length.)
    if before < end {
        retry_on_intr(|| rustix::io::pwrite(file, &[0], end - 1))?;
    }
    while at < end {
        let piece = (end - at).min(zeros.len() as u64) as usize;
        match rustix::io::pwrite(file, &zeros[..piece], at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => at += written as u64,
            Err(Errno::INTR) => {}
            Err(error) => {
                // Nobody has mapped the new part yet. (A confined process cannot free it; it goes with the pipe.)
                let _ = retry_on_intr(|| rustix::fs::ftruncate(file, before));
                return Err(error.into());
            }
        }
    }
    Ok(())
}
