//! shmem-ipc: a ring of bytes in a memory file. A waiting process polls, or sleeps on an event descriptor.

use crate::util::{BLOCKS, Link, Outcome, Peer, SPINS};
use rustix::io::{FdFlags, fcntl_setfd};
use shmem_ipc::sharedring::{Receiver, Sender};
use std::fs::File;
use std::hint::spin_loop;
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::Command;
use std::{slice, thread};

pub struct Shmem {
    output: Sender<u8>,
    input: Receiver<u8>,
    polling: bool,
}

/// The length of the ring. Its counter lies in the same pages, in a cache line of its own.
fn capacity(block_size: usize) -> usize {
    BLOCKS * block_size - 64
}

impl Shmem {
    pub fn near(mut command: Command, block_size: usize) -> Outcome<(Self, Peer)> {
        let (output, input) = (Sender::new(capacity(block_size))?, Receiver::new(capacity(block_size))?);
        let handles = [
            input.memfd().as_file(),
            input.empty_signal(),
            input.full_signal(),
            output.memfd().as_file(),
            output.empty_signal(),
            output.full_signal(),
        ];
        for handle in handles {
            // The far process inherits it, and gets its number as an argument.
            fcntl_setfd(handle, FdFlags::empty())?;
            command.arg(handle.as_raw_fd().to_string());
        }
        let peer = Peer::start(command)?;
        Ok((Self { output, input, polling: false }, peer))
    }

    pub fn far(arguments: &[String], block_size: usize) -> Outcome<Self> {
        let handle = |index: usize| -> Outcome<File> {
            let number = arguments[index].parse()?;
            // SAFETY: the near process left this descriptor open for us, and it is taken here once.
            Ok(unsafe { File::from_raw_fd(number) })
        };
        let output = Sender::open(capacity(block_size), handle(0)?, handle(1)?, handle(2)?)?;
        let input = Receiver::open(capacity(block_size), handle(3)?, handle(4)?, handle(5)?)?;
        Ok(Self { output, input, polling: false })
    }

    pub fn near_polling(command: Command, block_size: usize) -> Outcome<(Self, Peer)> {
        let (link, peer) = Self::near(command, block_size)?;
        Ok((Self { polling: true, ..link }, peer))
    }

    pub fn far_polling(arguments: &[String], block_size: usize) -> Outcome<Self> {
        Ok(Self { polling: true, ..Self::far(arguments, block_size)? })
    }
}

/// Polls until there is something.
fn poll(mut count: impl FnMut() -> Outcome<usize>) -> Outcome<()> {
    loop {
        for _ in 0..SPINS {
            if count()? > 0 {
                return Ok(());
            }
            spin_loop();
        }
        thread::yield_now();
    }
}

impl Link for Shmem {
    fn send(&mut self, length: usize, mut fill: impl FnMut(&mut [u8])) -> Outcome<()> {
        let mut left = length;
        while left > 0 {
            let write = |bytes: *mut u8, room: usize| {
                let piece = room.min(left);
                // SAFETY: the ring gave us this room, the only receiver does not read it before it is sent, and mapped
                // memory is initialised.
                fill(unsafe { slice::from_raw_parts_mut(bytes, piece) });
                left -= piece;
                piece
            };
            if self.polling {
                poll(|| Ok(self.output.sender_mut().write_count()?))?;
                self.output.sender_mut().send(write)?;
            } else {
                self.output.block_until_writable()?;
                self.output.send_raw(write)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, length: usize, mut take: impl FnMut(&[u8])) -> Outcome<()> {
        let mut left = length;
        while left > 0 {
            let read = |bytes: *const u8, there: usize| {
                let piece = there.min(left);
                // SAFETY: the only sender has sent these bytes, and does not touch them before we drop them.
                take(unsafe { slice::from_raw_parts(bytes, piece) });
                left -= piece;
                piece
            };
            if self.polling {
                poll(|| Ok(self.input.receiver_mut().read_count()?))?;
                self.input.receiver_mut().recv(read)?;
            } else {
                self.input.block_until_readable()?;
                self.input.receive_raw(read)?;
            }
        }
        Ok(())
    }
}
