//! A peer that tries to keep an end from being interrupted.

use super::corruption::Memory;
use super::{BLOCK, BLOCKS};
use crate::util::{Name, Watchdog};
use blockpipe::offsets::{BEGUN, CLOSED, GENERATION, VERDICT};
use blockpipe::{Consumer, Geometry, Pipe, PipeError, Producer, Reason, ResumePoint};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An interrupted end ends, whatever verdict a peer has written and whether or not there is a block to work on, unless
/// it has itself closed the stream.
#[test]
fn an_interrupted_end_ends_whatever_the_peer_has_written() {
    type Produce = fn(&mut Producer) -> Result<(), PipeError>;
    type Consume = fn(&mut Consumer) -> Result<(), PipeError>;
    let producing: [(&str, Produce); 5] = [
        ("start", |it| it.start().map(drop)),
        ("empty_block", |it| it.empty_block().map(drop)),
        ("try_empty_block", |it| it.try_empty_block().map(drop)),
        ("empty_block_timeout", |it| it.empty_block_timeout(Duration::from_secs(9)).map(drop)),
        ("check", |it| it.check()),
    ];
    let consuming: [(&str, Consume); 4] = [
        ("filled_block", |it| it.filled_block().map(drop)),
        ("try_filled_block", |it| it.try_filled_block().map(drop)),
        ("filled_block_timeout", |it| it.filled_block_timeout(Duration::from_secs(9)).map(drop)),
        ("check", |it| it.check()),
    ];
    let _watchdog = Watchdog::new(60);
    for stage in 0..7 {
        // Each case says if this end replaces a dead one, and if its peer claims that the stream is closed.
        for (replaces, closed) in [(false, false), (true, false), (true, true), (false, true)] {
            for call in 0..producing.len() + consuming.len() {
                let (name, flag) = (Name::new(), Arc::new(AtomicBool::new(false)));
                let pipe = Pipe::named(name.bytes()).blocks(BLOCK, BLOCKS).replace_within(Duration::MAX);
                let interruptible = pipe.clone().interrupt(Arc::clone(&flag), Reason::new(1, "stop"));
                let mut producer = interruptible.join_as_producer().unwrap();
                producer.ready(Geometry::new(BLOCK, BLOCKS), b"").unwrap();
                let mut consumer = interruptible.join_as_consumer().unwrap();
                consumer.begin(b"", ResumePoint::default()).unwrap();
                if call >= producing.len() {
                    let block = producer.empty_block().unwrap();
                    producer.send(block, 1).unwrap();
                }
                if replaces && call < producing.len() {
                    drop(producer);
                    producer = interruptible.join_as_producer().unwrap();
                } else if replaces {
                    drop(consumer);
                    consumer = interruptible.join_as_consumer().unwrap();
                }
                let memory = Memory::open(&name).unwrap();
                memory.set(CLOSED, 8, if closed { 3 } else { 0 });
                memory.set(BEGUN, 4, 1);
                memory.set(VERDICT, 8, memory.get(GENERATION) << 8 | stage);
                flag.store(true, Ordering::Relaxed);
                let (what, result) = if let Some((what, act)) = producing.get(call) {
                    (what, act(&mut producer))
                } else {
                    let (what, act) = &consuming[call - producing.len()];
                    (what, act(&mut consumer))
                };
                let case = format!("{what}, stage {stage}, replaces {replaces}, closed {closed}: {result:?}");
                match stage {
                    0..=2 => assert!(matches!(result, Err(PipeError::Interrupted)), "{case}"),
                    3 | 4 => assert!(matches!(result, Err(PipeError::Aborted { .. })), "{case}"),
                    _ => assert!(matches!(result, Err(PipeError::Corrupt(_))), "{case}"),
                }
            }
        }
    }
}
