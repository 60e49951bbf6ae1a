//! The C interface of blockpipe. `include/blockpipe.h` is generated from these sources by cbindgen, so the comments are
//! written for readers of the header, and the names are those of C.
//!
//! The top of the header (`cbindgen.toml`) states once what holds for every function: ownership, threads, forks. The
//! comments on `unsafe` refer to this as *the rules of the header*:
//!
//! - A pointer to an object is NULL or came from a function of this library and was not freed or consumed since.
//! - Another pointer is NULL or valid for the access that the function describes.
//! - An end or a block is used by one thread at a time.
#![allow(non_camel_case_types, reason = "they are the names in the header")]
#![allow(clippy::missing_safety_doc, reason = "the rules are the same for all functions, and stated above")]
#![deny(clippy::exit, clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

mod guard;
mod pointer;
mod result;

// cbindgen writes the header in this order. (Blank lines keep rustfmt from sorting it.)
mod options;

mod producer;

mod consumer;

mod block;
mod canceller;
mod inspect;

/// The length in bytes of a block's header.
pub const BLOCKPIPE_HEADER_LENGTH: usize = 40;
/// The length in bytes of a resume point.
pub const BLOCKPIPE_POINT_LENGTH: usize = 32;
/// The length in bytes of a trailer.
pub const BLOCKPIPE_TRAILER_LENGTH: usize = 64;
/// The greatest length in bytes of a hello.
pub const BLOCKPIPE_MAX_HELLO: usize = 1024;

// cbindgen copies only literals into the header.
const _: () = assert!(size_of::<pipe::BlockHeader>() == BLOCKPIPE_HEADER_LENGTH);
const _: () = assert!(size_of::<pipe::ResumePoint>() == BLOCKPIPE_POINT_LENGTH);
const _: () = assert!(size_of::<pipe::Trailer>() == BLOCKPIPE_TRAILER_LENGTH);

// The promises of the header about threads.
const _: () = {
    const fn moves_between_threads<T: Send>() {}
    const fn is_shared_by_threads<T: Send + Sync>() {}
    moves_between_threads::<producer::blockpipe_producer>();
    moves_between_threads::<consumer::blockpipe_consumer>();
    moves_between_threads::<block::blockpipe_empty_block>();
    moves_between_threads::<block::blockpipe_filled_block>();
    is_shared_by_threads::<options::blockpipe_options>();
    is_shared_by_threads::<canceller::blockpipe_canceller>();
};

/// Returns the version of the protocol that this library speaks. Two processes can meet only if their versions are
/// equal, whether they use this library or the Rust crate; otherwise joining fails with BLOCKPIPE_OTHER_VERSION. Does
/// not block.
#[unsafe(no_mangle)]
pub extern "C" fn blockpipe_protocol_version() -> u32 {
    pipe::PROTOCOL_VERSION
}
