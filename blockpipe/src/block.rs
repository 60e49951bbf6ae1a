//! Blocks as types: holding one is the right to touch its bytes, and giving it away is a move.

use crate::memory::Region;
use crate::ring::{Extent, Kind};
use crate::window::Settled;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The end that lends a block to its caller and takes it back.
pub(crate) trait Lender: fmt::Debug {
    /// The memory that the blocks lie in.
    fn region(&self) -> &Region;
    /// Takes block `n` back with what is to be recorded about it, and gives it to the peer once its turn comes.
    fn settle(&self, n: u64, settled: Settled);
    /// Takes block `n` back unchanged, to be handed out again.
    fn put_back(&self, n: u64);
}

/// An empty block: a page-aligned piece of shared memory that only this process touches until it is sent.
///
/// Its content is unspecified (whatever an earlier block left there). If it is dropped without [`send`](Self::send), it
/// still belongs to the producer and is handed out again. It is not `Send`: it stays on the thread that holds the
/// producer.
#[derive(Debug)]
pub struct EmptyBlock<'a> {
    lender: &'a dyn Lender,
    n: u64,
}

impl<'a> EmptyBlock<'a> {
    pub(crate) fn new(lender: &'a dyn Lender, n: u64) -> Self {
        Self { lender, n }
    }

    /// Sends the first `length` bytes to the consumer. Does not block.
    ///
    /// Several blocks may be held at once and sent in any order. The consumer gets them in the order in which they were
    /// handed out, so a block that is still held holds up the later ones.
    ///
    /// `sum` is the caller's running checksum of the stream up to and including this block. It is kept in shared memory
    /// for a replacement that has to resume; pass 0 to keep none.
    ///
    /// # Panics
    /// If `length` is larger than the block.
    pub fn send(self, length: usize, sum: u64) {
        assert!(length <= self.len(), "a block of {} bytes cannot hold {length}", self.len());
        self.give(length as u64, Kind::Data, sum);
    }

    /// Sends a hole: `length` zeros of the stream, without writing any of them. Otherwise works as
    /// [`send`](Self::send).
    ///
    /// A hole may be longer than the block, whose bytes are ignored. A consumer that may receive holes has to check
    /// each block's [`hole`](FilledBlock::hole).
    ///
    /// If the stream grows beyond 2⁶³ − 1 bytes, the consumer ends it with
    /// [`PipeError::Corrupt`](crate::PipeError::Corrupt).
    pub fn send_hole(self, length: u64, sum: u64) {
        self.give(length, Kind::Hole, sum);
    }

    /// Sends the first `length` bytes out-of-band: they are not part of the stream and do not make it longer.
    /// Otherwise works as [`send`](Self::send).
    ///
    /// A consumer that may receive such blocks has to check each with [`is_out_of_band`](FilledBlock::is_out_of_band).
    ///
    /// # Panics
    /// If `length` is larger than the block.
    pub fn send_out_of_band(self, length: usize, sum: u64) {
        assert!(length <= self.len(), "a block of {} bytes cannot hold {length}", self.len());
        self.give(length as u64, Kind::OutOfBand, sum);
    }

    fn give(self, length: u64, kind: Kind, sum: u64) {
        self.lender.settle(self.n, Settled { length, kind, sum });
        // The block has been sent, so `drop` must not put it back.
        std::mem::forget(self);
    }
}

impl EmptyBlock<'_> {
    /// Copies these bytes to the beginning of the block, for callers that do not trust the consumer: it may change the
    /// block meanwhile, but not `bytes`.
    ///
    /// # Panics
    /// If there are more bytes than the block can hold.
    pub fn copy_from(&mut self, bytes: &[u8]) {
        let region = self.lender.region();
        let size = region.geometry().block_size();
        assert!(bytes.len() <= size, "a block of {size} bytes cannot hold {}", bytes.len());
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
    /// Copies bytes out, starting at `at` and reading each once, for callers that do not trust the producer: it may
    /// change the block meanwhile, but not the copy. A hole has no bytes to copy.
    ///
    /// # Panics
    /// If the block is too short, or if `at` is not a multiple of eight.
    #[expect(clippy::disallowed_methods, reason = "bytes that were stored as bytes are loaded as bytes")]
    pub fn copy_to(&self, at: usize, to: &mut [u8]) {
        assert!(at.is_multiple_of(8), "offset {at} is not a multiple of 8");
        assert!(
            at <= self.len() && to.len() <= self.len() - at,
            "bytes {at}..{} are outside a block of {} bytes",
            at.saturating_add(to.len()),
            self.len()
        );
        // SAFETY: as in `deref`: these bytes are mapped, page-aligned, for as long as the consumer is borrowed, and
        // both numbers were just checked.
        let (words, rest) = unsafe { atomics(self.lender.region().block(self.n).add(at), to.len()) };
        let (chunks, last) = to.as_chunks_mut();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
    }
}

/// Views `length` bytes as atomics, which the peer may write to at any time: whole words, then the remaining bytes.
///
/// # Safety
/// The bytes are mapped for `'a` and begin at a multiple of eight.
unsafe fn atomics<'a>(start: *mut u8, length: usize) -> (&'a [AtomicU64], &'a [AtomicU8]) {
    let (words, rest) = (length / 8, length % 8);
    // SAFETY: as the caller promises; any bytes are valid, and atomics may be shared.
    unsafe {
        (slice::from_raw_parts(start.cast(), words), slice::from_raw_parts(start.add(words * 8).cast(), rest))
    }
}

impl Drop for EmptyBlock<'_> {
    fn drop(&mut self) {
        self.lender.put_back(self.n);
    }
}

impl Deref for EmptyBlock<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let region = self.lender.region();
        // SAFETY: see `deref_mut`.
        unsafe { slice::from_raw_parts(region.block(self.n), region.geometry().block_size()) }
    }
}

impl DerefMut for EmptyBlock<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let region = self.lender.region();
        // SAFETY: the block is mapped for as long as the producer is borrowed, any byte is a valid `u8`, and it has
        // one owner: `Filler::owns` reported that the consumer has released it (its release of `emptied`, our acquire),
        // and the window hands it out once. A peer that breaks the protocol could still write to it; nothing but the
        // block's content depends on that. Callers that do not trust the peer use `copy_from`.
        unsafe { slice::from_raw_parts_mut(region.block(self.n), region.geometry().block_size()) }
    }
}

/// A filled block: a page-aligned piece of shared memory with the next bytes of the stream, or a [hole](Self::hole).
///
/// Releasing is explicit: [`release`](Self::release) returns the block to the producer. A block that is merely dropped
/// (after an error or a panic) stays filled and is handed out again. It is not `Send`: it stays on the thread that holds
/// the consumer.
#[derive(Debug)]
pub struct FilledBlock<'a> {
    lender: &'a dyn Lender,
    n: u64,
    extent: Extent,
}

impl<'a> FilledBlock<'a> {
    pub(crate) fn new(lender: &'a dyn Lender, n: u64, extent: Extent) -> Self {
        Self { lender, n, extent }
    }

    /// Returns the offset of the block in the stream, in bytes.
    pub fn offset(&self) -> u64 {
        self.extent.offset
    }

    /// Returns the length of the hole that this block stands for: zeros of the stream that the producer skipped. A hole
    /// has no bytes in memory. 0 for every other block.
    pub fn hole(&self) -> u64 {
        if self.extent.kind == Kind::Hole { self.extent.length } else { 0 }
    }

    /// Returns whether the bytes are out-of-band: not part of the stream, but
    /// [sent beside it](EmptyBlock::send_out_of_band).
    pub fn is_out_of_band(&self) -> bool {
        self.extent.kind == Kind::OutOfBand
    }

    /// Releases the block to the producer: its bytes have been dealt with. Does not block.
    ///
    /// Several blocks may be held at once and released in any order; the producer gets them back in stream order. `sum`
    /// is as in [`EmptyBlock::send`], computed from the bytes that the consumer saw.
    pub fn release(self, sum: u64) {
        let Extent { length, kind, .. } = self.extent;
        self.lender.settle(self.n, Settled { length, kind, sum });
        // The block has been released, so `drop` must not put it back.
        std::mem::forget(self);
    }
}

impl Drop for FilledBlock<'_> {
    fn drop(&mut self) {
        self.lender.put_back(self.n);
    }
}

impl Deref for FilledBlock<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let length = if self.extent.kind == Kind::Hole { 0 } else { self.extent.length as usize };
        // SAFETY: the block is mapped for as long as the consumer is borrowed. The length is that of its bytes (none for
        // a hole), read once and checked against the block size (`Drainer::next`). The producer gave the bytes away
        // before its release of `filled`, which our acquire saw. As in `EmptyBlock`, a peer that breaks the protocol can
        // change the content; callers that do not trust it use `copy_to`.
        unsafe { slice::from_raw_parts(self.lender.region().block(self.n), length) }
    }
}
