//! Where the words of a pipe's header are, in bytes from the beginning of its file (`docs/protocol.md`).

/// The version of the protocol, 4 bytes.
pub const VERSION: u64 = 8;
/// The state of the pipe, 4 bytes: 0 before and after a pairing.
pub const STATE: u64 = 12;
/// A number that each pairing has for itself, 8 bytes.
pub const GENERATION: u64 = 16;
pub const BLOCK_SIZE: u64 = 24;
pub const BLOCK_COUNT: u64 = 32;
/// The process number of the Reader, 4 bytes, and that of the Writer.
pub const READER_PROCESS: u64 = 128;
pub const WRITER_PROCESS: u64 = 132;
/// The length of the pipe's name, 4 bytes, and the beginning of the name.
pub const NAME_LENGTH: u64 = 256;
pub const NAME: u64 = 260;
/// How much of a name is stored.
pub const NAME_LIMIT: usize = 508;
/// The descriptions of the source and of the destination, 128 bytes each.
pub const SOURCE: u64 = 2048;
pub const TARGET: u64 = 2176;
/// How many blocks the Reader has sent, 8 bytes.
pub const FILLED: u64 = 2304;
/// Whether the Reader waits for a replacement when the Writer dies, 4 bytes.
pub const READER_ALLOWS_REPLACEMENT: u64 = 2312;
/// Two resume points of the Reader, each a checksum and a position.
pub const READER_MARKS: u64 = 2320;
/// The digest of the whole stream, and its length plus one.
pub const TRAILER_DIGEST: u64 = 2352;
pub const TRAILER_LENGTH: u64 = 2384;
/// How many blocks the Writer has released, 8 bytes.
pub const EMPTIED: u64 = 2432;
/// Not 0 once the Writer has begun, 4 bytes.
pub const BEGUN: u64 = 2440;
/// Two resume points of the Writer, each a checksum and a position.
pub const WRITER_MARKS: u64 = 2448;
/// The verdict, 8 bytes: the generation, and in its lowest byte one of the stages below.
pub const VERDICT: u64 = 2560;
/// Whether the Reader sleeps, 4 bytes, and whether the Writer does.
pub const READER_SLEEPS: u64 = 2568;
pub const WRITER_SLEEPS: u64 = 2572;
/// The length of the header.
pub const LENGTH: usize = 4096;
/// The descriptors of the blocks, 64 bytes each.
pub const DESCRIPTORS: u64 = 64 << 10;
/// The first block, if a block has up to 64 KiB and their descriptors fit before it.
pub const FIRST_BLOCK: u64 = 128 << 10;

/// The pipe's state once the Reader has made the memory for the blocks.
pub const READY: u32 = 2;

/// The stages of the verdict: the Writer is about to rename, and it has renamed.
pub const COMMITTING: u64 = 1;
pub const COMPLETE: u64 = 2;
