//! Blocks as values: stored, sent to other threads, dropped, and older than their end.

use crate::util::{Name, Watchdog, ends, finish_both, meanwhile, pause, trusted, until};
use blockpipe::{
    Consumer, EmptyBlock, FilledBlock, Pipe, PipeError, Producer, Reason, Side, Trust, TrustedPeer,
    UntrustedPeer,
};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn pipe(name: &Name, blocks: usize) -> Pipe<TrustedPeer> {
    trusted(Pipe::named(name.bytes())).blocks(4096, blocks)
}

fn send<T: Trust>(producer: &mut Producer<T>, byte: u8) {
    let mut block = producer.empty_block().unwrap();
    block.copy_from(0, &[byte; 100]);
    producer.send(block, 100).unwrap();
}

fn take<T: Trust>(consumer: &mut Consumer<T>) -> FilledBlock<T> {
    consumer.filled_block().unwrap().unwrap()
}

#[test]
fn blocks_and_ends_can_be_sent_to_other_threads_and_stored() {
    fn is_owned<T: Send + 'static>() {}
    is_owned::<EmptyBlock<UntrustedPeer>>();
    is_owned::<EmptyBlock<TrustedPeer>>();
    is_owned::<FilledBlock<UntrustedPeer>>();
    is_owned::<FilledBlock<TrustedPeer>>();
    is_owned::<Producer<UntrustedPeer>>();
    is_owned::<Consumer<TrustedPeer>>();
    is_owned::<blockpipe::Canceller>();
    is_owned::<blockpipe::Monitor>();
}

/// An end and the blocks that it has lent, in one value.
struct Job {
    consumer: Consumer<TrustedPeer>,
    blocks: Vec<FilledBlock<TrustedPeer>>,
}

#[test]
fn workers_fill_and_read_blocks_that_are_settled_out_of_order() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, consumer) = ends(&pipe(&name, 4));
    // Each block is filled by a worker of its own, and the last one is sent first.
    let mut workers: Vec<_> = (0..4)
        .map(|_| {
            let mut block = producer.empty_block().unwrap();
            thread::spawn(move || {
                let byte = block.number() as u8;
                block.fill(byte);
                block
            })
        })
        .collect();
    while let Some(worker) = workers.pop() {
        let block = worker.join().unwrap();
        let length = block.capacity() - block.number() as usize;
        producer.send(block, length).unwrap();
    }
    let mut job = Job { consumer, blocks: Vec::new() };
    for _ in 0..4 {
        let block = take(&mut job.consumer);
        job.blocks.push(block);
    }
    let (results, sums) = mpsc::channel();
    for block in job.blocks.drain(..) {
        let results = results.clone();
        thread::spawn(move || {
            let number = block.number();
            assert!(block.iter().all(|byte| *byte == number as u8));
            assert_eq!(block.len(), 4096 - number as usize);
            results.send(block).unwrap();
        });
    }
    drop(results);
    let mut blocks: Vec<_> = sums.iter().collect();
    assert_eq!(blocks.len(), 4);
    // The second one last: it holds up the later ones, so only the first can be filled again.
    blocks.sort_by_key(|block| (block.number() == 1, block.number()));
    let last = blocks.pop().unwrap();
    for block in blocks {
        job.consumer.release(block).unwrap();
    }
    let again = producer.empty_block().unwrap();
    assert_eq!(again.number(), 4);
    assert!(producer.try_empty_block().unwrap().is_none());
    job.consumer.release(last).unwrap();
    let mut others: Vec<_> = (0..3).map(|_| producer.try_empty_block().unwrap().unwrap()).collect();
    others.push(again);
    for block in others {
        producer.send(block, 0).unwrap();
    }
    for n in 4..8 {
        let block = take(&mut job.consumer);
        assert_eq!((block.number(), block.length()), (n, 0));
        job.consumer.release(block).unwrap();
    }
    finish_both(&mut producer, &mut job.consumer);
}

#[test]
fn a_block_that_outlives_its_end_is_harmless() {
    let _watchdog = Watchdog::new(60);
    // Both sides, after the end was dropped, and after an orderly abort.
    for aborts in [false, true] {
        let name = Name::new();
        let (mut producer, mut consumer) = ends(&pipe(&name, 2));
        send(&mut producer, 7);
        let mut empty = producer.empty_block().unwrap();
        let filled = take(&mut consumer);
        if aborts {
            let _ = producer.abort(&Reason::new(1, "enough"));
            assert!(matches!(consumer.filled_block(), Err(PipeError::Aborted { .. })));
        }
        drop((producer, consumer));
        name.assert_gone();
        // They can still be used.
        empty.fill(9);
        assert!(empty.iter().all(|byte| *byte == 9) && filled.iter().all(|byte| *byte == 7));
        assert_eq!((filled.len(), empty.len(), filled.to_vec()), (100, 4096, vec![7; 100]));
        // The name can be used again while they exist, and what is in the new pipe is something else.
        let (mut producer, mut consumer) = ends(&pipe(&name, 2));
        send(&mut producer, 1);
        empty.fill(8);
        let block = take(&mut consumer);
        assert_eq!(block.to_vec(), [1; 100]);
        assert!(filled.iter().all(|byte| *byte == 7));
        assert!(matches!(
            consumer.release(filled),
            Err(PipeError::Misuse("the block belongs to another end"))
        ));
        thread::spawn(move || drop(empty)).join().unwrap();
        consumer.release(block).unwrap();
        finish_both(&mut producer, &mut consumer);
    }
}

/// A replacement could release the memory of a block that somebody still uses, so there must be none.
#[test]
fn an_end_that_is_dropped_while_a_block_is_held_aborts_the_pipe() {
    let _watchdog = Watchdog::new(60);
    for by in [Side::Producer, Side::Consumer] {
        let name = Name::new();
        let pipe = pipe(&name, 2).replace_within(Duration::from_secs(20));
        let (mut producer, mut consumer) = ends(&pipe);
        send(&mut producer, 7);
        let error = if by == Side::Producer {
            let _held = producer.empty_block().unwrap();
            drop(producer);
            // What was sent before does not come first: this is an abort and not a death.
            consumer.filled_block().unwrap_err()
        } else {
            let _held = take(&mut consumer);
            drop(consumer);
            producer.finish().unwrap_err()
        };
        let PipeError::Aborted { by: aborted_by, reason } = error else { panic!("{error:?}") };
        assert_eq!((aborted_by, reason.code), (by, 0));
        assert_eq!(reason.message, "an end was dropped while its blocks were held");
        name.assert_gone();
    }
    // Without a held block it is a death, for which a replacement can come.
    for by in [Side::Producer, Side::Consumer] {
        let name = Name::new();
        let pipe = pipe(&name, 2).replace_within(Duration::from_secs(20));
        let (mut producer, mut consumer) = ends(&pipe);
        consumer.begin(b"", [0; 32]).unwrap();
        send(&mut producer, 7);
        if by == Side::Producer {
            drop(producer.empty_block().unwrap());
            drop(producer);
            producer = pipe.join_as_producer().unwrap();
            assert_eq!(producer.predecessor(), Some(&b""[..]));
        } else {
            drop(take(&mut consumer));
            drop(consumer);
            consumer = pipe.join_as_consumer().unwrap();
            assert_eq!(consumer.predecessor(), Some(&b""[..]));
        }
        let block = take(&mut consumer);
        assert_eq!(block.to_vec(), [7; 100]);
        consumer.release(block).unwrap();
        finish_both(&mut producer, &mut consumer);
    }
}

#[test]
fn whoever_holds_all_blocks_learns_that_the_stream_has_ended() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&pipe(&name, 2));
    (1..=2).for_each(|byte| send(&mut producer, byte));
    let held = [take(&mut consumer), take(&mut consumer)];
    assert!(matches!(consumer.filled_block(), Err(PipeError::Misuse(_))));
    thread::scope(|scope| {
        let finishing = scope.spawn(move || producer.finish());
        until("the stream is closed", || match consumer.filled_block() {
            Ok(None) => true,
            Err(PipeError::Misuse("all blocks are held: release one first")) => false,
            other => panic!("{other:?}"),
        });
        assert!(consumer.is_at_end());
        for block in held {
            consumer.release(block).unwrap();
        }
        consumer.finish().unwrap();
        finishing.join().unwrap().unwrap();
    });

    // The same for an abort, on both sides.
    for by in [Side::Producer, Side::Consumer] {
        let name = Name::new();
        let (mut producer, mut consumer) = ends(&pipe(&name, 1));
        let error = if by == Side::Producer {
            send(&mut producer, 1);
            let _held = take(&mut consumer);
            let _ = producer.abort(&Reason::new(1, "enough"));
            consumer.filled_block().unwrap_err()
        } else {
            let _held = producer.empty_block().unwrap();
            assert!(matches!(producer.empty_block(), Err(PipeError::Misuse(_))));
            let _ = consumer.abort(&Reason::new(1, "enough"));
            producer.empty_block().unwrap_err()
        };
        assert!(matches!(error, PipeError::Aborted { by: aborted_by, .. } if aborted_by == by), "{error:?}");
    }
}

#[test]
fn a_block_of_another_end_is_a_misuse_and_counts_as_dropped() {
    const OTHER: &str = "the block belongs to another end";
    let _watchdog = Watchdog::new(60);
    let names = [Name::new(), Name::new()];
    let (mut one, mut one_consumer) = ends(&pipe(&names[0], 2));
    let (mut other, mut other_consumer) = ends(&pipe(&names[1], 2));
    let block = one.empty_block().unwrap();
    assert!(matches!(other.send(block, 1), Err(PipeError::Misuse(OTHER))));
    let block = one.try_empty_block().unwrap().unwrap();
    assert_eq!(block.number(), 0);
    assert!(matches!(other.send_with(block, 1, &[0; 32]), Err(PipeError::Misuse(OTHER))));
    send(&mut one, 1);
    send(&mut other, 2);

    let block = take(&mut one_consumer);
    assert!(matches!(other_consumer.release(block), Err(PipeError::Misuse(OTHER))));
    let block = take(&mut other_consumer);
    assert_eq!(block.to_vec(), [2; 100]);
    other_consumer.release(block).unwrap();
    let block = one_consumer.try_filled_block().unwrap().unwrap();
    assert_eq!((block.number(), block.to_vec()), (0, vec![1; 100]));
    one_consumer.release_with(block, &[0; 32]).unwrap();

    // Too long for the block.
    let block = one.empty_block().unwrap();
    assert!(matches!(one.send(block, 4097), Err(PipeError::Misuse(_))));
    let block = one.empty_block().unwrap();
    assert_eq!(block.number(), 1);
    one.send(block, 4096).unwrap();
    let block = take(&mut one_consumer);
    assert_eq!(block.length(), 4096);
    one_consumer.release(block).unwrap();
    finish_both(&mut one, &mut one_consumer);
    finish_both(&mut other, &mut other_consumer);
}

#[test]
fn a_filled_block_that_is_dropped_twice_in_a_row_is_a_misuse_once() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&pipe(&name, 3));
    (1..=3).for_each(|byte| send(&mut producer, byte));
    let is_misuse = |consumer: &mut Consumer<TrustedPeer>| {
        let result = consumer.filled_block();
        let Err(PipeError::Misuse(text)) = result else { panic!("{result:?}") };
        assert_eq!(text, "a block was dropped twice: release it when it is dealt with");
    };
    drop(take(&mut consumer));
    // Any number of times, with a misuse before each but the first.
    for _ in 0..3 {
        let block = take(&mut consumer);
        assert_eq!((block.number(), block.to_vec()), (0, vec![1; 100]));
        drop(block);
        is_misuse(&mut consumer);
    }
    let block = consumer.try_filled_block().unwrap().unwrap();
    assert_eq!(block.number(), 0);
    consumer.release(block).unwrap();
    // Two blocks, each dropped once, are no misuse, whatever their order.
    let (one, two) = (take(&mut consumer), take(&mut consumer));
    assert_eq!((one.number(), two.number()), (1, 2));
    drop(two);
    drop(one);
    let (one, two) = (take(&mut consumer), take(&mut consumer));
    assert_eq!((one.number(), two.number()), (1, 2));
    consumer.release(two).unwrap();
    drop(one);
    is_misuse(&mut consumer);
    let one = take(&mut consumer);
    assert_eq!(one.number(), 1);
    consumer.release(one).unwrap();
    finish_both(&mut producer, &mut consumer);
}

#[test]
fn an_empty_block_may_be_dropped_any_number_of_times() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&pipe(&name, 2));
    let kept = producer.empty_block().unwrap();
    for _ in 0..10 {
        let block = producer.empty_block().unwrap();
        assert_eq!(block.number(), 1);
    }
    drop(kept);
    for _ in 0..10 {
        assert_eq!(producer.empty_block().unwrap().number(), 0);
    }
    send(&mut producer, 1);
    send(&mut producer, 2);
    for byte in 1..=2 {
        let block = take(&mut consumer);
        assert_eq!(block.to_vec(), [byte; 100]);
        consumer.release(block).unwrap();
    }
    finish_both(&mut producer, &mut consumer);
}

/// Without a wake-up it would come 50 ms late; without a look at it, never.
#[test]
fn a_block_that_another_thread_drops_ends_the_wait_of_its_end() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&pipe(&name, 2));
    let long = Duration::from_secs(20);
    for with_limit in [false, true] {
        let held = [(); 2].map(|()| producer.empty_block().unwrap());
        let [first, second] = held;
        let numbers = [first.number(), second.number()];
        producer.send(first, 0).unwrap();
        let wait = || {
            if with_limit { producer.empty_block_timeout(long) } else { producer.empty_block().map(Some) }
        };
        let block = meanwhile(wait, || drop(second)).unwrap().unwrap();
        assert_eq!(block.number(), numbers[1]);
        producer.send(block, 0).unwrap();

        let [first, second] = [(); 2].map(|()| take(&mut consumer));
        consumer.release(first).unwrap();
        let wait = || {
            if with_limit { consumer.filled_block_timeout(long) } else { consumer.filled_block() }
        };
        let block = meanwhile(wait, || drop(second)).unwrap().unwrap();
        assert_eq!(block.number(), numbers[1]);
        consumer.release(block).unwrap();
    }
    finish_both(&mut producer, &mut consumer);
}

#[test]
fn only_the_newest_block_is_left_after_a_skip() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&pipe(&name, 4));
    let monitor = producer.monitor();
    assert_eq!(consumer.skip_to_latest().unwrap(), 0);
    send(&mut producer, 0);
    assert_eq!(consumer.skip_to_latest().unwrap(), 0);
    (1..4).for_each(|byte| send(&mut producer, byte));
    assert!(producer.try_empty_block().unwrap().is_none());
    assert_eq!(consumer.skip_to_latest().unwrap(), 3);
    assert_eq!((monitor.waiting_blocks(), monitor.snapshot().released), (1, 300));
    // The producer has got the others back.
    let empty: Vec<_> = (0..3).map(|_| producer.try_empty_block().unwrap().unwrap()).collect();
    assert!(producer.try_empty_block().unwrap().is_none());
    let block = take(&mut consumer);
    assert_eq!((block.number(), block.to_vec()), (3, vec![3; 100]));
    // A block that is held is not dealt with, and cannot be skipped.
    assert!(matches!(consumer.skip_to_latest(), Err(PipeError::Misuse("cannot skip: a block is held"))));
    for mut block in empty {
        let byte = block.number() as u8;
        block.fill(byte);
        producer.send(block, 100).unwrap();
    }
    // One that was given back can.
    drop(block);
    assert_eq!(consumer.skip_to_latest().unwrap(), 3);
    let block = take(&mut consumer);
    assert_eq!((block.number(), block.to_vec()), (6, vec![6; 100]));
    // If it is the newest one, it stays and is handed out again.
    drop(block);
    assert_eq!(consumer.skip_to_latest().unwrap(), 0);
    let block = take(&mut consumer);
    assert_eq!((block.number(), block.to_vec()), (6, vec![6; 100]));
    consumer.release(block).unwrap();
    assert_eq!(consumer.skip_to_latest().unwrap(), 0);

    // After a block that was given back, one may have been released already.
    (7..9).for_each(|byte| send(&mut producer, byte));
    let (old, new) = (take(&mut consumer), take(&mut consumer));
    consumer.release(new).unwrap();
    drop(old);
    assert_eq!(consumer.skip_to_latest().unwrap(), 1);
    assert!(consumer.try_filled_block().unwrap().is_none());

    // At the end of the stream.
    (9..12).for_each(|byte| send(&mut producer, byte));
    thread::scope(|scope| {
        let finishing = scope.spawn(move || producer.finish());
        while monitor.snapshot().trailer.is_none() {
            pause(1);
        }
        assert_eq!(consumer.skip_to_latest().unwrap(), 2);
        let block = take(&mut consumer);
        assert_eq!(block.number(), 11);
        consumer.release(block).unwrap();
        assert_eq!(consumer.skip_to_latest().unwrap(), 0);
        assert!(consumer.filled_block().unwrap().is_none());
        assert_eq!(consumer.skip_to_latest().unwrap(), 0);
        consumer.finish().unwrap();
        finishing.join().unwrap().unwrap();
    });
    assert_eq!(monitor.snapshot().released, 1200);
    assert!(matches!(consumer.skip_to_latest(), Err(PipeError::Over)));
}

/// While all blocks are full, a producer that does not wait loses its new ones, so even the newest full one is old.
#[test]
fn the_next_block_after_a_skip_of_all_is_a_new_one() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = ends(&pipe(&name, 4));
    assert_eq!(consumer.skip_all().unwrap(), 0);
    (0..4).for_each(|byte| send(&mut producer, byte));
    assert!(producer.try_empty_block().unwrap().is_none(), "this frame is lost");
    let held = take(&mut consumer);
    assert!(matches!(consumer.skip_all(), Err(PipeError::Misuse("cannot skip: a block is held"))));
    // One that was given back is skipped, too.
    drop(held);
    assert_eq!(consumer.skip_all().unwrap(), 4);
    assert!(consumer.try_filled_block().unwrap().is_none());
    assert_eq!(producer.monitor().snapshot().released, 400);
    send(&mut producer, 5);
    let block = take(&mut consumer);
    assert_eq!((block.number(), block.to_vec()), (4, vec![5; 100]));
    consumer.release(block).unwrap();
    send(&mut producer, 6);
    let finishing = thread::spawn(move || producer.finish());
    assert_eq!(consumer.skip_all().unwrap(), 1);
    assert!(consumer.filled_block().unwrap().is_none());
    consumer.finish().unwrap();
    finishing.join().unwrap().unwrap();
    assert!(matches!(consumer.skip_all(), Err(PipeError::Over)));
}

/// A skip ends although the producer sends blocks as fast as they are skipped.
#[test]
fn a_skip_is_limited_to_the_blocks_of_one_moment() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let blocks = 16;
    let (mut producer, mut consumer) = ends(&pipe(&name, blocks));
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            while let Ok(block) = producer.empty_block() {
                if producer.send(block, 1).is_err() {
                    break;
                }
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            let skipped = consumer.skip_to_latest().unwrap();
            assert!(skipped < blocks as u64, "{skipped} blocks were skipped");
        }
        let _ = consumer.abort(&Reason::new(1, "enough"));
        sending.join().unwrap();
    });
}
