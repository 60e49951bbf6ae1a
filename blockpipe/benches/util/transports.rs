//! The transports that every comparison has: blockpipe, and the system's own means.

use super::{BLOCKS, Link, Outcome, Peer};
use blockpipe::{Consumer, FilledBlock, Geometry, Pipe, Producer, Reason, TrustedPeer};
use rustix::pipe::fcntl_setpipe_size;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, Command};

/// A pipe in each direction.
pub struct Blockpipe {
    producer: Producer<TrustedPeer>,
    pub consumer: Consumer<TrustedPeer>,
}

impl Blockpipe {
    pub fn near(mut command: Command, block_size: usize) -> Outcome<(Self, Peer)> {
        let name = format!("bench {}", process::id());
        command.arg(&name);
        let peer = Peer::start(command)?;
        Ok((Self::meet(&format!("{name} there"), &format!("{name} back"), block_size)?, peer))
    }

    pub fn far(arguments: &[String], block_size: usize) -> Outcome<Self> {
        let name = &arguments[0];
        Self::meet(&format!("{name} back"), &format!("{name} there"), block_size)
    }

    fn meet(output: &str, input: &str, block_size: usize) -> Outcome<Self> {
        // SAFETY: both pipes lie in this user's private directory, and only this program uses their names.
        let pipe = |name| unsafe { Pipe::named(name).trust_peer() };
        let mut producer = pipe(output).join_as_producer()?;
        producer.ready(Geometry::new(block_size, BLOCKS), b"")?;
        let consumer = pipe(input).join_as_consumer()?;
        Ok(Self { producer, consumer })
    }

    /// Shows a block of this length to `take`, and releases it.
    pub fn pass(
        &mut self,
        block: FilledBlock<TrustedPeer>,
        length: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Outcome<()> {
        if block.len() != length {
            return Err(format!("{} bytes, not {length}", block.len()).into());
        }
        take(&block);
        Ok(self.consumer.release(block)?)
    }
}

impl Link for Blockpipe {
    fn send(&mut self, length: usize, mut fill: impl FnMut(&mut [u8])) -> Outcome<()> {
        let mut block = self.producer.empty_block()?;
        fill(&mut block[..length]);
        Ok(self.producer.send(block, length)?)
    }

    fn receive(&mut self, length: usize, take: impl FnMut(&[u8])) -> Outcome<()> {
        let block = self.consumer.filled_block()?.ok_or("the stream ended")?;
        self.pass(block, length, take)
    }
}

impl Drop for Blockpipe {
    fn drop(&mut self) {
        // There is no result to agree on. The end that aborts second gets an error.
        let reason = Reason::new(0, "measured");
        let _ = self.producer.abort(&reason);
        let _ = self.consumer.abort(&reason);
    }
}

/// Bytes that the kernel copies in and out.
pub struct Descriptors {
    input: File,
    output: File,
    buffer: Vec<u8>,
}

pub fn pipe(command: Command, block_size: usize) -> Outcome<(Descriptors, Peer)> {
    let (there, back) = (io::pipe()?, io::pipe()?);
    near_descriptors(command, block_size, (there.0.into(), back.1.into()), (back.0.into(), there.1.into()))
}

/// As large as an ordinary user may make it.
pub fn large_pipe(command: Command, block_size: usize) -> Outcome<(Descriptors, Peer)> {
    let (link, peer) = pipe(command, block_size)?;
    for end in [&link.input, &link.output] {
        fcntl_setpipe_size(end, 1 << 20)?;
    }
    Ok((link, peer))
}

pub fn socket(command: Command, block_size: usize) -> Outcome<(Descriptors, Peer)> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = (theirs.try_clone()?.into(), theirs.into());
    near_descriptors(command, block_size, theirs, (ours.try_clone()?.into(), ours.into()))
}

/// Creates two descriptors, the first of them for reading.
fn near_descriptors(
    mut command: Command,
    block_size: usize,
    theirs: (OwnedFd, OwnedFd),
    ours: (OwnedFd, OwnedFd),
) -> Outcome<(Descriptors, Peer)> {
    command.stdin(theirs.0).stdout(theirs.1);
    let link = Descriptors { input: ours.0.into(), output: ours.1.into(), buffer: vec![0; block_size] };
    Ok((link, Peer::start(command)?))
}

pub fn far_descriptors(_arguments: &[String], block_size: usize) -> Outcome<Descriptors> {
    let input = io::stdin().as_fd().try_clone_to_owned()?.into();
    let output = io::stdout().as_fd().try_clone_to_owned()?.into();
    Ok(Descriptors { input, output, buffer: vec![0; block_size] })
}

impl Link for Descriptors {
    fn send(&mut self, length: usize, mut fill: impl FnMut(&mut [u8])) -> Outcome<()> {
        let bytes = &mut self.buffer[..length];
        fill(bytes);
        Ok(self.output.write_all(bytes)?)
    }

    fn receive(&mut self, length: usize, mut take: impl FnMut(&[u8])) -> Outcome<()> {
        let bytes = &mut self.buffer[..length];
        self.input.read_exact(bytes)?;
        take(bytes);
        Ok(())
    }
}
