//! Real processes that hand over blocks: in any order and of any length, and with wake-ups that are not lost.

use crate::util::{Actor, Name, Watchdog, pair, pause};
use blockpipe::{Consumer, End, Geometry, Pipe, Reason, Side};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

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
    producer.ready(Geometry::new(4096, 4), b"").unwrap();
    let Ok(End::Consumer(mut consumer)) = pipe.join() else { panic!("the second") };
    let sending = std::thread::spawn(move || {
        while let Ok(block) = producer.empty_block() {
            if producer.send(block, 1).is_err() {
                break;
            }
        }
    });
    let monitor = consumer.monitor();
    let take = |consumer: &mut Consumer| consumer.filled_block().unwrap().unwrap();
    let until_it_sleeps = || {
        let begun = Instant::now();
        while monitor.snapshot().asleep != Some(Side::Producer) {
            assert!(begun.elapsed() < Duration::from_secs(20), "the producer does not sleep");
        }
    };
    let mut held: VecDeque<_> = (0..4).map(|_| take(&mut consumer)).collect();
    let is_full = || monitor.snapshot().waiting_blocks == 4;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..60 {
        until_it_sleeps();
        // Long enough that the first block wakes it.
        pause(1);
        let woken = Instant::now();
        consumer.release(held.pop_front().unwrap()).unwrap();
        held.push_back(take(&mut consumer));
        until_it_sleeps();
        consumer.release(held.pop_front().unwrap()).unwrap();
        let soon = woken.elapsed() < Duration::from_micros(400);
        let begun = Instant::now();
        if round % 2 == 0 {
            held.push_back(take(&mut consumer));
            times[0].extend(soon.then(|| begun.elapsed()));
        } else {
            consumer.check().unwrap();
            while !is_full() {
                assert!(begun.elapsed() < Duration::from_secs(20), "the producer sends nothing");
            }
            times[1].extend(soon.then(|| begun.elapsed()));
            held.push_back(take(&mut consumer));
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
    producer.expect("close", r#"Err(Misuse("cannot close: a block is held that was not sent"))"#);
    producer.expect("give 5 4096", "given");
    producer.tell("close");
    consumer.expect("commit", r#"Err(Misuse("cannot commit: there are blocks left to drain"))"#);
    consumer.expect("drain 1", "drained 16384");
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
}
