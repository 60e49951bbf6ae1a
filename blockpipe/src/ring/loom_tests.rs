//! The ring under the model checker: every order of steps of two threads, and kills between the steps.

#![allow(clippy::disallowed_methods, reason = "points and headers are stored as whole words")]

use super::*;
use crate::sync::kill;
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;

const SLOTS: u64 = 2;
const GENERATION: u64 = 7;

/// The memory that two processes would map, with blocks and reasons that hold one number each.
struct Shared {
    ring: Ring,
    slots: [Slot; SLOTS as usize],
    blocks: [UnsafeCell<u64>; SLOTS as usize],
    reasons: [UnsafeCell<u64>; 2],
    bells: [Bell; 2],
    /// Locked by whoever has this side's seat; the kernel unlocks it after the death of its holder. Says whether the
    /// holder has done its work.
    seats: [Mutex<bool>; 2],
}

// SAFETY: the cells are what the protocol must keep apart; loom fails the test when two accesses are unordered.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

const PRODUCER: usize = 0;
const CONSUMER: usize = 1;

impl Shared {
    fn new() -> Arc<Self> {
        let word = || AtomicU64::new(0);
        let point = || Words([word(), word()]);
        let slot = || Slot { number: word(), length: word(), header: Words([word()]) };
        let ring = Ring {
            producer: ProducerLine {
                filled: word(),
                allows_replacement: AtomicU32::new(0),
                resume_points: [point(), point()],
                closed: word(),
                trailer: Words([word()]),
            },
            consumer: ConsumerLine {
                emptied: word(),
                begun: AtomicU32::new(0),
                resume_points: [point(), point()],
                allows_replacement: AtomicU32::new(0),
            },
            verdict: VerdictWord(word()),
            parked: [AtomicU32::new(0), AtomicU32::new(0)],
        };
        ring.init_verdict(GENERATION);
        Arc::new(Self {
            ring,
            slots: [slot(), slot()],
            blocks: [UnsafeCell::new(0), UnsafeCell::new(0)],
            reasons: [UnsafeCell::new(0), UnsafeCell::new(0)],
            bells: [Bell::default(), Bell::default()],
            seats: [Mutex::new(false), Mutex::new(false)],
        })
    }

    fn parked(&self, side: usize) -> &AtomicU32 {
        &self.ring.parked[side]
    }

    fn park<T>(&self, side: usize, poll: impl FnMut() -> Option<T>) -> Option<T> {
        park(self.parked(side), &self.bells[side], Duration::ZERO, poll)
    }

    /// Waits as `Attached::wait` does, for something that the other side always does.
    fn wait<T>(&self, side: usize, mut poll: impl FnMut() -> Option<T>) -> T {
        wait(|| None, || self.park(side, &mut poll), || None)
    }

    fn wake_other(&self, side: usize) {
        wake(self.parked(1 - side), &self.bells[1 - side], || true);
    }

    fn put(cell: &UnsafeCell<u64>, value: u64) {
        // SAFETY: `self` holds the cell, and loom has checked that no other access is unordered to this one.
        cell.with_mut(|cell| unsafe { *cell = value });
    }

    fn get(cell: &UnsafeCell<u64>) -> u64 {
        // SAFETY: as in `put`.
        cell.with(|cell| unsafe { *cell })
    }
}

/// The length of block `n`. Lengths differ, so that the descriptor of another block never fits.
fn length(n: u64) -> u64 {
    n + 1
}

fn content(n: u64) -> u64 {
    100 + n
}

/// The checksum after a block, from the sum before it and the block's content; the order matters.
fn add(sum: u64, content: u64) -> u64 {
    sum * 3 + content
}

/// A point in the stream as a side stores it: its progress, and a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    position: u64,
    sum: u64,
}

impl At {
    fn of(point: &ResumePoint) -> Self {
        let word = |n: usize| u64::from_ne_bytes(point.as_chunks().0[n]);
        Self { position: word(0), sum: word(1) }
    }

    fn after(self, n: u64, content: u64) -> Self {
        Self { position: self.position + length(n), sum: add(self.sum, content) }
    }

    fn point(self) -> ResumePoint {
        let bytes = [self.position, self.sum].map(u64::to_ne_bytes);
        bytes.concat().try_into().unwrap()
    }
}

/// Returns the point after this many blocks.
fn after(blocks: u64) -> At {
    (0..blocks).fold(At { position: 0, sum: 0 }, |at, n| at.after(n, content(n)))
}

/// Acts as a first producer or a replacement, starting where the ring says.
fn produce(shared: &Shared, count: u64) {
    let mut filler = Filler::resumed(&shared.ring, SLOTS).unwrap();
    let first = filler.sent();
    assert_eq!(At::of(&filler.point()), after(first));
    for n in first..count {
        shared.wait(PRODUCER, || filler.owns(&shared.ring, n).unwrap().then_some(()));
        // While at most one more block can be released, the consumer does not overwrite this resume point.
        let point = &shared.ring.consumer.resume_points[(filler.emptied % 2) as usize];
        if filler.emptied + 1 >= n {
            assert_eq!(point.0[1].load(Ordering::Relaxed), after(filler.emptied).sum);
        }
        Shared::put(&shared.blocks[(n % SLOTS) as usize], content(n));
        filler.describe(&shared.slots, n, length(n), &u64::to_ne_bytes(n));
        filler.send(&shared.ring, length(n), Some(after(n + 1).point()));
        shared.wake_other(PRODUCER);
    }
    filler.close(&shared.ring, &u64::to_ne_bytes(after(count).sum));
    shared.wake_other(PRODUCER);
}

/// Acts as a first consumer or a replacement, starting where the ring says.
fn consume(shared: &Shared, count: u64) {
    consume_late(shared, count, 0);
}

/// Releases each block once it holds `held` later ones.
fn consume_late(shared: &Shared, count: u64, held: u64) {
    let mut drainer = Drainer::resumed(&shared.ring, SLOTS, length(count)).unwrap();
    // With so few blocks, a producer would otherwise be woken for each.
    drainer.low = 0;
    let mut at = At::of(&drainer.point());
    assert_eq!(at, after(drainer.released()));
    let mut left_asleep = false;
    for n in drainer.released().. {
        if left_asleep {
            shared.wake_other(CONSUMER);
        }
        let next = shared.wait(CONSUMER, || match drainer.next(&shared.ring, &shared.slots, n).unwrap() {
            Next::Nothing => None,
            next => Some(next),
        });
        let (up_to, trailer) = match next {
            Next::Filled(found) => {
                let header = shared.slots[(n % SLOTS) as usize].header();
                assert_eq!((found, header), (length(n), u64::to_ne_bytes(n)));
                ((n + 1).saturating_sub(held), None)
            }
            Next::End => (n, Some(shared.ring.stored_trailer())),
            Next::Nothing => unreachable!("the wait continues"),
        };
        while drainer.released() < up_to {
            let n = drainer.released();
            at = at.after(n, Shared::get(&shared.blocks[(n % SLOTS) as usize]));
            // The producer cannot have sent the block that overwrites this resume point before this one is released.
            let point = &shared.ring.producer.resume_points[((n + 1) % 2) as usize];
            assert!(held > 0 || At::of(&to_bytes(point.load())) == at);
            drainer.release(&shared.ring, length(n), Some(at.point()));
            let (parked, bell) = (shared.parked(PRODUCER), &shared.bells[PRODUCER]);
            left_asleep = wake(parked, bell, || drainer.is_running_low(&shared.ring));
        }
        if let Some(trailer) = trailer {
            assert_eq!((n, trailer), (count, u64::to_ne_bytes(at.sum)));
            return;
        }
    }
}

/// Runs both ends at once, from the first block to the trailer.
fn hand_over(count: u64, held: u64) {
    let shared = Shared::new();
    let producer = thread::spawn({
        let shared = Arc::clone(&shared);
        move || produce(&shared, count)
    });
    consume_late(&shared, count, held);
    producer.join().unwrap();
}

#[test]
fn a_block_arrives_whole_in_every_order_of_steps() {
    loom::model(|| hand_over(1, 0));
}

/// Four blocks in two slots: each slot and each resume point is reused, and the producer has to wait.
///
/// With at most three preemptions (or `LOOM_MAX_PREEMPTIONS`), because there are too many steps to try all orders.
/// Two are enough to find that any one ordering was removed from the ring.
#[test]
fn blocks_arrive_whole_once_and_in_order() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(|| hand_over(4, 0));
}

/// A producer that has not been woken yet and a consumer that waits while it holds blocks must not both sleep.
#[test]
fn a_consumer_about_to_sleep_wakes_the_producer_it_left_asleep() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(|| hand_over(4, 1));
}

/// Kills one side before one of its steps, and replaces it by a thread of its own, which gets the seat as the kernel frees
/// it: after the death. The other side continues meanwhile. Returns whether the side ended before it reached the step.
fn replace(side: usize, at: u32, count: u64) -> bool {
    let shared = Shared::new();
    let work = [produce, consume];
    let (mortal, other) = (work[side], work[1 - side]);
    let holder = thread::spawn({
        let shared = Arc::clone(&shared);
        move || {
            let mut seat = shared.seats[side].lock().unwrap();
            let replacement = thread::spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let seat = shared.seats[side].lock().unwrap();
                    if !*seat {
                        mortal(&shared, count);
                    }
                }
            });
            let ended = kill::at_step(at, || mortal(&shared, count));
            *seat = ended;
            drop(seat);
            replacement.join().unwrap();
            ended
        }
    });
    other(&shared, count);
    holder.join().unwrap()
}

#[test]
fn a_replacement_resumes_wherever_its_predecessor_was_killed() {
    for side in [PRODUCER, CONSUMER] {
        let mut at = 0;
        loop {
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = builder.preemption_bound.or(Some(2));
            let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let seen = std::sync::Arc::clone(&ended);
            builder.check(move || {
                seen.store(replace(side, at, 3), std::sync::atomic::Ordering::Relaxed);
            });
            if ended.load(std::sync::atomic::Ordering::Relaxed) {
                break;
            }
            at += 1;
        }
        // Seven or more stores for each of three blocks.
        println!("side {side}: {at} steps");
        assert!(at >= 9, "only {at} steps");
    }
}

/// A wait that is canceled by another thread ends, at most once, and the end goes on working.
#[test]
fn a_canceled_wait_ends_and_the_next_one_finds_the_block() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(|| {
        let shared = Shared::new();
        let canceled = Arc::new(AtomicU32::new(0));
        let producer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || produce(&shared, 1)
        });
        let canceller = thread::spawn({
            let (shared, canceled) = (Arc::clone(&shared), Arc::clone(&canceled));
            move || {
                // As `Nudge::cancel`: the flag, then the bell.
                canceled.store(1, Ordering::Relaxed);
                wake(shared.parked(CONSUMER), &shared.bells[CONSUMER], || true);
            }
        });
        let mut drainer = Drainer::resumed(&shared.ring, SLOTS, length(1)).unwrap();
        let mut filled = || match drainer.next(&shared.ring, &shared.slots, 0).unwrap() {
            Next::Nothing => None,
            next => Some(next),
        };
        let is_canceled = || (canceled.load(Ordering::Relaxed) == 1).then_some(None);
        let mut polled = || is_canceled().or_else(|| filled().map(Some));
        let first = wait(|| None, || shared.park(CONSUMER, &mut polled), || None);
        if first.is_none() {
            canceled.store(0, Ordering::Relaxed);
            let second = wait(|| None, || shared.park(CONSUMER, &mut polled), || None);
            assert!(matches!(second, Some(Next::Filled(_))));
        }
        producer.join().unwrap();
        canceller.join().unwrap();
    });
}

/// A consumer that sleeps notices the death of its producer although nobody rings; and a block that was sent before the
/// death comes first.
#[test]
fn a_wait_ends_with_the_block_or_with_the_death_of_the_peer() {
    for at in 0..20 {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(2));
        builder.check(move || {
            let shared = Shared::new();
            let producer = thread::spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let mut seat = shared.seats[PRODUCER].lock().unwrap();
                    // It was taken: if it is free from now on, its holder is dead.
                    *seat = true;
                    kill::at_step(at, || produce(&shared, 1));
                    drop(seat);
                    // Some time after the death, a sleep ends.
                    shared.bells[CONSUMER].let_time_pass();
                }
            });
            let clock = thread::spawn({
                let shared = Arc::clone(&shared);
                // At any other moment, too.
                move || shared.bells[CONSUMER].let_time_pass()
            });
            let mut drainer = Drainer::resumed(&shared.ring, SLOTS, length(1)).unwrap();
            let mut filled = || match drainer.next(&shared.ring, &shared.slots, 0).unwrap() {
                Next::Filled(_) => Some(true),
                _ => None,
            };
            // The seat first: what is read after it is final.
            let dead = || {
                let seat = shared.seats[PRODUCER].try_lock().ok()?;
                (*seat && shared.ring.producer.filled.load(Ordering::Acquire) == 0).then_some(false)
            };
            let found = wait(|| None, || shared.park(CONSUMER, &mut filled), dead);
            producer.join().unwrap();
            clock.join().unwrap();
            assert_eq!(found, shared.ring.producer.filled.load(Ordering::Relaxed) == 1);
        });
    }
}

/// How one side acts at the end of the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Commit,
    Abort,
    /// Sleeps until the verdict is known.
    Await,
}

/// Ends the pipe, and returns the verdict as this side sees it and whether this side made it.
fn end(shared: &Shared, side: usize, action: Move) -> (Stage, bool) {
    let verdict = &shared.ring.verdict;
    let advance = |from, to| {
        let moved = verdict.advance(GENERATION, from, to).is_ok();
        if moved {
            shared.wake_other(side);
        }
        moved
    };
    let aborted = [Stage::AbortedByProducer, Stage::AbortedByConsumer];
    let made = match action {
        Move::Commit => {
            advance(Stage::Undecided, Stage::Committing) && {
                assert!(
                    advance(Stage::Committing, Stage::Complete),
                    "only the consumer can change the verdict while it commits"
                );
                true
            }
        }
        Move::Abort => {
            Shared::put(&shared.reasons[side], 1 + side as u64);
            advance(Stage::Undecided, aborted[side])
        }
        Move::Await => false,
    };
    let stage = shared.wait(side, || match verdict.stage(GENERATION).unwrap() {
        Stage::Undecided | Stage::Committing => None,
        stage => Some(stage),
    });
    if let Some(by) = aborted.iter().position(|aborted| *aborted == stage) {
        assert_eq!(Shared::get(&shared.reasons[by]), 1 + by as u64);
    }
    (stage, made)
}

#[test]
fn there_is_one_verdict_and_both_sides_see_it_in_every_order_of_steps() {
    let moves = [
        (Move::Abort, Move::Commit),
        (Move::Abort, Move::Abort),
        (Move::Abort, Move::Await),
        (Move::Await, Move::Commit),
        (Move::Await, Move::Abort),
    ];
    for (producer_move, consumer_move) in moves {
        loom::model(move || {
            let shared = Shared::new();
            let producer = thread::spawn({
                let shared = Arc::clone(&shared);
                move || end(&shared, PRODUCER, producer_move)
            });
            let (seen, made) = end(&shared, CONSUMER, consumer_move);
            let (producer_seen, producer_made) = producer.join().unwrap();
            assert_eq!(seen, producer_seen);
            assert!(made != producer_made, "exactly one side makes the verdict");
            let expected = match (producer_made, consumer_move) {
                (true, _) => Stage::AbortedByProducer,
                (false, Move::Commit) => Stage::Complete,
                (false, _) => Stage::AbortedByConsumer,
            };
            assert_eq!(seen, expected);
        });
    }
}
