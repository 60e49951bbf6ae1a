//! The ends as streams of bytes: `Producer::writer` and `Consumer::reader`.

use crate::util::{Name, Random, Watchdog, ends, finish_both};
use blockpipe::{Consumer, Pipe, PipeError, Producer};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::thread;

const BLOCK: usize = 64 << 10;

fn pair(name: &Name, blocks: usize) -> (Producer, Consumer) {
    ends(&Pipe::named(name.bytes()).blocks(BLOCK, blocks))
}

fn some_bytes(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.below(256) as u8).collect()
}

/// Writes in pieces of any length, with and without flushes, and reads in pieces of any other length.
#[test]
fn bytes_arrive_in_pieces_of_any_length() {
    let _watchdog = Watchdog::new(60);
    let mut random = Random::seeded("STREAMS_SEED");
    for round in 0..12 {
        let name = Name::new();
        let (mut producer, mut consumer) = pair(&name, 1 + round % 3);
        let bytes = some_bytes(&mut random, round * 40_001);
        let (mut sizes, mut reads) = (Random(random.below(u64::MAX)), Random(random.below(u64::MAX)));
        thread::scope(|scope| {
            let bytes = &bytes;
            let writing = scope.spawn(move || {
                let mut writer = producer.writer();
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, later) = rest.split_at(rest.len().min(sizes.below(100_000) as usize));
                    writer.write_all(piece).unwrap();
                    if sizes.below(3) == 0 {
                        writer.flush().unwrap();
                    }
                    rest = later;
                }
                // Dropping the writer sends the rest.
                drop(writer);
                producer.finish().unwrap();
            });
            let mut received = Vec::new();
            let mut reader = consumer.reader();
            loop {
                let length = if reads.below(2) == 0 {
                    let mut piece = vec![0; 1 + reads.below(50_000) as usize];
                    let length = reader.read(&mut piece).unwrap();
                    received.extend_from_slice(&piece[..length]);
                    length
                } else {
                    let piece = reader.fill_buf().unwrap();
                    let length = piece.len().min(1 + reads.below(20_000) as usize);
                    received.extend_from_slice(&piece[..length]);
                    reader.consume(length);
                    length
                };
                if length == 0 {
                    break;
                }
            }
            assert!(received == *bytes, "{} of {} bytes", received.len(), bytes.len());
            // The end stays the end.
            assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0);
            drop(reader);
            consumer.finish().unwrap();
            writing.join().unwrap();
        });
        name.assert_gone();
    }
}

#[test]
fn a_flush_sends_a_part_of_a_block_and_nothing_twice() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 3);
    let monitor = producer.monitor();
    let mut writer = producer.writer();
    writer.flush().unwrap();
    writer.write_all(b"").unwrap();
    writer.flush().unwrap();
    assert_eq!((monitor.waiting_blocks(), consumer.try_filled_block().unwrap().is_none()), (0, true));
    writer.write_all(b"one").unwrap();
    writer.write_all(b" two").unwrap();
    assert_eq!(monitor.waiting_blocks(), 0);
    writer.flush().unwrap();
    writer.flush().unwrap();
    assert_eq!(monitor.waiting_blocks(), 1);
    // A full block needs no flush.
    let full = vec![3; BLOCK];
    writer.write_all(&full).unwrap();
    assert_eq!(monitor.waiting_blocks(), 2);
    writer.flush().unwrap();
    assert_eq!(monitor.waiting_blocks(), 2);
    writer.write_all(b"the rest").unwrap();
    drop(writer);
    assert_eq!(monitor.waiting_blocks(), 3);
    for (n, bytes) in [&b"one two"[..], &full, b"the rest"].into_iter().enumerate() {
        let block = consumer.filled_block().unwrap().unwrap();
        assert!((block.number(), &block.to_vec()[..]) == (n as u64, bytes), "block {n}");
        consumer.release(block).unwrap();
    }
    finish_both(&mut producer, &mut consumer);
}

/// `read_exact` does not see the end of the stream, and neither does who knows the length from elsewhere.
#[test]
fn a_stream_that_was_read_exactly_to_its_end_is_complete() {
    let _watchdog = Watchdog::new(60);
    for (length, to_the_end) in [(5, true), (5, false), (BLOCK, false), (2 * BLOCK + 1, true), (0, false)] {
        let name = Name::new();
        let (mut producer, mut consumer) = pair(&name, 4);
        let bytes = some_bytes(&mut Random(7), length);
        producer.writer().write_all(&bytes).unwrap();
        let mut received = vec![0; length];
        if to_the_end {
            received.clear();
            thread::scope(|scope| {
                let finishing = scope.spawn(|| producer.finish());
                consumer.reader().read_to_end(&mut received).unwrap();
                consumer.finish().unwrap();
                finishing.join().unwrap().unwrap();
            });
        } else {
            consumer.reader().read_exact(&mut received).unwrap();
            assert!(!consumer.is_at_end());
            finish_both(&mut producer, &mut consumer);
            assert!(consumer.is_at_end());
        }
        assert!(received == bytes);
        name.assert_gone();
    }
}

/// A consumer that stops too early is not told that everything is complete.
#[test]
fn a_stream_with_more_bytes_is_not_complete() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 4);
    let mut writer = producer.writer();
    writer.write_all(b"one").unwrap();
    writer.flush().unwrap();
    writer.write_all(b"two").unwrap();
    drop(writer);
    let mut three = [0; 3];
    consumer.reader().read_exact(&mut three).unwrap();
    assert_eq!(&three, b"one");
    let more = "cannot finish: there is another block";
    assert!(matches!(consumer.finish(), Err(PipeError::Misuse(text)) if text == more));
    // That call has not dealt with it.
    let block = consumer.filled_block().unwrap().unwrap();
    assert_eq!(block.to_vec(), b"two");
    assert!(matches!(consumer.finish(), Err(PipeError::Misuse(_))), "a block is held");
    consumer.release(block).unwrap();
    finish_both(&mut producer, &mut consumer);
}

#[test]
fn a_reader_that_is_dropped_in_the_middle_of_a_block_loses_nothing() {
    let _watchdog = Watchdog::new(60);
    // Shorter and longer than the part that a reader copies at a time.
    for length in [100, 16 << 10, (16 << 10) + 1, BLOCK] {
        for read in [0, 1, length / 2, length - 1, length] {
            let name = Name::new();
            let (mut producer, mut consumer) = pair(&name, 2);
            let bytes = some_bytes(&mut Random(length as u64), length);
            for bytes in [&bytes[..], b"next"] {
                let mut writer = producer.writer();
                writer.write_all(bytes).unwrap();
            }
            let mut reader = consumer.reader();
            let mut some = vec![0; read];
            reader.read_exact(&mut some).unwrap();
            assert!(some == bytes[..read]);
            // Looking at what comes next reads nothing.
            assert!(!reader.fill_buf().unwrap().is_empty());
            drop(reader);
            let block = consumer.filled_block().unwrap().unwrap();
            if read < length {
                assert!((block.number(), block.to_vec()) == (0, bytes), "after {read} of {length} bytes");
                consumer.release(block).unwrap();
                let block = consumer.filled_block().unwrap().unwrap();
                assert_eq!(block.to_vec(), b"next");
                consumer.release(block).unwrap();
            } else {
                // To its last byte: it is dealt with.
                assert_eq!((block.number(), block.to_vec()), (1, b"next".to_vec()));
                consumer.release(block).unwrap();
            }
            finish_both(&mut producer, &mut consumer);
        }
    }
}

#[test]
fn the_end_of_a_pipe_is_an_error_of_a_stream() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&name, 1);
    let kind = |error: std::io::Error| {
        let is_ours = error.get_ref().and_then(|inner| inner.downcast_ref::<PipeError>()).is_some();
        assert!(is_ours, "{error:?}");
        error.kind()
    };
    // A cancel is not an interruption, after which `read_exact` and `write_all` would try again.
    consumer.canceller().cancel();
    assert_eq!(kind(consumer.reader().read(&mut [0; 1]).unwrap_err()), ErrorKind::Other);
    let mut writer = producer.writer();
    writer.write_all(&vec![1; BLOCK]).unwrap();
    drop(writer);
    producer.canceller().cancel();
    assert_eq!(kind(producer.writer().write_all(b"more").unwrap_err()), ErrorKind::Other);
    let _ = consumer.abort(&blockpipe::Reason::new(1, "enough"));
    assert_eq!(kind(producer.writer().write_all(b"more").unwrap_err()), ErrorKind::ConnectionAborted);
    assert_eq!(kind(producer.writer().write_all(b"more").unwrap_err()), ErrorKind::BrokenPipe);
    assert_eq!(kind(consumer.reader().fill_buf().unwrap_err()), ErrorKind::BrokenPipe);
}
