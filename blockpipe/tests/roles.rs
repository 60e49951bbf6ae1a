//! Processes that request one of the two ends, and start in any order.

use crate::util::actor::interruption;
use crate::util::{
    Actor, Copied, HALF_A_SECOND, Name, Random, Watchdog, answers_of_all, finish, hex, is_refused, now, pause,
};
use blockpipe::{Geometry, JoinError, Pipe, PipeError, Side};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn join_as(name: &Name, role: &str) -> String {
    format!("join {} as {role}", name.hex())
}

/// A process that has requested the consumer and waits for a producer.
#[track_caller]
fn waiting(name: &Name) -> Actor {
    let mut consumer = Actor::start();
    consumer.tell(&join_as(name, "consumer"));
    consumer.expect_silence(70);
    consumer
}

/// Joins as the producer that the consumer waits for, and runs the pair to the verdict.
#[track_caller]
fn comes(name: &Name, mut producer: Actor, consumer: &mut Actor) {
    producer.expect("ready 4096 2", "Ok(())");
    consumer.expect_answer("consumer");
    finish(name, &mut producer, consumer, 20_000);
}

#[test]
fn either_end_may_join_first() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();

    // The consumer first, then a producer that takes its time, or a process that requests no role.
    for command in [join_as(&name, "producer"), format!("join {}", name.hex())] {
        let (mut producer, mut consumer) = (Actor::start(), waiting(&name));
        producer.expect(&command, "producer");
        consumer.expect_silence(200);
        comes(&name, producer, &mut consumer);
    }

    // The producer first; a process that requests no role gets the other end.
    for command in [join_as(&name, "consumer"), format!("join {}", name.hex())] {
        let (mut producer, mut consumer) = (Actor::start(), Actor::start());
        producer.expect(&join_as(&name, "producer"), "producer");
        consumer.tell(&command);
        consumer.expect_silence(70);
        comes(&name, producer, &mut consumer);
    }
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    producer.joins(&name, "producer");
    producer.expect("ready 4096 2", "Ok(())");
    consumer.expect(&join_as(&name, "consumer"), "consumer");
    finish(&name, &mut producer, &mut consumer, 20_000);
}

#[test]
fn both_roles_may_be_in_one_process() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let pipe = Pipe::named(name.bytes()).tag("both");
    std::thread::scope(|scope| {
        // In either order.
        let waiting = scope.spawn(|| pipe.join_as_consumer().unwrap());
        let mut producer = pipe.join_as_producer().unwrap();
        assert!(matches!(pipe.join_as_producer(), Err(JoinError::TooManyInstances(_))));
        producer.ready(Geometry::new(4096, 2), b"an origin").unwrap();
        let mut consumer = waiting.join().unwrap();
        assert!(matches!(pipe.join_as_consumer(), Err(JoinError::TooManyInstances(_))));
        assert_eq!((consumer.peer_hello(), consumer.predecessor()), (&b"an origin"[..], None));
        let block = producer.empty_block().unwrap();
        producer.send(block, 5).unwrap();
        let sending = scope.spawn(move || producer.finish());
        let block = consumer.filled_block().unwrap().unwrap();
        assert_eq!(block.length(), 5);
        consumer.release(block).unwrap();
        assert!(consumer.filled_block().unwrap().is_none());
        consumer.commit().unwrap().complete().unwrap();
        sending.join().unwrap().unwrap();
    });
    name.assert_gone();
}

#[test]
fn a_second_process_in_a_role_is_refused_at_once() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut third) = (Actor::start(), Actor::start());
    let mut refused = |role: &str, what: &str| {
        let answer = is_refused(&mut third, &join_as(&name, role), "TooManyInstances(");
        assert!(answer.contains(what), "{answer}");
    };

    let mut consumer = waiting(&name);
    let there = format!("producer: 0, producer_alive: false, consumer: Some({})", consumer.id());
    refused("consumer", &there);
    producer.expect(&join_as(&name, "producer"), "producer");
    for role in ["producer", "consumer"] {
        refused(role, "phase: Opening");
    }
    comes(&name, producer, &mut consumer);

    let mut producer = Actor::start();
    producer.expect(&join_as(&name, "producer"), "producer");
    refused("producer", "phase: Opening");
    producer.expect("ready 4096 2", "Ok(())");
    refused("producer", "phase: Alone");
    consumer.expect(&join_as(&name, "consumer"), "consumer");
    for role in ["producer", "consumer"] {
        refused(role, "phase: Moving");
    }
    finish(&name, &mut producer, &mut consumer, 20_000);
}

#[test]
fn a_waiting_consumer_refuses_another_tag_and_another_version() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let join = |tag: &[u8], role: &str| format!("join {} tag {}{role}", name.hex(), hex(tag));
    let (mut producer, mut consumer, mut other) = (Actor::start(), Actor::start(), Actor::start());
    consumer.tell(&join(b"one tag", " as consumer"));
    consumer.expect_silence(70);
    for role in ["", " as producer"] {
        is_refused(&mut other, &join(b"another tag", role), "OtherTag(");
    }
    let header = name.header();
    let ours = header.word(8);
    assert_eq!(ours, blockpipe::PROTOCOL_VERSION);
    header.set_word(8, ours + 41);
    for role in ["", " as producer", " as consumer"] {
        is_refused(&mut other, &join(b"one tag", role), &format!("OtherVersion {{ ours: {ours}, theirs: "));
    }
    header.set_word(8, ours);
    drop(header);
    consumer.expect_silence(70);
    producer.expect(&join(b"one tag", " as producer"), "producer");
    comes(&name, producer, &mut consumer);
}

#[test]
fn a_waiting_consumer_that_is_killed_disturbs_nobody() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    waiting(&name).kill();
    waiting(&name).kill();
    let mut producer = Actor::start();
    producer.expect(&join_as(&name, "producer"), "producer");
    producer.expect("leave", "left");

    // After its producer has come, too, whether that is ready or not: it waits for another consumer.
    for ready_first in [false, true] {
        let (mut producer, mut victim) = (Actor::start(), waiting(&name));
        producer.expect(&join_as(&name, "producer"), "producer");
        if ready_first {
            producer.expect("ready 4096 2", "Ok(())");
            victim.expect_answer("consumer");
        }
        victim.kill();
        let mut consumer = Actor::start();
        consumer.tell(&join_as(&name, "consumer"));
        if !ready_first {
            consumer.expect_silence(70);
            producer.expect("ready 4096 2", "Ok(())");
        }
        consumer.expect_answer("consumer");
        finish(&name, &mut producer, &mut consumer, 20_000);
    }
}

/// A process that makes a new pipe removes the files of dead pairs; where pipes are not files, there is nothing to
/// remove.
#[test]
fn a_sweep_spares_a_waiting_consumer() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = (Actor::start(), waiting(&name));
    for _ in 0..5 {
        producer.joins(&Name::new(), "producer");
    }
    assert!(name.exists());
    producer.expect(&join_as(&name, "producer"), "producer");
    comes(&name, producer, &mut consumer);
}

#[test]
fn a_consumer_whose_producer_died_before_it_was_ready_keeps_its_seat() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut third, mut consumer) = (Actor::start(), waiting(&name));
    let generation = || [16, 20].map(|at| name.header().word(at));
    let first = generation();
    for _ in 0..2 {
        let mut producer = Actor::start();
        producer.expect(&join_as(&name, "producer"), "producer");
        producer.kill();
        consumer.expect_silence(150);
        is_refused(&mut third, &join_as(&name, "consumer"), "TooManyInstances(");
        assert_eq!(generation(), first, "the pairing is still the same");
    }

    // Killed in the last step: its memory existed, and was larger. The consumer has not seen it.
    let mut producer = Actor::start();
    producer.expect(&join_as(&name, "producer"), "producer");
    consumer.stop();
    producer.expect("ready 65536 4", "Ok(())");
    producer.kill();
    let (opening, header) = (1, name.header());
    header.set_word(12, opening);
    drop(header);
    consumer.go_on();
    consumer.expect_silence(150);
    third.expect(&join_as(&name, "producer"), "producer");
    comes(&name, third, &mut consumer);

    // It makes no difference whether the consumer or the dead producer came first.
    let (mut producer, mut consumer) = (Actor::start(), Actor::start());
    producer.expect(&join_as(&name, "producer"), "producer");
    consumer.tell(&join_as(&name, "consumer"));
    consumer.expect_silence(70);
    producer.kill();
    consumer.expect_silence(150);
    let mut producer = Actor::start();
    producer.joins(&name, "producer");
    comes(&name, producer, &mut consumer);
}

#[test]
fn a_waiting_consumer_gives_up_after_its_connect_timeout() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut consumer, join) =
        (Actor::start(), |limit| format!("{} connect_timeout {limit}", join_as(&name, "consumer")));
    for limit in [0, 300] {
        let start = Instant::now();
        consumer.expect(&join(limit), "NoPeer");
        let waited = start.elapsed().as_millis();
        assert!((limit..limit + 700).contains(&waited), "gave up after {waited} ms");
        name.assert_gone();
    }

    // A slow producer is waited for; after one that dies, the time counts from zero again.
    let mut producer = Actor::start();
    let start = Instant::now();
    consumer.tell(&join(1200));
    pause(350);
    producer.expect(&join_as(&name, "producer"), "producer");
    consumer.expect_silence(1500);
    producer.kill();
    consumer.expect_silence(1000);
    consumer.expect_answer("NoPeer");
    assert!(start.elapsed() > Duration::from_millis(350 + 1500 + 1200), "{:?}", start.elapsed());
    name.assert_gone();
}

#[test]
fn a_consumer_can_be_canceled_while_it_joins() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let asked = AtomicU32::new(0);
    let pipe = Pipe::named(name.bytes()).cancel_when(move || asked.fetch_add(1, Ordering::Relaxed) % 3 == 2);
    assert!(matches!(pipe.join_as_consumer(), Err(JoinError::Canceled)));
    name.assert_gone();
    // A producer that is not ready yet is not disturbed.
    let mut producer = Pipe::named(name.bytes()).join_as_producer().unwrap();
    assert!(matches!(pipe.join_as_consumer(), Err(JoinError::Canceled)));
    producer.ready(Geometry::new(4096, 2), b"").unwrap();
    drop((pipe.join_as_consumer().unwrap(), producer));
}

/// The consumer has seen that there is no producer, and one takes its seat before the consumer gets the gate.
#[test]
fn a_producer_that_joins_at_the_timeout_is_not_abandoned() {
    let _watchdog = Watchdog::new(60);
    let mut random = Random::seeded("BLOCKPIPE_SEED");
    let (mut producer, mut consumer, mut found) = (Actor::start(), Actor::start(), 0);
    let rounds = 12;
    for _ in 0..rounds {
        let name = Name::new();
        consumer.tell(&format!("{} connect_timeout 150", join_as(&name, "consumer")));
        consumer.expect_silence(70);
        let gate = name.locked_gate();
        producer.tell(&join_as(&name, "producer"));
        // A process that wants the gate retries. After this time both do.
        pause(150 + random.below(20));
        drop(gate);
        producer.expect_answer("producer");
        if let Some(answer) = consumer.answer_within(Duration::from_millis(120)) {
            assert_eq!(answer, "NoPeer");
            consumer.tell(&join_as(&name, "consumer"));
        } else {
            found += 1;
        }
        producer.expect("ready 4096 2", "Ok(())");
        consumer.expect_answer("consumer");
        finish(&name, &mut producer, &mut consumer, 5000);
    }
    note!("in {found} of {rounds} rounds the producer was found");
}

#[test]
fn a_waiting_consumer_can_be_interrupted() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    for producer_is_there in [false, true] {
        let (mut producer, mut consumer) = (Actor::start(), waiting(&name));
        if producer_is_there {
            producer.expect(&join_as(&name, "producer"), "producer");
        }
        let start = Instant::now();
        consumer.interrupt();
        consumer.expect_answer("Interrupted");
        assert!(start.elapsed() < HALF_A_SECOND, "after {:?}", start.elapsed());
        if producer_is_there {
            // The producer receives the reason when it checks; until then the pair is ending, and newcomers wait for
            // that.
            let mut next = Actor::start();
            next.tell(&join_as(&name, "consumer"));
            next.expect_silence(100);
            let received = PipeError::Aborted { by: Side::Consumer, reason: interruption() };
            producer.expect("ready 4096 2", &format!("Err({received:?})"));
            next.expect_silence(70);
            producer.expect(&join_as(&name, "producer"), "producer");
            comes(&name, producer, &mut next);
        }
        name.assert_gone();
    }
}

#[test]
fn a_dead_end_is_replaced_only_in_the_requested_role() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let join = |role: &str| format!("{} replace 20000", join_as(&name, role));
    let (mut producer, mut consumer, mut other) = (Actor::start(), Actor::start(), Actor::start());
    consumer.tell(&join("consumer"));
    consumer.expect_silence(70);
    producer.expect(&join("producer"), "producer");
    producer.expect("ready 4096 4", "Ok(())");
    consumer.expect_answer("consumer");
    consumer.expect("begin", "Ok(())");
    producer.expect("start", "starts at 0");
    producer.expect("send 12288", "Ok(())");

    producer.kill();
    is_refused(&mut other, &join("consumer"), "TooManyInstances(");
    let mut producer = Actor::start();
    producer.expect(&join("producer"), "producer");
    producer.expect("ready 4096 4", "Ok(())");
    producer.expect("start", "starts at 12288");
    consumer.expect("take", "taken 0 4096");
    consumer.expect("release 0", "released");

    consumer.kill();
    is_refused(&mut other, &join("producer"), "TooManyInstances(");
    // A process that takes no part in replacement waits for the end of this pair.
    other.tell(&join_as(&name, "consumer"));
    other.expect_silence(100);
    assert!(other.answer().starts_with("AwaitsReplacement("));
    let mut consumer = Actor::start();
    consumer.expect(&join("consumer"), "consumer");
    consumer.expect("resume", "resumes at 4096");
    producer.tell("stream 10000 2");
    consumer.expect("drain 1", "drained 22288");
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
    name.assert_gone();
}

/// What each process of a round requests.
const CASTS: [&[&str]; 8] = [
    &["producer", "consumer"],
    &["producer", "consumer", "any"],
    &["producer", "any"],
    &["producer", "producer", "consumer"],
    &["consumer", "any"],
    &["producer", "consumer", "consumer"],
    &["consumer", "consumer", "producer", "producer"],
    &["consumer", "any", "any", "producer"],
];

/// Starts processes at the same instant under one name, many times: one of each role, and others beside them.
///
/// A process that requests a role gets that role or none. Those that complete are pairs, and as many as possible unless
/// a process was refused. `BLOCKPIPE_ROUNDS` sets the number of rounds, `BLOCKPIPE_SEED` the times.
#[test]
fn many_starts_with_roles() {
    let rounds = std::env::var("BLOCKPIPE_ROUNDS").map_or(400, |rounds| rounds.parse().unwrap());
    let _watchdog = Watchdog::new(60 + rounds / 10);
    let mut random = Random::seeded("BLOCKPIPE_SEED");
    let mut actors: Vec<Actor> = (0..4).map(|_| Actor::start()).collect();
    let name = Name::new();
    let (mut pairs, mut refused, mut alone, mut any_produced, mut any_consumed) = (0, 0, 0, 0, 0);
    for round in 0..rounds {
        let cast = CASTS[round as usize % CASTS.len()];
        // In every other round they are not quite simultaneous, so that the first one makes the pipe alone.
        let spread = 1 + round / CASTS.len() as u64 % 2 * 400_000;
        let (begin, bytes) = (now() + 200_000, random.below(4) * 3000);
        for (actor, role) in actors.iter_mut().zip(cast) {
            actor.tell(&format!("copy {} {bytes} {} as {role}", name.hex(), begin + random.below(spread)));
        }
        let (mut copied, mut turned_away) = (Vec::new(), 0);
        for (process, answer) in answers_of_all(actors.iter_mut().take(cast.len())) {
            match answer.split(' ').next() {
                Some("complete") => copied.push((cast[process], Copied::from(answer.as_str()))),
                // The second answer comes only after half a second, or on a busy machine.
                Some("TooManyInstances" | "Leaving") => turned_away += 1,
                Some("Interrupted") => alone += 1,
                _ => panic!("round {round}, {cast:?}: {answer}"),
            }
        }
        name.assert_gone();
        for (asked, own) in &copied {
            let role = if own.produced { "producer" } else { "consumer" };
            assert!([role, "any"].contains(asked), "round {round}: {asked} became {role}");
            let peers = copied.iter().filter(|(_, other)| other.own == own.peer);
            let peers: Vec<_> = peers.map(|(_, other)| (other.produced, other.peer)).collect();
            assert_eq!(peers, [(!own.produced, own.own)], "round {round}: {copied:?}");
            let counted = if own.produced { &mut any_produced } else { &mut any_consumed };
            *counted += u32::from(*asked == "any");
        }
        // A process that was refused had found a pair, or, if no process requested to consume, only a producer.
        let certain = usize::from(cast.contains(&"consumer"));
        let possible = if turned_away == 0 { cast.len() / 2 } else { certain };
        assert!(copied.len() / 2 >= possible, "round {round}, {cast:?}: {copied:?}, {turned_away} refused");
        pairs += copied.len() / 2;
        refused += turned_away;
    }
    note!(
        "{rounds} rounds: {pairs} pairs, {refused} refused, {alone} left over; of those that took any role \
         {any_produced} were producers and {any_consumed} consumers"
    );
    if rounds >= 400 {
        assert!(refused > 0 && alone > 0 && any_produced > 0 && any_consumed > 0);
    }
}

/// Kills one of a pair at arbitrary moments, mostly around its arrival, and starts another process of its role at once.
/// `BLOCKPIPE_KILLS` sets how often, `BLOCKPIPE_SEED` when.
#[test]
fn killed_at_any_moment_with_roles() {
    let times: u64 = std::env::var("BLOCKPIPE_KILLS").map_or(100, |times| times.parse().unwrap());
    let _watchdog = Watchdog::new(60 + times / 2);
    let mut random = Random::seeded("BLOCKPIPE_SEED");
    let name = Name::new();
    let [mut survivor, mut third] = [Actor::start(), Actor::start()];
    let (mut replaced, mut died, mut ended_before) = (0, 0, 0);
    for round in 0..times {
        let roles = if round % 2 == 0 { ["producer", "consumer"] } else { ["consumer", "producer"] };
        let mut victim = Actor::start();
        let begin = now() + 200_000;
        let copy = |begin: u64, role: &str| format!("copy {} 50000 {begin} as {role}", name.hex());
        survivor.tell(&copy(begin + random.below(400_000), roles[1]));
        victim.tell(&copy(begin + random.below(400_000), roles[0]));
        let moment = begin + random.below(3_000_000);
        while now() < moment {
            std::hint::spin_loop();
        }
        victim.kill();
        third.tell(&copy(0, roles[0]));
        let mut answers = answers_of_all([&mut survivor, &mut third]);
        answers.sort();
        match [answers[0].1.as_str(), answers[1].1.as_str()] {
            [survivor, third] if third.starts_with("complete ") => {
                let (survivor, third) = (Copied::from(survivor), Copied::from(third));
                assert!(survivor.own == third.peer && survivor.peer == third.own);
                replaced += 1;
            }
            ["PeerDied" | "DiedCommitting", "Interrupted"] => died += 1,
            [survivor, "Interrupted"] if survivor.starts_with("complete ") => ended_before += 1,
            _ => panic!(
                "round {round}, {roles:?}: killed {} µs after the start: {answers:?}",
                (moment - begin) / 1000
            ),
        }
        name.assert_gone();
    }
    note!(
        "{times} kills: {replaced} survivors got another peer, {died} noticed the death, {ended_before} had \
         ended before"
    );
}
