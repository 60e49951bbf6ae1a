//! The blocks of one end: the memory, which blocks the caller holds, and what comes back by itself.

use crate::block::Memory;
use crate::memory::Region;
use crate::nudge::{Nudge, Returned};
use crate::ring::ResumePoint;
use crate::window::{Settled, Window};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Held {
    pub memory: Arc<Memory>,
    pub window: Window,
    /// References for blocks to come, so that handing out a block changes no counter that threads share.
    spare: Vec<Arc<Memory>>,
}

impl Held {
    /// No block is held, and the next one has this number.
    pub(crate) fn new(region: Region, nudge: &Arc<Nudge>, first: u64) -> Self {
        let memory = Memory::new(region, Arc::clone(nudge));
        Self { memory, window: Window::starting_at(first), spare: Vec::new() }
    }

    /// Sets the number of the next block. No block has been handed out.
    pub(crate) fn start_at(&mut self, first: u64) {
        self.window = Window::starting_at(first);
    }

    pub(crate) fn region(&self) -> &Region {
        &self.memory.region
    }

    /// Returns whether the caller holds as many blocks as there are.
    pub(crate) fn is_full(&self) -> bool {
        self.window.len() == self.region().geometry().blocks()
    }

    /// Returns the memory for a block that is handed out.
    pub(crate) fn lend(&mut self) -> Arc<Memory> {
        self.spare.pop().unwrap_or_else(|| Arc::clone(&self.memory))
    }

    /// Takes a block back that its holder has settled. Returns what has to be given away now, as
    /// [`Window::settle`] does.
    pub(crate) fn settle(
        &mut self,
        memory: Arc<Memory>,
        n: u64,
        length: u64,
        point: Option<&ResumePoint>,
    ) -> Option<Settled> {
        self.spare.push(memory);
        self.window.settle(n, Settled { length, point: point.copied() })
    }

    /// Takes back the blocks that came back by themselves. Passes on what has to be given away now.
    pub(crate) fn take_returned(&mut self, mut give: impl FnMut(Settled)) {
        if self.memory.nudge.any_returned() {
            for returned in self.memory.nudge.take_returned() {
                let settled = match returned {
                    Returned::Dropped(n) => {
                        self.window.put_back(n);
                        None
                    }
                    #[cfg(feature = "bytes")]
                    Returned::Released(n, length) => self.window.settle(n, Settled { length, point: None }),
                };
                self.give(settled, &mut give);
            }
        }
    }

    /// Passes on the block that was just settled if it was the oldest one, and those that it had held up.
    pub(crate) fn give(&mut self, mut settled: Option<Settled>, mut give: impl FnMut(Settled)) {
        while let Some(oldest) = settled {
            give(oldest);
            settled = self.window.pop();
        }
    }
}
