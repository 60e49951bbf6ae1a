//! blockpipe in an event loop: the process waits for a descriptor, not in a call of the library.

use crate::util::{Blockpipe, Link, Outcome, Peer};
use blockpipe::Readiness;
use rustix::event::{PollFd, PollFlags, poll};
use std::process::Command;

pub struct Descriptor {
    blockpipe: Blockpipe,
    readiness: Readiness,
}

impl Descriptor {
    pub fn near(command: Command, block_size: usize) -> Outcome<(Self, Peer)> {
        let (blockpipe, peer) = Blockpipe::near(command, block_size)?;
        Ok((Self::new(blockpipe)?, peer))
    }

    pub fn far(arguments: &[String], block_size: usize) -> Outcome<Self> {
        Self::new(Blockpipe::far(arguments, block_size)?)
    }

    fn new(mut blockpipe: Blockpipe) -> Outcome<Self> {
        let readiness = blockpipe.consumer.readiness()?;
        Ok(Self { blockpipe, readiness })
    }
}

impl Link for Descriptor {
    fn send(&mut self, length: usize, fill: impl FnMut(&mut [u8])) -> Outcome<()> {
        self.blockpipe.send(length, fill)
    }

    fn receive(&mut self, length: usize, take: impl FnMut(&[u8])) -> Outcome<()> {
        loop {
            if let Some(block) = self.blockpipe.consumer.try_filled_block()? {
                return self.blockpipe.pass(block, length, take);
            }
            poll(&mut [PollFd::new(&self.readiness, PollFlags::IN)], None)?;
        }
    }
}
