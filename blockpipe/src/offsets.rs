//! Byte offsets in a pipe's file, for tests that observe or corrupt a pipe from outside.
//!
//! Not part of the public API: they follow the layout of this version (`layout.rs`, `docs/protocol.md`).

use crate::layout::{self, Header};
use std::mem::offset_of;

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident = $($field:ident).+;)*) => {
        $($(#[$doc])* pub const $name: u64 = offset_of!(Header, $($field).+) as u64;)*
    };
}

offsets! {
    /// The magic number, 8 bytes.
    MAGIC = magic;
    /// The version of the protocol, 4 bytes.
    VERSION = version;
    /// The state, 4 bytes.
    STATE = state;
    /// The generation, 8 bytes.
    GENERATION = generation;
    /// The block size, 8 bytes.
    BLOCK_SIZE = block_size;
    /// The number of blocks, 8 bytes.
    BLOCKS = blocks;
    /// The producer's process id, 4 bytes.
    PRODUCER_PID = producer_pid;
    /// The consumer's process id, 4 bytes.
    CONSUMER_PID = consumer_pid;
    /// The length of the tag, 8 bytes.
    TAG_LENGTH = tag_length;
    /// The hash of the tag, 16 bytes.
    TAG_HASH = tag_hash;
    /// When the producer and the consumer began to wait, 2 × 8 bytes.
    WAITS_SINCE = waits_since;
    /// How long the producer and the consumer have waited, 2 × 8 bytes.
    WAITED = waited;
    /// The name: its length, 4 bytes, and its text.
    NAME = name;
    /// The tag: its length, 4 bytes, and its text.
    TAG = tag;
    /// The producer's hello: its length, 4 bytes, and its bytes.
    PRODUCER_HELLO = producer_hello;
    /// The consumer's hello: its length, 4 bytes, and its bytes.
    CONSUMER_HELLO = consumer_hello;
    /// The number of blocks sent, 8 bytes.
    FILLED = ring.producer.filled;
    /// A word that is 1 if the producer waits for a replacement of the consumer, 4 bytes.
    PRODUCER_ALLOWS_REPLACEMENT = ring.producer.allows_replacement;
    /// The producer's resume points, 2 × 32 bytes.
    PRODUCER_RESUME_POINTS = ring.producer.resume_points;
    /// The trailer, 64 bytes.
    TRAILER = ring.producer.trailer;
    /// The number of blocks plus one, once the stream is closed, 8 bytes.
    CLOSED = ring.producer.closed;
    /// The number of blocks released, 8 bytes.
    EMPTIED = ring.consumer.emptied;
    /// A word that is 1 once the consumer has begun, 4 bytes.
    BEGUN = ring.consumer.begun;
    /// The consumer's resume points, 2 × 32 bytes.
    CONSUMER_RESUME_POINTS = ring.consumer.resume_points;
    /// A word that is 1 if the consumer waits for a replacement of the producer, 4 bytes.
    CONSUMER_ALLOWS_REPLACEMENT = ring.consumer.allows_replacement;
    /// The verdict word, 8 bytes.
    VERDICT = ring.verdict;
    /// Words that are not 0 while the producer and the consumer sleep, 2 × 4 bytes.
    PARKED = ring.parked;
    /// The producer's reason: code 4, length 4, text.
    PRODUCER_REASON = producer_reason;
    /// The consumer's reason: code 4, length 4, text.
    CONSUMER_REASON = consumer_reason;
}

/// The length of the header.
pub const HEADER_LENGTH: u64 = layout::HEADER_LENGTH as u64;
/// The slot descriptors, 64 bytes each: number 8, length 8, header 40.
pub const SLOTS: u64 = layout::REGION_START;
