//! A partner that writes nonsense, seen from the program: whatever stands in shared memory, the destination is the old
//! file or the new one, 0 means that it is the new one, and nobody hangs.
//!
//! What is never touched here is the content of the blocks and a verdict *complete* of the right generation: whoever
//! writes those is believed (`docs/guarantees.md`). `DUOCOPY_HOSTILE=N` takes N rounds instead of a few; round n has
//! the seed n.
//!
//! Not on Windows (it writes into the file of a pipe); windows.rs says so there.

use crate::util::pipe_header::*;
use crate::util::*;
use blockpipe::{End, Geometry, Pipe, PipeError, Producer, Reason};
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

/// From a signal to the end.
const LIMIT: Duration = Duration::from_secs(3);
/// What takes longer than this never ends.
const HANGS: Duration = Duration::from_secs(20);
const LINE: &str = "--block-size=4K --buffer-size=16K --wait=5s src dst";

/// The words that matter to the other process, with their width.
const WORDS: [(u64, usize); 28] = [
    (STATE, 4),
    (GENERATION, 8),
    (BLOCK_SIZE, 8),
    (BLOCK_COUNT, 8),
    (SOURCE, 8),
    (TARGET, 8),
    (FILLED, 8),
    (READER_SLEEPS, 4),
    (READER_ALLOWS_REPLACEMENT, 4),
    (READER_MARKS, 8),
    (READER_MARKS + 8, 8),
    (READER_MARKS + 16, 8),
    (READER_MARKS + 24, 8),
    (TRAILER_DIGEST, 8),
    (TRAILER_LENGTH, 8),
    (EMPTIED, 8),
    (WRITER_SLEEPS, 4),
    (BEGUN, 4),
    (WRITER_MARKS, 8),
    (WRITER_MARKS + 8, 8),
    (WRITER_MARKS + 16, 8),
    (WRITER_MARKS + 24, 8),
    (VERDICT, 8),
    (DESCRIPTORS, 8),
    (DESCRIPTORS + 8, 8),
    (DESCRIPTORS + 16, 4),
    (DESCRIPTORS + 64, 8),
    (DESCRIPTORS + 72, 8),
];

fn get(pipe: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    // Behind the end there is nothing.
    let _ = pipe.read_at(&mut word, at);
    u64::from_le_bytes(word)
}

fn set(pipe: &File, at: u64, value: u64) {
    pipe.write_all_at(&value.to_le_bytes(), at).expect("the file can be written to");
}

fn scribble(pipe: &File, random: &mut Random) -> String {
    let (at, width) = WORDS[(random.next() % WORDS.len() as u64) as usize];
    let (now, generation) = (get(pipe, at), get(pipe, GENERATION));
    let value = match random.next() % 7 {
        0 => 0,
        1 => random.next() % 8,
        2 => now.wrapping_add(1),
        3 => now.wrapping_sub(1),
        4 => u64::MAX - random.next() % 3,
        _ if at == VERDICT => (generation << 8) + random.next() % 6,
        5 => now ^ 1 << (random.next() % 64),
        _ => random.next(),
    };
    // Who says this is believed.
    let value = if at == VERDICT && value == generation << 8 | COMPLETE { value + 1 } else { value };
    pipe.write_all_at(&value.to_le_bytes()[..width], at).expect("the file can be written to");
    format!("word {at}: {now:#x} became {value:#x}")
}

fn ends(process: Process, begun: Instant, context: &str) -> Ended {
    let Ok(ended) = process.end_within(HANGS).map_err(|process| process.said()) else {
        panic!("hangs, {context}");
    };
    let took = begun.elapsed();
    assert!(took < LIMIT, "took {took:?}, {context}");
    assert!((0..=255).contains(&ended.code) && ended.code != 101, "a crash, {context}: {ended:?}");
    assert!(!ended.said.contains("panicked"), "a panic, {context}: {ended:?}");
    ended
}

#[track_caller]
fn next_copy_works(folder: &Folder, context: &str) {
    for ended in [(); 2].map(|()| folder.duocopy(LINE).start()).map(Process::end) {
        assert_eq!(ended.code, 0, "the next copy, {context}: {ended:?}");
    }
    folder.assert_same("src", "dst");
    assert!(folder.temporaries("").is_empty(), "a temporary file is left, {context}");
}

#[test]
fn nonsense_in_the_middle_of_a_copy_harms_nothing() {
    const BLOCKS: u64 = 256;
    let few = std::env::var("DUOCOPY_HOSTILE").ok().and_then(|rounds| rounds.parse().ok());
    let rounds = few.unwrap_or(20);
    let (mut complete, mut failed, mut stopped) = (0, 0, 0);
    for seed in 1..=rounds {
        let folder = Folder::new();
        let source = bytes((BLOCKS * 4096 - 100) as usize, seed);
        folder.write("src", &source);
        folder.write("dst", OLD);
        let mut random = Random::of(seed);
        let reader = folder.duocopy(LINE).start_reader();
        let pipe = until("the pipe", || folder.pipe());
        let mut context = format!("seed {seed}");
        // Before there is a Writer, in the middle, or at the end.
        let moment = random.next() % (BLOCKS + 30);
        let early = moment < 10;
        if early {
            until("the Reader is ready", || (get(&pipe, STATE) as u32 == 2).then_some(()));
            context = format!("{context}, early: {}", scribble(&pipe, &mut random));
        }
        let writer = folder.duocopy(LINE).start_writer();
        let begun = Instant::now();
        while !early && get(&pipe, EMPTIED) < moment.min(BLOCKS) && begun.elapsed() < LIMIT {}
        for _ in 0..=random.next() % 2 {
            context = format!("{context}, after {}: {}", get(&pipe, EMPTIED), scribble(&pipe, &mut random));
        }
        for process in [&reader, &writer] {
            // Before it has begun to listen this signal would end it.
            if process.said().contains("this is the") {
                process.signal_if_there(Signal::USR1);
            }
        }
        let waited = Instant::now();
        while (reader.ended().is_none() || writer.ended().is_none()) && waited.elapsed() < milliseconds(1000)
        {
            pause(milliseconds(1));
        }
        let mut stops = false;
        for process in [&writer, &reader] {
            // Both may wait for ever: for a word that was wiped out.
            stops |= process.signal_if_there(Signal::TERM);
        }
        stopped += u32::from(stops);
        let begun = Instant::now();
        for (process, who) in [(writer, "the Writer"), (reader, "the Reader")] {
            let context = format!("{who}, {context}");
            let ended = ends(process, begun, &context);
            let now = folder.read("dst");
            assert!(
                now == OLD || now == source,
                "the destination is neither old nor new, {context}: {ended:?}"
            );
            assert!(ended.code != 0 || now == source, "complete, but not there, {context}: {ended:?}");
            if ended.code == 0 {
                complete += 1;
            } else {
                failed += 1;
            }
        }
        note!("{context}");
        next_copy_works(&folder, &context);
    }
    note!("{rounds} rounds: {complete} complete, {failed} failed; in {stopped} they had to be stopped");
    assert!(rounds < 20 || complete > 0 && failed > 0);
}

/// A Reader of our own, which will do what no Reader does.
fn hostile_reader(folder: &Folder, pipe: Pipe) -> (Producer, File) {
    let job = [folder.text("src"), folder.text("dst")].join("\0");
    match pipe.job(&job).join() {
        Ok(End::Producer(producer)) => (producer, until("the pipe", || folder.pipe())),
        other => panic!("{other:?}"),
    }
}

fn named(folder: &Folder) -> Pipe {
    Pipe::named([folder.text("src"), folder.text("dst")].join("\0"))
}

/// As the program packs it (`record.rs`), with this length.
fn origin(folder: &Folder, length: u64) -> [u8; 128] {
    let metadata = folder.path("src").metadata().expect("it is there");
    packed([metadata.dev(), metadata.ino(), length, 0, 0, 0, 0, 0o644, 1 << 8])
}

fn packed<const N: usize>(words: [u64; N]) -> [u8; 128] {
    let mut bytes = [0; 128];
    bytes.chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
    bytes
}

/// Says everything that would make a Writer believe that another one has done all the work, and only died too early to
/// say so; its result is the destination that was there before.
fn pretend(folder: &Folder, pipe: &File, length: u64, sum: u64) {
    let old = folder.path("dst").metadata().expect("it is there");
    let born = old.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let born = born.map_or(0, |time| time.as_nanos() as u64);
    pipe.write_all_at(&packed([old.dev(), old.ino(), 0, born]), TARGET).unwrap();
    set(pipe, WRITER_MARKS, sum);
    set(pipe, WRITER_MARKS + 8, length);
    pipe.write_all_at(&1_u32.to_le_bytes(), BEGUN).unwrap();
    set(pipe, VERDICT, get(pipe, GENERATION) << 8 | COMMITTING);
    set(pipe, TRAILER_DIGEST, sum);
    set(pipe, TRAILER_LENGTH, length + 1);
}

/// The Writer took its seat as the first one; a predecessor that shows up afterwards never was.
#[test]
fn a_predecessor_that_appears_later_is_not_believed() {
    for replaces in ["", "--replace-within=5s "] {
        let folder = Folder::new();
        folder.write("src", bytes(5000, 1));
        folder.write("dst", OLD);
        let (mut reader, pipe) = hostile_reader(&folder, named(&folder).replace_within(HANGS));
        let writer = folder.duocopy(&format!("{replaces}{LINE}")).start_writer();
        // It says nothing before the Reader is ready; by now it has its seat.
        let monitor = reader.monitor();
        until("the Writer has its seat", || monitor.snapshot().consumer.filter(|id| *id == writer.id()));
        pretend(&folder, &pipe, 5000, 7);
        // If it looks between these two lines it has noticed already, and is gone.
        let ready = reader.ready(Geometry::new(4096, 4), &origin(&folder, 5000));
        assert!(matches!(ready, Ok(()) | Err(PipeError::PartnerDied)), "{ready:?}");
        pause(milliseconds(300));
        writer.signal_if_there(Signal::TERM);
        drop(reader);
        let ended = ends(writer, Instant::now(), replaces);
        assert_ne!(ended.code, 0, "{ended:?}");
        assert!(folder.read("dst") == OLD, "the destination was touched: {ended:?}");
        next_copy_works(&folder, replaces);
    }
}

/// A Reader of 4 KiB that is no program of ours, and the Writer, which has begun.
fn stranger(folder: &Folder, line: &str) -> (Producer, Process) {
    let name = folder.text("a name");
    let halves = Pipe::named(&name).job(HALVES).patience(HANGS);
    let mut reader = halves.join_as_producer().expect("nobody else is there");
    reader.ready(Geometry::new(4096, 4), &origin(folder, 4096)).expect("there is memory");
    let writer = folder.duocopy(line).word(&name).start();
    reader.start().expect("the Writer begins");
    (reader, writer)
}

/// What it says is checked before the first byte, and what it does before each block.
#[test]
fn a_reader_that_sends_more_than_it_said_gets_no_further_than_allowed() {
    let folder = Folder::new();
    folder.write("src", bytes(4096, 1));
    let (mut reader, writer) = stranger(&folder, "write --max-bytes=4096 dst");
    for _ in 0..2 {
        reader.empty_block().expect("there are four").send(4096, 0);
    }
    assert!(reader.close(&[0; 32]).is_err());
    drop(reader);
    let ended = ends(writer, Instant::now(), "more than allowed");
    ended.expect(12, &["8192 bytes or more are to be written, and --max-bytes allows 4096"]);
    assert!(!folder.is_there("dst"));
    assert!(folder.temporaries("").is_empty(), "a temporary file is left: {ended:?}");
}

/// Only the Writer can say *complete*, with or without everything that was asked for.
#[test]
fn a_reader_that_gives_up_cannot_call_that_complete() {
    for code in [0, 3, 130, 259] {
        let folder = Folder::new();
        folder.write("src", bytes(4096, 1));
        let (reader, writer) = stranger(&folder, "write dst");
        let _ = reader.abort(&Reason::new(code, "all is well"));
        ends(writer, Instant::now(), "a code that is none").expect(1, &["the Reader gave up"]);
        assert!(!folder.is_there("dst"));
    }
}

/// What the Reader says about its source is nonsense, or of a length that no disk has.
#[test]
fn an_impossible_source_is_an_error_that_leaves_nothing() {
    let folder = Folder::new();
    folder.write("src", bytes(5000, 1));
    folder.write("dst", OLD);
    let mut random = Random::of(1);
    let lengths = [u64::MAX, u64::MAX >> 1, 1 << 62, (1 << 62) + 1];
    let nonsense = (0..4).map(|_| packed([(); 16].map(|()| random.next() | 1 << 63)));
    for origin in lengths.map(|length| origin(&folder, length)).into_iter().chain(nonsense) {
        let (mut reader, _pipe) = hostile_reader(&folder, named(&folder).patience(HANGS));
        reader.ready(Geometry::new(4096, 4), &origin).expect("there is memory");
        let writer = folder.duocopy(LINE).start_writer();
        let closed = reader.close(&[9; 32]);
        assert!(closed.is_err(), "{closed:?}");
        drop(reader);
        let ended = ends(writer, Instant::now(), "an impossible source");
        assert_ne!(ended.code, 0, "{ended:?}");
        assert!(folder.read("dst") == OLD, "the destination was touched: {ended:?}");
        assert!(folder.temporaries("").is_empty(), "a temporary file is left: {ended:?}");
    }
    next_copy_works(&folder, "after impossible sources");
}

/// Positions that cannot be are shown as they are, and stop nobody.
#[test]
fn a_status_line_of_nonsense_is_no_panic() {
    let folder = Folder::new();
    folder.write("src", bytes(5000, 1));
    let (mut reader, pipe) = hostile_reader(&folder, named(&folder).patience(HANGS));
    reader.ready(Geometry::new(4096, 4), &origin(&folder, 5000)).expect("there is memory");
    let writer = folder.duocopy(LINE).start_writer();
    until("the Writer has begun", || (get(&pipe, BEGUN) as u32 == 1).then_some(()));
    for position in [u64::MAX, u64::MAX / 100 + 1] {
        set(&pipe, WRITER_MARKS + 8, position);
        let lines = writer.said().matches("written").count();
        until("it hears signals", || {
            writer.signal(Signal::USR1);
            pause(milliseconds(150));
            let said = writer.said();
            (said.matches("written").count() > lines || said.contains("panicked")).then_some(())
        });
    }
    drop(reader);
    let ended = ends(writer, Instant::now(), "a status line");
    ended.expect(8, &["the Reader", "died"]);
}

/// A Writer that replaces a dead one has to go by what that one left in shared memory; if it never was, the Reader wrote
/// that. What stands at the destination is then not what it says, or is not finished, and must stay what it is.
#[test]
fn a_predecessor_that_never_was_cannot_have_put_the_old_file_in_its_place() {
    let sum = |length: u64| crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &OLD[..length as usize]);
    let whole = OLD.len() as u64;
    for (length, sum, sends) in [(whole, 7, false), (5, sum(5), false), (whole, sum(whole), true)] {
        let folder = Folder::new();
        folder.write("src", bytes(5000, 1));
        folder.write("dst", OLD);
        let (mut reader, pipe) = hostile_reader(&folder, named(&folder).replace_within(HANGS));
        reader.ready(Geometry::new(4096, 4), &origin(&folder, length)).expect("there is memory");
        pretend(&folder, &pipe, length, sum);
        if sends {
            set(&pipe, TRAILER_LENGTH, length + 10 + 1);
            set(&pipe, DESCRIPTORS, length);
            set(&pipe, DESCRIPTORS + 8, 10);
            set(&pipe, DESCRIPTORS + 16, 1);
            set(&pipe, FILLED, 1);
        }
        let writer = folder.duocopy(&format!("--replace-within=5s {LINE}")).start_writer();
        until("it has ended, or waits", || {
            let ended = writer.ended().is_some();
            (ended || get(&pipe, EMPTIED) > 0).then_some(())
        });
        drop(reader);
        let ended = ends(writer, Instant::now(), "a predecessor that never was");
        assert!(folder.read("dst") == OLD, "the destination was touched: {ended:?}");
        assert_ne!(ended.code, 0, "{ended:?}");
    }
}
