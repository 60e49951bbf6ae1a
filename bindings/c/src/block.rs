//! Blocks: pieces of shared memory that one of the two ends may use.

use crate::BLOCKPIPE_HEADER_LENGTH;
use crate::guard::guard;
use crate::pointer::{borrow, bytes, copy_out, free};
use crate::result::Failure;
use crate::result::blockpipe_result::{self, BLOCKPIPE_OK};
use pipe::{EmptyBlock, FilledBlock};
use std::ffi::c_void;

/// A piece of shared memory that belongs to this process until it is sent. Its content is unspecified. Returned by
/// `blockpipe_next_empty`, and consumed by `blockpipe_send` or `blockpipe_send_with`.
pub struct blockpipe_empty_block {
    pub(crate) block: EmptyBlock,
}

/// A piece of shared memory with the bytes that the producer sent. Returned by `blockpipe_next_filled`, and consumed by
/// `blockpipe_release` or `blockpipe_release_with`.
pub struct blockpipe_filled_block {
    pub(crate) block: FilledBlock,
}

/// Returns the address of the first byte, a multiple of 4096. It is valid until the block is sent or freed. Returns
/// NULL in a forked child, which does not have this memory, and if `block` is NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_empty_block_data(block: *mut blockpipe_empty_block) -> *mut c_void {
    let mut address = std::ptr::null_mut();
    guard("blockpipe_empty_block_data", || {
        // SAFETY: by the rules of the header.
        let block = &mut unsafe { borrow(block, "block")? }.block;
        address = block.is_of_this_process().then(|| block.as_mut_ptr()).ok_or_else(Failure::forked)?;
        Ok(BLOCKPIPE_OK)
    });
    address.cast()
}

/// Returns the number of bytes that fit into the block; 0 if `block` is NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_empty_block_capacity(block: *const blockpipe_empty_block) -> usize {
    // SAFETY: by the rules of the header.
    unsafe { block.as_ref() }.map_or(0, |block| block.block.capacity())
}

/// Returns the number of the block in the stream, from 0; 0 if `block` is NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_empty_block_number(block: *const blockpipe_empty_block) -> u64 {
    // SAFETY: by the rules of the header.
    unsafe { block.as_ref() }.map_or(0, |block| block.block.number())
}

/// Sets the block's header, which the consumer gets with the block: at most BLOCKPIPE_HEADER_LENGTH (40) bytes, padded
/// with zeros. Without this call, the header is all zeros. Does not block.
///
/// Errors: BLOCKPIPE_MISUSE if there are more bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_empty_block_set_header(
    block: *mut blockpipe_empty_block,
    header: *const c_void,
    length: usize,
) -> blockpipe_result {
    guard("blockpipe_empty_block_set_header", || {
        // SAFETY: by the rules of the header.
        let (block, header) = unsafe { (borrow(block, "block")?, bytes(header, length, "header")?) };
        if header.len() > BLOCKPIPE_HEADER_LENGTH {
            return Err(Failure::misuse("a block's header has at most 40 bytes"));
        }
        block.block.set_header(header);
        Ok(BLOCKPIPE_OK)
    })
}

/// Frees a block that will not be sent, and sets the caller's pointer to NULL. The producer keeps the block, and
/// `blockpipe_next_empty` hands it out again. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_empty_block_free(block: *mut *mut blockpipe_empty_block) {
    // SAFETY: by the rules of the header.
    unsafe { free("blockpipe_empty_block_free", block) };
}

/// Returns the address of the first byte, a multiple of 4096. It is valid until the block is released or freed.
/// Returns NULL in a forked child, which does not have this memory, and if `block` is NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_filled_block_data(block: *const blockpipe_filled_block) -> *const c_void {
    let mut address = std::ptr::null();
    guard("blockpipe_filled_block_data", || {
        // SAFETY: by the rules of the header.
        let block = &unsafe { block.as_ref() }.ok_or_else(|| Failure::null("block"))?.block;
        address = block.is_of_this_process().then(|| block.as_ptr()).ok_or_else(Failure::forked)?;
        Ok(BLOCKPIPE_OK)
    });
    address.cast()
}

/// Returns the number of bytes that were sent; 0 if `block` is NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_filled_block_length(block: *const blockpipe_filled_block) -> usize {
    // SAFETY: by the rules of the header.
    unsafe { block.as_ref() }.map_or(0, |block| block.block.length())
}

/// Returns the number of the block in the stream, from 0; 0 if `block` is NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_filled_block_number(block: *const blockpipe_filled_block) -> u64 {
    // SAFETY: by the rules of the header.
    unsafe { block.as_ref() }.map_or(0, |block| block.block.number())
}

/// Copies the first `length` bytes of the block's header, at most BLOCKPIPE_HEADER_LENGTH (40), to `header`. They are
/// the bytes that the producer set, padded with zeros. Does not block.
///
/// Errors: BLOCKPIPE_MISUSE if `length` is larger than that, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_filled_block_header(
    block: *const blockpipe_filled_block,
    header: *mut c_void,
    length: usize,
) -> blockpipe_result {
    guard("blockpipe_filled_block_header", || {
        // SAFETY: by the rules of the header.
        let block = &unsafe { block.as_ref() }.ok_or_else(|| Failure::null("block"))?.block;
        if header.is_null() {
            return Err(Failure::null("header"));
        }
        if length > BLOCKPIPE_HEADER_LENGTH {
            return Err(Failure::misuse("a block's header has 40 bytes"));
        }
        if !block.is_of_this_process() {
            return Err(Failure::forked());
        }
        // SAFETY: by the rules of the header, `length` bytes can be written there.
        unsafe { copy_out(block.header(), header, length, std::ptr::null_mut()) }
    })
}

/// Frees a block that has not been processed, and sets the caller's pointer to NULL. `blockpipe_next_filled` hands it
/// out again. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_filled_block_free(block: *mut *mut blockpipe_filled_block) {
    // SAFETY: by the rules of the header.
    unsafe { free("blockpipe_filled_block_free", block) };
}
