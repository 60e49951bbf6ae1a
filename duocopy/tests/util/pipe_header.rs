//! Where the words of a pipe's header are, in bytes from the beginning of its file (`docs/protocol.md`), by the names that
//! they have for a copy.

#![cfg_attr(windows, allow(unused_imports, reason = "pipes are not files there"))]

use blockpipe::offsets;

pub use blockpipe::offsets::{
    BEGUN, BLOCK_SIZE, BLOCKS, CLOSED, EMPTIED, FILLED, GENERATION, SLOTS, STATE, TRAILER, VERDICT, VERSION,
};

/// The process number of the Reader, 4 bytes, and that of the Writer.
pub const READER_PROCESS: u64 = offsets::PRODUCER_PID;
pub const WRITER_PROCESS: u64 = offsets::CONSUMER_PID;
/// The length of the pipe's name, 4 bytes, and the beginning of the name.
pub const NAME_LENGTH: u64 = offsets::NAME;
pub const NAME: u64 = NAME_LENGTH + 4;
/// How much of a name is stored.
pub const NAME_LIMIT: usize = 508;
/// The descriptions of the source and of the destination: the length, 4 bytes, and 128 bytes.
pub const SOURCE_LENGTH: u64 = offsets::PRODUCER_HELLO;
pub const SOURCE: u64 = SOURCE_LENGTH + 4;
pub const TARGET_LENGTH: u64 = offsets::CONSUMER_HELLO;
pub const TARGET: u64 = TARGET_LENGTH + 4;
/// Whether the Reader waits for a replacement when the Writer dies, 4 bytes.
pub const READER_ALLOWS_REPLACEMENT: u64 = offsets::PRODUCER_ALLOWS_REPLACEMENT;
/// Two resume points of the Reader, and two of the Writer, 32 bytes each: a position, a checksum, and 16 unused bytes.
pub const READER_RESUME_POINTS: u64 = offsets::PRODUCER_RESUME_POINTS;
pub const WRITER_RESUME_POINTS: u64 = offsets::CONSUMER_RESUME_POINTS;
/// Whether the Reader sleeps, 4 bytes, and whether the Writer does.
pub const READER_SLEEPS: u64 = offsets::PARKED;
pub const WRITER_SLEEPS: u64 = READER_SLEEPS + 4;
/// The reason why the Writer aborted: a code, 4 bytes, the length of a text, 4 bytes, and the text.
pub const WRITER_REASON: u64 = offsets::CONSUMER_REASON;
/// The length of the header.
pub const LENGTH: usize = offsets::HEADER_LENGTH as usize;
/// The first block, if a block has up to 64 KiB and their descriptors fit before it.
pub const FIRST_BLOCK: u64 = 2 * SLOTS;

/// The pipe's state once the Reader has made the memory for the blocks.
pub const READY: u32 = 2;

/// The stages of the verdict: the Writer is about to rename, and it has renamed.
pub const COMMITTING: u64 = 1;
pub const COMPLETE: u64 = 2;
pub const ABORTED_BY_WRITER: u64 = 4;
