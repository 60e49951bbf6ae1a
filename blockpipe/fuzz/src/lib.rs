//! What a partner can write, as inputs of a fuzzer: one function for each place where it is read.
//!
//! The partner is dead in all of these: its seat is free, so that every wait ends at once, and what it wrote is all
//! there is. `--cfg fuzzing` (which `cargo fuzz` sets) takes the sleeps out of the library's waits.
//!
//! ```text
//! cargo install cargo-fuzz
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --features libfuzzer consumer        # until it is interrupted
//! RUSTFLAGS="--cfg fuzzing" cargo test --manifest-path fuzz/Cargo.toml  # the corpus and a second of mutations
//! ```

use blockpipe::{Consumer, End, Geometry, JoinError, Mark, Pipe, PipeError, Producer, Reason};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

// The program is no library; its journal is read from its own file.
#[allow(dead_code)]
#[path = "../../../duocopy/src/digest.rs"]
mod digest;
#[allow(dead_code)]
#[path = "../../../duocopy/src/journal.rs"]
mod journal_file;
#[allow(dead_code, unused_imports)]
#[path = "../../../duocopy/src/sys/mod.rs"]
mod sys;
#[allow(dead_code)]
#[path = "../../../duocopy/src/record.rs"]
mod record;

const BLOCK: usize = 4096;
const BLOCKS: usize = 2;
const HEADER: u64 = 4096;
const SLOTS: u64 = 65536;
/// From the origin to the end of the header, and the descriptors.
const EVERYTHING: (u64, u64) = (2048, 256 + 8 * BLOCKS as u64);
const STATE: u64 = 12;
const GENERATION: u64 = 16;
const VERDICT: u64 = 2560;
const BEGUN: u64 = 2440;
const READY: u32 = 2;

/// A name of its own, and the file behind it.
struct Place {
    name: String,
    path: PathBuf,
}

impl Place {
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
        Pipe::named(&self.name).job("fuzz").patience(Duration::ZERO)
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

/// Nobody waits for the gate here, and somebody else may just be looking whether this pipe is a dead one's.
fn join(pipe: &Pipe) -> Result<End, JoinError> {
    loop {
        match pipe.join() {
            Err(JoinError::Busy) => {}
            other => return other,
        }
    }
}

impl Drop for Place {
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

    /// Ten bytes of input: where, and what. The generation is random and never guessed, so a verdict has the right
    /// one or its neighbour.
    fn scribble(&self, input: &[u8; 10], (first, words): (u64, u64)) {
        let (at, value) = input.split_at(2);
        let word = u64::from(u16::from_le_bytes([at[0], at[1] & 0x3f])) % words;
        let at = first + word * 8;
        // Behind the header come the descriptors.
        let at = if at < HEADER { at } else { SLOTS + at - HEADER };
        if at == VERDICT {
            let other = u64::from(value[1] == 1);
            let word = (self.get(GENERATION) ^ other) << 8 | u64::from(value[0]);
            self.set(VERDICT, &word.to_le_bytes());
        } else {
            self.set(at, value);
        }
    }
}

/// One record of the input before each operation, until there are no more.
struct Script<'a> {
    memory: &'a Memory,
    /// Where the first word is, and how many there are.
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
            // Nothing here, or more than one word.
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
    assert!(!matches!(error, PipeError::Misuse(_)), "{error:?} is the caller's fault");
}

/// Arrival as the second one, in front of any header.
pub fn header(data: &[u8]) {
    let Some((flags, header)) = data.split_first() else { return };
    let place = Place::new();
    let mut pipe = place.pipe();
    if flags & 1 != 0 {
        pipe = pipe.replace_within(Duration::ZERO);
    }
    let mut producer = place.producer(&pipe);
    if flags & 2 != 0 {
        producer.ready(Geometry::new(BLOCK, BLOCKS), &[1; 128]).expect("there is memory");
    }
    let memory = place.memory();
    // The input lies over one part of the header; it begins at a multiple of 64.
    let start = u64::from(flags >> 2) * 64;
    memory.set(start, &header[..header.len().min((HEADER - start) as usize)]);
    if start + header.len() as u64 <= VERDICT {
        // Whoever writes a generation gives it to the verdict too.
        memory.set(VERDICT, &(memory.get(GENERATION) << 8).to_le_bytes());
    }
    // A producer that is not ready would be waited for.
    let waits = memory.get(STATE) as u32 != READY;
    let flag = Arc::new(AtomicBool::new(waits));
    let joined = join(&pipe.interrupt(flag, Reason::new(1, "a wait")));
    let _ = format!("{joined:?} {:?}", producer.monitor().snapshot());
    let Ok(End::Consumer(consumer)) = joined else { return };
    let geometry = consumer.geometry();
    assert!(geometry.block_size() >= BLOCK && geometry.blocks() >= 1);
    drop(producer);
    // What it says is mapped is there.
    if consumer.begin(&[2; 128], Mark::default()).is_ok()
        && let Ok(Some(block)) = consumer.filled_block()
    {
        assert!(block.len() <= geometry.block_size());
        std::hint::black_box(block.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    }
}

/// A consumer in front of any counters, marks, descriptors and last words.
pub fn consumer(data: &[u8]) {
    let Some((flags, script)) = data.split_first() else { return };
    let place = Place::new();
    let mut pipe = place.pipe();
    if flags & 1 != 0 {
        pipe = pipe.replace_within(Duration::ZERO);
    }
    let mut producer = place.producer(&pipe);
    producer.ready(Geometry::new(BLOCK, BLOCKS), &[1; 128]).expect("there is memory");
    let memory = place.memory();
    let replaces = flags & 3 == 3;
    if replaces {
        memory.set(BEGUN, &1_u32.to_le_bytes());
    }
    let mut consumer = place.consumer(&pipe);
    drop(producer);
    let mut script = Script::new(&memory, EVERYTHING, script);
    let monitor = consumer.monitor();
    let mut step = || {
        script.step();
        let _ = format!("{:?}", monitor.snapshot());
    };
    step();
    let mark = match consumer.begin(&[2; 128], Mark::default()) {
        Ok(mark) => mark,
        Err(error) => return fatal(&error),
    };
    assert!(replaces || mark == Mark::default(), "the stream begins where this end said");
    let mut position = mark.position;
    for _ in 0..64 {
        step();
        match consumer.filled_block() {
            Ok(Some(block)) => {
                assert_eq!(block.offset(), position);
                assert!(block.len() <= BLOCK);
                std::hint::black_box(block.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
                position += block.len() as u64;
                step();
                block.done(position);
            }
            Ok(None) => {
                assert_eq!(consumer.closing().expect("the last word").length, position);
                break;
            }
            Err(error) => return fatal(&error),
        }
    }
    step();
    if consumer.closing().is_none() {
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

/// A producer in front of any counters and marks.
pub fn producer(data: &[u8]) {
    let Some((flags, script)) = data.split_first() else { return };
    let place = Place::new();
    let pipe = place.pipe().replace_within(Duration::ZERO);
    let mut producer = place.producer(&pipe);
    producer.ready(Geometry::new(BLOCK, BLOCKS), &[1; 128]).expect("there is memory");
    let consumer = place.consumer(&pipe);
    consumer.begin(&[2; 128], Mark::default()).expect("the first consumer");
    let memory = place.memory();
    let mut script = Script::new(&memory, EVERYTHING, script);
    if flags & 1 != 0 {
        // A replacement, which finds what a dead one left.
        drop(producer);
        let Ok(End::Producer(second)) = join(&pipe) else { return };
        producer = second;
        script.step();
        if let Err(error) = producer.ready(Geometry::new(BLOCK, BLOCKS), &[1; 128]) {
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
                assert_eq!(block.len(), BLOCK);
                block.fill(n);
                script.step();
                block.send(BLOCK - usize::from(n), 7);
            }
            Err(error) => return fatal(&error),
        }
        if script.input.len() == 0 {
            break;
        }
    }
    let closed = producer.close(&[3; 32]);
    let _ = closed.inspect_err(fatal);
}

/// Both ends at the end of the stream, in front of any verdict and reason.
pub fn verdict(data: &[u8]) {
    let Some((flags, script)) = data.split_first() else { return };
    let place = Place::new();
    let pipe = place.pipe();
    let mut producer = place.producer(&pipe);
    producer.ready(Geometry::new(BLOCK, BLOCKS), &[1; 128]).expect("there is memory");
    let mut consumer = place.consumer(&pipe);
    consumer.begin(&[2; 128], Mark::default()).expect("the first consumer");
    let memory = place.memory();
    let mut script = Script::new(&memory, (VERDICT, (HEADER - VERDICT) / 8), script);
    if flags & 1 != 0 {
        drop(consumer);
        script.step();
        let ended =
            if flags & 2 == 0 { producer.close(&[3; 32]) } else { producer.abort(&Reason::new(1, "enough")) };
        let _ = format!("{ended:?}");
        assert!(ended.is_err() || flags & 2 == 0, "an abort before the last word is no completion");
        return;
    }
    memory.set(2384, &1_u64.to_le_bytes());
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

/// Any journal. What is found in one that is accepted is what would be written down again.
pub fn journal(data: &[u8]) {
    let mut content = [0; journal_file::LENGTH];
    let length = data.len().min(content.len());
    content[..length].copy_from_slice(&data[..length]);
    // Nothing but its own checksums keeps a changed sector out; so these are made right, unless the input says not.
    if data.get(journal_file::LENGTH).is_none_or(|byte| byte & 1 == 0) {
        seal(&mut content);
    }
    if let Some((heading, entry)) = journal_file::parse(&content) {
        assert!(entry.durable.position <= heading.source.length);
        // What was read of a stream cannot be read again.
        assert_eq!(heading.fits(&heading), !heading.source.stream);
    }
}

fn seal(content: &mut [u8; journal_file::LENGTH]) {
    const SECTOR: usize = 512;
    let sum = |sector: &[u8]| digest::of(&sector[..SECTOR - 8]).to_le_bytes();
    let heading = sum(&content[..SECTOR]);
    for (n, sector) in content.chunks_exact_mut(SECTOR).enumerate() {
        if n > 0 {
            sector[40..48].copy_from_slice(&heading);
        }
        let sum = sum(sector);
        sector[SECTOR - 8..].copy_from_slice(&sum);
    }
}
