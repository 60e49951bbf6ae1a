//! Blocks as types: who holds one may touch its bytes, and giving it away is a move.

use crate::consumer::Consumer;
use crate::producer::Producer;
use crate::ring::{Extent, Kind};
use crate::window::Settled;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// An empty block: a page-aligned piece of shared memory that only this process touches until it is sent.
///
/// Its content is unspecified (what an earlier block left there). Dropped without [`send`](Self::send) it stays
/// the producer's and is handed out again. It is not `Send`: it stays with the thread that holds the producer.
#[derive(Debug)]
pub struct EmptyBlock<'a> {
    producer: &'a Producer,
    n: u64,
}

impl<'a> EmptyBlock<'a> {
    pub(crate) fn new(producer: &'a Producer, n: u64) -> Self {
        Self { producer, n }
    }

    /// Gives the first `length` bytes to the consumer. Does not block.
    ///
    /// Several blocks may be held at once and sent in any order; the consumer gets them in the order in which
    /// they were handed out, so one that is still held holds up the later ones.
    ///
    /// `sum` is the caller's running checksum of the stream up to and including this block, kept in shared memory
    /// for whoever may have to go on; 0 if none is kept.
    ///
    /// # Panics
    /// If `length` is larger than the block.
    pub fn send(self, length: usize, sum: u64) {
        assert!(length <= self.len(), "a block of {} bytes cannot hold {length}", self.len());
        self.give(length as u64, Kind::Data, sum);
    }

    /// Gives `length` zeros to the consumer without writing one of them: a hole. Otherwise as [`send`](Self::send).
    ///
    /// It may be longer than the block, whose bytes nobody looks at. A consumer that may get holes has to ask each
    /// block for its [`hole`](FilledBlock::hole).
    ///
    /// A stream of more than 2⁶³ − 1 bytes ends with [`PipeError::Corrupt`](crate::PipeError::Corrupt) at the consumer.
    pub fn send_hole(self, length: u64, sum: u64) {
        self.give(length, Kind::Hole, sum);
    }

    /// Gives the first `length` bytes to the consumer beside the stream, which does not get longer by them: what is to
    /// be said about it. Otherwise as [`send`](Self::send).
    ///
    /// A consumer that may get such blocks has to ask each for [`is_out_of_band`](FilledBlock::is_out_of_band).
    ///
    /// # Panics
    /// If `length` is larger than the block.
    pub fn send_out_of_band(self, length: usize, sum: u64) {
        assert!(length <= self.len(), "a block of {} bytes cannot hold {length}", self.len());
        self.give(length as u64, Kind::Aside, sum);
    }

    fn give(self, length: u64, kind: Kind, sum: u64) {
        self.producer.send(self.n, Settled { length, kind, sum });
        // Sent is sent: dropping it now must not put it back.
        std::mem::forget(self);
    }
}

impl EmptyBlock<'_> {
    /// Fills the beginning of the block with these bytes, for whoever does not trust the consumer: what it may change
    /// meanwhile is the block and not `bytes`.
    ///
    /// # Panics
    /// If there are more bytes than the block has.
    pub fn copy_from(&mut self, bytes: &[u8]) {
        let region = self.producer.region();
        assert!(bytes.len() <= region.geometry().block_size(), "a block cannot hold so much");
        // SAFETY: the block is mapped, page-aligned, for as long as the producer is borrowed, and `bytes` fits into it.
        let (words, rest) = unsafe { atomics(region.block(self.n), bytes.len()) };
        let (chunks, last) = bytes.as_chunks();
        for (word, chunk) in words.iter().zip(chunks) {
            word.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
        }
        rest.iter().zip(last).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
    }
}

impl FilledBlock<'_> {
    /// Copies bytes out, from `at` on, each read once, for whoever does not trust the producer: what it may change
    /// meanwhile is the block and not the copy. A hole has none.
    ///
    /// # Panics
    /// If the block does not have so many, or if `at` is no multiple of eight.
    #[expect(clippy::disallowed_methods, reason = "what was stored as bytes are bytes again")]
    pub fn copy_to(&self, at: usize, to: &mut [u8]) {
        assert!(at.is_multiple_of(8) && at <= self.len() && to.len() <= self.len() - at, "within the block");
        // SAFETY: as in `deref`: so many bytes are mapped, page-aligned, for as long as the consumer is borrowed, and
        // both numbers were just checked.
        let (words, rest) = unsafe { atomics(self.consumer.region().block(self.n).add(at), to.len()) };
        let (chunks, last) = to.as_chunks_mut();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
    }
}

/// So many bytes as atomics, which somebody else may write to at any time: words, and what is left of one.
///
/// # Safety
/// They are mapped for as long as `'a`, and begin at a multiple of eight.
unsafe fn atomics<'a>(start: *mut u8, length: usize) -> (&'a [AtomicU64], &'a [AtomicU8]) {
    let (words, rest) = (length / 8, length % 8);
    // SAFETY: as the caller promises; any bytes are valid, and atomics may be shared.
    unsafe {
        (slice::from_raw_parts(start.cast(), words), slice::from_raw_parts(start.add(words * 8).cast(), rest))
    }
}

impl Drop for EmptyBlock<'_> {
    fn drop(&mut self) {
        self.producer.put_back(self.n);
    }
}

impl Deref for EmptyBlock<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let region = self.producer.region();
        // SAFETY: see `deref_mut`.
        unsafe { slice::from_raw_parts(region.block(self.n), region.geometry().block_size()) }
    }
}

impl DerefMut for EmptyBlock<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let region = self.producer.region();
        // SAFETY: the block is mapped for as long as the producer is borrowed, any byte is a valid `u8`, and it has
        // one owner: `Filler::owns` said that the consumer is done with it (its release of `emptied`, our acquire),
        // and the window hands it out once. A partner that breaks the protocol could still write, and no more than the
        // block's content depends on it; who does not trust it uses `copy_from`.
        unsafe { slice::from_raw_parts_mut(region.block(self.n), region.geometry().block_size()) }
    }
}

/// A filled block: a page-aligned piece of shared memory with the next bytes of the stream; or a [hole](Self::hole).
///
/// Confirming is explicit: [`release`](Self::release) gives it back. One that is merely dropped (an error, a panic)
/// stays filled and is handed out again. It is not `Send`: it stays with the thread that holds the consumer.
#[derive(Debug)]
pub struct FilledBlock<'a> {
    consumer: &'a Consumer,
    n: u64,
    extent: Extent,
}

impl<'a> FilledBlock<'a> {
    pub(crate) fn new(consumer: &'a Consumer, n: u64, extent: Extent) -> Self {
        Self { consumer, n, extent }
    }

    /// Where in the stream the block begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.extent.offset
    }

    /// How many zeros come next in the stream that are not in memory: the producer skipped them. The block has no
    /// bytes then. 0 if they are all in the block.
    pub fn hole(&self) -> u64 {
        if self.extent.kind == Kind::Hole { self.extent.length } else { 0 }
    }

    /// Whether the bytes are no part of the stream: the producer [sent them beside it](EmptyBlock::send_out_of_band).
    pub fn is_out_of_band(&self) -> bool {
        self.extent.kind == Kind::Aside
    }

    /// Says that the bytes have been taken care of, and gives the block back. Does not block.
    ///
    /// Several blocks may be held at once and confirmed in any order; they go back in order. `sum` is as in
    /// [`EmptyBlock::send`], computed from the bytes that the consumer saw.
    pub fn release(self, sum: u64) {
        let Extent { length, kind, .. } = self.extent;
        self.consumer.release(self.n, Settled { length, kind, sum });
        // Given back is given back: dropping it now must not hand it out again.
        std::mem::forget(self);
    }
}

impl Drop for FilledBlock<'_> {
    fn drop(&mut self) {
        self.consumer.put_back(self.n);
    }
}

impl Deref for FilledBlock<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let length = if self.extent.kind == Kind::Hole { 0 } else { self.extent.length as usize };
        // SAFETY: the block is mapped for as long as the consumer is borrowed, the length is that of its bytes (none of
        // a hole), read once and checked against the block size (`Drainer::next`), and the producer gave the bytes away
        // before its release of `filled`, which our acquire saw. As in `EmptyBlock`, a partner that breaks the protocol
        // can change content; who does not trust it uses `copy_to`.
        unsafe { slice::from_raw_parts(self.consumer.region().block(self.n), length) }
    }
}
