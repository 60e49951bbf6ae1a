//! The header byte by byte, and the arithmetic for descriptors and blocks.
//!
//! ```text
//!      0  magic, version, generation, state, geometry            64 K  slot descriptors, 64 bytes each
//!    128  process ids, the tag's fingerprint, since when each waits        (rounded up to 64 KiB)
//!    256  the name as text, 512 bytes                               …  blocks
//!    768  the tag as text, 1280 bytes
//!   2048  producer line, 256 bytes · consumer line · verdict    (`ring.rs`)
//!   2560  the producer's hello, stored before READY
//!   3592  the consumer's hello, stored before `begun`
//!   4624  the producer's reason    5328  the consumer's reason     8192  end
//! ```
//!
//! All fields have a fixed width and native byte order (both ends run on one machine). There are no pointers, no `bool`,
//! and no words that are read as a Rust enum. The second region starts at 64 KiB so that it can be mapped with every page
//! size and on Windows; the bytes between are never touched and take no memory.

use crate::ring::{Ring, Slot};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::sync::atomic::AtomicU8;

/// The first word of every pipe: `BLKPIPE` and a zero, as bytes.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"BLKPIPE\0");
/// The version of the protocol. Two builds can meet only if theirs are equal, so every change to this file or to
/// `ring.rs` that the other end can observe increments it.
pub const VERSION: u32 = 10;
/// The length of the header, which is mapped separately and from arrival on.
pub(crate) const HEADER_LENGTH: usize = 8192;
/// The offset of descriptors and blocks: the largest page size and the Windows allocation granularity.
pub(crate) const REGION_START: u64 = 64 << 10;

/// The pipe is over, or has never been used.
pub(crate) const OVER: u32 = 0;
/// An end has joined, and no producer is ready: the consumer waits for one, or one is preparing.
pub(crate) const OPENING: u32 = 1;
/// The memory is reserved and the producer's hello is stored: a consumer may attach.
pub(crate) const READY: u32 = 2;

/// The most bytes with which one end can tell the other what it works on.
pub(crate) const MAX_HELLO: usize = 1024;

/// Block size and count of a pipe.
///
/// The producer chooses them; the consumer checks and uses what it finds.
///
/// # Examples
/// ```
/// use blockpipe::Geometry;
///
/// let frames = Geometry::new(1920 * 1080 * 3 / 2, 8); // rounded up to whole pages
/// assert_eq!((frames.block_size(), frames.blocks()), (3_112_960, 8));
/// assert_eq!(Geometry::default(), Geometry::new(512 << 10, 4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    block_size: u64,
    blocks: u64,
}

impl Default for Geometry {
    /// Four blocks of 512 KiB, which stay in the caches of both processors on their way.
    fn default() -> Self {
        Self::new(512 << 10, 4)
    }
}

impl Geometry {
    /// The smallest block size, and the unit of block sizes: 4 KiB.
    pub const MIN_BLOCK_SIZE: usize = 4096;
    /// The largest block size: 1 GiB.
    pub const MAX_BLOCK_SIZE: usize = 1 << 30;
    /// The largest number of blocks: 65,536.
    pub const MAX_BLOCKS: usize = 1 << 16;

    /// Returns the geometry nearest to the request: the size is rounded up to a multiple of 4 KiB, and both numbers are
    /// clamped to the limits (at least one block). See the [example](#examples).
    #[must_use]
    pub fn new(block_size: usize, blocks: usize) -> Self {
        let size = block_size.clamp(Self::MIN_BLOCK_SIZE, Self::MAX_BLOCK_SIZE);
        let size = size.next_multiple_of(Self::MIN_BLOCK_SIZE) as u64;
        Self { block_size: size, blocks: blocks.clamp(1, Self::MAX_BLOCKS) as u64 }
    }

    /// Returns the number of bytes in a block. See the [example](#examples).
    pub fn block_size(self) -> usize {
        self.block_size as usize
    }

    /// Returns the number of blocks, which is how far the producer can be ahead of the consumer. See the
    /// [example](#examples).
    pub fn blocks(self) -> usize {
        self.blocks as usize
    }

    /// Checks the numbers in the header. `None` if they are not a valid geometry.
    pub(crate) fn checked(block_size: u64, blocks: u64) -> Option<Self> {
        let (size, count) = (usize::try_from(block_size).ok()?, usize::try_from(blocks).ok()?);
        let geometry = Self::new(size, count);
        (geometry == Self { block_size, blocks }).then_some(geometry)
    }

    /// Returns the offset of the first block in the region: the descriptors' length, rounded up to 64 KiB.
    pub(crate) fn data_start(self) -> u64 {
        (self.blocks * size_of::<Slot>() as u64).next_multiple_of(REGION_START)
    }

    /// Returns the length of the region: descriptors and blocks. At most 64 TiB, so it never overflows.
    pub(crate) fn region_length(self) -> u64 {
        self.data_start() + self.blocks * self.block_size
    }

    /// Returns the offset in the region of block `n` of the stream.
    pub(crate) fn block_start(self, n: u64) -> u64 {
        self.data_start() + (n % self.blocks) * self.block_size
    }
}

/// A text of at most `N` bytes in shared memory: truncated when stored, its length clamped when read.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Text<const N: usize> {
    length: AtomicU32,
    bytes: [AtomicU8; N],
}

impl<const N: usize> Text<N> {
    pub(crate) fn set(&self, text: &[u8]) {
        let text = &text[..text.len().min(N)];
        store_bytes(&self.bytes, text);
        self.length.store(text.len() as u32, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Vec<u8> {
        let length = (self.length.load(Ordering::Relaxed) as usize).min(N);
        load_bytes(&self.bytes[..length])
    }
}

/// Stores bytes one by one. The caller publishes them with a release store of another word.
pub(crate) fn store_bytes(to: &[AtomicU8], from: &[u8]) {
    to.iter().zip(from).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
}

fn load_bytes(from: &[AtomicU8]) -> Vec<u8> {
    from.iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
}

/// The reason why one side aborted. Written by that side only, before it moves the verdict.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ReasonArea {
    pub code: AtomicU32,
    pub message: Text<696>,
}

/// The first 8192 bytes of a pipe.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    pub magic: AtomicU64,
    pub version: AtomicU32,
    pub state: AtomicU32,
    pub generation: AtomicU64,
    pub block_size: AtomicU64,
    pub blocks: AtomicU64,
    reserved: [AtomicU64; 11],
    pub producer_pid: AtomicU32,
    pub consumer_pid: AtomicU32,
    pub tag_length: AtomicU64,
    pub tag_hash: [AtomicU64; 2],
    /// When each side began to wait, in milliseconds since 1970; 0 if it is not waiting. For display.
    pub waits_since: [AtomicU64; 2],
    /// How long each side has waited for blocks, in nanoseconds. For display.
    pub waited: [AtomicU64; 2],
    reserved_too: [AtomicU64; 8],
    pub name: Text<508>,
    pub tag: Text<1276>,
    pub ring: Ring,
    pub producer_hello: Text<MAX_HELLO>,
    reserved_word: AtomicU32,
    pub consumer_hello: Text<MAX_HELLO>,
    reserved_word_too: AtomicU32,
    pub producer_reason: ReasonArea,
    pub consumer_reason: ReasonArea,
    rest: [AtomicU64; 270],
}

const _: () = assert!(size_of::<Header>() == HEADER_LENGTH);

/// Hashes bytes with 128-bit FNV-1a, to turn a name into a file name and a tag into a fingerprint. Part of the protocol,
/// so it must never change.
///
/// Offset basis and prime are those of the Internet-Draft draft-eastlake-fnv. The hash keeps different names apart; it
/// is no defence against a user who constructs a collision.
pub(crate) fn fingerprint(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{ConsumerLine, ProducerLine};
    use proptest::prelude::*;
    use std::mem::offset_of;

    #[test]
    fn header_fields_have_the_documented_offsets() {
        let offsets = [
            offset_of!(Header, magic),
            offset_of!(Header, version),
            offset_of!(Header, state),
            offset_of!(Header, generation),
            offset_of!(Header, block_size),
            offset_of!(Header, blocks),
            offset_of!(Header, producer_pid),
            offset_of!(Header, tag_length),
            offset_of!(Header, waits_since),
            offset_of!(Header, waited),
            offset_of!(Header, name),
            offset_of!(Header, tag),
            offset_of!(Header, ring),
            offset_of!(Header, producer_hello),
            offset_of!(Header, consumer_hello),
            offset_of!(Header, producer_reason),
            offset_of!(Header, consumer_reason),
        ];
        let documented = [0, 8, 12, 16, 24, 32, 128, 136, 160, 176, 256, 768, 2048, 2560, 3592, 4624, 5328];
        assert_eq!(offsets, documented);
        assert_eq!((size_of::<Ring>(), size_of::<Slot>()), (512, 64));
        let offsets = [
            offset_of!(Ring, producer) + offset_of!(ProducerLine, filled),
            offset_of!(Ring, producer) + offset_of!(ProducerLine, allows_replacement),
            offset_of!(Ring, consumer) + offset_of!(ConsumerLine, emptied),
            offset_of!(Ring, consumer) + offset_of!(ConsumerLine, begun),
            offset_of!(Ring, consumer) + offset_of!(ConsumerLine, allows_replacement),
            offset_of!(Ring, verdict),
            offset_of!(Ring, parked),
        ];
        assert_eq!(offsets, [0, 8, 256, 264, 268, 384, 392]);
    }

    #[test]
    fn fingerprints_never_change() {
        // The published FNV-1a test vectors for the empty string and for "a" and "foobar".
        assert_eq!(fingerprint(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fingerprint(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(fingerprint(b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    proptest! {
        #[test]
        fn blocks_lie_side_by_side_inside_the_region(
            size in 0..=usize::MAX, count in 0..=usize::MAX, n in 0..u64::MAX,
        ) {
            let geometry = Geometry::new(size, count);
            let (start, length) = (geometry.block_start(n), geometry.block_size() as u64);
            prop_assert!(start >= geometry.blocks() as u64 * 64);
            prop_assert!(start + length <= geometry.region_length());
            prop_assert_eq!(start % 4096, 0);
            prop_assert_eq!((start - geometry.data_start()) % length, 0);
            let next = geometry.block_start(n + 1);
            prop_assert!(next == start + length || next == geometry.data_start());
            prop_assert_eq!(Geometry::checked(geometry.block_size, geometry.blocks), Some(geometry));
        }

        #[test]
        fn only_geometries_that_this_library_makes_are_accepted(size: u64, count: u64) {
            let nearest = Geometry::new(size as usize, count as usize);
            let requested = Geometry { block_size: size, blocks: count };
            prop_assert_eq!(Geometry::checked(size, count), (nearest == requested).then_some(requested));
        }

        #[test]
        fn text_survives_any_length_word(stored in proptest::collection::vec(any::<u8>(), 0..40), length: u32) {
            let text = Text::<16> { length: AtomicU32::new(0), bytes: Default::default() };
            text.set(&stored);
            prop_assert_eq!(text.get(), &stored[..stored.len().min(16)]);
            text.length.store(length, Ordering::Relaxed);
            prop_assert!(text.get().len() <= 16);
        }
    }
}
