//! The end that fills blocks.

use crate::block::blockpipe_empty_block;
use crate::canceller::blockpipe_canceller;
use crate::guard::{c_string, guard, guard_pipe};
use crate::options::Named;
use crate::pointer::{array, bytes, copy_out, free, give, out, reason, store, store_some, take};
use crate::result::blockpipe_result::{self, BLOCKPIPE_NOTHING, BLOCKPIPE_OK};
use crate::result::{Failure, Outcome, done};
use pipe::{Geometry, Producer, ResumePoint};
#[cfg(not(windows))]
use std::ffi::c_int;
use std::ffi::{c_char, c_void};
#[cfg(not(windows))]
use std::os::fd::AsRawFd;
use std::time::Duration;

/// The end that fills empty blocks and sends them.
pub struct blockpipe_producer {
    end: Producer,
    named: Named,
}

impl blockpipe_producer {
    pub(crate) fn new(end: Producer, named: &Named) -> Self {
        Self { end, named: named.clone() }
    }
}

/// Runs the body of an exported function with the end.
///
/// # Safety
/// The pointers follow the rules of the header.
unsafe fn with(
    operation: &str,
    producer: *mut blockpipe_producer,
    body: impl FnOnce(&mut Producer) -> Outcome,
) -> blockpipe_result {
    // SAFETY: it is NULL or valid, and used by one thread at a time, by the rules of the header.
    match unsafe { producer.as_mut() } {
        Some(blockpipe_producer { end, named }) => {
            guard_pipe(operation, || Some(named.description()), || body(end))
        }
        None => guard(operation, || Err(Failure::null("producer"))),
    }
}

/// Copies the hello of the dead producer that this end replaces to `buffer`, as many of its bytes as fit into
/// `capacity`, and stores its length in `*length` (which may be NULL). A replacement that cannot send the identical
/// stream must abort. Does not block.
///
/// Returns BLOCKPIPE_NOTHING if this end replaces no dead producer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_predecessor(
    producer: *mut blockpipe_producer,
    buffer: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_producer_predecessor", producer, |end| match end.predecessor() {
            Some(hello) => copy_out(hello, buffer, capacity, length),
            None => Ok(BLOCKPIPE_NOTHING),
        })
    }
}

/// Reserves the memory and lets the consumer in. `hello` describes what will be sent, in at most BLOCKPIPE_MAX_HELLO
/// (1024) bytes; the consumer gets it from `blockpipe_consumer_peer_hello`. The size is rounded up to a multiple of
/// 4096. A replacement keeps its predecessor's hello and must use the same blocks (`blockpipe_producer_geometry`).
///
/// Optional: without it, the first block makes the end ready, with the blocks of the options. Call it once the source is
/// open. Blocks until the system has provided the memory.
///
/// Errors: BLOCKPIPE_CALL_FAILED if there is not enough space (try fewer blocks), BLOCKPIPE_OTHER_GEOMETRY,
/// BLOCKPIPE_MISUSE if the end is ready already or the hello is too long, -40 to -47, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_ready(
    producer: *mut blockpipe_producer,
    block_size: usize,
    blocks: usize,
    hello: *const c_void,
    length: usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_ready", producer, |end| {
            done(end.ready(Geometry::new(block_size, blocks), bytes(hello, length, "hello")?))
        })
    }
}

/// Stores the size of a block and the number of blocks, once the end is ready; before that, those of the dead producer
/// that it replaces. Either pointer may be NULL. Does not block.
///
/// Returns BLOCKPIPE_NOTHING if they are not known yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_geometry(
    producer: *mut blockpipe_producer,
    block_size: *mut usize,
    blocks: *mut usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_producer_geometry", producer, |end| {
            let Some(geometry) = end.geometry() else { return Ok(BLOCKPIPE_NOTHING) };
            store(block_size, geometry.block_size());
            store(blocks, geometry.blocks());
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Waits for the consumer and stores in `*point` (32 bytes; may be NULL) where the stream begins: at zeros, or at the
/// point that the consumer passed to `blockpipe_begin`, or, for a replacement, after the last block of its predecessor.
/// Without this call the stream begins at zeros, and blocks may be filled before a consumer has come. Blocks until a
/// consumer has begun.
///
/// Errors: BLOCKPIPE_MISUSE after the first block, BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED; those of
/// `blockpipe_ready`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_start(
    producer: *mut blockpipe_producer,
    point: *mut u8,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_start", producer, |end| {
            store(point.cast::<ResumePoint>(), end.start()?);
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Copies the hello that the consumer passed to `blockpipe_begin` to `buffer`, as many bytes as fit into `capacity`, and
/// stores its length in `*length` (which may be NULL). Also works after an error has ended this end. Does not block.
///
/// Returns BLOCKPIPE_NOTHING before a consumer has begun. Errors: BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_peer_hello(
    producer: *mut blockpipe_producer,
    buffer: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_producer_peer_hello", producer, |end| match end.peer_hello()? {
            Some(hello) => copy_out(&hello, buffer, capacity, length),
            None => Ok(BLOCKPIPE_NOTHING),
        })
    }
}

/// Stores the user id of the consumer's process, as the kernel reports it. The first call identifies the consumer. Call
/// it again before `blockpipe_close`: while that very process lives, it stores the same number. After that it fails
/// with BLOCKPIPE_PEER_DIED, no matter who holds the seat; or, if this end allows a replacement, it waits for one and
/// identifies it. Blocks for up to half a second while a consumer is joining.
///
/// Returns BLOCKPIPE_NOTHING on Windows, and if this process's user namespace has no number for the user. (In this
/// user's own directory every peer is this user.) Errors: BLOCKPIPE_CALL_FAILED if the peer has not identified itself,
/// BLOCKPIPE_MISUSE if there is no consumer yet, -40 to -47, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_peer_user(
    producer: *mut blockpipe_producer,
    user: *mut u32,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_producer_peer_user", producer, |end| Ok(store_some(user, end.peer_user()?))) }
}

/// Stores the next empty block in `*block`; the caller sends it or frees it. Blocks for up to `timeout` milliseconds if
/// the consumer has not released one; a negative number (-1) waits without a limit, 0 never waits.
///
/// Returns BLOCKPIPE_NOTHING if there is none within this time. Errors: BLOCKPIPE_MISUSE if the caller holds all blocks,
/// or after `blockpipe_close`; BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED; those of `blockpipe_ready`. With a
/// timeout of 0, a death is noticed once the calls have found nothing for 50 ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_next_empty(
    producer: *mut blockpipe_producer,
    timeout: i64,
    block: *mut *mut blockpipe_empty_block,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        let to = out(block, "block");
        with("blockpipe_next_empty", producer, |end| {
            let to = to?;
            let block = match u64::try_from(timeout) {
                Err(_) => Some(end.empty_block()?),
                Ok(0) => end.try_empty_block()?,
                Ok(time) => end.empty_block_timeout(Duration::from_millis(time))?,
            };
            let Some(block) = block else { return Ok(BLOCKPIPE_NOTHING) };
            give(to, blockpipe_empty_block { block });
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Sends the first `length` bytes of the block to the consumer. Consumes the block and sets `*block` to NULL, with
/// every result except BLOCKPIPE_NULL_ARGUMENT. Several blocks may be held and sent in any order; the consumer gets
/// them in the order in which they were handed out. Does not block.
///
/// Errors: BLOCKPIPE_MISUSE if `length` is larger than the block, or the block belongs to another end (it then counts as
/// freed); BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_send(
    producer: *mut blockpipe_producer,
    block: *mut *mut blockpipe_empty_block,
    length: usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_send", producer, |end| done(end.send(take(block, "block")?.block, length))) }
}

/// Sends the block like `blockpipe_send`, and stores where a replacement of this end has to resume after it:
/// BLOCKPIPE_POINT_LENGTH (32) bytes in the application's own terms, of which the first eight are the progress in bytes
/// that observers see. The replacement gets them from `blockpipe_start`. Without such a point, the previous one is kept,
/// and its progress advances by `length`. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_send_with(
    producer: *mut blockpipe_producer,
    block: *mut *mut blockpipe_empty_block,
    length: usize,
    point: *const u8,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_send_with", producer, |end| {
            let point = array(point).ok_or_else(|| Failure::null("point"))?;
            done(end.send_with(take(block, "block")?.block, length, &point))
        })
    }
}

/// Checks that this end can continue. A caller that waits for something else should call this about every 50 ms. Does
/// not block.
///
/// Errors: BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_check(producer: *mut blockpipe_producer) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_producer_check", producer, |end| done(end.check())) }
}

/// Ends the stream and waits for the consumer: BLOCKPIPE_OK means that both ends are complete. Blocks until the consumer
/// has decided, however long its work takes. After BLOCKPIPE_CANCELED another call continues to wait.
///
/// Errors: BLOCKPIPE_MISUSE while a block is held, or if a block was freed unsent while later ones were sent;
/// BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_finish(producer: *mut blockpipe_producer) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_producer_finish", producer, |end| done(end.finish())) }
}

/// Ends the stream like `blockpipe_producer_finish`, with a trailer for the consumer: at most BLOCKPIPE_TRAILER_LENGTH
/// (64) bytes, padded with zeros. Blocks until the consumer has decided.
///
/// Errors: also BLOCKPIPE_MISUSE if the trailer is too long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_close(
    producer: *mut blockpipe_producer,
    trailer: *const c_void,
    length: usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_close", producer, |end| done(end.close(bytes(trailer, length, "trailer")?))) }
}

/// Stores the remark that the consumer left with `blockpipe_set_remark`, once `blockpipe_close` or
/// `blockpipe_producer_finish` has succeeded: its code, or 0 if there is none, and its text, truncated to `capacity`
/// bytes with a zero at the end. Any pointer may be NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_remark(
    producer: *mut blockpipe_producer,
    code: *mut u32,
    text: *mut c_char,
    capacity: usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_remark", producer, |end| {
            let remark = end.remark();
            store(code, remark.code);
            if let (false, Some(most)) = (text.is_null(), capacity.checked_sub(1)) {
                let remark = c_string(remark.message);
                let used = remark.as_bytes().len().min(most);
                copy_out(remark.as_bytes(), text.cast(), used, std::ptr::null_mut())?;
                text.add(used).write(0);
            }
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Aborts the pipe with a code and a text (UTF-8; NULL means an empty one) that the consumer receives, and returns the
/// verdict: BLOCKPIPE_ABORTED, by whichever end aborted first (`blockpipe_last_reason`); or BLOCKPIPE_OK if the consumer
/// had completed already. Blocks only while the consumer is committing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_abort(
    producer: *mut blockpipe_producer,
    code: u32,
    text: *const c_char,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_producer_abort", producer, |end| done(end.abort(&reason(code, text)))) }
}

/// Stores in `*canceller` a handle with which another thread can end a wait of this end; the caller frees it with
/// `blockpipe_canceller_free`. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_canceller(
    producer: *mut blockpipe_producer,
    canceller: *mut *mut blockpipe_canceller,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        let to = out(canceller, "canceller");
        with("blockpipe_producer_canceller", producer, |end| {
            give(to?, blockpipe_canceller::new(end.canceller()));
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Stores a file descriptor for `poll` or `epoll`: it is readable while `blockpipe_next_empty` with a timeout of 0 may
/// find something. After that call has returned BLOCKPIPE_NOTHING, it is not readable until there is an empty block, the
/// pipe has ended, or the peer has died. A thread of the library waits for that.
///
/// The descriptor belongs to the end: do not read or close it, and do not use it after the end is freed. Do not mix it
/// with calls that wait: either might then be woken 50 ms late. Not on Windows. Does not block.
///
/// Errors: BLOCKPIPE_CALL_FAILED, BLOCKPIPE_OVER, BLOCKPIPE_FORKED; those of `blockpipe_ready`.
#[cfg(not(windows))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_descriptor(
    producer: *mut blockpipe_producer,
    descriptor: *mut c_int,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_producer_descriptor", producer, |end| {
            // The end keeps it open.
            store(descriptor, end.readiness()?.as_raw_fd());
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Gives the end up, frees it, and sets the caller's pointer to NULL. Without a verdict this is like being killed: the
/// consumer reports that its peer died. If blocks of the end are still held, the pipe is aborted instead. Blocks for up
/// to half a second.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_producer_free(producer: *mut *mut blockpipe_producer) {
    // SAFETY: by the rules of the header.
    unsafe { free("blockpipe_producer_free", producer) };
}
