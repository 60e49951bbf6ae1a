//! Real processes that meet under a name: roles, names, refusals, leaving.

use crate::util::{
    Actor, Copied, Name, Random, Watchdog, answers_of_all, finish, hex, is_refused, now, pair, trusted, until,
};
use crate::verdicts::{aborted, interrupted};
use blockpipe::{End, Geometry, JoinError, Phase, Pipe, ResumePoint, Side};
use std::time::{Duration, Instant};

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
    let pipe = trusted(Pipe::named(name.bytes()));
    let Ok(End::Producer(mut producer)) = pipe.join() else { panic!("the first is the producer") };
    producer.ready(Geometry::new(4096, 2), &[7; 1024]).unwrap();
    let Ok(End::Consumer(mut consumer)) = pipe.join() else { panic!("the second is the consumer") };
    assert_eq!((consumer.peer_hello(), consumer.geometry()), (&[7; 1024][..], Geometry::new(4096, 2)));
    assert_eq!(producer.peer_hello().unwrap(), None);
    let mut third = Actor::start();
    for _ in 0..2 {
        assert!(matches!(pipe.join(), Err(JoinError::TooManyInstances(_))));
        is_refused(&mut third, &format!("join {}", name.hex()), "TooManyInstances(");
    }
    let monitor = consumer.monitor();
    assert_eq!((monitor.snapshot().phase, monitor.snapshot().consumer_hello), (Phase::Moving, None));
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || {
            for word in ["hello, ", "world"] {
                let mut block = producer.empty_block()?;
                block[..word.len()].copy_from_slice(word.as_bytes());
                producer.send(block, word.len())?;
            }
            producer.close(&[2; 64])?;
            producer.peer_hello()
        });
        consumer.begin(b"a target", ResumePoint::default()).unwrap();
        let mut received = Vec::new();
        while let Some(block) = consumer.filled_block().unwrap() {
            received.extend_from_slice(&block);
            consumer.release(block).unwrap();
        }
        assert_eq!(received, b"hello, world");
        assert_eq!(consumer.trailer().unwrap(), &[2; 64]);
        let snapshot = monitor.snapshot();
        assert_eq!((snapshot.sent, snapshot.released), (12, 12));
        assert_eq!(snapshot.producer_hello.unwrap(), [7; 1024]);
        assert_eq!(snapshot.consumer_hello.unwrap(), b"a target");
        assert_eq!(snapshot.trailer.unwrap(), [2; 64]);
        consumer.commit().unwrap().complete().unwrap();
        assert_eq!(sending.join().unwrap().unwrap().unwrap(), b"a target");
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
    producer.ready(Geometry::new(4096, 2), &[0; 8]).unwrap();
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
