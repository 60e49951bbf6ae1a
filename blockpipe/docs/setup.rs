// What the examples in the documentation share. They include it in lines that rustdoc hides.

use blockpipe::{Consumer, Geometry, Pipe, PipeError, Producer};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{JoinHandle, spawn};

/// Returns a name that no other example uses.
pub fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("blockpipe example {} {}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns both ends of a new pipe with four blocks.
pub fn pair() -> (Producer, Consumer) {
    pair_of(&Pipe::named(name()))
}

pub fn pair_of(pipe: &Pipe) -> (Producer, Consumer) {
    let mut producer = pipe.join_as_producer().unwrap();
    producer.ready(Geometry::new(4096, 4), b"").unwrap();
    (producer, pipe.join_as_consumer().unwrap())
}

/// Sends each text as one block.
pub fn send(producer: &mut Producer, texts: &[&str]) {
    for text in texts {
        let mut block = producer.empty_block().unwrap();
        block.copy_from(0, text.as_bytes());
        producer.send(block, text.len()).unwrap();
    }
}

/// Finishes in another thread.
pub fn finish(mut producer: Producer) -> JoinHandle<Result<(), PipeError>> {
    spawn(move || producer.finish())
}

/// Releases every block and finishes, in another thread.
pub fn drain(mut consumer: Consumer) -> JoinHandle<Result<(), PipeError>> {
    spawn(move || {
        while let Some(block) = consumer.filled_block()? {
            consumer.release(block)?;
        }
        consumer.finish()
    })
}
