//! The blocks that one end holds now: taken one after another, settled in any order, given away in order.

use crate::ring::Kind;
use std::collections::VecDeque;

/// What a settled block is given away with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub length: u64,
    pub kind: Kind,
    pub sum: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the caller's hands.
    Out,
    /// Dropped without a word: it is handed out again.
    Back,
    Ready(Settled),
}

/// Blocks `first ..` of the stream, with what is known of each.
#[derive(Debug)]
pub(crate) struct Window<T> {
    first: u64,
    blocks: VecDeque<(T, State)>,
}

impl<T: Copy> Window<T> {
    /// With `first` as the first block to be handed out.
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, blocks: VecDeque::new() }
    }

    /// The number of the next block that is not here yet.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.blocks.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Hands out block `next()`.
    pub(crate) fn hand_out(&mut self, what: T) -> u64 {
        self.blocks.push_back((what, State::Out));
        self.next() - 1
    }

    /// Hands out the first block that came back unsettled.
    pub(crate) fn hand_out_again(&mut self) -> Option<(u64, T)> {
        let index = self.blocks.iter().position(|(_, state)| matches!(state, State::Back))?;
        self.blocks[index].1 = State::Out;
        Some((self.first + index as u64, self.blocks[index].0))
    }

    pub(crate) fn any_settled(&self) -> bool {
        self.blocks.iter().any(|(_, state)| matches!(state, State::Ready(_)))
    }

    pub(crate) fn put_back(&mut self, n: u64) {
        self.blocks[(n - self.first) as usize].1 = State::Back;
    }

    pub(crate) fn settle(&mut self, n: u64, settled: Settled) {
        self.blocks[(n - self.first) as usize].1 = State::Ready(settled);
    }

    /// The oldest block, if it is settled: it is to be given away now.
    pub(crate) fn pop(&mut self) -> Option<Settled> {
        let Some((_, State::Ready(settled))) = self.blocks.front().copied() else { return None };
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
