//! Bytes in shared memory that are stored and loaded as words. Inside the library such values stay words, because
//! loading more bytes than were just stored together is slow.

use crate::sync::{AtomicU64, Ordering, step};

/// Bytes in shared memory, word by word. The store of another word publishes them.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Words<const N: usize>(pub [AtomicU64; N]);

impl<const N: usize> Words<N> {
    pub(crate) fn store(&self, words: [u64; N]) {
        for (to, from) in self.0.iter().zip(words) {
            to.store(from, Ordering::Relaxed);
            step();
        }
    }

    pub(crate) fn load(&self) -> [u64; N] {
        self.0.each_ref().map(|word| word.load(Ordering::Relaxed))
    }
}

pub(crate) fn to_words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let words = bytes.as_chunks().0;
    std::array::from_fn(|n| u64::from_ne_bytes(words[n]))
}

#[expect(clippy::disallowed_methods, reason = "bytes that were stored as words are loaded as bytes")]
pub(crate) fn to_bytes<const N: usize, const B: usize>(words: [u64; N]) -> [u8; B] {
    let mut bytes = [0; B];
    bytes.as_chunks_mut().0.iter_mut().zip(words).for_each(|(to, from)| *to = from.to_ne_bytes());
    bytes
}
