//! What a peer can write, as inputs of a fuzzer: one function for each kind of place where it is read.
//!
//! The peer is dead in all of these: its seat is free, so that every wait ends at once, and what it wrote is final.
//! `--cfg fuzzing` (which `cargo fuzz` sets) removes the sleeps from the library's waits.
//!
//! ```text
//! cargo install cargo-fuzz
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --features libfuzzer consumer        # until it is interrupted
//! RUSTFLAGS="--cfg fuzzing" cargo test --manifest-path fuzz/Cargo.toml  # the corpus and a second of mutations
//! ```

use blockpipe::offsets::{BEGUN, CLOSED, FILLED, GENERATION, HEADER_LENGTH, SLOTS, STATE, VERDICT};
use blockpipe::{Consumer, End, Geometry, JoinError, Pipe, PipeError, Producer, Reason, ResumePoint};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use duocopy::fuzzing::{self, JOURNAL_LENGTH};

const BLOCK: usize = 4096;
const BLOCKS: usize = 2;
/// From the first counter to the end of the header, then the descriptors.
const EVERYTHING: (u64, u64) = (FILLED, (HEADER_LENGTH - FILLED) / 8 + 8 * BLOCKS as u64);
const READY: u32 = 2;

/// A pipe's name that no other input uses, and its file.
struct TestPipe {
    name: String,
    path: PathBuf,
}

impl TestPipe {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("fuzz {} {}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let hash = name.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul((1 << 88) + 0x13b)
        });
        let user = rustix::process::geteuid().as_raw();
        Self { name, path: format!("/dev/shm/blockpipe-{user}/{hash:032x}").into() }
    }

    fn pipe(&self) -> Pipe {
        Pipe::named(&self.name).tag("fuzz").connect_timeout(Duration::ZERO)
    }

    fn producer(&self, pipe: &Pipe) -> Producer {
        match join(pipe) {
            Ok(End::Producer(producer)) => producer,
            other => panic!("the first one is the producer: {other:?}"),
        }
    }

    fn consumer(&self, pipe: &Pipe) -> Consumer {
        match join(pipe) {
            Ok(End::Consumer(consumer)) => consumer,
            other => panic!("the second one is the consumer: {other:?}"),
        }
    }

    fn memory(&self) -> Memory {
        Memory(File::options().read(true).write(true).open(&self.path).expect("the pipe has its file"))
    }
}

/// Joins without waiting for the gate, which another process may hold while it checks whether this pipe is dead.
fn join(pipe: &Pipe) -> Result<End, JoinError> {
    loop {
        match pipe.join() {
            Err(JoinError::Busy) => {}
            other => return other,
        }
    }
}

impl Drop for TestPipe {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Memory(File);

impl Memory {
    fn get(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        let _ = self.0.read_at(&mut word, at);
        u64::from_le_bytes(word)
    }

    fn set(&self, at: u64, bytes: &[u8]) {
        self.0.write_all_at(bytes, at).expect("the file can be written to");
    }

    /// Applies ten bytes of input: an offset and a value. The generation is random and cannot be guessed, so a verdict
    /// gets the right one or its neighbour.
    fn scribble(&self, input: &[u8; 10], (first, words): (u64, u64)) {
        let (at, value) = input.split_at(2);
        let word = u64::from(u16::from_le_bytes([at[0], at[1] & 0x3f])) % words;
        let at = first + word * 8;
        // The descriptors come after the header.
        let at = if at < HEADER_LENGTH { at } else { SLOTS + at - HEADER_LENGTH };
        if at == VERDICT {
            let other = u64::from(value[1] == 1);
            let word = (self.get(GENERATION) ^ other) << 8 | u64::from(value[0]);
            self.set(VERDICT, &word.to_le_bytes());
        } else {
            self.set(at, value);
        }
    }
}

/// Applies the next records of the input before each operation, until there are no more.
struct Script<'a> {
    memory: &'a Memory,
    /// The offset of the first word, and the number of words.
    words: (u64, u64),
    input: std::slice::ChunksExact<'a, u8>,
}

impl<'a> Script<'a> {
    fn new(memory: &'a Memory, words: (u64, u64), input: &'a [u8]) -> Self {
        Self { memory, words, input: input.chunks_exact(10) }
    }

    fn step(&mut self) {
        for record in self.input.by_ref() {
            let record: &[u8; 10] = record.try_into().expect("ten bytes");
            // The record marks no change here, or more than one.
            if record[1] & 0x80 != 0 {
                return;
            }
            self.memory.scribble(record, self.words);
            if record[1] & 0x40 == 0 {
                return;
            }
        }
    }
}

fn fatal(error: &PipeError) {
    assert!(!matches!(error, PipeError::Misuse(_)), "{error:?} blames the caller");
}

/// Joins as the second process, with any header.
pub fn header(data: &[u8]) {
    let Some((flags, header)) = data.split_first() else { return };
    let test = TestPipe::new();
    let mut pipe = test.pipe();
    if flags & 1 != 0 {
        pipe = pipe.replace_within(Duration::ZERO);
    }
    let mut producer = test.producer(&pipe);
    if flags & 2 != 0 {
        producer.ready(Geometry::new(BLOCK, BLOCKS), b"a source").expect("there is memory");
    }
    let memory = test.memory();
    // The input replaces one part of the header, which begins at a multiple of 64.
    let start = u64::from(flags >> 2) * 64;
    memory.set(start, &header[..header.len().min((HEADER_LENGTH - start) as usize)]);
    if start + header.len() as u64 <= VERDICT {
        // An input that writes a generation writes it to the verdict, too.
        memory.set(VERDICT, &(memory.get(GENERATION) << 8).to_le_bytes());
    }
    // A producer that is not ready would be waited for.
    let waits = memory.get(STATE) as u32 != READY;
    let flag = Arc::new(AtomicBool::new(waits));
    let joined = join(&pipe.interrupt(flag, Reason::new(1, "a wait")));
    let _ = format!("{joined:?} {:?}", producer.monitor().snapshot());
    let Ok(End::Consumer(mut consumer)) = joined else { return };
    let geometry = consumer.geometry();
    assert!(geometry.block_size() >= BLOCK && geometry.blocks() >= 1);
    drop(producer);
    // What the header describes is mapped.
    if consumer.begin(b"a target", ResumePoint::default()).is_ok()
        && let Ok(Some(block)) = consumer.filled_block()
    {
        assert!(block.length() <= geometry.block_size());
        std::hint::black_box((block.to_vec(), block.header()));
    }
}

/// Runs a consumer with any counters, resume points, descriptors and trailers.
pub fn consumer(data: &[u8]) {
    let Some((flags, script)) = data.split_first() else { return };
    let test = TestPipe::new();
    let mut pipe = test.pipe();
    if flags & 1 != 0 {
        pipe = pipe.replace_within(Duration::ZERO);
    }
    let mut producer = test.producer(&pipe);
    producer.ready(Geometry::new(BLOCK, BLOCKS), b"a source").expect("there is memory");
    let memory = test.memory();
    let replaces = flags & 3 == 3;
    if replaces {
        memory.set(BEGUN, &1_u32.to_le_bytes());
    }
    let mut consumer = test.consumer(&pipe);
    drop(producer);
    let mut script = Script::new(&memory, EVERYTHING, script);
    let monitor = consumer.monitor();
    let mut step = || {
        script.step();
        let _ = format!("{:?}", monitor.snapshot());
    };
    step();
    let start = match consumer.begin(b"a target", ResumePoint::default()) {
        Ok(start) => start,
        Err(error) => return fatal(&error),
    };
    assert!(replaces || start == ResumePoint::default(), "the stream begins where this end wanted");
    let mut next = None;
    for _ in 0..64 {
        step();
        match consumer.filled_block() {
            Ok(Some(block)) => {
                let first = if replaces { block.number() } else { 0 };
                assert_eq!(block.number(), next.unwrap_or(first));
                assert!(block.length() <= BLOCK);
                std::hint::black_box((block.to_vec(), block.header()));
                next = Some(block.number() + 1);
                step();
                if let Err(error) = consumer.release(block) {
                    return fatal(&error);
                }
            }
            Ok(None) => {
                assert!(consumer.is_at_end());
                // Nothing has written to this number since it was read.
                if let Some(next) = next {
                    assert_eq!(memory.get(CLOSED), next + 1);
                }
                break;
            }
            Err(error) => return fatal(&error),
        }
    }
    step();
    if consumer.trailer().is_none() {
        let _ = consumer.abort(&Reason::new(1, "enough"));
        return;
    }
    match consumer.commit() {
        Ok(committing) => {
            step();
            let _ = committing.complete().inspect_err(fatal);
        }
        Err(error) => fatal(&error),
    }
}

/// Runs a producer with any counters and resume points.
pub fn producer(data: &[u8]) {
    let Some((flags, script)) = data.split_first() else { return };
    let test = TestPipe::new();
    let pipe = test.pipe().replace_within(Duration::ZERO);
    let mut producer = test.producer(&pipe);
    producer.ready(Geometry::new(BLOCK, BLOCKS), b"a source").expect("there is memory");
    let mut consumer = test.consumer(&pipe);
    consumer.begin(b"a target", ResumePoint::default()).expect("the first consumer");
    let memory = test.memory();
    let mut script = Script::new(&memory, EVERYTHING, script);
    if flags & 1 != 0 {
        // A replacement, which finds what a dead producer left.
        drop(producer);
        let Ok(End::Producer(second)) = join(&pipe) else { return };
        producer = second;
        script.step();
        if let Err(error) = producer.ready(Geometry::new(BLOCK, BLOCKS), b"a source") {
            return fatal(&error);
        }
    }
    drop(consumer);
    if flags & 3 != 0 {
        script.step();
        if let Err(error) = producer.start() {
            return fatal(&error);
        }
    }
    for n in 0..64 {
        script.step();
        let _ = format!("{:?}", producer.monitor().snapshot());
        match producer.empty_block() {
            Ok(mut block) => {
                assert_eq!(block.capacity(), BLOCK);
                block.copy_from(0, &[n; BLOCK]);
                block.set_header(&[n; 40]);
                script.step();
                if let Err(error) = producer.send(block, BLOCK - usize::from(n)) {
                    return fatal(&error);
                }
            }
            Err(error) => return fatal(&error),
        }
        if script.input.len() == 0 {
            break;
        }
    }
    let closed = producer.close(&[3; 64]);
    let _ = closed.inspect_err(fatal);
}

/// Runs both ends at the end of the stream, with any verdict and reason.
pub fn verdict(data: &[u8]) {
    let Some((flags, script)) = data.split_first() else { return };
    let test = TestPipe::new();
    let pipe = test.pipe();
    let mut producer = test.producer(&pipe);
    producer.ready(Geometry::new(BLOCK, BLOCKS), b"a source").expect("there is memory");
    let mut consumer = test.consumer(&pipe);
    consumer.begin(b"a target", ResumePoint::default()).expect("the first consumer");
    let memory = test.memory();
    let mut script = Script::new(&memory, (VERDICT, (HEADER_LENGTH - VERDICT) / 8), script);
    if flags & 1 != 0 {
        drop(consumer);
        script.step();
        let ended =
            if flags & 2 == 0 { producer.close(&[3; 64]) } else { producer.abort(&Reason::new(1, "enough")) };
        let _ = format!("{ended:?}");
        assert!(ended.is_err() || flags & 2 == 0, "an abort before the trailer is no completion");
        return;
    }
    memory.set(CLOSED, &1_u64.to_le_bytes());
    assert!(matches!(consumer.filled_block(), Ok(None)));
    drop(producer);
    script.step();
    match consumer.commit() {
        Ok(committing) => {
            script.step();
            let ended = if flags & 2 == 0 {
                format!("{:?}", committing.complete())
            } else {
                format!("{:?}", committing.abort(&Reason::new(1, "enough")))
            };
            std::hint::black_box(ended);
        }
        Err(error) => fatal(&error),
    }
}

/// Reads any journal.
pub fn journal(data: &[u8]) {
    let mut content = [0; JOURNAL_LENGTH];
    let length = data.len().min(content.len());
    content[..length].copy_from_slice(&data[..length]);
    // Only the checksums keep a changed sector out, so they are made right unless the input says otherwise.
    if data.get(JOURNAL_LENGTH).is_none_or(|byte| byte & 1 == 0) {
        seal(&mut content);
    }
    std::hint::black_box(fuzzing::journal(&content));
}

fn seal(content: &mut [u8; JOURNAL_LENGTH]) {
    const SECTOR: usize = 512;
    let sum = |sector: &[u8]| fuzzing::checksum(&sector[..SECTOR - 8]).to_le_bytes();
    let heading = sum(&content[..SECTOR]);
    for (n, sector) in content.chunks_exact_mut(SECTOR).enumerate() {
        if n > 0 {
            sector[40..48].copy_from_slice(&heading);
        }
        let sum = sum(sector);
        sector[SECTOR - 8..].copy_from_slice(&sum);
    }
}
