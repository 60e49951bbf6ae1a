//! The header byte by byte, and the arithmetic of what follows it.
//!
//! ```text
//!      0  magic, version, generation, state, geometry            64 K  slot descriptors, 64 bytes each
//!    128  process ids, the job's fingerprint, since when each waits        (rounded up to 64 KiB)
//!    256  the name as text, 512 bytes                               …  blocks
//!    768  the job as text, 1280 bytes
//!   2048  origin: what the producer reads, stored before READY
//!   2176  target: what the consumer writes, stored before `begun`
//!   2304  producer line · consumer line · verdict               (`ring.rs`)
//!   2688  the producer's reason    3392  the consumer's reason     4096  end
//! ```
//!
//! Fixed width, native byte order (both ends run on one machine), no pointer, no `bool`, no enum read as one.
//! The second region starts at 64 KiB so that it can be mapped with every page size and on Windows; what lies
//! between is never touched and takes no memory.

use crate::ring::{Ring, Slot};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::sync::atomic::AtomicU8;

/// `BLKPIPE` and a zero, read as bytes.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"BLKPIPE\0");
/// Two builds meet only if this is equal. Any change of this file or of `ring.rs` that the other end can see raises it.
pub(crate) const VERSION: u32 = 8;
/// Length of the header; it is mapped on its own, from arrival on.
pub(crate) const HEADER_LENGTH: usize = 4096;
/// Where descriptors and blocks begin: the largest page size and the Windows allocation granularity.
pub(crate) const REGION_START: u64 = 64 << 10;

/// Nobody is copying: never used, or over.
pub(crate) const OVER: u32 = 0;
/// Somebody has come, and no producer is ready: the consumer waits for one, or it is at work.
pub(crate) const OPENING: u32 = 1;
/// Memory is reserved, the origin is stored: a consumer may attach.
pub(crate) const READY: u32 = 2;

/// Bytes that one end leaves for the other to identify what it works on; `blockpipe` only carries them.
///
/// The producer's is stored before the pipe is ready, the consumer's before its first block: a replacement, or
/// the survivor of a killed partner, can tell by them whether it looks at the same thing.
pub type Identity = [u8; 128];

/// How the memory between the two ends is cut: `blocks()` blocks of `block_size()` bytes.
///
/// Chosen by the producer; the consumer takes what it finds, after checking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    block_size: u64,
    blocks: u64,
}

impl Geometry {
    /// Smallest block, and the unit of block sizes: 4 KiB.
    pub const MIN_BLOCK_SIZE: usize = 4096;
    /// Largest block: 1 GiB.
    pub const MAX_BLOCK_SIZE: usize = 1 << 30;
    /// Most blocks: 65,536.
    pub const MAX_BLOCKS: usize = 1 << 16;

    /// The geometry nearest to what is asked for: sizes are rounded up to whole 4 KiB, and both numbers are
    /// brought between the limits (at least one block).
    #[must_use]
    pub fn new(block_size: usize, blocks: usize) -> Self {
        let size = block_size.clamp(Self::MIN_BLOCK_SIZE, Self::MAX_BLOCK_SIZE);
        let size = size.next_multiple_of(Self::MIN_BLOCK_SIZE) as u64;
        Self { block_size: size, blocks: blocks.clamp(1, Self::MAX_BLOCKS) as u64 }
    }

    /// Bytes in a block.
    pub fn block_size(self) -> usize {
        self.block_size as usize
    }

    /// Number of blocks, which is how far the producer can be ahead of the consumer.
    pub fn blocks(self) -> usize {
        self.blocks as usize
    }

    /// What the other side says, if it is a geometry at all.
    pub(crate) fn checked(block_size: u64, blocks: u64) -> Option<Self> {
        let (size, count) = (usize::try_from(block_size).ok()?, usize::try_from(blocks).ok()?);
        let geometry = Self::new(size, count);
        (geometry == Self { block_size, blocks }).then_some(geometry)
    }

    /// Bytes from the start of the region to the first block: the descriptors, rounded up to 64 KiB.
    pub(crate) fn data_start(self) -> u64 {
        (self.blocks * size_of::<Slot>() as u64).next_multiple_of(REGION_START)
    }

    /// Bytes of the region: descriptors and blocks. At most 64 TiB, so it never overflows.
    pub(crate) fn region_length(self) -> u64 {
        self.data_start() + self.blocks * self.block_size
    }

    /// Where in the region block `n` of the stream lies.
    pub(crate) fn block_start(self, n: u64) -> u64 {
        self.data_start() + (n % self.blocks) * self.block_size
    }
}

/// A text of at most `N` bytes in shared memory: cut when stored, clamped when read.
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

/// Stores bytes one by one; whoever publishes them does so with a release store of another word.
pub(crate) fn store_bytes(to: &[AtomicU8], from: &[u8]) {
    to.iter().zip(from).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
}

fn load_bytes(from: &[AtomicU8]) -> Vec<u8> {
    from.iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
}

pub(crate) fn load_identity(from: &[AtomicU8; 128]) -> Identity {
    from.each_ref().map(|byte| byte.load(Ordering::Relaxed))
}

/// Why one side aborted. Written by that side only, before it moves the verdict.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ReasonArea {
    pub code: AtomicU32,
    pub message: Text<696>,
}

/// The first 4096 bytes of a pipe.
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
    pub job_length: AtomicU64,
    pub job_hash: [AtomicU64; 2],
    /// Milliseconds since 1970 when each side began to wait; 0 if it does not. For display.
    pub waits_since: [AtomicU64; 2],
    /// Nanoseconds that each side has waited for blocks. For display.
    pub waited: [AtomicU64; 2],
    reserved_too: [AtomicU64; 8],
    pub name: Text<508>,
    pub job: Text<1276>,
    pub origin: [AtomicU8; 128],
    pub target: [AtomicU8; 128],
    pub ring: Ring,
    pub producer_reason: ReasonArea,
    pub consumer_reason: ReasonArea,
}

const _: () = assert!(size_of::<Header>() == HEADER_LENGTH);

/// FNV-1a with 128 bits: the frozen hash that turns a name into a file name and a job into a fingerprint.
///
/// Parameters from the Internet-Draft draft-eastlake-fnv: offset basis and prime for 128 bits. It keeps names
/// apart that differ by accident; it is no defence against the same user choosing a collision.
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
    fn header_lies_where_the_documentation_says() {
        let offsets = [
            offset_of!(Header, magic),
            offset_of!(Header, version),
            offset_of!(Header, state),
            offset_of!(Header, generation),
            offset_of!(Header, block_size),
            offset_of!(Header, blocks),
            offset_of!(Header, producer_pid),
            offset_of!(Header, job_length),
            offset_of!(Header, waits_since),
            offset_of!(Header, waited),
            offset_of!(Header, name),
            offset_of!(Header, job),
            offset_of!(Header, origin),
            offset_of!(Header, target),
            offset_of!(Header, ring),
            offset_of!(Header, producer_reason),
            offset_of!(Header, consumer_reason),
        ];
        let documented = [0, 8, 12, 16, 24, 32, 128, 136, 160, 176, 256, 768, 2048, 2176, 2304, 2688, 3392];
        assert_eq!(offsets, documented);
        assert_eq!((size_of::<Ring>(), size_of::<Slot>()), (384, 64));
        let offsets = [
            offset_of!(Ring, producer) + offset_of!(ProducerLine, filled),
            offset_of!(Ring, producer) + offset_of!(ProducerLine, admits),
            offset_of!(Ring, consumer) + offset_of!(ConsumerLine, emptied),
            offset_of!(Ring, consumer) + offset_of!(ConsumerLine, begun),
            offset_of!(Ring, consumer) + offset_of!(ConsumerLine, admits),
            offset_of!(Ring, verdict),
            offset_of!(Ring, parked),
        ];
        assert_eq!(offsets, [0, 8, 128, 136, 176, 256, 264]);
    }

    #[test]
    fn fingerprints_are_frozen() {
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
            let asked = Geometry { block_size: size, blocks: count };
            prop_assert_eq!(Geometry::checked(size, count), (nearest == asked).then_some(asked));
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
