//! Real processes that meet under a name: roles, data, names, refusals, verdicts.

use crate::util::actor::interruption;
use crate::util::{
    Actor, Copied, HALF_A_SECOND, Name, Random, Watchdog, answers_of_all, finish, hex, is_refused, now, pair,
    pause, until,
};
use blockpipe::{End, Geometry, JoinError, Phase, Pipe, PipeError, Reason, ResumePoint, Side};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The result on both sides when this side aborted.
fn aborted(by: Side, code: u32, message: &str) -> String {
    format!("{:?}", PipeError::Aborted { by, reason: Reason::new(code, message) })
}

fn interrupted(by: Side) -> String {
    format!("{:?}", PipeError::Aborted { by, reason: interruption() })
}

#[test]
fn the_first_is_the_producer_and_the_second_the_consumer() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 4096, 4);
    finish(&name, &mut producer, &mut consumer, 10_000);
    // The name can be reused, and so can the processes.
    consumer.joins(&name, "producer");
    consumer.expect("ready 4096 4", "Ok(())");
    producer.joins(&name, "consumer");
    finish(&name, &mut consumer, &mut producer, 10_000);
}

#[test]
fn a_third_is_refused_at_once_and_disturbs_nobody() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let join = format!("join {}", name.hex());
    let (mut producer, mut consumer, mut third) = (Actor::start(), Actor::start(), Actor::start());
    let mut refused_while = |phase: &str| {
        let answer = is_refused(&mut third, &join, "TooManyInstances(");
        assert!(answer.contains(&format!("phase: {phase}")), "{answer}");
    };
    producer.joins(&name, "producer");
    consumer.tell(&join);
    until("the second has opened the pipe", || consumer.has_opened(&name));
    consumer.expect_silence(50);
    refused_while("Opening");
    producer.expect("ready 4096 2", "Ok(())");
    consumer.expect_answer("consumer");
    refused_while("Moving");
    producer.expect("send 8192", "Ok(())");
    consumer.expect("take", "taken 0 4096");
    refused_while("Moving");
    consumer.expect("release 0", "released");
    producer.tell("stream 5000 1");
    consumer.expect("drain 1", "drained 13192");
    refused_while("Finishing");
    consumer.expect("commit", "Ok");
    refused_while("Committing");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
    third.joins(&name, "producer");
}

/// Checks that a refused third, in closing its own descriptor, does not release the locks of the others, as it would if
/// locks belonged to processes instead of open files.
#[test]
fn both_ends_may_be_in_one_process() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let pipe = Pipe::named(name.bytes());
    let Ok(End::Producer(mut producer)) = pipe.join() else { panic!("the first is the producer") };
    producer.ready(Geometry::new(4096, 2), &[7; 128]).unwrap();
    let Ok(End::Consumer(mut consumer)) = pipe.join() else { panic!("the second is the consumer") };
    assert_eq!((consumer.origin(), consumer.geometry()), (&[7; 128], Geometry::new(4096, 2)));
    let mut third = Actor::start();
    for _ in 0..2 {
        assert!(matches!(pipe.join(), Err(JoinError::TooManyInstances(_))));
        is_refused(&mut third, &format!("join {}", name.hex()), "TooManyInstances(");
    }
    let monitor = consumer.monitor();
    assert_eq!((monitor.snapshot().phase, monitor.snapshot().target), (Phase::Moving, None));
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || {
            for word in ["hello, ", "world"] {
                let mut block = producer.empty_block()?;
                block[..word.len()].copy_from_slice(word.as_bytes());
                block.send(word.len(), 1);
            }
            producer.close(&[2; 32])
        });
        consumer.begin(&[8; 128], ResumePoint::default()).unwrap();
        let mut received = Vec::new();
        while let Some(block) = consumer.filled_block().unwrap() {
            received.extend_from_slice(&block);
            block.release(1);
        }
        assert_eq!(received, b"hello, world");
        let closing = consumer.trailer().unwrap();
        assert_eq!((closing.length, closing.digest), (12, [2; 32]));
        let snapshot = monitor.snapshot();
        assert_eq!((snapshot.sent, snapshot.released, snapshot.target), (12, 12, Some([8; 128])));
        consumer.commit().unwrap().complete().unwrap();
        sending.join().unwrap().unwrap();
    });
    assert_eq!(monitor.snapshot().phase, Phase::Over);
    name.assert_gone();
}

/// Checks a trap: the view keeps the header mapped, and a mapping keeps the open file to which the locks belong.
#[test]
fn an_end_that_is_dropped_under_a_monitor_is_gone() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let Ok(End::Producer(mut producer)) = Pipe::named(name.bytes()).join() else { panic!("the first") };
    producer.ready(Geometry::new(4096, 2), &[0; 128]).unwrap();
    let monitor = producer.monitor();
    let mut consumer = Actor::start();
    consumer.joins(&name, "consumer");
    consumer.tell("take");
    consumer.expect_silence(70);
    drop(producer);
    consumer.expect_answer("Err(PeerDied)");
    let seen = monitor.snapshot();
    assert_eq!(seen.phase, Phase::Over);
    assert!(seen.waited[0].is_zero() && seen.waited[1] > Duration::from_millis(60), "{:?}", seen.waited);
    name.assert_gone();
}

/// Measures wake-ups: sleeps have a time limit, so a bell that never reaches the other process would only make
/// everything slow.
#[test]
fn a_sleeper_is_woken_at_once() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut woken = |which: usize, sleeper: &mut Actor, answer: &str, waker: &mut Actor, command: &str| {
        // Not a multiple of the time limit, or the limit would seem to be what wakes it.
        sleeper.expect_silence(20);
        let start = Instant::now();
        waker.tell(command);
        sleeper.expect_answer(answer);
        times[which].push(start.elapsed());
    };
    for _ in 0..11 {
        let (mut producer, mut consumer) = (Actor::start(), Actor::start());
        producer.joins(&name, "producer");
        consumer.tell(&format!("join {}", name.hex()));
        woken(0, &mut consumer, "consumer", &mut producer, "ready 4096 1");
        producer.expect_answer("Ok(())");
        consumer.tell("take");
        woken(1, &mut consumer, "taken 0 4096", &mut producer, "send 4096");
        producer.expect_answer("Ok(())");
        producer.tell("send 4096");
        woken(2, &mut producer, "Ok(())", &mut consumer, "release 0");
        consumer.expect_answer("released");
        producer.tell("close");
        consumer.expect("drain 1", "drained 8192");
        consumer.expect("commit", "Ok");
        woken(3, &mut producer, "Ok(())", &mut consumer, "complete");
        consumer.expect_answer("Ok(())");
    }
    for (mut times, what) in
        times.into_iter().zip(["READY", "a filled block", "an empty block", "the verdict"])
    {
        times.sort();
        note!("{what}: woken after {:?} (median), {:?} (longest)", times[5], times[10]);
        // Under Wine every step is a question to another process.
        let soon = Duration::from_millis(if cfg!(windows) { 30 } else { 10 });
        assert!(times[5] < soon, "{what}: {times:?}");
    }
}

/// Checks that a sleeping producer, which is not woken for each block that is released, is woken even if the consumer's
/// caller holds all the others: otherwise it would sleep until its time limit.
#[test]
fn a_producer_that_sleeps_is_woken_although_most_blocks_are_held() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 4096, 4);
    producer.expect("send 16384", "Ok(())");
    for block in 0..4 {
        consumer.expect("take", &format!("taken {} 4096", block * 4096));
    }
    let mut times = Vec::new();
    for round in 0..11 {
        producer.tell("send 4096");
        producer.expect_silence(10);
        consumer.expect(&format!("release {round}"), "released");
        let start = Instant::now();
        consumer.expect("take", &format!("taken {} 4096", (round + 4) * 4096));
        times.push(start.elapsed());
        producer.expect_answer("Ok(())");
    }
    times.sort();
    let soon = Duration::from_millis(if cfg!(windows) { 30 } else { 10 });
    assert!(times[5] < soon, "{times:?}");
}

/// Checks that a producer that is left asleep by a release soon after it was woken is woken when the consumer itself
/// waits: for a block, or for something else, which it announces by `check`.
#[test]
fn a_producer_left_asleep_is_woken_before_the_consumer_waits() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let pipe = Pipe::named(name.bytes());
    let Ok(End::Producer(mut producer)) = pipe.join() else { panic!("the first") };
    producer.ready(Geometry::new(4096, 4), &[0; 128]).unwrap();
    let Ok(End::Consumer(consumer)) = pipe.join() else { panic!("the second") };
    let sending = std::thread::spawn(move || {
        while let Ok(block) = producer.empty_block() {
            block.send(1, 0);
        }
    });
    let monitor = consumer.monitor();
    let take = || consumer.filled_block().unwrap().unwrap();
    let until_it_sleeps = || {
        let begun = Instant::now();
        while monitor.snapshot().asleep != Some(Side::Producer) {
            assert!(begun.elapsed() < Duration::from_secs(20), "the producer does not sleep");
        }
    };
    let mut held: VecDeque<_> = (0..4).map(|_| take()).collect();
    let is_full = || monitor.snapshot().waiting_blocks == 4;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..60 {
        until_it_sleeps();
        // Long enough that the first block wakes it.
        pause(1);
        let woken = Instant::now();
        held.pop_front().unwrap().release(0);
        held.push_back(take());
        until_it_sleeps();
        held.pop_front().unwrap().release(0);
        let soon = woken.elapsed() < Duration::from_micros(400);
        let begun = Instant::now();
        if round % 2 == 0 {
            held.push_back(take());
            times[0].extend(soon.then(|| begun.elapsed()));
        } else {
            consumer.check().unwrap();
            while !is_full() {
                assert!(begun.elapsed() < Duration::from_secs(20), "the producer sends nothing");
            }
            times[1].extend(soon.then(|| begun.elapsed()));
            held.push_back(take());
        }
    }
    let _ = consumer.abort(&Reason::new(1, "enough"));
    sending.join().unwrap();
    for mut times in times {
        if times.len() < 5 {
            harness::ignore("this machine is too busy or too slow to leave a producer asleep");
        }
        times.sort();
        assert!(times[times.len() / 2] < Duration::from_millis(10), "{times:?}");
    }
}

#[test]
fn every_length_arrives_with_every_window() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut first, mut second) = (Actor::start(), Actor::start());
    for (block, blocks) in [(4096, 1), (4096, 8), (65_536, 3)] {
        let ring = block * blocks;
        let lengths = [0, 1, block - 1, block, block + 1, ring - 1, ring, ring + 1, 3 * block, 5 * ring];
        for length in lengths {
            // If two ends together hold more blocks than there are, each can wait for a block that the other holds.
            for (send, confirm) in [(1, 1), (blocks, 1), (1, blocks), (blocks / 2 + 1, blocks / 2)] {
                first.joins(&name, "producer");
                first.expect(&format!("ready {block} {blocks}"), "Ok(())");
                second.joins(&name, "consumer");
                first.tell(&format!("stream {length} {send}"));
                second.expect(&format!("drain {}", confirm.max(1)), &format!("drained {length}"));
                second.expect("commit", "Ok");
                second.expect("complete", "Ok(())");
                first.expect_answer("Ok(())");
                name.assert_gone();
            }
        }
    }
}

#[test]
fn blocks_are_sent_and_released_in_any_order() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 4096, 4);
    for position in [0, 4096, 8192, 12_288] {
        producer.expect("hold", &format!("held {position}"));
    }
    producer.expect("hold", r#"Err(Misuse("all blocks are held: send one first"))"#);
    for which in [3, 1, 2] {
        producer.expect(&format!("give {which} 4096"), "given");
    }
    // The first block holds up the others, which were sent before it.
    consumer.tell("take");
    consumer.expect_silence(100);
    producer.expect("give 0 4096", "given");
    consumer.expect_answer("taken 0 4096");
    for position in [4096, 8192, 12_288] {
        consumer.expect("take", &format!("taken {position} 4096"));
    }
    consumer.expect("take", r#"Err(Misuse("all blocks are held: release one first"))"#);
    consumer.expect("release 1", "released");
    consumer.expect("release 3", "released");
    producer.tell("hold");
    producer.expect_silence(100);
    consumer.expect("release 0", "released");
    producer.expect_answer("held 16384");
    producer.expect("hold", "held 20480");
    producer.tell("hold");
    producer.expect_silence(100);
    consumer.expect("release 2", "released");
    producer.expect_answer("held 24576");
    for which in [5, 6, 4] {
        producer.expect(&format!("give {which} 4096"), "given");
    }
    producer.tell("close");
    consumer.expect("drain 2", "drained 28672");
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
}

#[test]
fn a_dropped_block_is_handed_out_again() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 4096, 3);
    producer.expect("hold", "held 0");
    producer.expect("hold", "held 4096");
    producer.expect("drop 0", "dropped");
    producer.expect("give 1 4096", "given");
    consumer.tell("take");
    consumer.expect_silence(50);
    producer.expect("hold", "held 0");
    producer.expect("give 2 4096", "given");
    consumer.expect_answer("taken 0 4096");
    consumer.expect("take", "taken 4096 4096");
    consumer.expect("drop 0", "dropped");
    consumer.expect("release 1", "released");
    consumer.expect("take", "taken 0 4096");
    consumer.expect("release 2", "released");
    // A block that was dropped and never sent is missing only if a later one was sent.
    producer.expect("hold", "held 8192");
    producer.expect("hold", "held 12288");
    producer.expect("give 4 4096", "given");
    producer.expect("drop 3", "dropped");
    producer.expect("close", r#"Err(Misuse("cannot close: an earlier block was dropped unsent"))"#);
    producer.expect("hold", "held 8192");
    producer.expect("give 0 4096", "given");
    producer.tell("close");
    consumer.expect("commit", r#"Err(Misuse("cannot commit: there are blocks left to drain"))"#);
    consumer.expect("drain 1", "drained 16384");
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
}

#[test]
fn a_name_may_have_any_length_and_any_bytes() {
    let _watchdog = Watchdog::new(60);
    let (mut first, mut second) = (Actor::start(), Actor::start());
    let awkward: [&[u8]; 5] = [b"\0", b"/../../etc", b"\xff\xfe not UTF-8 \n", b".", b"a/b\0c"];
    let mut names: Vec<Name> = awkward.iter().map(|bytes| Name::new().followed_by(bytes)).collect();
    names.push(Name::empty());
    // The two names of 10 KB differ only in the last byte.
    let long = Name::new().followed_by(&[b'n'; 10 << 10]);
    let [one, another] = [b"1", b"2"].map(|byte| long.clone().followed_by(byte));
    first.joins(&one, "producer");
    second.joins(&another, "producer");
    names.extend([one, another]);
    for name in names {
        for actor in [&mut first, &mut second] {
            actor.expect("leave", "left");
        }
        first.joins(&name, "producer");
        first.expect("ready 4096 2", "Ok(())");
        second.joins(&name, "consumer");
        finish(&name, &mut first, &mut second, 5000);
    }
}

#[test]
fn another_tag_is_refused_and_the_right_peer_can_still_join() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let join = |tag: &[u8]| format!("join {} tag {}", name.hex(), hex(tag));
    let (mut producer, mut consumer, mut other) = (Actor::start(), Actor::start(), Actor::start());
    producer.expect(&join(b"one tag"), "producer");
    is_refused(&mut other, &join(b"another tag"), "OtherTag(");
    is_refused(&mut other, &join(b"one tag "), "OtherTag(");
    is_refused(&mut other, &join(b""), "OtherTag(");
    producer.expect("ready 4096 2", "Ok(())");
    is_refused(&mut other, &join(b"another tag"), "OtherTag(");
    producer.tell("stream 20000 1");
    is_refused(&mut other, &join(b"another tag"), "OtherTag(");
    consumer.expect(&join(b"one tag"), "consumer");
    consumer.expect("drain 1", "drained 20000");
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
}

#[test]
fn another_version_is_refused_with_its_number() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    let join = format!("join {}", name.hex());
    producer.joins(&name, "producer");
    let header = name.header();
    let ours = header.word(8);
    header.set_word(8, ours + 41);
    let both = format!("OtherVersion {{ ours: {ours}, theirs: {} }}", ours + 41);
    is_refused(&mut consumer, &join, &both);
    header.set_word(8, ours);
    producer.expect("ready 4096 2", "Ok(())");
    consumer.joins(&name, "consumer");
    drop(header);
    finish(&name, &mut producer, &mut consumer, 9000);
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
        producer.ready(Geometry::new(4096, 2), &[0; 128]).unwrap();
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
fn a_consumer_waits_for_a_slow_producer() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    producer.joins(&name, "producer");
    consumer.tell(&format!("join {}", name.hex()));
    consumer.expect_silence(2000);
    producer.expect("ready 4096 2", "Ok(())");
    consumer.expect_answer("consumer");
    finish(&name, &mut producer, &mut consumer, 30_000);
}

#[test]
fn a_pair_that_is_leaving_is_waited_for_up_to_half_a_second() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut newcomer = Actor::start();
    for long in [false, true] {
        let (mut producer, mut consumer) = pair(&name, 4096, 2);
        producer.tell("stream 0 1");
        consumer.expect("drain 1", "drained 0");
        consumer.expect("commit", "Ok");
        producer.stop();
        consumer.expect("complete", "Ok(())");
        // The pair is over, and one seat is still held: a newcomer has to retry.
        let start = Instant::now();
        newcomer.tell(&format!("join {}", name.hex()));
        newcomer.expect_silence(if long { 400 } else { 200 });
        if long {
            assert!(newcomer.answer().starts_with("Leaving("));
            note!("refused after {:?}", start.elapsed());
            assert!((500..900).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        }
        producer.go_on();
        producer.expect_answer("Ok(())");
        if !long {
            newcomer.expect_answer("producer");
            newcomer.expect("leave", "left");
        }
    }
    // The other seat.
    let (mut producer, mut consumer) = pair(&name, 4096, 2);
    producer.expect("abort 1 x", &format!("Err({})", aborted(Side::Producer, 1, "")));
    newcomer.tell(&format!("join {}", name.hex()));
    newcomer.expect_silence(200);
    consumer.expect("take", &format!("Err({})", aborted(Side::Producer, 1, "")));
    newcomer.expect_answer("producer");
    // A consumer that aborted before READY has ended the pair, too, although the producer does not know it yet.
    consumer.tell(&format!("join {}", name.hex()));
    consumer.expect_silence(50);
    consumer.interrupt();
    consumer.expect_answer("Interrupted");
    producer.tell(&format!("join {}", name.hex()));
    producer.expect_silence(200);
    newcomer.expect("ready 4096 2", &format!("Err({})", interrupted(Side::Consumer)));
    producer.expect_answer("producer");
}

#[test]
fn joining_gives_up_on_a_locked_gate_after_half_a_second() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let gate = name.locked_gate();
    let mut newcomer = Actor::start();
    let start = Instant::now();
    newcomer.expect(&format!("join {}", name.hex()), "Busy");
    assert!((500..900).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    drop(gate);
    newcomer.joins(&name, "producer");
}

/// Starts many processes at the same instant under one name, many times.
///
/// Those that complete must be pairs. A process that finds a pair at work is refused; one that arrives while a pair
/// leaves is let in afterwards, and forms the next pair or is left over. `BLOCKPIPE_ROUNDS` sets the number of rounds,
/// `BLOCKPIPE_SEED` the times.
#[test]
fn many_starts_at_the_same_instant() {
    let rounds = std::env::var("BLOCKPIPE_ROUNDS").map_or(1000, |rounds| rounds.parse().unwrap());
    let _watchdog = Watchdog::new(60 + rounds / 10);
    let mut random = Random::seeded("BLOCKPIPE_SEED");
    let mut actors: Vec<Actor> = (0..6).map(|_| Actor::start()).collect();
    let name = Name::new();
    let (mut lower_produced, mut higher_produced) = (0, 0);
    let (mut pairs, mut refused, mut alone, mut later_pairs, mut waited_inside) = (0, 0, 0, 0, 0);
    for round in 0..rounds {
        let processes = [2, 3, 2, 4, 2, 6][round as usize % 6];
        // In every other round they are not quite simultaneous, so that some meet a pair that is leaving.
        let spread = 1 + round / 6 % 2 * 400_000;
        let begin = now() + 200_000;
        let bytes = random.below(4) * 3000;
        for actor in &mut actors[..processes] {
            actor.tell(&format!("copy {} {bytes} {}", name.hex(), begin + random.below(spread)));
        }
        let mut copied = Vec::new();
        for (process, answer) in answers_of_all(actors[..processes].iter_mut()) {
            match answer.split(' ').next() {
                Some("complete") => copied.push((process, Copied::from(answer.as_str()))),
                // The second answer comes only after half a second, or on a busy machine.
                Some("TooManyInstances" | "Leaving") => refused += 1,
                Some("Interrupted") => alone += 1,
                _ => panic!("round {round}: {answer}"),
            }
        }
        name.assert_gone();
        assert!(!copied.is_empty(), "round {round}: no pair completed");
        copied.sort_by_key(|(_, copied)| copied.ended);
        let producers: Vec<_> = copied.iter().filter(|(_, copied)| copied.produced).collect();
        for (process, producer) in &producers {
            let peers: Vec<_> = copied.iter().filter(|(_, other)| other.own == producer.peer).collect();
            let [(other, consumer)] = peers[..] else { panic!("round {round}: {copied:?}") };
            assert!(!consumer.produced && consumer.peer == producer.own, "round {round}: {copied:?}");
            *(if process < other { &mut lower_produced } else { &mut higher_produced }) += 1;
        }
        assert_eq!(copied.len(), 2 * producers.len(), "round {round}: {copied:?}");
        pairs += producers.len();
        later_pairs += producers.len() - 1;
        // A process that began to join before the first pair ended, and yet completed in a later pair, was let in by a
        // call that had begun when the seats were taken.
        let first = copied[0].1;
        let later = copied.iter().filter(|(_, copied)| ![copied.own, copied.peer].contains(&first.own));
        waited_inside += later.filter(|(_, copied)| copied.started < first.ended).count();
    }
    note!(
        "{rounds} rounds: {pairs} pairs, {later_pairs} of them later in their round; {waited_inside} processes had \
         begun to join before the pair before them ended; {refused} refused, {alone} left over; the process with \
         the lower number was the producer {lower_produced} times and the consumer {higher_produced} times"
    );
    if rounds >= 1000 {
        assert!(lower_produced > 0 && higher_produced > 0, "both orders occur");
        assert!(waited_inside > 0, "some are let in by a join that began before the pair had left");
        assert!(refused > 0 && alone > 0);
    }
}
