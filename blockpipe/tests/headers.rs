//! Headers of blocks: what a producer says about one block, without the block's bytes.

use crate::util::{Name, Watchdog};
use blockpipe::{BlockHeader, Consumer, Geometry, Pipe, Producer};

fn pair(pipe: &Pipe) -> (Producer, Consumer) {
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pipe.join_as_consumer().unwrap());
        let mut producer = pipe.join_as_producer().unwrap();
        producer.ready(Geometry::new(4096, 2), b"").unwrap();
        (producer, waiting.join().unwrap())
    })
}

/// Sends these bytes under this header.
fn send(producer: &mut Producer, bytes: &[u8], header: &[u8]) {
    let mut block = producer.empty_block().unwrap();
    block.copy_from(0, bytes);
    block.set_header(header);
    producer.send(block, bytes.len()).unwrap();
}

/// Returns the next block's number, its bytes, and its header.
fn next(consumer: &mut Consumer) -> (u64, Vec<u8>, BlockHeader) {
    let block = consumer.filled_block().unwrap().unwrap();
    let seen = (block.number(), block.to_vec(), *block.header());
    consumer.release(block).unwrap();
    seen
}

/// Returns these bytes, followed by zeros.
fn padded(bytes: &[u8]) -> BlockHeader {
    let mut header = [0; 40];
    header[..bytes.len()].copy_from_slice(bytes);
    header
}

fn end(producer: &mut Producer, consumer: &mut Consumer) {
    std::thread::scope(|scope| {
        let finishing = scope.spawn(move || producer.finish());
        assert!(consumer.filled_block().unwrap().is_none());
        consumer.finish().unwrap();
        finishing.join().unwrap().unwrap();
    });
}

#[test]
fn a_header_arrives_with_its_block_followed_by_zeros() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&Pipe::named(name.bytes()));
    let full: Vec<u8> = (1..=40).collect();
    send(&mut producer, b"abc", &full);
    send(&mut producer, b"", &full[..1]);
    assert_eq!(next(&mut consumer), (0, b"abc".to_vec(), padded(&full)));
    assert_eq!(next(&mut consumer), (1, Vec::new(), padded(&full[..1])));
    // Every length, and nothing is left over from the earlier block in the same slot.
    for (n, length) in (2..).zip((0..=40).rev()) {
        send(&mut producer, &[n as u8], &full[..length]);
        assert_eq!(next(&mut consumer), (n, vec![n as u8], padded(&full[..length])));
    }
    end(&mut producer, &mut consumer);
}

/// What an earlier block left in the same slot is not its header.
#[test]
fn a_block_without_set_header_has_a_header_of_zeros() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&Pipe::named(name.bytes()));
    for slot in 0..2 {
        send(&mut producer, b"", &[0xff; 40]);
        assert_eq!(next(&mut consumer), (slot, Vec::new(), [0xff; 40]));
    }
    for n in 2..4 {
        let block = producer.empty_block().unwrap();
        producer.send(block, 0).unwrap();
        assert_eq!(next(&mut consumer), (n, Vec::new(), [0; 40]));
    }
    end(&mut producer, &mut consumer);
}

/// A header that was set on a block that was dropped, or was set again, does not reach the consumer.
#[test]
fn only_the_last_header_of_a_block_counts() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&Pipe::named(name.bytes()));
    let mut block = producer.empty_block().unwrap();
    block.set_header(&[1; 40]);
    drop(block);
    let block = producer.empty_block().unwrap();
    assert_eq!(block.number(), 0);
    producer.send(block, 0).unwrap();
    let mut block = producer.empty_block().unwrap();
    block.set_header(&[2; 40]);
    block.set_header(b"three");
    producer.send(block, 0).unwrap();
    assert_eq!(next(&mut consumer), (0, Vec::new(), [0; 40]));
    // A block that is handed out again has the same header as before.
    drop(consumer.filled_block().unwrap());
    assert_eq!(next(&mut consumer), (1, Vec::new(), padded(b"three")));
    end(&mut producer, &mut consumer);
}

/// The end of the stream is known by the number of blocks alone, so blocks without bytes are counted, too.
#[test]
fn blocks_without_bytes_do_not_advance_the_progress() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&Pipe::named(name.bytes()));
    let monitor = producer.monitor();
    send(&mut producer, b"abc", b"");
    send(&mut producer, b"", b"about it");
    assert_eq!((monitor.snapshot().sent, monitor.snapshot().waiting_blocks), (3, 2));
    assert_eq!(next(&mut consumer), (0, b"abc".to_vec(), [0; 40]));
    assert_eq!(next(&mut consumer), (1, Vec::new(), padded(b"about it")));
    send(&mut producer, b"de", b"");
    assert_eq!(next(&mut consumer), (2, b"de".to_vec(), [0; 40]));
    end(&mut producer, &mut consumer);
    assert_eq!((monitor.snapshot().sent, monitor.snapshot().released), (5, 5));
}

/// Ranges outside a block are refused before anything is copied.
#[test]
fn what_is_too_long_panics() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&Pipe::named(name.bytes()));
    let panics = |act: &mut dyn FnMut()| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_err();
        panic.downcast_ref::<String>().expect("a text").clone()
    };
    let mut block = producer.empty_block().unwrap();
    let text = panics(&mut || block.set_header(&[0; 41]));
    assert!(text.contains("41 bytes are too long for a block's header"), "{text}");
    for (at, length) in [(0, 4097), (4096, 1), (usize::MAX, 1), (1, 4096)] {
        let text = panics(&mut || block.copy_from(at, &vec![1; length]));
        assert!(text.contains("outside a block of 4096 bytes"), "{text}");
    }
    block.copy_from(4096, b"");
    block.copy_from(0, b"abc");
    producer.send(block, 3).unwrap();
    let block = consumer.filled_block().unwrap().unwrap();
    for (at, length) in [(0, 4), (3, 1), (usize::MAX, 1), (1, 3)] {
        let text = panics(&mut || block.copy_to(at, &mut vec![0; length]));
        assert!(text.contains("outside a block of 3 bytes"), "{text}");
    }
    block.copy_to(3, &mut []);
    assert_eq!(block.to_vec(), b"abc");
    consumer.release(block).unwrap();
    end(&mut producer, &mut consumer);
}

/// Pieces begin and end in the middle of words, and some are shorter than the way to the next word.
#[test]
fn every_piece_of_a_block_can_be_copied() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&Pipe::named(name.bytes()));
    let bytes: Vec<u8> = (1..=32).collect();
    let mut block = producer.empty_block().unwrap();
    for at in 0..=32 {
        for length in 0..=32 - at {
            block.copy_from(0, &[0; 32]);
            block.copy_from(at, &bytes[..length]);
            let mut expected = [0; 32];
            expected[at..at + length].copy_from_slice(&bytes[..length]);
            // SAFETY: the block is held, nobody writes to it, and it is longer than this.
            let there = unsafe { std::slice::from_raw_parts(block.as_mut_ptr(), 32) };
            assert_eq!(there, expected, "{length} bytes at {at}");
        }
    }
    block.copy_from(0, &bytes);
    producer.send(block, 32).unwrap();
    let block = consumer.filled_block().unwrap().unwrap();
    for at in 0..=32 {
        for length in 0..=32 - at {
            let mut copy = [0; 32];
            block.copy_to(at, &mut copy[..length]);
            assert_eq!(copy[..length], bytes[at..at + length], "{length} bytes at {at}");
        }
    }
    // SAFETY: the block is held, nobody writes to it, and it is as long as this.
    assert_eq!(unsafe { std::slice::from_raw_parts(block.as_ptr(), 32) }, bytes);
    consumer.release(block).unwrap();
    end(&mut producer, &mut consumer);
}
