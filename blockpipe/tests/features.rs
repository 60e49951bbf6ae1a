//! What the features `readiness` and `bytes` add.

use crate::util::{Name, Watchdog, ends, trusted};
use blockpipe::{Consumer, Pipe, Producer, TrustedPeer};

fn pair(name: &Name, blocks: usize) -> (Producer<TrustedPeer>, Consumer<TrustedPeer>) {
    ends(&trusted(Pipe::named(name.bytes()).blocks(4096, blocks)))
}

fn send(producer: &mut Producer<TrustedPeer>, byte: u8) {
    let mut block = producer.empty_block().unwrap();
    block[..100].fill(byte);
    producer.send(block, 100).unwrap();
}

#[cfg(all(unix, feature = "readiness"))]
mod readiness {
    use super::{Name, Pipe, Watchdog, pair, send};
    use crate::util::{Actor, pause};
    use blockpipe::{PipeError, Readiness, Reason};
    use rustix::event::{PollFd, PollFlags, Timespec};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn is_readable_within(readiness: &Readiness, milliseconds: i64) -> bool {
        let limit = Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
        rustix::event::poll(&mut [PollFd::new(readiness, PollFlags::IN)], Some(&limit)).unwrap() == 1
    }

    /// Longer than a thread that waits takes to notice what nobody rings for.
    fn stays_quiet(readiness: &Readiness) -> bool {
        !is_readable_within(readiness, 200)
    }

    fn becomes_readable(readiness: &Readiness) -> bool {
        is_readable_within(readiness, 20_000)
    }

    #[test]
    fn a_consumer_is_told_of_each_block_and_of_the_end() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();
        let (mut producer, mut consumer) = pair(&name, 4);
        let readiness = consumer.readiness().unwrap();
        // Until the first call that finds nothing.
        assert!(becomes_readable(&readiness));
        assert!(consumer.try_filled_block().unwrap().is_none());
        assert!(stays_quiet(&readiness));
        for byte in 0..3 {
            send(&mut producer, byte);
            send(&mut producer, byte);
            assert!(becomes_readable(&readiness));
            for _ in 0..2 {
                let block = consumer.try_filled_block().unwrap().unwrap();
                assert_eq!(block[..], [byte; 100]);
                consumer.release(block).unwrap();
                assert!(is_readable_within(&readiness, 0), "until a call finds nothing");
            }
            assert!(consumer.try_filled_block().unwrap().is_none());
            assert!(stays_quiet(&readiness));
        }
        let finishing = std::thread::spawn(move || producer.finish());
        assert!(becomes_readable(&readiness));
        assert!(consumer.try_filled_block().unwrap().is_none() && consumer.is_at_end());
        consumer.finish().unwrap();
        finishing.join().unwrap().unwrap();
    }

    #[test]
    fn a_producer_is_told_of_each_empty_block() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();
        let (mut producer, mut consumer) = pair(&name, 2);
        let readiness = producer.readiness().unwrap();
        send(&mut producer, 1);
        send(&mut producer, 2);
        assert!(producer.try_empty_block().unwrap().is_none());
        assert!(stays_quiet(&readiness));
        let block = consumer.filled_block().unwrap().unwrap();
        assert!(stays_quiet(&readiness));
        consumer.release(block).unwrap();
        assert!(becomes_readable(&readiness));
        let block = producer.try_empty_block().unwrap().unwrap();
        assert!(producer.try_empty_block().unwrap().is_none());
        assert!(stays_quiet(&readiness));
        // A block that comes back by itself can be had, too.
        drop(block);
        assert!(becomes_readable(&readiness));
        assert!(producer.try_empty_block().unwrap().is_some());
    }

    #[test]
    fn a_death_an_abort_and_an_interrupt_are_reasons_to_look() {
        let _watchdog = Watchdog::new(60);
        let ready = |pipe: &Pipe| {
            let mut consumer = pipe.join_as_consumer().unwrap();
            let readiness = consumer.readiness().unwrap();
            assert!(consumer.try_filled_block().unwrap().is_none());
            assert!(stays_quiet(&readiness));
            (consumer, readiness)
        };
        let name = Name::new();
        let mut dies = Actor::start();
        dies.expect(&format!("join {}", name.hex()), "producer");
        dies.expect("ready 4096 2", "Ok(())");
        let (mut consumer, readiness) = ready(&Pipe::named(name.bytes()));
        dies.kill();
        assert!(becomes_readable(&readiness));
        assert!(matches!(consumer.try_filled_block(), Err(PipeError::PeerDied)));

        let (name, flag) = (Name::new(), Arc::new(AtomicBool::new(false)));
        let mut producer = Pipe::named(name.bytes()).join_as_producer().unwrap();
        drop(producer.empty_block().unwrap());
        let interruptible = Pipe::named(name.bytes()).interrupt(Arc::clone(&flag), Reason::new(1, "stop"));
        let (mut consumer, readiness) = ready(&interruptible);
        flag.store(true, Ordering::Relaxed);
        assert!(becomes_readable(&readiness));
        assert!(matches!(consumer.try_filled_block(), Err(PipeError::Interrupted)));

        let name = Name::new();
        let mut producer = Pipe::named(name.bytes()).join_as_producer().unwrap();
        drop(producer.empty_block().unwrap());
        let (mut consumer, readiness) = ready(&Pipe::named(name.bytes()));
        let _ = producer.abort(&Reason::new(2, "enough"));
        assert!(becomes_readable(&readiness));
        assert!(matches!(consumer.try_filled_block(), Err(PipeError::Aborted { .. })));
    }

    /// Its thread must not keep the seat.
    #[test]
    fn an_end_that_is_dropped_leaves_at_once() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();
        let (mut producer, mut consumer) = pair(&name, 2);
        let readiness = consumer.readiness().unwrap();
        assert!(consumer.try_filled_block().unwrap().is_none());
        pause(100);
        drop(consumer);
        assert!(matches!(producer.finish(), Err(PipeError::PeerDied)));
        drop(readiness);
    }

    /// An event loop may remove the descriptor after it has dropped the end.
    #[test]
    fn the_descriptor_stays_the_same_and_open_as_long_as_a_clone_of_it() {
        use std::os::fd::AsRawFd;
        let _watchdog = Watchdog::new(60);
        let (_producer, mut consumer) = pair(&Name::new(), 2);
        let readiness = consumer.readiness().unwrap();
        let clone = readiness.clone();
        assert_eq!(consumer.readiness().unwrap().as_raw_fd(), clone.as_raw_fd());
        let of = |readiness: &Readiness| rustix::fs::fstat(readiness).unwrap().st_ino;
        let file = of(&readiness);
        let _ = consumer.abort(&Reason::new(1, "enough"));
        drop((readiness, consumer));
        assert_eq!(of(&clone), file);
    }
}

#[cfg(feature = "bytes")]
mod bytes {
    use super::{Name, Watchdog, pair, send};
    use crate::util::until;
    use blockpipe::PipeError;

    #[test]
    fn a_block_is_released_when_the_last_view_is_dropped() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();
        let (mut producer, mut consumer) = pair(&name, 2);
        send(&mut producer, 7);
        send(&mut producer, 8);
        let view = consumer.filled_block().unwrap().unwrap().into_bytes();
        let part = view.slice(90..);
        drop(view);
        assert_eq!(part[..], [7; 10]);
        assert!(producer.try_empty_block().unwrap().is_none(), "it is still held");
        drop(part);
        let second = consumer.filled_block().unwrap().unwrap();
        // The consumer's call has given it back.
        send(&mut producer, 9);
        consumer.release(second).unwrap();

        // Also in the wait that the consumer is in.
        let third = consumer.filled_block().unwrap().unwrap().into_bytes();
        let monitor = producer.monitor();
        let waiting =
            std::thread::spawn(move || consumer.filled_block().map(|block| block.unwrap().number()));
        drop(third);
        until("it is released", || monitor.waiting_blocks() == 0);
        send(&mut producer, 10);
        assert_eq!(waiting.join().unwrap().unwrap(), 3);
    }

    /// Nothing may fill a block again that is still seen as a slice.
    #[test]
    fn a_consumer_that_is_dropped_while_a_view_is_held_aborts_the_pipe() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();
        let (mut producer, mut consumer) = pair(&name, 1);
        send(&mut producer, 7);
        let view = consumer.filled_block().unwrap().unwrap().into_bytes();
        drop(consumer);
        assert!(matches!(producer.empty_block(), Err(PipeError::Aborted { .. })));
        drop(producer);
        assert_eq!(view[..], [7; 100]);
    }
}
