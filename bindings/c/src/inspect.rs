//! Inspecting a pipe without joining it.

use crate::options::{blockpipe_options, with_options};
use crate::pointer::copy_out;
use crate::result::Failure;
use crate::result::blockpipe_result::{self, BLOCKPIPE_NOTHING};
use pipe::{Phase, Snapshot};
use std::slice;

/// The phase of a pipe: what its two ends are doing.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum blockpipe_phase {
    /// The producer is getting ready, or none has come yet.
    BLOCKPIPE_OPENING = 0,
    /// The producer is ready, and one of the two ends has no process: no consumer has come yet, or a process has died and
    /// was not replaced yet.
    BLOCKPIPE_ALONE = 1,
    /// Both processes are there, and blocks are being transferred.
    BLOCKPIPE_MOVING = 2,
    /// The producer has sent everything, and waits for the consumer.
    BLOCKPIPE_FINISHING = 3,
    /// The consumer is making its result final.
    BLOCKPIPE_COMMITTING = 4,
    /// The verdict is known.
    BLOCKPIPE_PHASE_OVER = 5,
}

/// The state of a pipe at one moment. Later versions may have more fields after these.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct blockpipe_state {
    /// The random number of this pairing.
    pub generation: u64,
    /// The progress of the producer's last resume point: bytes sent so far.
    pub sent: u64,
    /// The progress of the consumer's last resume point: bytes released so far.
    pub released: u64,
    /// Blocks that wait for the consumer now.
    pub waiting_blocks: u64,
    /// The size of a block in bytes; 0 until the producer is ready.
    pub block_size: u64,
    /// The number of blocks; 0 until the producer is ready.
    pub blocks: u64,
    /// The phase: one of `blockpipe_phase`.
    pub phase: blockpipe_phase,
    /// The process id of the producer, as it reported it; 0 if none has come yet.
    pub producer: u32,
    /// The process id of the consumer that holds the other end, as it reported it; 0 if there is none.
    pub consumer: u32,
    /// 1 if the producer is alive, 0 if it is not.
    pub producer_is_alive: u32,
}

const _: () =
    assert!(size_of::<blockpipe_state>() == 64, "no padding, and no field that a later version moves");

impl From<&Snapshot> for blockpipe_state {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            generation: snapshot.generation,
            sent: snapshot.sent,
            released: snapshot.released,
            waiting_blocks: snapshot.waiting_blocks,
            block_size: snapshot.geometry.map_or(0, |geometry| geometry.block_size() as u64),
            blocks: snapshot.geometry.map_or(0, |geometry| geometry.blocks() as u64),
            phase: match snapshot.phase {
                Phase::Opening => blockpipe_phase::BLOCKPIPE_OPENING,
                Phase::Alone => blockpipe_phase::BLOCKPIPE_ALONE,
                Phase::Moving => blockpipe_phase::BLOCKPIPE_MOVING,
                Phase::Finishing => blockpipe_phase::BLOCKPIPE_FINISHING,
                Phase::Committing => blockpipe_phase::BLOCKPIPE_COMMITTING,
                Phase::Over => blockpipe_phase::BLOCKPIPE_PHASE_OVER,
            },
            producer: snapshot.producer,
            consumer: snapshot.consumer.unwrap_or(0),
            producer_is_alive: snapshot.producer_alive.into(),
        }
    }
}

/// Stores the state of the pipe of this name in `*state` without joining the pipe. The caller passes the `size` of the
/// structure (`sizeof *state`), so that programs and libraries of different versions work together: fields that this
/// library does not know are set to zero. The tag is ignored. Does not block.
///
/// Returns BLOCKPIPE_NOTHING if there is no such pipe. If neither process is alive, a killed pair left it. Errors:
/// BLOCKPIPE_OTHER_VERSION, BLOCKPIPE_FOREIGN, BLOCKPIPE_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blockpipe_inspect(
    options: *const blockpipe_options,
    state: *mut blockpipe_state,
    size: usize,
) -> blockpipe_result {
    // SAFETY: by the rules of the header.
    unsafe {
        with_options("blockpipe_inspect", options, |named| {
            if state.is_null() {
                return Err(Failure::null("state"));
            }
            state.cast::<u8>().write_bytes(0, size);
            let Some(snapshot) = named.pipe.inspect()? else { return Ok(BLOCKPIPE_NOTHING) };
            let known = blockpipe_state::from(&snapshot);
            // Without padding, every byte is initialised.
            let bytes = slice::from_raw_parts((&raw const known).cast::<u8>(), size_of_val(&known));
            copy_out(bytes, state.cast(), size, std::ptr::null_mut())
        })
    }
}
