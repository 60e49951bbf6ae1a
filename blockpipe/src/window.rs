//! The blocks that one end holds now: lent one after another, settled in any order, given away in order.

use crate::ring::Kind;
use std::collections::VecDeque;

/// What is recorded about a block when it is given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub length: u64,
    pub kind: Kind,
    pub sum: u64,
}

#[derive(Clone, Copy, Debug)]
enum BlockState {
    /// In the caller's hands.
    Lent,
    /// Dropped by the caller without being settled: it is handed out again.
    PutBack,
    /// To be given away once all earlier blocks are.
    Settled(Settled),
}

/// Blocks `first ..` of the stream, with what is known about each.
#[derive(Debug)]
pub(crate) struct Window<T> {
    first: u64,
    blocks: VecDeque<(T, BlockState)>,
}

impl<T: Copy> Window<T> {
    /// Creates a window whose first block to be handed out is `first`.
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, blocks: VecDeque::new() }
    }

    /// Returns the number of the next block to be handed out for the first time.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.blocks.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Hands out block `next()` and returns its number.
    pub(crate) fn hand_out(&mut self, what: T) -> u64 {
        self.blocks.push_back((what, BlockState::Lent));
        self.next() - 1
    }

    /// Hands out again the first block that was put back.
    pub(crate) fn hand_out_again(&mut self) -> Option<(u64, T)> {
        let index = self.blocks.iter().position(|(_, state)| matches!(state, BlockState::PutBack))?;
        self.blocks[index].1 = BlockState::Lent;
        Some((self.first + index as u64, self.blocks[index].0))
    }

    pub(crate) fn any_settled(&self) -> bool {
        self.blocks.iter().any(|(_, state)| matches!(state, BlockState::Settled(_)))
    }

    pub(crate) fn put_back(&mut self, n: u64) {
        self.blocks[(n - self.first) as usize].1 = BlockState::PutBack;
    }

    pub(crate) fn settle(&mut self, n: u64, settled: Settled) {
        self.blocks[(n - self.first) as usize].1 = BlockState::Settled(settled);
    }

    /// Removes the oldest block if it is settled: it has to be given away now.
    pub(crate) fn pop(&mut self) -> Option<Settled> {
        let Some((_, BlockState::Settled(settled))) = self.blocks.front().copied() else { return None };
        self.blocks.pop_front();
        self.first += 1;
        Some(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn settled(length: u64) -> Settled {
        Settled { length, kind: Kind::Data, sum: 0 }
    }

    #[test]
    fn blocks_settled_in_any_order_leave_in_order() {
        let mut window = Window::starting_at(0);
        for _ in 0..3 {
            window.hand_out(());
        }
        window.settle(2, settled(2));
        window.settle(1, settled(1));
        assert_eq!(window.pop(), None);
        window.settle(0, settled(0));
        assert_eq!([window.pop(), window.pop(), window.pop()], [0, 1, 2].map(|n| Some(settled(n))));
        assert_eq!((window.pop(), window.next()), (None, 3));
    }

    #[test]
    fn a_dropped_block_is_handed_out_again_and_holds_up_later_ones() {
        let mut window = Window::starting_at(0);
        assert_eq!((window.hand_out('a'), window.hand_out('b')), (0, 1));
        window.put_back(0);
        window.settle(1, settled(1));
        assert_eq!(window.pop(), None);
        assert_eq!(window.hand_out_again(), Some((0, 'a')));
        assert_eq!(window.hand_out_again(), None);
        window.settle(0, settled(0));
        assert_eq!([window.pop(), window.pop()], [Some(settled(0)), Some(settled(1))]);
    }
}
