//! Either side is killed or stopped at every step, and at arbitrary moments.

use crate::util::{Actor, Copied, Name, Random, Watchdog, answers_of_all, finish, now, pair, until};
use std::time::{Duration, Instant};

/// The time within which a death must be noticed: 50 ms, plus what the kernel needs to clean up, on machines that are
/// busy or run Windows under Wine.
const SOON: Duration = Duration::from_secs(if cfg!(windows) { 5 } else { 1 });

/// Kills one process, and expects this answer to the other one's pending command within that time.
#[track_caller]
fn kill_and_expect(victim: &mut Actor, survivor: &mut Actor, answer: &str) {
    let start = Instant::now();
    victim.kill();
    survivor.expect_answer(answer);
    let noticed = start.elapsed();
    note!("{answer}: noticed after {noticed:?}");
    assert!(noticed < SOON, "noticed after {noticed:?}");
}

/// A process can keep the gate because it was stopped, or because it wants to do harm.
#[test]
fn a_gate_that_is_kept_hides_no_death() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut one, mut two) = (Actor::start(), Actor::start());
    for producer_dies in [true, false] {
        let (mut producer, mut consumer) = pair(&name, 4096, 4);
        consumer.expect("begin", "Ok(())");
        let gate = name.locked_gate();
        let (victim, survivor, waits) = if producer_dies {
            (&mut producer, &mut consumer, "take")
        } else {
            (&mut consumer, &mut producer, "stream 0 1")
        };
        survivor.tell(waits);
        survivor.expect_silence(100);
        let start = Instant::now();
        victim.kill();
        survivor.expect_answer("Err(PeerDied)");
        let noticed = start.elapsed();
        assert!(noticed < SOON + Duration::from_secs(3), "noticed after {noticed:?}");
        drop(gate);
        assert_next_pair_works(&name, &mut one, &mut two);
    }
}

/// Checks ends whose callers wait for something else and call `check` from time to time.
#[test]
fn check_reports_the_same_as_a_wait() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    for dies in ["producer", "consumer", "producer with a last word"] {
        let (mut producer, mut consumer) = pair(&name, 4096, 4);
        consumer.expect("begin", "Ok(())");
        producer.expect("send 4096", "Ok(())");
        for end in [&mut producer, &mut consumer] {
            end.expect("check", "Ok(())");
        }
        if dies == "consumer" {
            consumer.kill();
            producer.expect("check", "Err(PeerDied)");
            producer.expect("check", "Err(Over)");
        } else if dies == "producer" {
            // Also while a block is left to receive: the stream will have no end.
            producer.kill();
            consumer.expect("check", "Err(PeerDied)");
        } else {
            producer.tell("close");
            producer.expect_silence(100);
            producer.kill();
            consumer.expect("check", "Ok(())");
            consumer.expect("drain 1", "drained 4096");
            consumer.expect("commit", "Ok");
            consumer.expect("complete", "Ok(())");
        }
        name.assert_gone();
    }
    for interrupted in [0, 1] {
        let (producer, mut consumer) = pair(&name, 4096, 4);
        consumer.expect("begin", "Ok(())");
        let mut ends = [producer, consumer];
        ends[interrupted].interrupt();
        until("the interrupt", || ends[interrupted].ask("check") == "Err(Interrupted)");
        let received = ends[1 - interrupted].ask("check");
        assert!(received.contains("Aborted") && received.contains("interrupted by the test"), "{received}");
        name.assert_gone();
    }
}

/// Starts a new pair, which must work without waiting for anything that a dead pair left.
#[track_caller]
fn assert_next_pair_works(name: &Name, one: &mut Actor, two: &mut Actor) {
    let start = Instant::now();
    one.joins(name, "producer");
    one.expect("ready 4096 2", "Ok(())");
    two.joins(name, "consumer");
    finish(name, one, two, 20_000);
    assert!(start.elapsed() < SOON, "the next pair took {:?}", start.elapsed());
}

#[test]
fn killed_before_ready() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let join = format!("join {}", name.hex());

    let (mut victim, mut one, mut two) = (Actor::start(), Actor::start(), Actor::start());
    victim.joins(&name, "producer");
    victim.kill();
    assert_next_pair_works(&name, &mut one, &mut two);

    // A waiting consumer restarts, and is the first now.
    let mut victim = Actor::start();
    victim.joins(&name, "producer");
    one.tell(&join);
    one.expect_silence(70);
    kill_and_expect(&mut victim, &mut one, "producer");
    one.expect("ready 4096 2", "Ok(())");
    two.joins(&name, "consumer");
    finish(&name, &mut one, &mut two, 20_000);

    // A producer waits for another consumer, whether the first one died before or after READY.
    let (mut early, mut late) = (Actor::start(), Actor::start());
    one.joins(&name, "producer");
    early.tell(&join);
    early.expect_silence(70);
    early.kill();
    late.tell(&join);
    late.expect_silence(70);
    one.expect("ready 4096 2", "Ok(())");
    late.expect_answer("consumer");
    late.kill();
    two.joins(&name, "consumer");
    finish(&name, &mut one, &mut two, 20_000);
}

#[test]
fn a_consumer_killed_before_it_begins_is_replaced() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut producer = Actor::start();
    producer.joins(&name, "producer");
    producer.expect("ready 4096 2", "Ok(())");
    producer.tell("stream 50000 2");
    for _ in 0..3 {
        let mut victim = Actor::start();
        victim.joins(&name, "consumer");
        producer.expect_silence(70);
        victim.kill();
        producer.expect_silence(70);
    }
    let mut consumer = Actor::start();
    consumer.joins(&name, "consumer");
    consumer.expect("begin", "Ok(())");
    consumer.expect("drain 1", "drained 50000");
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
}

#[test]
fn killed_in_the_middle_while_the_peer_waits() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut one, mut two) = (Actor::start(), Actor::start());
    let died = "Err(PeerDied)";

    // The consumer, which has only begun; the producer waits for that, or for a block.
    for waiting in ["stream 8192 1", "send 8193"] {
        let (mut producer, mut consumer) = pair(&name, 4096, 2);
        consumer.expect("begin", "Ok(())");
        producer.tell(waiting);
        producer.expect_silence(70);
        kill_and_expect(&mut consumer, &mut producer, died);
        producer.expect("close", "Err(Over)");
        name.assert_gone();
        assert_next_pair_works(&name, &mut one, &mut two);
    }

    // The consumer, while it holds blocks.
    let (mut producer, mut consumer) = pair(&name, 4096, 4);
    producer.tell("send 100000");
    for position in [0, 4096] {
        consumer.expect("take", &format!("taken {position} 4096"));
    }
    consumer.expect("release 0", "released");
    kill_and_expect(&mut consumer, &mut producer, died);
    name.assert_gone();
    assert_next_pair_works(&name, &mut one, &mut two);

    // Nobody can replace a consumer that had begun, even if the producer has not noticed its death yet.
    let (mut producer, mut consumer) = pair(&name, 4096, 4);
    consumer.expect("begin", "Ok(())");
    producer.tell("stream 0 1");
    producer.stop();
    consumer.kill();
    one.tell(&format!("join {}", name.hex()));
    one.expect_silence(200);
    producer.go_on();
    producer.expect_answer(died);
    one.expect_answer("producer");
    one.expect("leave", "left");

    // The producer, which has sent nothing, then some blocks, then everything but the trailer. What it sent comes
    // first.
    for sent in [0, 3, 4] {
        let (mut producer, mut consumer) = pair(&name, 4096, 5);
        producer.expect(&format!("send {}", sent * 4096), "Ok(())");
        let waits_already = sent == 0;
        if waits_already {
            consumer.tell("take");
            consumer.expect_silence(70);
            kill_and_expect(&mut producer, &mut consumer, died);
        } else {
            producer.kill();
            for position in 0..sent {
                consumer.expect("take", &format!("taken {} 4096", position * 4096));
            }
            let start = Instant::now();
            consumer.expect("take", died);
            assert!(start.elapsed() < SOON);
        }
        consumer.expect("take", "Err(Over)");
        name.assert_gone();
        assert_next_pair_works(&name, &mut one, &mut two);
    }
}

#[test]
fn killed_after_close() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut one, mut two) = (Actor::start(), Actor::start());

    // Everything has been sent, so the consumer completes alone, whether it had drained the blocks before or not.
    for drained_before in [false, true] {
        let (mut producer, mut consumer) = pair(&name, 4096, 4);
        producer.tell("stream 16384 1");
        until("the producer has said its last word", || consumer.ask("phase") == "Finishing");
        if !drained_before {
            producer.kill();
        }
        consumer.expect("drain 2", "drained 16384");
        if drained_before {
            producer.kill();
        }
        consumer.expect("commit", "Ok");
        consumer.expect("complete", "Ok(())");
        name.assert_gone();
        assert_next_pair_works(&name, &mut one, &mut two);
    }

    let (mut producer, mut consumer) = pair(&name, 4096, 4);
    producer.tell("stream 16384 1");
    consumer.expect("drain 2", "drained 16384");
    kill_and_expect(&mut consumer, &mut producer, "Err(PeerDied)");
    name.assert_gone();
    assert_next_pair_works(&name, &mut one, &mut two);
}

#[test]
fn killed_while_committing() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut one, mut two) = (Actor::start(), Actor::start());
    for killed in [true, false] {
        let (mut producer, mut consumer) = pair(&name, 4096, 4);
        producer.tell("stream 5000 1");
        consumer.expect("drain 1", "drained 5000");
        consumer.expect("commit", "Ok");
        producer.expect_silence(150);
        if killed {
            kill_and_expect(&mut consumer, &mut producer, "Err(DiedCommitting)");
        } else {
            consumer.expect("leave", "left");
            producer.expect_answer("Err(DiedCommitting)");
        }
        name.assert_gone();
        assert_next_pair_works(&name, &mut one, &mut two);
    }

    let (mut producer, mut consumer) = pair(&name, 4096, 4);
    producer.tell("stream 5000 1");
    consumer.expect("drain 1", "drained 5000");
    consumer.expect("commit", "Ok");
    producer.kill();
    consumer.expect("complete", "Ok(())");
    name.assert_gone();
    assert_next_pair_works(&name, &mut one, &mut two);
}

#[test]
fn both_killed_at_every_step() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut one, mut two) = (Actor::start(), Actor::start());
    let steps: [(&str, &[&str]); 5] = [
        ("", &[]),
        ("", &["begin"]),
        ("send 8192", &["take"]),
        ("stream 8192 1", &["drain 1"]),
        ("stream 8192 1", &["drain 1", "commit"]),
    ];
    for (produce, consume) in steps {
        let (mut producer, mut consumer) = pair(&name, 4096, 2);
        if !produce.is_empty() {
            producer.tell(produce);
        }
        for step in consume {
            let answer = consumer.ask(step);
            assert!(!answer.contains("Err"), "{answer}");
        }
        producer.kill();
        consumer.kill();
        assert_next_pair_works(&name, &mut one, &mut two);
    }
}

#[test]
fn a_stopped_peer_is_waited_for() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();

    let (mut producer, mut consumer) = pair(&name, 4096, 2);
    producer.tell("stream 100000 1");
    consumer.expect("take", "taken 0 4096");
    consumer.stop();
    producer.expect_silence(1000);
    consumer.go_on();
    consumer.expect("drop 0", "dropped");
    consumer.expect("take", "taken 0 4096");
    consumer.expect("release 1", "released");
    consumer.expect("drain 1", "drained 100000");
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");

    let (mut producer, mut consumer) = pair(&name, 4096, 2);
    producer.expect("send 8192", "Ok(())");
    producer.stop();
    consumer.tell("drain 1");
    consumer.expect_silence(1000);
    producer.go_on();
    producer.tell("stream 8192 1");
    consumer.expect_answer("drained 16384");
    // While the consumer commits, too: a stopped process is alive.
    consumer.expect("commit", "Ok");
    consumer.stop();
    producer.expect_silence(1000);
    consumer.go_on();
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();

    // A process that is killed after it was stopped is dead.
    let (mut producer, mut consumer) = pair(&name, 4096, 2);
    consumer.tell("take");
    producer.stop();
    consumer.expect_silence(200);
    kill_and_expect(&mut producer, &mut consumer, "Err(PeerDied)");
}

/// Kills one or both of a pair at arbitrary moments from arrival to leaving, and starts a third process at once.
/// `BLOCKPIPE_KILLS` sets how often, `BLOCKPIPE_SEED` when.
#[test]
fn killed_at_any_moment() {
    let times: u64 = std::env::var("BLOCKPIPE_KILLS").map_or(200, |times| times.parse().unwrap());
    let _watchdog = Watchdog::new(60 + times / 2);
    let mut random = Random::seeded("BLOCKPIPE_SEED");
    let name = Name::new();
    let [mut third, mut one, mut two] = [Actor::start(), Actor::start(), Actor::start()];
    let (mut both, mut ended_before, mut died, mut committing, mut replaced) = (0, 0, 0, 0, 0);
    let (mut longest, mut longest_next) = (Duration::ZERO, Duration::ZERO);
    // Longer than a whole copy takes on this machine.
    let span = (0..3).map(|_| {
        one.tell(&format!("copy {} 50000 0", name.hex()));
        two.tell(&format!("copy {} 50000 0", name.hex()));
        let (one, two) = (Copied::from(&*one.answer()), Copied::from(&*two.answer()));
        one.ended.max(two.ended) - one.started.min(two.started)
    });
    let span = (span.max().expect("three copies") * 3 / 2).max(4_000_000);
    for _ in 0..times {
        let (mut victim, mut survivor) = (Actor::start(), Actor::start());
        let (bytes, begin) = (random.below(100_000), now() + 200_000);
        let moment = begin + random.below(span);
        let copy = |begin: u64| format!("copy {} {bytes} {begin}", name.hex());
        victim.tell(&copy(begin + random.below(100_000)));
        survivor.tell(&copy(begin + random.below(100_000)));
        while now() < moment {
            std::hint::spin_loop();
        }
        let mut killed = Instant::now();
        victim.kill();
        if random.below(4) == 0 {
            killed = Instant::now();
            survivor.kill();
            both += 1;
        } else {
            third.tell(&copy(0));
            let mut answers = answers_of_all([&mut survivor, &mut third]);
            answers.sort();
            match [answers[0].1.as_str(), answers[1].1.as_str()] {
                // The victim had not begun: the third process replaced it, or came first under a new pipe.
                [survivor, third] if third.starts_with("complete ") => {
                    let (survivor, third) = (Copied::from(survivor), Copied::from(third));
                    assert!(survivor.own == third.peer && survivor.peer == third.own);
                    replaced += 1;
                }
                ["PeerDied", "Interrupted"] => died += 1,
                ["DiedCommitting", "Interrupted"] => committing += 1,
                [survivor, "Interrupted"] if survivor.starts_with("complete ") => ended_before += 1,
                _ => panic!("killed {} µs after the start: {answers:?}", (moment - begin) / 1000),
            }
        }
        longest = longest.max(killed.elapsed());
        let next = Instant::now();
        one.tell(&copy(0));
        two.tell(&copy(0));
        let (one, two) = (Copied::from(&*one.answer()), Copied::from(&*two.answer()));
        assert!(one.own == two.peer && two.own == one.peer);
        longest_next = longest_next.max(next.elapsed());
        name.assert_gone();
    }
    note!(
        "{times} kills, {both} of them of both. The other survivors: {died} got PeerDied, {committing} \
         DiedCommitting, {replaced} got another peer, {ended_before} had ended before. All had ended after \
         {longest:?} at most, and the next pair took {longest_next:?} at most"
    );
    assert!(longest < SOON && longest_next < SOON);
}
