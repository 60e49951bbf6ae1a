//! The blocks that one end holds now: lent one after another, settled in any order, given away in order.

use crate::ring::ResumePoint;
use std::collections::VecDeque;

/// What is recorded about a block when it is given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub length: u64,
    /// The caller's resume point after the block, if it keeps one.
    pub point: Option<ResumePoint>,
}

#[derive(Clone, Copy, Debug)]
enum BlockState {
    /// In the caller's hands, for the first time or once more.
    Lent { again: bool },
    /// Dropped by the caller without being settled: it is handed out again.
    PutBack { again: bool },
    /// To be given away once all earlier blocks are.
    Settled(Settled),
}

/// Blocks `first ..` of the stream, with what is known about each.
#[derive(Debug)]
pub(crate) struct Window {
    first: u64,
    blocks: VecDeque<BlockState>,
    put_back: usize,
}

impl Window {
    /// Creates a window whose first block to be handed out is `first`.
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, blocks: VecDeque::new(), put_back: 0 }
    }

    /// Returns the number of the next block to be handed out for the first time.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.blocks.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Hands out block `next()` and returns its number.
    pub(crate) fn hand_out(&mut self) -> u64 {
        self.blocks.push_back(BlockState::Lent { again: false });
        self.next() - 1
    }

    /// Hands out again the first block that was put back.
    pub(crate) fn hand_out_again(&mut self) -> Option<u64> {
        if self.put_back == 0 {
            return None;
        }
        let dropped = |state: &BlockState| matches!(state, BlockState::PutBack { .. });
        let index = self.blocks.iter().position(dropped)?;
        self.blocks[index] = BlockState::Lent { again: true };
        self.put_back -= 1;
        Some(self.first + index as u64)
    }

    /// Returns whether a block has been handed out again and dropped again. It counts as dropped once from then on.
    pub(crate) fn take_dropped_twice(&mut self) -> bool {
        let twice = |state: &&mut BlockState| matches!(state, BlockState::PutBack { again: true });
        let found = if self.put_back > 0 { self.blocks.iter_mut().find(twice) } else { None };
        found.map(|state| *state = BlockState::PutBack { again: false }).is_some()
    }

    /// Returns whether the caller holds a block.
    pub(crate) fn any_lent(&self) -> bool {
        self.blocks.iter().any(|state| matches!(state, BlockState::Lent { .. }))
    }

    pub(crate) fn any_settled(&self) -> bool {
        self.blocks.iter().any(|state| matches!(state, BlockState::Settled(_)))
    }

    pub(crate) fn put_back(&mut self, n: u64) {
        let state = &mut self.blocks[(n - self.first) as usize];
        *state = BlockState::PutBack { again: matches!(state, BlockState::Lent { again: true }) };
        self.put_back += 1;
    }

    /// Notes that block `n` is settled. Returns it if it is the oldest one, and has to be given away now; otherwise
    /// [`pop`](Self::pop) returns it when its turn comes.
    pub(crate) fn settle(&mut self, n: u64, settled: Settled) -> Option<Settled> {
        let state = &mut self.blocks[(n - self.first) as usize];
        if matches!(state, BlockState::PutBack { .. }) {
            self.put_back -= 1;
        }
        if n == self.first {
            self.blocks.pop_front();
            self.first += 1;
            return Some(settled);
        }
        *state = BlockState::Settled(settled);
        None
    }

    /// Returns the number of the oldest block that has not been given away.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Removes the oldest block if it is settled: it has to be given away now.
    pub(crate) fn pop(&mut self) -> Option<Settled> {
        let Some(BlockState::Settled(settled)) = self.blocks.front().copied() else { return None };
        self.blocks.pop_front();
        self.first += 1;
        Some(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn settled(length: u64) -> Settled {
        Settled { length, point: None }
    }

    #[test]
    fn blocks_settled_in_any_order_leave_in_order() {
        let mut window = Window::starting_at(0);
        for _ in 0..3 {
            window.hand_out();
        }
        assert_eq!([window.settle(2, settled(2)), window.settle(1, settled(1)), window.pop()], [None; 3]);
        assert_eq!(window.settle(0, settled(0)), Some(settled(0)));
        assert_eq!([window.pop(), window.pop()], [1, 2].map(|n| Some(settled(n))));
        assert_eq!((window.pop(), window.next(), window.any_lent()), (None, 3, false));
    }

    #[test]
    fn a_dropped_block_is_handed_out_again_and_holds_up_later_ones() {
        let mut window = Window::starting_at(0);
        assert_eq!((window.hand_out(), window.hand_out()), (0, 1));
        window.put_back(0);
        assert_eq!([window.settle(1, settled(1)), window.pop()], [None; 2]);
        assert_eq!(window.hand_out_again(), Some(0));
        assert_eq!(window.hand_out_again(), None);
        assert_eq!([window.settle(0, settled(0)), window.pop()], [Some(settled(0)), Some(settled(1))]);
    }

    #[test]
    fn a_block_that_was_put_back_can_be_settled() {
        let mut window = Window::starting_at(0);
        window.hand_out();
        window.put_back(0);
        assert_eq!((window.settle(0, settled(0)), window.hand_out_again()), (Some(settled(0)), None));
    }

    #[test]
    fn a_block_that_is_dropped_twice_is_noticed_once() {
        let mut window = Window::starting_at(7);
        window.hand_out();
        window.put_back(7);
        assert!(!window.take_dropped_twice());
        assert_eq!(window.hand_out_again(), Some(7));
        window.put_back(7);
        assert!(window.take_dropped_twice());
        assert!(!window.take_dropped_twice());
        assert_eq!(window.hand_out_again(), Some(7));
    }
}
