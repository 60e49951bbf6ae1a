//! Divides the shared memory into blocks.

use crate::api::LayoutReason;
use crate::source::Supply;

/// Number and size of the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub block_size: usize,
    pub blocks: usize,
    /// Why this number of blocks was chosen.
    pub reason: LayoutReason,
    /// If the requested sizes are impossible: the nearest possible number of blocks and block size.
    pub adjusted: Option<(u64, u64)>,
}

/// A block of this size stays in the caches of both processors on its way; `docs/benchmarks.md` has the figures.
const DEFAULT_BLOCK_SIZE: u64 = 512 << 10;
/// One block is being filled and one drained, and each side may be one block ahead. With more blocks, the data passes
/// through slower caches.
const DEFAULT_BLOCKS: u64 = 4;
/// The number of blocks for a source whose data may arrive in bursts, and which is slower than any cache.
const BURST_BLOCKS: u64 = 16;
const BURST_BUFFER: u64 = 8 << 20;
/// Reserving the blocks for bursts must not take longer than the copy, so shorter sources get the usual number.
const SHORT_SOURCE: u64 = 64 << 20;
const PAGE: u64 = 4096;
/// The limits of `blockpipe::Geometry`.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = PAGE..=1 << 30;
const MAX_BLOCKS: u64 = 1 << 16;

/// Chooses the blocks for a source of this length (`None`: unknown), as close as possible to the requested sizes.
pub fn choose_layout(
    length: Option<u64>,
    supply: Supply,
    block_size: Option<u64>,
    buffer_size: Option<u64>,
) -> Layout {
    let length = length.unwrap_or(u64::MAX);
    let burst_blocks =
        (BURST_BUFFER / block_size.unwrap_or(DEFAULT_BLOCK_SIZE)).clamp(DEFAULT_BLOCKS, BURST_BLOCKS);
    let (usual, reason) = match supply {
        _ if buffer_size.is_some() => (DEFAULT_BLOCKS, LayoutReason::Requested),
        Supply::Stream => (burst_blocks, LayoutReason::Stream),
        Supply::Disk if length >= SHORT_SOURCE => (burst_blocks, LayoutReason::Disk),
        Supply::Disk | Supply::Memory if length < SHORT_SOURCE => (DEFAULT_BLOCKS, LayoutReason::ShortSource),
        _ if block_size.is_some() => (DEFAULT_BLOCKS, LayoutReason::Requested),
        _ => (DEFAULT_BLOCKS, LayoutReason::Memory),
    };
    let whole_pages = |size: u64| size.clamp(*BLOCK_SIZES.start(), *BLOCK_SIZES.end()).next_multiple_of(PAGE);
    let asked = match (block_size, buffer_size) {
        (Some(block), _) => whole_pages(block),
        // Rounded down, so that all blocks together take no more than the requested memory.
        (None, Some(buffer)) => whole_pages((buffer / DEFAULT_BLOCKS / PAGE * PAGE).min(DEFAULT_BLOCK_SIZE)),
        (None, None) => DEFAULT_BLOCK_SIZE,
    };
    let most = buffer_size.map_or(usual, |buffer| (buffer / asked).clamp(2, MAX_BLOCKS));
    let is_adjusted = block_size.is_some_and(|block| block != asked)
        || buffer_size.is_some_and(|buffer| most * asked > buffer || buffer / asked > MAX_BLOCKS);
    // A small file gets only the blocks that it fills.
    let size = asked.min(whole_pages(length));
    let blocks = most.min(length.div_ceil(size).max(1));
    let reason = match reason {
        _ if blocks < most => LayoutReason::SmallSource,
        LayoutReason::Requested if is_adjusted => LayoutReason::Adjusted,
        reason => reason,
    };
    let adjusted = is_adjusted.then_some((most, asked));
    Layout { block_size: size as usize, blocks: blocks as usize, reason, adjusted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks_of(length: u64, block: Option<u64>, buffer: Option<u64>) -> (usize, usize, bool) {
        let layout = choose_layout(Some(length), Supply::Memory, block, buffer);
        (layout.blocks, layout.block_size, layout.adjusted.is_some())
    }

    #[test]
    fn small_files_take_little_memory() {
        assert_eq!(blocks_of(0, None, None), (1, 4096, false));
        assert_eq!(blocks_of(5000, None, None), (1, 8192, false));
        assert_eq!(blocks_of(600 << 10, None, None), (2, 512 << 10, false));
        assert_eq!(blocks_of(5 << 30, None, None), (4, 512 << 10, false));
    }

    #[test]
    fn sources_that_come_in_bursts_get_more_blocks() {
        let blocks = |length, supply| choose_layout(length, supply, None, None).blocks;
        assert_eq!(blocks(None, Supply::Stream), 16);
        assert_eq!(blocks(Some(5 << 30), Supply::Disk), 16);
        assert_eq!(blocks(Some(10 << 20), Supply::Disk), 4);
        assert_eq!(choose_layout(None, Supply::Stream, Some(1 << 20), None).blocks, 8);
        assert_eq!(choose_layout(None, Supply::Stream, Some(64 << 20), None).blocks, 4);
        assert_eq!(choose_layout(None, Supply::Stream, None, Some(1 << 20)).blocks, 4);
    }

    #[test]
    fn requested_sizes_are_kept_and_impossible_ones_adjusted() {
        assert_eq!(blocks_of(1 << 30, Some(1 << 20), Some(8 << 20)), (8, 1 << 20, false));
        assert_eq!(blocks_of(1 << 30, None, Some(1 << 20)), (4, 256 << 10, false));
        assert_eq!(blocks_of(1 << 30, None, Some(64 << 20)), (128, 512 << 10, false));
        assert_eq!(blocks_of(1 << 30, None, Some(600 << 10)), (4, 148 << 10, false));
        assert_eq!(blocks_of(1 << 30, None, Some(1)), (2, 4096, true));
        assert_eq!(blocks_of(1 << 30, Some(1 << 20), Some(1 << 20)), (2, 1 << 20, true));
        assert_eq!(blocks_of(1 << 30, Some(1), None), (4, 4096, true));
        assert_eq!(blocks_of(3, Some(1 << 30), Some(1 << 33)), (1, 4096, false));
        assert_eq!(blocks_of(5 << 30, Some(u64::MAX), None), (4, 1 << 30, true));
    }
}
