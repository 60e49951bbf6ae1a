//! Holes: zeros that are sent without being written.

use crate::util::{Name, Watchdog};
use blockpipe::{Consumer, Geometry, Pipe, PipeError, Producer};

/// Longer than any memory, or any file.
const LONG: u64 = 1 << 60;

fn pair(pipe: &Pipe) -> (Producer, Consumer) {
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pipe.join_as_consumer().unwrap());
        let mut producer = pipe.join_as_producer().unwrap();
        producer.ready(Geometry::new(4096, 2), &[0; 128]).unwrap();
        (producer, waiting.join().unwrap())
    })
}

/// Sends three bytes of data.
fn send_data(producer: &Producer) {
    let mut block = producer.empty_block().unwrap();
    block[..3].fill(9);
    block.send(3, 0);
}

/// Returns the next block's offset, its bytes, and its zeros.
fn next(consumer: &Consumer) -> (u64, usize, u64) {
    let block = consumer.filled_block().unwrap().unwrap();
    let seen = (block.offset(), block.len(), block.hole());
    block.release(0);
    seen
}

#[test]
fn a_hole_is_of_any_length_and_has_no_bytes() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&Pipe::named(name.bytes()));
    send_data(&producer);
    producer.empty_block().unwrap().send_hole(LONG, 0);
    assert_eq!([next(&consumer), next(&consumer)], [(0, 3, 0), (3, 0, LONG)]);
    producer.empty_block().unwrap().send_hole(0, 0);
    send_data(&producer);
    assert_eq!([next(&consumer), next(&consumer)], [(3 + LONG, 0, 0), (3 + LONG, 3, 0)]);
    std::thread::scope(|scope| {
        let closing = scope.spawn(move || producer.close(&[0; 32]));
        assert!(consumer.filled_block().unwrap().is_none());
        assert_eq!(consumer.trailer().unwrap().length, LONG + 6);
        consumer.commit().unwrap().complete().unwrap();
        closing.join().unwrap().unwrap();
    });
}

#[test]
fn a_stream_is_limited_to_63_bits() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (producer, consumer) = pair(&Pipe::named(name.bytes()));
    producer.empty_block().unwrap().send_hole(u64::MAX >> 1, 0);
    assert_eq!(next(&consumer), (0, 0, u64::MAX >> 1));
    producer.empty_block().unwrap().send_hole(1, 0);
    assert!(matches!(consumer.filled_block(), Err(PipeError::Corrupt(_))));
}

/// Sends bytes about the stream that are not part of it.
#[test]
fn out_of_band_bytes_do_not_make_the_stream_longer() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let (mut producer, mut consumer) = pair(&Pipe::named(name.bytes()));
    let aside = |text: &[u8]| {
        let mut block = producer.empty_block().unwrap();
        block.copy_from(text);
        block.send_out_of_band(text.len(), 0);
    };
    send_data(&producer);
    aside(b"about it");
    for (offset, length, is_out_of_band) in [(0, 3, false), (3, 8, true)] {
        let block = consumer.filled_block().unwrap().unwrap();
        assert_eq!((block.offset(), block.len(), block.is_out_of_band()), (offset, length, is_out_of_band));
        block.release(0);
    }
    send_data(&producer);
    aside(b"");
    assert_eq!([next(&consumer), next(&consumer)], [(3, 3, 0), (6, 0, 0)]);
    std::thread::scope(|scope| {
        let closing = scope.spawn(move || producer.close(&[0; 32]));
        assert!(consumer.filled_block().unwrap().is_none());
        assert_eq!(consumer.trailer().unwrap().length, 6);
        consumer.commit().unwrap().complete().unwrap();
        closing.join().unwrap().unwrap();
    });
}
