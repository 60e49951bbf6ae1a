//! The end that drains blocks.

use crate::block::blockpipe_filled_block;
use crate::canceller::blockpipe_canceller;
use crate::guard::{guard, guard_pipe};
use crate::options::Named;
use crate::pointer::{array, bytes, copy_out, free, give, out, reason, store, store_some, take};
use crate::result::blockpipe_result::{self, BLOCKPIPE_END, BLOCKPIPE_NOTHING, BLOCKPIPE_OK};
use crate::result::{Failure, Outcome, done};
use pipe::{Consumer, ResumePoint};
#[cfg(not(windows))]
use std::ffi::c_int;
use std::ffi::{c_char, c_void};
#[cfg(not(windows))]
use std::os::fd::AsRawFd;
use std::time::Duration;

/// The end that receives filled blocks and releases them.
pub struct blockpipe_consumer {
    end: Consumer,
    is_committing: bool,
    named: Named,
}

impl blockpipe_consumer {
    pub(crate) fn new(end: Consumer, named: &Named) -> Self {
        Self { end, is_committing: false, named: named.clone() }
    }
}

/// Runs the body of an exported function with the end.
///
/// # Safety
/// The pointers follow the rules of the header.
unsafe fn with(
    operation: &str,
    consumer: *mut blockpipe_consumer,
    body: impl FnOnce(&mut Consumer) -> Outcome,
) -> blockpipe_result {
    // SAFETY: as the caller promises.
    unsafe { with_state(operation, consumer, |end, _| body(end)) }
}

/// Runs the body of an exported function that depends on whether `blockpipe_commit` was called.
///
/// # Safety
/// The pointers follow the rules of the header.
unsafe fn with_state(
    operation: &str,
    consumer: *mut blockpipe_consumer,
    body: impl FnOnce(&mut Consumer, &mut bool) -> Outcome,
) -> blockpipe_result {
    // SAFETY: it is NULL or valid, and used by one thread at a time, by the rules of the header.
    match unsafe { consumer.as_mut() } {
        Some(blockpipe_consumer { end, is_committing, named }) => {
            guard_pipe(operation, || Some(named.description()), || body(end, is_committing))
        }
        None => guard(operation, || Err(Failure::null("consumer"))),
    }
}

/// Copies the hello of the dead consumer that this end replaces to `buffer`, as many of its bytes as fit into
/// `capacity`, and stores its length in `*length` (which may be NULL). A replacement that cannot continue with exactly
/// that target must abort. Does not block.
///
/// Returns BLOCKPIPE_NOTHING if this end replaces no dead consumer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_predecessor(
    consumer: *mut blockpipe_consumer,
    buffer: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_consumer_predecessor", consumer, |end| match end.predecessor() {
            Some(hello) => copy_out(hello, buffer, capacity, length),
            None => Ok(BLOCKPIPE_NOTHING),
        })
    }
}

/// Returns whether the dead predecessor had called `blockpipe_commit`, so that its result may be final already. Returns
/// false if `consumer` is NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_predecessor_was_committing(consumer: *mut blockpipe_consumer) -> bool {
    let mut answer = false;
    let ask = |end: &mut Consumer| {
        answer = end.predecessor_was_committing();
        Ok(BLOCKPIPE_OK)
    };
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_predecessor_was_committing", consumer, ask) };
    answer
}

/// Copies the hello that the producer passed to `blockpipe_ready` to `buffer`, as many bytes as fit into `capacity`,
/// and stores its length in `*length` (which may be NULL). Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_peer_hello(
    consumer: *mut blockpipe_consumer,
    buffer: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_consumer_peer_hello", consumer, |end| {
            copy_out(end.peer_hello(), buffer, capacity, length)
        })
    }
}

/// Stores the user id of the producer's process, as the kernel reports it. The first call identifies the producer. Call
/// it again before `blockpipe_commit`: while that very process lives, it stores the same number. After that it fails
/// with BLOCKPIPE_PEER_DIED, no matter who holds the seat; or, if this end allows a replacement, it waits for one and
/// identifies it. Blocks for up to half a second while a producer is joining.
///
/// Returns BLOCKPIPE_NOTHING on Windows, and if this process's user namespace has no number for the user. (In this
/// user's own directory every peer is this user.) Errors: BLOCKPIPE_CALL_FAILED if the peer has not identified itself,
/// -40 to -47, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_peer_user(
    consumer: *mut blockpipe_consumer,
    user: *mut u32,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_consumer_peer_user", consumer, |end| Ok(store_some(user, end.peer_user()?))) }
}

/// Stores the size of a block and the number of blocks that the producer has chosen. Either pointer may be NULL. Does
/// not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_geometry(
    consumer: *mut blockpipe_consumer,
    block_size: *mut usize,
    blocks: *mut usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_consumer_geometry", consumer, |end| {
            store(block_size, end.geometry().block_size());
            store(blocks, end.geometry().blocks());
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Declares what this end works on, before it changes anything, and where the stream should begin. `hello` has at most
/// BLOCKPIPE_MAX_HELLO (1024) bytes; the producer gets it from `blockpipe_producer_peer_hello`. `at` is 32 bytes, or
/// NULL for zeros; a producer that does not call `blockpipe_start` ignores it. Stores in `*point` (32 bytes; may be
/// NULL) where the stream does begin: at `at`, or, for a replacement, after the last block that was released. Does not
/// block.
///
/// Optional: without it, the first block begins with an empty hello and zeros. Once it is called, the death of this end
/// ends the pipe or requires a replacement; until then, the producer just waits for another consumer.
///
/// Errors: BLOCKPIPE_MISUSE if called a second time, or if the hello is too long; BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER,
/// BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_begin(
    consumer: *mut blockpipe_consumer,
    hello: *const c_void,
    length: usize,
    at: *const u8,
    point: *mut u8,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_begin", consumer, |end| {
            let at = array(at).unwrap_or([0; _]);
            store(point.cast::<ResumePoint>(), end.begin(bytes(hello, length, "hello")?, at)?);
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Stores the next filled block in `*block`; the caller releases it or frees it. Blocks for up to `timeout` milliseconds
/// if the producer has not sent one; a negative number (-1) waits without a limit, 0 never waits.
///
/// Returns BLOCKPIPE_END after the last block, and BLOCKPIPE_NOTHING if there is none within this time. Errors:
/// BLOCKPIPE_MISUSE if the caller holds all blocks, or if the same block was freed twice in a row; BLOCKPIPE_CANCELED,
/// -40 to -47, BLOCKPIPE_FORKED. With a timeout of 0, a death is noticed once the calls have found nothing for 50 ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_next_filled(
    consumer: *mut blockpipe_consumer,
    timeout: i64,
    block: *mut *mut blockpipe_filled_block,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        let to = out(block, "block");
        with("blockpipe_next_filled", consumer, |end| {
            let to = to?;
            let block = match u64::try_from(timeout) {
                Err(_) => end.filled_block()?,
                Ok(0) => end.try_filled_block()?,
                Ok(time) => end.filled_block_timeout(Duration::from_millis(time))?,
            };
            let Some(block) = block else {
                return Ok(if end.is_at_end() { BLOCKPIPE_END } else { BLOCKPIPE_NOTHING });
            };
            give(to, blockpipe_filled_block { block });
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Releases the block to the producer once its bytes have been processed. Consumes the block and sets `*block` to NULL,
/// with every result except BLOCKPIPE_NULL_ARGUMENT. Several blocks may be held and released in any order; the producer
/// gets them back in the order of the stream. Does not block.
///
/// Errors: BLOCKPIPE_MISUSE if the block belongs to another end (it then counts as freed); BLOCKPIPE_OVER,
/// BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_release(
    consumer: *mut blockpipe_consumer,
    block: *mut *mut blockpipe_filled_block,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_release", consumer, |end| done(end.release(take(block, "block")?.block))) }
}

/// Releases the block like `blockpipe_release`, and stores where a replacement of this end has to resume after it:
/// BLOCKPIPE_POINT_LENGTH (32) bytes, of which the first eight are the progress in bytes that observers see. The
/// replacement gets them from `blockpipe_begin`. Without such a point, the previous one is kept, and its progress
/// advances by the block's length. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_release_with(
    consumer: *mut blockpipe_consumer,
    block: *mut *mut blockpipe_filled_block,
    point: *const u8,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_release_with", consumer, |end| {
            let point = array(point).ok_or_else(|| Failure::null("point"))?;
            done(end.release_with(take(block, "block")?.block, &point))
        })
    }
}

/// Releases all filled blocks except for the newest one without handing them out, and stores their number in `*skipped`
/// (which may be NULL). For a live stream, of which only the latest block matters. If the producer drops blocks while all
/// are full, the newest one may be old: see `blockpipe_skip_all`. Does not block.
///
/// Errors: BLOCKPIPE_MISUSE while a block is held; BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_skip_to_latest(
    consumer: *mut blockpipe_consumer,
    skipped: *mut u64,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_skip_to_latest", consumer, |end| {
            store(skipped, end.skip_to_latest()?);
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Releases all filled blocks without handing them out, so that the next one is sent after this call, and stores their
/// number in `*skipped` (which may be NULL). It may include the last block of the stream. Does not block.
///
/// Errors: as `blockpipe_skip_to_latest`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_skip_all(
    consumer: *mut blockpipe_consumer,
    skipped: *mut u64,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_skip_all", consumer, |end| {
            store(skipped, end.skip_all()?);
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Checks that this end can continue. A caller that waits for something else should call this about every 50 ms. It is
/// no error if the producer died after it had closed the stream. Does not block.
///
/// Errors: BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_check(consumer: *mut blockpipe_consumer) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_consumer_check", consumer, |end| done(end.check())) }
}

/// Copies the producer's trailer to `trailer`: BLOCKPIPE_TRAILER_LENGTH (64) bytes, padded with zeros.
/// Does not block.
///
/// Returns BLOCKPIPE_NOTHING until `blockpipe_next_filled` has returned BLOCKPIPE_END.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_trailer(
    consumer: *mut blockpipe_consumer,
    trailer: *mut u8,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_trailer", consumer, |end| match end.trailer() {
            _ if trailer.is_null() => Err(Failure::null("trailer")),
            bytes => Ok(store_some(trailer.cast(), bytes.copied())),
        })
    }
}

/// Declares that everything has been processed, which makes both ends complete. If a separate step makes the result
/// final (a rename, a reply), use `blockpipe_commit`. Blocks until the producer has closed the stream.
///
/// Errors: BLOCKPIPE_MISUSE while a block is held, and if there is another one for `blockpipe_next_filled`;
/// BLOCKPIPE_CANCELED, -40 to -47, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_finish(consumer: *mut blockpipe_consumer) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_consumer_finish", consumer, |end| done(end.finish())) }
}

/// Announces that the result is about to become final (a rename, a reply). After this the producer can no longer abort,
/// and only `blockpipe_complete` or `blockpipe_consumer_abort` end the pipe. If this end is freed or its process killed
/// before that, the producer gets BLOCKPIPE_DIED_COMMITTING. Does not block.
///
/// Errors: BLOCKPIPE_MISUSE before BLOCKPIPE_END, and while a block is held; BLOCKPIPE_ABORTED if the producer aborted
/// first; BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_commit(consumer: *mut blockpipe_consumer) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with_state("blockpipe_commit", consumer, |end, is_committing| {
            // Dropping the returned `Committing` decides nothing; `blockpipe_complete` gets it again.
            let _ = end.commit()?;
            *is_committing = true;
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Leaves the producer a remark with a code and a text (UTF-8; NULL means an empty one), to read after completion with
/// `blockpipe_remark`. Does not block.
///
/// Errors: BLOCKPIPE_MISUSE unless `blockpipe_commit` was called; BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_set_remark(
    consumer: *mut blockpipe_consumer,
    code: u32,
    text: *const c_char,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with_state("blockpipe_set_remark", consumer, |end, is_committing| {
            require_commit(*is_committing)?;
            end.commit()?.remark(&reason(code, text));
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Declares the result final, which makes both ends complete. Does not block.
///
/// Errors: BLOCKPIPE_MISUSE unless `blockpipe_commit` was called; BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_complete(consumer: *mut blockpipe_consumer) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with_state("blockpipe_complete", consumer, |end, is_committing| {
            require_commit(*is_committing)?;
            done(end.commit()?.complete())
        })
    }
}

fn require_commit(is_committing: bool) -> Result<(), Failure> {
    if is_committing { Ok(()) } else { Err(Failure::misuse("`blockpipe_commit` comes first")) }
}

/// Aborts the pipe with a code and a text (UTF-8; NULL means an empty one) that the producer receives, before or after
/// `blockpipe_commit`, and returns the verdict: BLOCKPIPE_ABORTED, by whichever end aborted first
/// (`blockpipe_last_reason`). Does not block.
///
/// Other results: BLOCKPIPE_CORRUPT, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_abort(
    consumer: *mut blockpipe_consumer,
    code: u32,
    text: *const c_char,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { with("blockpipe_consumer_abort", consumer, |end| Err(end.abort(&reason(code, text)).into())) }
}

/// Stores in `*canceller` a handle with which another thread can end a wait of this end; the caller frees it with
/// `blockpipe_canceller_free`. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_canceller(
    consumer: *mut blockpipe_consumer,
    canceller: *mut *mut blockpipe_canceller,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        let to = out(canceller, "canceller");
        with("blockpipe_consumer_canceller", consumer, |end| {
            give(to?, blockpipe_canceller::new(end.canceller()));
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Stores a file descriptor for `poll` or `epoll`: it is readable while `blockpipe_next_filled` with a timeout of 0 may
/// find something. After that call has returned BLOCKPIPE_NOTHING, it is not readable until there is a filled block, the
/// stream or the pipe has ended, or the peer has died. A thread of the library waits for that.
///
/// The descriptor belongs to the end: do not read or close it, and do not use it after the end is freed. Do not mix it
/// with calls that wait: either might then be woken 50 ms late. Not on Windows. Does not block.
///
/// Errors: BLOCKPIPE_CALL_FAILED, BLOCKPIPE_OVER, BLOCKPIPE_FORKED.
#[cfg(not(windows))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_descriptor(
    consumer: *mut blockpipe_consumer,
    descriptor: *mut c_int,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with("blockpipe_consumer_descriptor", consumer, |end| {
            // The end keeps it open.
            store(descriptor, end.readiness()?.as_raw_fd());
            Ok(BLOCKPIPE_OK)
        })
    }
}

/// Gives the end up, frees it, and sets the caller's pointer to NULL. Without a verdict this is like being killed: the
/// producer reports that its peer died. If blocks of the end are still held, the pipe is aborted instead. Blocks for up
/// to half a second.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_consumer_free(consumer: *mut *mut blockpipe_consumer) {
    // SAFETY: by the rules of the header.
    unsafe { free("blockpipe_consumer_free", consumer) };
}
