//! What the two ends settle before the first block: the geometry, the hellos and who begins.

use crate::util::{Actor, Name, Watchdog, finish_both, trusted};
use blockpipe::{Geometry, Pipe, PipeError};
use std::thread;
use std::time::Duration;

#[test]
fn a_replacement_takes_over_the_geometry_or_is_told_it() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let time = Duration::from_secs(20);
    let mut dies = Actor::start();
    dies.expect(&format!("join {} replace 20000", name.hex()), "producer");
    dies.expect("ready 8192 3", "Ok(())");
    let plain = trusted(Pipe::named(name.bytes())).replace_within(time);
    let mut consumer = plain.join_as_consumer().unwrap();
    consumer.begin(b"a target", [0; 32]).unwrap();
    assert_eq!(consumer.geometry(), Geometry::new(8192, 3));
    dies.expect("send 8192", "Ok(())");
    dies.kill();

    let there = Geometry::new(8192, 3);
    let is_told = |result: Result<(), PipeError>| {
        assert!(matches!(result, Err(PipeError::OtherGeometry(told)) if told == there), "{result:?}");
    };
    let mut producer = plain.clone().blocks(4096, 3).join_as_producer().unwrap();
    assert_eq!(producer.geometry(), Some(there));
    is_told(producer.ready(Geometry::new(8192, 4), b""));
    is_told(producer.ready(Geometry::new(4096, 3), b""));
    // What the builder says is another one, too.
    is_told(producer.empty_block().map(drop));
    is_told(producer.try_empty_block().map(drop));
    is_told(producer.start().map(drop));
    is_told(producer.finish());
    producer.ready(there, b"ignored").unwrap();
    let block = producer.empty_block().unwrap();
    assert_eq!((block.number(), block.capacity()), (1, 8192));
    producer.send(block, 5).unwrap();
    drop(producer);

    // Without `blocks` it takes what is there.
    let mut producer = plain.join_as_producer().unwrap();
    let block = producer.empty_block().unwrap();
    assert_eq!((block.number(), block.capacity(), producer.geometry()), (2, 8192, Some(there)));
    producer.send(block, 6).unwrap();
    for length in [8192, 5, 6] {
        let block = consumer.filled_block().unwrap().unwrap();
        assert_eq!(block.length(), length);
        consumer.release(block).unwrap();
    }
    drop(producer);
    // With `blocks` that are the same, too.
    let mut producer = plain.clone().blocks(8192, 3).join_as_producer().unwrap();
    finish_both(&mut producer, &mut consumer);
}

#[test]
fn the_first_block_makes_an_end_ready_or_begin() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let plain = trusted(Pipe::named(name.bytes()));
    for (pipe, there) in
        [(plain.clone(), Geometry::default()), (plain.blocks(10_000, 5), Geometry::new(12_288, 5))]
    {
        let mut producer = pipe.join_as_producer().unwrap();
        assert_eq!(producer.geometry(), None);
        assert_eq!(producer.empty_block().unwrap().capacity(), there.block_size());
        assert_eq!(producer.geometry(), Some(there));
        assert!(matches!(producer.ready(there, b""), Err(PipeError::Misuse(_))));
        let mut consumer = pipe.join_as_consumer().unwrap();
        assert_eq!((consumer.geometry(), consumer.peer_hello()), (there, &b""[..]));
        assert_eq!(producer.peer_hello().unwrap(), None);
        assert!(consumer.try_filled_block().unwrap().is_none());
        assert_eq!(producer.peer_hello().unwrap(), Some(Vec::new()));
        assert!(matches!(consumer.begin(b"", [0; 32]), Err(PipeError::Misuse(_))));
        finish_both(&mut producer, &mut consumer);
    }
    let mut producer = Pipe::named(name.bytes()).join_as_producer().unwrap();
    let too_long = producer.ready(Geometry::new(4096, 1), &[0; 1025]);
    assert!(matches!(too_long, Err(PipeError::Misuse("a hello has at most 1024 bytes"))));
    producer.ready(Geometry::new(4096, 1), &[1; 1024]).unwrap();
    let mut consumer = Pipe::named(name.bytes()).join_as_consumer().unwrap();
    assert!(matches!(consumer.begin(&[0; 1025], [0; 32]), Err(PipeError::Misuse(_))));
    consumer.begin(&[2; 1024], [0; 32]).unwrap();
    assert_eq!(
        (consumer.peer_hello(), producer.peer_hello().unwrap().unwrap()),
        (&[1; 1024][..], vec![2; 1024])
    );
    assert!(matches!(producer.close(&[0; 65]), Err(PipeError::Misuse("a trailer has at most 64 bytes"))));
    thread::scope(|scope| {
        let closing = scope.spawn(move || producer.close(&[3; 33]));
        assert!(consumer.filled_block().unwrap().is_none());
        let (used, rest) = consumer.trailer().unwrap().split_at(33);
        assert_eq!((used, rest), (&[3; 33][..], &[0; 31][..]));
        consumer.finish().unwrap();
        closing.join().unwrap().unwrap();
    });
}
