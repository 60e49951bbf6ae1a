//! Both ends in one process, each in a thread of its own: whole streams, an abort, and replacements of both ends.
//!
//! `ci/sanitize` runs this under the sanitizers, with both ends on one mapping of the memory, so that
//! they see every access of both. It uses no test harness, because the harness is not instrumented, and its use of
//! channels looks like a race.

mod util;

use blockpipe::{End, Geometry, Pipe, PipeError, Reason, ResumePoint, TrustedPeer};
use std::time::Duration;
use util::{Name, point, read_point, trailer, trusted};

// Slices, because sanitizers report nothing about the atomics by which other blocks are copied.
type Producer = blockpipe::Producer<TrustedPeer>;
type Consumer = blockpipe::Consumer<TrustedPeer>;

const BLOCK: usize = 4096;
const BLOCKS: usize = 3;

fn main() {
    for (name, test) in
        [("a stream", a_stream as fn()), ("an abort", an_abort), ("replacements", replacements)]
    {
        test();
        println!("{name} ... ok");
    }
}

/// The number of blocks in a whole stream.
fn stream() -> u64 {
    std::env::var("BLOCKPIPE_STREAM").ok().and_then(|blocks| blocks.parse().ok()).unwrap_or(200)
}

fn join(name: &Name) -> End<TrustedPeer> {
    let pipe = trusted(Pipe::named(name.bytes())).replace_within(Duration::from_secs(20));
    pipe.join().expect("one end is free")
}

fn producer(name: &Name) -> Producer {
    let End::Producer(mut producer) = join(name) else { panic!("the producer's end is free") };
    producer.ready(Geometry::new(BLOCK, BLOCKS), b"a source").expect("there is memory");
    producer
}

fn consumer(name: &Name) -> Consumer {
    let End::Consumer(consumer) = join(name) else { panic!("the consumer's end is free") };
    consumer
}

/// Sends blocks, two at a time and the last one first, up to the end of the stream or `count` blocks.
fn send(producer: &mut Producer, count: u64) -> Result<ResumePoint, PipeError> {
    let (progress, mut sum) = read_point(&producer.start()?);
    let mut n = progress / BLOCK as u64;
    let end = stream().min(n.saturating_add(count));
    while n < end {
        let mut held = Vec::new();
        while held.len() < 2 && n < end {
            let mut block = producer.empty_block()?;
            block.fill(n as u8);
            sum = add(sum, &block);
            n += 1;
            held.push((block, point(n * BLOCK as u64, sum)));
        }
        while let Some((block, point)) = held.pop() {
            producer.send_with(block, BLOCK, &point)?;
        }
    }
    Ok(point(n * BLOCK as u64, sum))
}

/// Receives blocks in the same way.
fn take(consumer: &mut Consumer, count: u64) -> Result<ResumePoint, PipeError> {
    let (progress, mut sum) = read_point(&consumer.begin(b"a target", ResumePoint::default())?);
    let (mut n, mut taken) = (progress / BLOCK as u64, 0);
    while taken < count {
        let mut held = Vec::new();
        while held.len() < 2 {
            let Some(block) = consumer.filled_block()? else { break };
            assert!(block.iter().all(|byte| *byte == n as u8), "block {n} is what was sent");
            sum = add(sum, &block);
            n += 1;
            held.push((block, point(n * BLOCK as u64, sum)));
        }
        if held.is_empty() {
            break;
        }
        taken += held.len() as u64;
        while let Some((block, point)) = held.pop() {
            consumer.release_with(block, &point)?;
        }
    }
    Ok(point(n * BLOCK as u64, sum))
}

fn add(sum: u64, block: &[u8]) -> u64 {
    block.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Returns the trailer of a stream that ends at this point.
fn end_at(end: &ResumePoint) -> [u8; 64] {
    let (bytes, sum) = read_point(end);
    trailer(bytes, sum)
}

fn finish(consumer: &mut Consumer) {
    let point = take(consumer, u64::MAX).expect("the stream continues");
    assert_eq!(consumer.trailer().expect("it is over"), &end_at(&point));
    consumer.commit().expect("nobody aborts").complete().expect("only this consumer decides the verdict");
}

fn a_stream() {
    let name = Name::new();
    let mut producer = producer(&name);
    let monitor = producer.monitor();
    std::thread::scope(|scope| {
        let consuming = scope.spawn(|| finish(&mut consumer(&name)));
        let watching = scope.spawn(move || {
            while monitor.snapshot().released < stream() * BLOCK as u64 {
                std::thread::yield_now();
            }
        });
        let point = send(&mut producer, u64::MAX).expect("the stream continues");
        producer.close(&end_at(&point)).expect("the consumer completes");
        watching.join().expect("it saw the last block");
        consuming.join().expect("it is complete");
    });
    name.assert_gone();
}

fn an_abort() {
    for by_producer in [true, false] {
        let name = Name::new();
        let mut producer = producer(&name);
        let reason = &Reason::new(5, "enough");
        std::thread::scope(|scope| {
            let consuming = scope.spawn(|| {
                let mut consumer = consumer(&name);
                let taken = take(&mut consumer, if by_producer { u64::MAX } else { 3 });
                let received = taken.map_or_else(|error| error, |_| consumer.abort(reason));
                assert!(
                    matches!(&received, PipeError::Aborted { reason: received, .. } if received == reason),
                    "{received:?}"
                );
            });
            let sent = send(&mut producer, if by_producer { 5 } else { u64::MAX });
            let received = match sent {
                Ok(_) if by_producer => producer.abort(reason).expect_err("nobody completes"),
                Ok(point) => producer.close(&end_at(&point)).expect_err("the consumer aborts"),
                Err(error) => error,
            };
            assert!(
                matches!(&received, PipeError::Aborted { reason: received, .. } if received == reason),
                "{received:?}"
            );
            consuming.join().expect("the peer got the same reason");
        });
        name.assert_gone();
    }
}

/// Drops one end many times, with and without blocks in its hands, and replaces it.
fn replacements() {
    for producers_die in [true, false] {
        let (name, piece) = (Name::new(), stream() / 7);
        let mut last = producer(&name);
        std::thread::scope(|scope| {
            let consuming = scope.spawn(|| {
                for _ in 0..if producers_die { 0 } else { 5 } {
                    let mut consumer = consumer(&name);
                    take(&mut consumer, piece).expect("the producer is there");
                    let _held = consumer.filled_block().expect("the stream is not over");
                }
                finish(&mut consumer(&name));
            });
            for _ in 0..if producers_die { 5 } else { 0 } {
                send(&mut last, piece).expect("the consumer is there");
                drop(last.empty_block().expect("the consumer is there"));
                drop(last);
                last = producer(&name);
            }
            let point = send(&mut last, u64::MAX).expect("a consumer comes");
            last.close(&end_at(&point)).expect("the last consumer completes");
            consuming.join().expect("it is complete");
        });
        name.assert_gone();
    }
}
