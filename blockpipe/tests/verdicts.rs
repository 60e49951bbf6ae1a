//! Real processes whose pipe does not end complete: time limits, interrupts and aborts.

use crate::util::actor::interruption;
use crate::util::{Actor, HALF_A_SECOND, Name, Watchdog, hex, pair, pause};
use blockpipe::{Geometry, Pipe, PipeError, Reason, Side};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The result on both sides when this side aborted.
pub fn aborted(by: Side, code: u32, message: &str) -> String {
    format!("{:?}", PipeError::Aborted { by, reason: Reason::new(code, message) })
}

pub fn interrupted(by: Side) -> String {
    format!("{:?}", PipeError::Aborted { by, reason: interruption() })
}

#[test]
fn a_producer_gives_up_after_its_connect_timeout() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut producer = Actor::start();
    for blocks_first in ["stream 0 1", "stream 8192 1", "stream 8193 1"] {
        producer.expect(&format!("join {} connect_timeout 300", name.hex()), "producer");
        producer.expect("ready 4096 2", "Ok(())");
        let start = Instant::now();
        producer.expect(blocks_first, "Err(NoPeer)");
        let waited = start.elapsed();
        assert!((300..1000).contains(&waited.as_millis()), "gave up after {waited:?}");
        name.assert_gone();
        producer.expect("close", "Err(Over)");
    }
    // After a peer has come and gone, the time counts from zero again.
    producer.expect(&format!("join {} connect_timeout 600", name.hex()), "producer");
    producer.expect("ready 4096 2", "Ok(())");
    let mut consumer = Actor::start();
    let start = Instant::now();
    producer.tell("stream 0 1");
    pause(350);
    consumer.joins(&name, "consumer");
    pause(350);
    consumer.expect("leave", "left");
    producer.expect_answer("Err(NoPeer)");
    note!("with a visitor for 350 ms, a timeout of 600 ms lasted {:?}", start.elapsed());
    assert!(start.elapsed() > Duration::from_millis(950));
    name.assert_gone();
}

#[test]
fn an_interrupt_ends_every_wait_and_the_peer_receives_the_reason() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let ready = "ready 4096 2";
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    let mut longest = Duration::ZERO;
    let mut is_interrupted = |actor: &mut Actor, answer: &str| {
        actor.expect_silence(30);
        let start = Instant::now();
        actor.interrupt();
        actor.expect_answer(answer);
        longest = longest.max(start.elapsed());
    };
    let received = |by| format!("Err({})", interrupted(by));

    producer.joins(&name, "producer");
    producer.expect(ready, "Ok(())");
    producer.tell("stream 100 1");
    is_interrupted(&mut producer, "Err(Interrupted)");
    name.assert_gone();

    let (mut producer, mut second) = (Actor::start(), Actor::start());
    producer.joins(&name, "producer");
    second.tell(&format!("join {}", name.hex()));
    is_interrupted(&mut second, "Interrupted");
    producer.expect(ready, &received(Side::Consumer));
    name.assert_gone();

    let (mut producer, mut second) = pair(&name, 4096, 2);
    producer.tell("stream 100000 1");
    second.expect("take", "taken 0 4096");
    is_interrupted(&mut producer, "Err(Interrupted)");
    second.expect("take", &received(Side::Producer));
    second.expect("take", "Err(Over)");
    name.assert_gone();

    let (mut producer, mut second) = pair(&name, 4096, 2);
    producer.expect("send 4096", "Ok(())");
    second.expect("take", "taken 0 4096");
    second.tell("take");
    is_interrupted(&mut second, "Err(Interrupted)");
    producer.expect("close", &received(Side::Consumer));
    name.assert_gone();

    // Too late: only the consumer can decide now.
    let (mut producer, mut second) = pair(&name, 4096, 2);
    producer.tell("stream 0 1");
    second.expect("drain 1", "drained 0");
    second.expect("commit", "Ok");
    producer.interrupt();
    producer.expect_silence(200);
    second.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();

    consumer.joins(&name, "producer");
    note!("the slowest interrupt took {longest:?}");
    assert!(longest < HALF_A_SECOND);
}

#[test]
fn each_interrupt_flag_has_its_own_reason() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let flags = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let [first, second] = flags.clone();
    let pipe = Pipe::named(name.bytes())
        .interrupt(first, Reason::new(1, "the first flag"))
        .interrupt(second, Reason::new(2, "the second flag"));
    for (flag, reason) in flags.iter().zip([(1, "the first flag"), (2, "the second flag")]) {
        let mut producer = pipe.join_as_producer().unwrap();
        producer.ready(Geometry::new(4096, 2), b"").unwrap();
        let consumer = pipe.join_as_consumer().unwrap();
        flag.store(true, Ordering::Relaxed);
        assert!(matches!(producer.check(), Err(PipeError::Interrupted)));
        flag.store(false, Ordering::Relaxed);
        let Err(PipeError::Aborted { by: Side::Producer, reason: received }) = consumer.check() else {
            panic!("the producer was interrupted");
        };
        assert_eq!((received.code, &*received.message), reason);
        name.assert_gone();
    }
}

#[test]
fn an_abort_gives_both_sides_the_same_reason() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let abort = |code, text: &str| format!("abort {code} {}", hex(text.as_bytes()));
    let text = "no space for “größe”\nsecond line";

    // While the consumer waits for a block, and while it works on one.
    for asleep in [true, false] {
        let (mut producer, mut consumer) = pair(&name, 4096, 2);
        let expected = format!("Err({})", aborted(Side::Producer, 7, text));
        if asleep {
            consumer.tell("take");
            consumer.expect_silence(30);
        } else {
            producer.expect("send 8192", "Ok(())");
            consumer.expect("take", "taken 0 4096");
        }
        producer.expect(&abort(7, text), &expected);
        if !asleep {
            consumer.expect("release 0", "released");
            consumer.tell("take");
        }
        consumer.expect_answer(&expected);
        producer.expect("close", "Err(Over)");
        name.assert_gone();
    }

    let (mut producer, mut consumer) = pair(&name, 4096, 2);
    producer.tell("send 8193");
    producer.expect_silence(30);
    let expected = aborted(Side::Consumer, u32::MAX, text);
    consumer.expect(&abort(u32::MAX, text), &expected);
    producer.expect_answer(&format!("Err({expected})"));
    consumer.expect(&abort(1, "again"), "Over");
    name.assert_gone();

    // The first abort counts, and both ends report it.
    let (mut producer, mut consumer) = pair(&name, 4096, 2);
    producer.expect(&abort(1, "mine"), &format!("Err({})", aborted(Side::Producer, 1, "mine")));
    consumer.expect(&abort(2, "ours"), &aborted(Side::Producer, 1, "mine"));
    name.assert_gone();

    // The consumer may still abort if it could not make its result final.
    let (mut producer, mut consumer) = pair(&name, 4096, 2);
    producer.tell("stream 0 1");
    consumer.expect("drain 1", "drained 0");
    consumer.expect("commit", "Ok");
    let expected = aborted(Side::Consumer, 3, "the rename failed");
    consumer.expect(&abort(3, "the rename failed"), &expected);
    producer.expect_answer(&format!("Err({expected})"));
    name.assert_gone();

    // Before the pipe is ready.
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    producer.joins(&name, "producer");
    consumer.tell(&format!("join {}", name.hex()));
    consumer.expect_silence(50);
    producer
        .expect(&abort(5, "no such file"), &format!("Err({})", aborted(Side::Producer, 5, "no such file")));
    consumer.expect_answer(&format!("Aborted({:?})", Reason::new(5, "no such file")));
    name.assert_gone();
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    for (long, cut) in [("m".repeat(2000), 696), ("é".repeat(500), 348), ("€".repeat(300), 232)] {
        // Moves the limit through a character.
        for before in ["", "1", "12", "123"] {
            let (mut producer, mut consumer) = pair(&name, 4096, 2);
            let text = format!("{before}{long}");
            let width = long.chars().next().unwrap().len_utf8();
            let characters = before.len() + cut - before.len().div_ceil(width);
            let kept: String = text.chars().take(characters).collect();
            assert!(kept.len() <= 696 && kept.len() + width > 696);
            producer.tell(&format!("abort 7 {}", hex(text.as_bytes())));
            assert!(producer.answer().starts_with("Err(Aborted { by: Producer"));
            consumer.expect("take", &format!("Err({})", aborted(Side::Producer, 7, &kept)));
        }
    }
}

#[test]
fn every_wait_asks_the_application_whether_to_cancel_it() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let cancel = Arc::new(AtomicBool::new(true));
    let pipe = Pipe::named(name.bytes()).cancel_when({
        let cancel = Arc::clone(&cancel);
        move || cancel.load(Ordering::Relaxed)
    });
    let mut producer = pipe.join_as_producer().unwrap();
    producer.ready(Geometry::new(4096, 1), b"").unwrap();
    assert!(matches!(producer.start(), Err(PipeError::Canceled)));
    let mut consumer = pipe.join_as_consumer().unwrap();
    assert!(matches!(consumer.filled_block(), Err(PipeError::Canceled)));
    let block = producer.empty_block().unwrap();
    producer.send(block, 1).unwrap();
    assert!(matches!(producer.empty_block(), Err(PipeError::Canceled)));
    assert!(matches!(producer.finish(), Err(PipeError::Canceled)));

    // Nothing else has changed, and a limit still counts.
    let block = consumer.filled_block().unwrap().unwrap();
    consumer.release(block).unwrap();
    cancel.store(false, Ordering::Relaxed);
    assert!(consumer.filled_block().unwrap().is_none());
    consumer.finish().unwrap();
    producer.finish().unwrap();
    name.assert_gone();
}

#[test]
fn a_consumer_can_commit_again_if_it_has_not_kept_what_commit_returned() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let pair = || {
        let pipe = Pipe::named(name.bytes());
        let mut producer = pipe.join_as_producer().unwrap();
        producer.ready(Geometry::new(4096, 1), b"").unwrap();
        let mut consumer = pipe.join_as_consumer().unwrap();
        std::thread::scope(|scope| {
            let end = scope.spawn(|| consumer.filled_block().unwrap().is_none());
            let canceller = producer.canceller();
            let closing = scope.spawn(|| producer.finish());
            assert!(end.join().unwrap());
            canceller.cancel();
            assert!(matches!(closing.join().unwrap(), Err(PipeError::Canceled)));
        });
        drop(consumer.commit().unwrap());
        (producer, consumer)
    };
    let (mut producer, mut consumer) = pair();
    consumer.commit().unwrap().complete().unwrap();
    producer.finish().unwrap();
    let (mut producer, consumer) = pair();
    let reason = Reason::new(7, "could not be renamed");
    assert!(matches!(consumer.abort(&reason), PipeError::Aborted { by: Side::Consumer, .. }));
    assert!(
        matches!(producer.finish(), Err(PipeError::Aborted { by: Side::Consumer, reason: got }) if got == reason)
    );
    name.assert_gone();
}
