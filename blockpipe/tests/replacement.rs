//! A dead end is replaced, and the stream resumes: in both directions, any number of times, and only by a process that
//! may replace it.

use crate::util::{Actor, Name, Random, Watchdog, pause};
use blockpipe::{Geometry, Pipe, ResumePoint};
use std::time::{Duration, Instant};

const WAITS: &str = "replace 20000";

fn join(name: &Name) -> String {
    format!("join {} {WAITS}", name.hex())
}

/// Starts a pair in which each end waits for a replacement of the other; the consumer has begun.
fn replaceable_pair(name: &Name) -> (Actor, Actor) {
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    producer.expect(&join(name), "producer");
    producer.expect("ready 4096 4", "Ok(())");
    consumer.expect(&join(name), "consumer");
    consumer.expect("begin", "Ok(())");
    (producer, consumer)
}

fn complete(name: &Name, producer: &mut Actor, consumer: &mut Actor) {
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
}

#[test]
fn a_replacement_producer_resumes_after_the_last_block_sent() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = replaceable_pair(&name);
    producer.expect("start", "starts at 0");
    producer.expect("send 12288", "Ok(())");
    producer.expect("hold", "held 12288");
    producer.kill();
    consumer.expect("take", "taken 0 4096");
    consumer.expect("release 0", "released");

    let mut second = Actor::start();
    second.expect(&join(&name), "producer");
    let other = format!("Err(OtherGeometry({:?}))", blockpipe::Geometry::new(4096, 4));
    second.expect("ready 8192 9", &other);
    second.expect("ready 4096 4", "Ok(())");
    second.expect("start", "starts at 12288");
    second.expect("send 4096", "Ok(())");
    second.kill();
    consumer.tell("drain 1");
    consumer.expect_silence(200);

    let mut third = Actor::start();
    third.expect(&join(&name), "producer");
    third.expect("ready 4096 4", "Ok(())");
    third.expect("start", "starts at 16384");
    third.tell("stream 10000 2");
    consumer.expect_answer("drained 26384");
    complete(&name, &mut third, &mut consumer);
}

#[test]
fn a_replacement_consumer_resumes_after_the_last_block_released() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = replaceable_pair(&name);
    producer.expect("start", "starts at 0");
    producer.tell("stream 50000 1");
    for position in [0, 4096, 8192] {
        consumer.expect("take", &format!("taken {position} 4096"));
    }
    consumer.expect("release 0", "released");
    consumer.expect("release 1", "released");
    consumer.kill();
    producer.expect_silence(200);

    let mut second = Actor::start();
    second.expect(&join(&name), "consumer");
    second.expect("resume", "resumes at 8192");
    second.expect("drain 2", "drained 50000");
    // Everything has been sent; a consumer that dies while committing is replaced, too, and its announcement stands.
    second.expect("commit", "Ok");
    second.kill();
    producer.expect_silence(200);
    let mut third = Actor::start();
    third.expect(&join(&name), "consumer");
    third.expect("resume", "resumes at 50000");
    third.expect("drain 1", "drained 50000");
    third.expect("phase", "Committing");
    complete(&name, &mut producer, &mut third);
}

#[test]
fn the_consumer_chooses_where_the_stream_begins() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    producer.expect(&join(&name), "producer");
    producer.expect("ready 4096 4", "Ok(())");
    producer.tell("start");
    producer.expect_silence(100);
    consumer.expect(&join(&name), "consumer");
    producer.expect_silence(100);
    consumer.expect("begin_at 5000", "Ok(())");
    producer.expect_answer("starts at 5000");
    // Neither has moved a block, so a replacement of either begins there, too.
    producer.kill();
    producer = Actor::start();
    producer.expect(&join(&name), "producer");
    producer.expect("ready 4096 4", "Ok(())");
    producer.expect("start", "starts at 5000");
    consumer.kill();
    consumer = Actor::start();
    consumer.expect(&join(&name), "consumer");
    consumer.expect("resume", "resumes at 5000");
    producer.tell("stream 20000 2");
    consumer.expect("drain 2", "drained 25000");
    complete(&name, &mut producer, &mut consumer);
}

#[test]
fn replacement_needs_the_option_on_both_sides() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let plain = format!("join {}", name.hex());
    let other_tag = format!("join {} tag x6f {WAITS}", name.hex());

    // The survivor waits, but the newcomer does not set the option, or has another tag.
    let (mut producer, mut consumer) = replaceable_pair(&name);
    producer.expect("start", "starts at 0");
    producer.kill();
    let mut newcomer = Actor::start();
    newcomer.expect_refusal(&plain, "AwaitsReplacement(");
    newcomer.expect_refusal(&other_tag, "OtherTag(");
    newcomer.expect(&join(&name), "producer");
    newcomer.expect("ready 4096 4", "Ok(())");
    newcomer.expect("start", "starts at 0");
    consumer.kill();
    let mut late = Actor::start();
    late.expect_refusal(&plain, "AwaitsReplacement(");
    late.expect_refusal(&other_tag, "OtherTag(");
    late.expect(&join(&name), "consumer");
    late.expect("resume", "resumes at 0");
    newcomer.tell("stream 9000 1");
    late.expect("drain 1", "drained 9000");
    complete(&name, &mut newcomer, &mut late);

    // The survivor does not wait: its pair ends, and a process that came meanwhile makes a new pipe.
    for victim_is_producer in [true, false] {
        let (mut producer, mut consumer) = (Actor::start(), Actor::start());
        producer.expect(&plain, "producer");
        producer.expect("ready 4096 4", "Ok(())");
        consumer.expect(&plain, "consumer");
        consumer.expect("begin", "Ok(())");
        let (mut victim, mut survivor, waits) = if victim_is_producer {
            (producer, consumer, "take")
        } else {
            (consumer, producer, "stream 50000 1")
        };
        survivor.stop();
        victim.kill();
        newcomer.tell(&join(&name));
        newcomer.expect_silence(100);
        survivor.tell(waits);
        survivor.go_on();
        survivor.expect_answer("Err(PeerDied)");
        newcomer.expect_answer("producer");
        newcomer.expect("leave", "left");
    }
}

#[test]
fn an_end_sees_that_its_peer_is_missing_and_that_it_was_replaced() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = replaceable_pair(&name);
    let there = |end: &mut Actor, peer: &Actor| {
        end.expect("peer", &format!("Some({})", peer.id()));
        end.expect("phase", "Moving");
    };
    let missing = |end: &mut Actor| {
        end.expect("peer", "None");
        end.expect("phase", "Alone");
    };
    there(&mut producer, &consumer);
    there(&mut consumer, &producer);
    producer.kill();
    missing(&mut consumer);
    let mut second = Actor::start();
    second.expect(&join(&name), "producer");
    there(&mut consumer, &second);
    second.expect("ready 4096 4", "Ok(())");
    consumer.kill();
    missing(&mut second);
    let mut third = Actor::start();
    third.expect(&join(&name), "consumer");
    there(&mut second, &third);
}

#[test]
fn an_error_names_the_processes_and_the_missing_option() {
    let _watchdog = Watchdog::new(60);
    let (name, id) = (Name::new(), std::process::id());
    let plain = Pipe::named(name.bytes()).connect_timeout(Duration::ZERO);
    let replaceable = plain.clone().replace_within(Duration::from_secs(20));
    let mut producer = replaceable.join_as_producer().unwrap();
    let refused = |pipe: &Pipe| pipe.join_as_producer().unwrap_err().to_string();
    assert_eq!(refused(&plain), format!("too many instances: process {id} is the producer"));
    producer.ready(Geometry::default(), b"").unwrap();
    let mut consumer = replaceable.join_as_consumer().unwrap();
    consumer.begin(b"", ResumePoint::default()).unwrap();
    let both = format!("too many instances: process {id} is the producer and process {id} is the consumer");
    assert_eq!(refused(&plain), both);
    drop(producer);
    let waits = "waits for a replacement of its dead peer; to replace it, set `replace_within`";
    assert_eq!(refused(&plain), format!("process {id} is the consumer and {waits}"));
    let producer = replaceable.join_as_producer().unwrap();
    drop(consumer);
    let refused = plain.join_as_consumer().unwrap_err().to_string();
    assert_eq!(refused, format!("process {id} is the producer and {waits}"));
    drop(producer);
}

#[test]
fn the_time_for_a_replacement_restarts_with_each_death() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let hurried = format!("join {} replace 1500", name.hex());
    // Each process is started before it is needed: starting a program may take longer than the timeout.
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    let newcomers = [Actor::start(), Actor::start()];
    producer.expect(&hurried, "producer");
    producer.expect("ready 4096 4", "Ok(())");
    consumer.expect(&hurried, "consumer");
    consumer.expect("begin", "Ok(())");
    producer.tell("stream 50000 1");
    for newcomer in newcomers {
        consumer.kill();
        pause(850);
        consumer = newcomer;
        consumer.expect(&hurried, "consumer");
        // Long enough to be noticed.
        pause(150);
    }
    // Blocks move without a wait that finds nothing.
    consumer.expect("resume", "resumes at 0");
    consumer.expect("take", "taken 0 4096");
    consumer.expect("release 0", "released");
    consumer.kill();
    let start = Instant::now();
    producer.expect_answer("Err(PeerDied)");
    let waited = start.elapsed();
    note!("gave up after {waited:?} of 1500 ms");
    assert!(waited > Duration::from_millis(1300) && waited < Duration::from_secs(4), "{waited:?}");
    name.assert_gone();
}

#[test]
fn a_stopped_peer_is_not_replaced() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = replaceable_pair(&name);
    producer.expect("start", "starts at 0");
    consumer.stop();
    let mut third = Actor::start();
    third.expect_refusal(&join(&name), "TooManyInstances(");
    consumer.go_on();
    producer.tell("stream 9000 1");
    consumer.expect("drain 1", "drained 9000");
    complete(&name, &mut producer, &mut consumer);
}

/// Kills random ends at random moments; the stream must arrive complete.
#[test]
fn killed_and_replaced_many_times() {
    let _watchdog = Watchdog::new(300);
    let mut random = Random::seeded("REPLACEMENT_SEED");
    let (rounds, bytes, mut kills) = (8, 3_000_000, 0);
    // Under Wine, joining alone takes longer than a whole life may last here.
    let longest_life = if cfg!(windows) { 120_000 } else { 12_000 };
    for _ in 0..rounds {
        let name = Name::new();
        let relay = format!("relay {} {bytes} 20000", name.hex());
        let mut ends = [Actor::start(), Actor::start()];
        for end in &mut ends {
            end.tell(&relay);
        }
        let (started, before) = (Instant::now(), kills);
        let first = loop {
            assert!(started.elapsed() < Duration::from_secs(60), "the stream does not end");
            let which = random.below(2) as usize;
            // Lives become longer, so that the stream ends on a busy machine, too.
            let life = random.below(longest_life + longest_life / 50 * (kills - before));
            if let Some(answer) = ends[which].answer_within(Duration::from_micros(life)) {
                assert!(answer.starts_with("complete "), "{answer}");
                break which;
            }
            ends[which].kill();
            kills += 1;
            ends[which] = Actor::start();
            ends[which].tell(&relay);
        };
        // The other one got the same verdict, or died after it and now waits for a peer to copy with.
        if let Some(answer) = ends[1 - first].answer_within(Duration::from_secs(1)) {
            assert!(answer.starts_with("complete "), "{answer}");
        }
    }
    note!("{rounds} streams, {kills} kills");
}
