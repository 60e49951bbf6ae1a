//! Calls that do not wait, or not for long, and waits that another thread ends.

use crate::util::{Actor, Name, Watchdog, ends, finish_both, meanwhile, pause, until};
use blockpipe::{Canceller, Consumer, Geometry, Pipe, PipeError, Producer};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn send(producer: &mut Producer) {
    let block = producer.empty_block().unwrap();
    producer.send(block, 1).unwrap();
}

fn release_next(consumer: &mut Consumer) {
    let block = consumer.filled_block().unwrap().unwrap();
    consumer.release(block).unwrap();
}

/// Checks that this takes about as long as `SHORT`.
#[track_caller]
fn takes_a_short_time<R>(act: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let result = act();
    assert!((SHORT..LONG / 2).contains(&begun.elapsed()), "it took {:?}", begun.elapsed());
    result
}

#[test]
fn calls_that_do_not_wait_find_what_is_there() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&Pipe::named(name.bytes()).blocks(4096, 2));
    assert!(consumer.try_filled_block().unwrap().is_none());
    assert!(takes_a_short_time(|| consumer.filled_block_timeout(SHORT)).unwrap().is_none());
    for n in 0..2 {
        let block = producer.try_empty_block().unwrap().unwrap();
        assert_eq!(block.number(), n);
        producer.send(block, n as usize).unwrap();
    }
    assert!(producer.try_empty_block().unwrap().is_none());
    assert!(takes_a_short_time(|| producer.empty_block_timeout(SHORT)).unwrap().is_none());

    let block = consumer.try_filled_block().unwrap().unwrap();
    assert_eq!((block.number(), block.length(), consumer.is_at_end()), (0, 0, false));
    consumer.release(block).unwrap();
    let block = consumer.filled_block_timeout(LONG).unwrap().unwrap();
    assert_eq!((block.number(), block.length()), (1, 1));
    consumer.release(block).unwrap();
    assert!(consumer.try_filled_block().unwrap().is_none() && !consumer.is_at_end());

    // A block that was given back is found without waiting, too.
    drop(producer.empty_block_timeout(LONG).unwrap().unwrap());
    let block = producer.try_empty_block().unwrap().unwrap();
    assert_eq!(block.number(), 2);
    producer.send(block, 2).unwrap();
    drop(consumer.try_filled_block().unwrap().unwrap());
    let block = consumer.try_filled_block().unwrap().unwrap();
    assert_eq!(block.number(), 2);
    consumer.release(block).unwrap();

    thread::scope(|scope| {
        let finishing = scope.spawn(move || producer.finish());
        while !consumer.is_at_end() {
            assert!(consumer.try_filled_block().unwrap().is_none());
        }
        assert!(consumer.filled_block_timeout(LONG).unwrap().is_none(), "at once");
        assert!(consumer.filled_block().unwrap().is_none());
        consumer.finish().unwrap();
        finishing.join().unwrap().unwrap();
    });
}

#[test]
fn a_call_with_a_time_limit_ends_when_there_is_a_block() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&Pipe::named(name.bytes()).blocks(4096, 1));
    let found = meanwhile(|| consumer.filled_block_timeout(LONG), || send(&mut producer));
    consumer.release(found.unwrap().unwrap()).unwrap();
    send(&mut producer);
    let found =
        meanwhile(|| producer.empty_block_timeout(Duration::MAX), || release_next(&mut consumer)).unwrap();
    drop(found.unwrap());
    // The end of the stream ends the wait as well.
    thread::scope(|scope| {
        let finishing = scope.spawn(|| producer.finish());
        assert!(consumer.filled_block_timeout(LONG).unwrap().is_none() && consumer.is_at_end());
        consumer.finish().unwrap();
        finishing.join().unwrap().unwrap();
    });
}

/// A death rings no bell, so somebody who only tries has to look for it.
#[test]
fn a_caller_that_only_tries_notices_a_death() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut peer = Actor::start();
    let join = |role: &str| format!("join {} as {role}", name.hex());

    let mut producer = Pipe::named(name.bytes()).blocks(4096, 1).join_as_producer().unwrap();
    producer.ready(Geometry::new(4096, 1), &[0; 8]).unwrap();
    peer.expect(&join("consumer"), "consumer");
    peer.expect("begin", "Ok(())");
    send(&mut producer);
    assert!(producer.try_empty_block().unwrap().is_none());
    peer.kill();
    let died = Instant::now();
    let error = loop {
        match producer.try_empty_block() {
            Ok(none) => assert!(none.is_none()),
            Err(error) => break error,
        }
        assert!(died.elapsed() < LONG, "a dead consumer is not noticed");
        pause(1);
    };
    assert!(matches!(error, PipeError::PeerDied), "{error:?}");
    note!("a dead consumer was noticed after {:?}", died.elapsed());
    assert!(matches!(producer.try_empty_block(), Err(PipeError::Over)));

    let mut peer = Actor::start();
    peer.expect(&join("producer"), "producer");
    peer.expect("ready 4096 2", "Ok(())");
    let mut consumer = Pipe::named(name.bytes()).join_as_consumer().unwrap();
    assert!(consumer.try_filled_block().unwrap().is_none());
    peer.expect("send 4096", "Ok(())");
    peer.kill();
    let died = Instant::now();
    // What it had sent comes first.
    let block = loop {
        match consumer.try_filled_block() {
            Ok(Some(block)) => break block,
            other => assert!(matches!(other, Ok(None)) && died.elapsed() < LONG, "{other:?}"),
        }
    };
    assert_eq!((block.number(), block.length()), (0, 4096));
    consumer.release(block).unwrap();
    let error = loop {
        match consumer.filled_block_timeout(Duration::from_millis(1)) {
            Ok(none) => assert!(none.is_none()),
            Err(error) => break error,
        }
        assert!(died.elapsed() < LONG, "a dead producer is not noticed");
    };
    assert!(matches!(error, PipeError::PeerDied), "{error:?}");
    assert!(matches!(consumer.filled_block_timeout(LONG), Err(PipeError::Over)));
    name.assert_gone();
}

/// The time for a replacement counts from the last death, also if short calls noticed an earlier one.
#[test]
fn a_short_call_that_noticed_a_death_does_not_shorten_the_time_after_the_next_one() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut consumers = [Actor::start(), Actor::start()];
    let pipe = Pipe::named(name.bytes()).replace_within(Duration::from_millis(1500));
    let mut producer = pipe.join_as_producer().unwrap();
    producer.ready(Geometry::new(4096, 2), &[0; 8]).unwrap();
    let [first, second] = &mut consumers;
    let join = format!("join {} replace 20000", name.hex());
    first.expect(&join, "consumer");
    first.expect("begin", "Ok(())");
    (0..2).for_each(|_| send_something(&mut producer));
    first.kill();
    assert!(producer.empty_block_timeout(Duration::from_millis(100)).unwrap().is_none());
    pause(1000);
    second.expect(&join, "consumer");
    second.expect("resume", "resumes at 0");
    for block in 0..2 {
        second.expect("take", &format!("taken {block} 1"));
        second.expect(&format!("release {block}"), "released");
    }
    // Found without a wait.
    send_something(&mut producer);
    send_something(&mut producer);
    second.kill();
    let died = Instant::now();
    let error = producer.empty_block().unwrap_err();
    assert!(matches!(error, PipeError::PeerDied), "{error:?}");
    assert!(died.elapsed() > Duration::from_millis(1300), "after {:?}", died.elapsed());
}

/// Sends the next byte of an actor's stream with the salt 0.
fn send_something(producer: &mut Producer) {
    let mut block = producer.empty_block().unwrap();
    let n = block.number();
    block.set_header(&n.to_le_bytes());
    block.copy_from(0, &[(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8]);
    producer.send(block, 1).unwrap();
}

/// Runs a call in another thread, cancels it, and expects it to say so.
fn is_canceled<R: Send>(
    canceller: &Canceller,
    waits: impl Fn() -> bool,
    call: impl FnOnce() -> Result<R, PipeError> + Send,
) {
    thread::scope(|scope| {
        let (begins, begun) = mpsc::channel();
        let call = scope.spawn(move || {
            begins.send(()).unwrap();
            call().map(drop)
        });
        begun.recv().unwrap();
        until("it waits", waits);
        canceller.cancel();
        assert!(matches!(call.join().unwrap(), Err(PipeError::Canceled)));
    });
}

#[test]
fn every_wait_can_be_canceled_and_the_end_goes_on() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let pipe = Pipe::named(name.bytes()).blocks(4096, 1);
    let mut producer = pipe.join_as_producer().unwrap();
    producer.ready(Geometry::new(4096, 1), b"").unwrap();
    let monitor = producer.monitor();
    // Only a wait of 50 ms and more is shown.
    let waits = || monitor.snapshot().waits.is_some();
    let producer_waits = producer.canceller();
    is_canceled(&producer_waits, waits, || producer.start());

    let mut consumer = pipe.join_as_consumer().unwrap();
    let consumer_waits = consumer.canceller();
    is_canceled(&consumer_waits, waits, || consumer.filled_block());
    is_canceled(&consumer_waits, waits, || consumer.filled_block_timeout(LONG));
    is_canceled(&consumer_waits, waits, || consumer.finish());
    send(&mut producer);
    is_canceled(&producer_waits, waits, || producer.empty_block());
    is_canceled(&producer_waits, waits, || producer.empty_block_timeout(Duration::MAX));
    release_next(&mut consumer);
    is_canceled(&producer_waits, waits, || producer.finish());
    // The stream is closed, and another call goes on waiting for the verdict.
    assert!(matches!(producer.empty_block(), Err(PipeError::Misuse("the stream is closed"))));
    is_canceled(&producer_waits, waits, || producer.close(b"not stored"));
    assert!(consumer.filled_block().unwrap().is_none());
    assert_eq!(consumer.trailer().unwrap(), &[0; 64]);
    finish_both(&mut producer, &mut consumer);
    name.assert_gone();
    // Nothing is left to cancel.
    producer_waits.cancel();
    drop((producer, consumer));
    consumer_waits.cancel();
}

#[test]
fn canceled_waits_count_towards_the_connect_timeout() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let pipe = Pipe::named(name.bytes()).blocks(4096, 1).connect_timeout(Duration::from_millis(500));
    let mut producer = pipe.join_as_producer().unwrap();
    producer.ready(Geometry::new(4096, 1), b"").unwrap();
    let canceller = producer.canceller();
    let begun = Instant::now();
    let error = thread::scope(|scope| {
        let (over, is_over) = mpsc::channel::<()>();
        // Sooner than the limit, and until the wait has ended by itself.
        scope.spawn(move || {
            while is_over.recv_timeout(Duration::from_millis(100)).is_err() && begun.elapsed() < LONG {
                canceller.cancel();
            }
        });
        let error = loop {
            match producer.start() {
                Err(PipeError::Canceled) if begun.elapsed() < LONG => {}
                other => break other.unwrap_err(),
            }
        };
        over.send(()).unwrap();
        error
    });
    assert!(matches!(error, PipeError::NoPeer), "{error:?}");
}

/// The producer is dead and no other can come, but none is needed.
#[test(not_on_windows = "kernel objects cannot be removed")]
fn a_stream_whose_trailer_is_stored_needs_no_name() {
    let _watchdog = Watchdog::new(60);
    let (folder, name) = (tempfile::tempdir().unwrap(), Name::new());
    let pipe = Pipe::named(name.bytes()).in_directory(folder.path()).blocks(4096, 1);
    let (mut producer, mut consumer) = ends(&pipe.replace_within(LONG));
    send(&mut producer);
    producer.canceller().cancel();
    assert!(matches!(producer.finish(), Err(PipeError::Canceled)));
    drop(producer);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    release_next(&mut consumer);
    consumer.check().unwrap();
    assert!(consumer.filled_block().unwrap().is_none());
    consumer.check().unwrap();
    consumer.finish().unwrap();
}

#[test]
fn a_cancel_before_a_wait_ends_the_next_one_and_no_other() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&Pipe::named(name.bytes()).blocks(4096, 1));
    let (producer_waits, consumer_waits) = (producer.canceller(), consumer.canceller());
    consumer_waits.cancel();
    consumer_waits.cancel();
    // A call that does not wait is not ended.
    assert!(consumer.try_filled_block().unwrap().is_none());
    assert!(matches!(consumer.filled_block(), Err(PipeError::Canceled)));
    assert!(consumer.filled_block_timeout(SHORT).unwrap().is_none());
    consumer_waits.cancel();
    assert!(matches!(consumer.filled_block_timeout(LONG), Err(PipeError::Canceled)));
    // Nor is one that finds a block at once.
    producer_waits.cancel();
    send(&mut producer);
    assert!(matches!(producer.empty_block(), Err(PipeError::Canceled)));
    assert!(producer.empty_block_timeout(SHORT).unwrap().is_none());
    release_next(&mut consumer);
    producer_waits.cancel();
    assert!(matches!(producer.finish(), Err(PipeError::Canceled)));
    finish_both(&mut producer, &mut consumer);
}

/// Other errors of a canceled wait would be lost with it, and the canceled end would wait for a dead peer.
#[test]
fn an_end_that_was_canceled_still_notices_an_abort() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (producer, mut consumer) = ends(&Pipe::named(name.bytes()).blocks(4096, 1));
    let canceller = consumer.canceller();
    for _ in 0..3 {
        canceller.cancel();
        assert!(matches!(consumer.filled_block(), Err(PipeError::Canceled)));
    }
    let reason = blockpipe::Reason::new(3, "enough");
    assert!(matches!(producer.abort(&reason), Err(PipeError::Aborted { .. })));
    let error = consumer.filled_block().unwrap_err();
    assert!(
        matches!(&error, PipeError::Aborted { reason: received, .. } if *received == reason),
        "{error:?}"
    );
}
