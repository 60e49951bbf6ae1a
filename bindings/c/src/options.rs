//! The name and the options of a pipe, and joining it.

use crate::consumer::blockpipe_consumer;
use crate::guard::{guard, guard_pipe};
use crate::pointer::{borrow, bytes, free, give, out, string};
use crate::producer::blockpipe_producer;
use crate::result::blockpipe_result::{self, BLOCKPIPE_OK};
use crate::result::{Failure, Outcome};
use pipe::{End, Pipe};
use std::ffi::{CStr, OsStr, c_char, c_void};
use std::time::Duration;

/// The name of a pipe and how a process joins it. Each option is set by a function, so that later versions of the
/// library can add options without breaking programs that were compiled earlier. An option that is not set has its
/// default. The object may be used for any number of joins.
pub struct blockpipe_options {
    named: Named,
}

/// A pipe with its name for messages.
#[derive(Clone)]
pub(crate) struct Named {
    pub pipe: Pipe,
    name: String,
}

impl Named {
    /// Describes the pipe for a message. Asks the system for the directory, so only failed calls do this.
    pub(crate) fn description(&self) -> String {
        match self.pipe.directory() {
            Some(directory) => format!("pipe {:?} in {}", self.name, directory.display()),
            None => format!("pipe {:?}", self.name),
        }
    }
}

/// Creates options for the pipe of this name: a string of any length that is not empty. The name is not a secret: every
/// process of the same user can join. Stores in `*options` an object that the caller frees with
/// `blockpipe_options_free`. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_options_new(
    name: *const c_char,
    options: *mut *mut blockpipe_options,
) -> blockpipe_result {
    guard("blockpipe_options_new", || {
        // SAFETY: by the rules of the header.
        let (options, name) = unsafe { (out(options, "options")?, string(name, "name")?) };
        if name.is_empty() {
            return Err(Failure::misuse("the name is empty"));
        }
        let (pipe, name) = (Pipe::named(name.to_bytes()), name.to_string_lossy().into_owned());
        give(options, blockpipe_options { named: Named { pipe, name } });
        Ok(BLOCKPIPE_OK)
    })
}

/// Changes the options.
///
/// # Safety
/// The pointers follow the rules of the header.
unsafe fn set(
    operation: &str,
    options: *mut blockpipe_options,
    change: impl FnOnce(Pipe) -> Result<Pipe, Failure>,
) -> blockpipe_result {
    guard(operation, || {
        // SAFETY: as the caller promises.
        let options = unsafe { borrow(options, "options")? };
        options.named.pipe = change(options.named.pipe.clone())?;
        Ok(BLOCKPIPE_OK)
    })
}

/// Sets the application's tag: bytes that both ends must match. Empty by default. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_options_set_tag(
    options: *mut blockpipe_options,
    tag: *const c_void,
    length: usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { set("blockpipe_options_set_tag", options, |pipe| Ok(pipe.tag(bytes(tag, length, "tag")?))) }
}

/// Sets the size of a block in bytes and the number of blocks, for a producer that does not call `blockpipe_ready`. The
/// size is rounded up to a multiple of 4096; both are clamped to their limits (4 KiB to 1 GiB, 1 to 65,536 blocks). The
/// default is four blocks of 512 KiB, or, for the replacement of a dead producer, the same blocks as before. Does not
/// block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_options_set_blocks(
    options: *mut blockpipe_options,
    block_size: usize,
    blocks: usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe { set("blockpipe_options_set_blocks", options, |pipe| Ok(pipe.blocks(block_size, blocks))) }
}

/// Lets the two processes meet in this directory instead of the user's private one, so that two users, or two containers
/// that share the directory, can use a pipe. It must exist on a local file system, and should be in memory for speed.
///
/// Anybody who can write to it can read and change the data of every pair there, impersonate either process, and crash
/// both. Not supported on Windows, where joining fails. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_options_set_directory(
    options: *mut blockpipe_options,
    directory: *const c_char,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        set("blockpipe_options_set_directory", options, |pipe| {
            Ok(pipe.in_directory(os_str(string(directory, "directory")?)?))
        })
    }
}

#[cfg(not(windows))]
#[expect(clippy::unnecessary_wraps, reason = "on Windows it can fail")]
fn os_str(text: &CStr) -> Result<&OsStr, Failure> {
    Ok(std::os::unix::ffi::OsStrExt::from_bytes(text.to_bytes()))
}

#[cfg(windows)]
fn os_str(text: &CStr) -> Result<&OsStr, Failure> {
    text.to_str().map(OsStr::new).map_err(|_| Failure::misuse("the directory is not UTF-8"))
}

/// Sets how many milliseconds this process waits for a peer before it gives up with BLOCKPIPE_NO_PEER. Only time without
/// a peer counts. A negative number, the default, means no limit. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_options_set_connect_timeout(
    options: *mut blockpipe_options,
    milliseconds: i64,
) -> blockpipe_result {
    // Longer than any process lives, but short enough to be added to the clock without overflow.
    const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let time = u64::try_from(milliseconds).map_or(FOR_EVER, Duration::from_millis);
    // SAFETY: by the rules of the header.
    unsafe { set("blockpipe_options_set_connect_timeout", options, |pipe| Ok(pipe.connect_timeout(time))) }
}

/// Keeps the seat and the blocks for up to this many milliseconds if the peer dies, so that another process can replace
/// it: the stream resumes after the last block that was sent or released. Only a process that also sets this can be the
/// replacement. By default a death ends the pipe. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_options_set_replace_within(
    options: *mut blockpipe_options,
    milliseconds: u64,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        set("blockpipe_options_set_replace_within", options, |pipe| {
            Ok(pipe.replace_within(Duration::from_millis(milliseconds)))
        })
    }
}

/// Frees the options, and sets the caller's pointer to NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_options_free(options: *mut *mut blockpipe_options) {
    // SAFETY: by the rules of the header.
    unsafe { free("blockpipe_options_free", options) };
}

/// Runs the body of an exported function with the options.
///
/// # Safety
/// The pointers follow the rules of the header.
pub(crate) unsafe fn with_options(
    operation: &str,
    options: *const blockpipe_options,
    body: impl FnOnce(&Named) -> Outcome,
) -> blockpipe_result {
    // SAFETY: it is NULL or valid, by the rules of the header, and not changed during the call.
    let named = unsafe { options.as_ref() }.map(|options| &options.named);
    let pipe = || named.map(Named::description);
    guard_pipe(operation, pipe, || body(named.ok_or_else(|| Failure::null("options"))?))
}

/// Takes one of the two ends: the producer for the first process, the consumer for the second. If only a consumer is
/// waiting, takes the producer. Stores the end in `*producer` or in `*consumer`, and NULL in the other; the caller frees
/// it with `blockpipe_producer_free` or `blockpipe_consumer_free`.
///
/// A third process gets BLOCKPIPE_TOO_MANY_INSTANCES at once. Blocks only as a consumer, until the producer is ready,
/// however long that takes, or aborts; and for up to half a second while a pair is leaving.
///
/// Errors: -20 to -25, BLOCKPIPE_ABORTED, BLOCKPIPE_CORRUPT, BLOCKPIPE_IO. They change nothing for other processes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_join(
    options: *const blockpipe_options,
    producer: *mut *mut blockpipe_producer,
    consumer: *mut *mut blockpipe_consumer,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    let (producer, consumer) = unsafe { (out(producer, "producer"), out(consumer, "consumer")) };
    let join = |named: &Named| {
        let (producer, consumer) = (producer?, consumer?);
        match named.pipe.join()? {
            End::Producer(end) => give(producer, blockpipe_producer::new(end, named)),
            End::Consumer(end) => give(consumer, blockpipe_consumer::new(end, named)),
        }
        Ok(BLOCKPIPE_OK)
    };
    // SAFETY: by the rules of the header.
    unsafe { with_options("blockpipe_join", options, join) }
}

/// Takes the producer, whether a consumer has come before or comes later, and stores it in `*producer`; the caller frees
/// it with `blockpipe_producer_free`. Blocks for up to half a second while a pair is leaving.
///
/// Errors: as `blockpipe_join`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_join_as_producer(
    options: *const blockpipe_options,
    producer: *mut *mut blockpipe_producer,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    let producer = unsafe { out(producer, "producer") };
    let join = |named: &Named| {
        give(producer?, blockpipe_producer::new(named.pipe.join_as_producer()?, named));
        Ok(BLOCKPIPE_OK)
    };
    // SAFETY: by the rules of the header.
    unsafe { with_options("blockpipe_join_as_producer", options, join) }
}

/// Takes the consumer, whether a producer has come before or comes later, and stores it in `*consumer`; the caller frees
/// it with `blockpipe_consumer_free`. Blocks until a producer has come and is ready; while there is none, for up to the
/// connect timeout (BLOCKPIPE_NO_PEER).
///
/// Errors: as `blockpipe_join`, and BLOCKPIPE_NO_PEER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_join_as_consumer(
    options: *const blockpipe_options,
    consumer: *mut *mut blockpipe_consumer,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    let consumer = unsafe { out(consumer, "consumer") };
    let join = |named: &Named| {
        give(consumer?, blockpipe_consumer::new(named.pipe.join_as_consumer()?, named));
        Ok(BLOCKPIPE_OK)
    };
    // SAFETY: by the rules of the header.
    unsafe { with_options("blockpipe_join_as_consumer", options, join) }
}
