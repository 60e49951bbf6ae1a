//! A peer that writes garbage into shared memory: whatever it writes, the destination is the old file or the new one,
//! exit code 0 means that it is the new one, and no process hangs.
//!
//! These tests never change the content of blocks and never write the verdict *complete* with the right generation,
//! which the peer believes (`docs/guarantees.md`). `DUOCOPY_HOSTILE=N` makes N rounds instead of a few; the number of
//! a round is its seed.
//!
//! They write into the file of a pipe, which Windows does not have.

use crate::util::pipe_header::*;
use crate::util::*;
use blockpipe::{End, Geometry, Pipe, PipeError, Producer, Reason};
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

/// A process must end within this time after a signal.
const LIMIT: Duration = Duration::from_secs(3);
/// A process that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);
const LINE: &str = "--block-size=4K --buffer-size=16K --wait=5s src dst";

/// The words that matter to the peer, with their width. Those that decide what it does next come twice.
const WORDS: [(u64, usize); 37] = [
    (FILLED, 8),
    (EMPTIED, 8),
    (CLOSED, 8),
    (VERDICT, 8),
    (SLOTS, 8),
    (SLOTS + 64, 8),
    (STATE, 4),
    (GENERATION, 8),
    (BLOCK_SIZE, 8),
    (BLOCKS, 8),
    (SOURCE_LENGTH, 4),
    (SOURCE, 8),
    (TARGET_LENGTH, 4),
    (TARGET, 8),
    (FILLED, 8),
    (READER_SLEEPS, 4),
    (READER_ALLOWS_REPLACEMENT, 4),
    (READER_RESUME_POINTS, 8),
    (READER_RESUME_POINTS + 8, 8),
    (READER_RESUME_POINTS + 32, 8),
    (READER_RESUME_POINTS + 40, 8),
    (TRAILER, 8),
    (TRAILER + 8, 8),
    (CLOSED, 8),
    (EMPTIED, 8),
    (WRITER_SLEEPS, 4),
    (BEGUN, 4),
    (WRITER_RESUME_POINTS, 8),
    (WRITER_RESUME_POINTS + 8, 8),
    (WRITER_RESUME_POINTS + 32, 8),
    (WRITER_RESUME_POINTS + 40, 8),
    (VERDICT, 8),
    (SLOTS, 8),
    (SLOTS + 8, 8),
    (SLOTS + 16, 8),
    (SLOTS + 64, 8),
    (SLOTS + 72, 8),
];

fn get(pipe: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    // Past the end of the file there is nothing to read.
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
    // The peer believes this verdict.
    let value = if at == VERDICT && value == generation << 8 | COMPLETE { value + 1 } else { value };
    pipe.write_all_at(&value.to_le_bytes()[..width], at).expect("the file can be written to");
    format!("word {at}: {now:#x} became {value:#x}")
}

fn ends(process: Process, begun: Instant, context: &str) -> Ended {
    let Ok(ended) = process.end_within(HANGS).map_err(|process| process.messages()) else {
        panic!("hangs, {context}");
    };
    let took = begun.elapsed();
    assert!(took < LIMIT, "took {took:?}, {context}");
    assert!((0..=255).contains(&ended.code) && ended.code != 101, "a crash, {context}: {ended:?}");
    assert!(!ended.messages.contains("panicked"), "a panic, {context}: {ended:?}");
    ended
}

#[test]
fn garbage_in_the_middle_of_a_copy_harms_nothing() {
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
        // Scribble before there is a Writer, in the middle, or at the end.
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
            // This signal would end the process before it has installed its handler.
            if process.messages().contains("this is the") {
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
            // Both may wait for ever for a word that was overwritten.
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
        folder.assert_next_copy_works();
    }
    note!("{rounds} rounds: {complete} complete, {failed} failed; in {stopped} they had to be stopped");
    assert!(rounds < 20 || complete > 0 && failed > 0);
}

/// Joins as a Reader that will do what no correct Reader does.
fn hostile_reader(folder: &Folder, pipe: Pipe) -> (Producer, File) {
    let job = [folder.text("src"), folder.text("dst")].join("\0");
    match pipe.tag(&job).join() {
        Ok(End::Producer(producer)) => (producer, until("the pipe", || folder.pipe())),
        other => panic!("{other:?}"),
    }
}

fn named(folder: &Folder) -> Pipe {
    Pipe::named([folder.text("src"), folder.text("dst")].join("\0"))
}

/// Returns what the program tells the Writer about a source of this length (`record.rs`).
pub fn origin(folder: &Folder, length: u64) -> [u8; 128] {
    let metadata = folder.path("src").metadata().expect("it is there");
    packed([metadata.dev(), metadata.ino(), length, 0, 0, 0, 0, 0o644, 1 << 8])
}

fn packed<const N: usize>(words: [u64; N]) -> [u8; 128] {
    let mut bytes = [0; 128];
    bytes.chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
    bytes
}

/// Writes the words that a Writer would leave that has made the old destination as its copy, and has died just before it
/// could report that.
fn pretend(folder: &Folder, pipe: &File, length: u64, sum: u64) {
    let old = folder.path("dst").metadata().expect("it is there");
    let born = old.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let born = born.map_or(0, |time| time.as_nanos() as u64);
    pipe.write_all_at(&128_u32.to_le_bytes(), TARGET_LENGTH).unwrap();
    pipe.write_all_at(&packed([old.dev(), old.ino(), 0, born]), TARGET).unwrap();
    set(pipe, WRITER_RESUME_POINTS, length);
    set(pipe, WRITER_RESUME_POINTS + 8, sum);
    pipe.write_all_at(&1_u32.to_le_bytes(), BEGUN).unwrap();
    set(pipe, VERDICT, get(pipe, GENERATION) << 8 | COMMITTING);
    set(pipe, TRAILER, length);
    set(pipe, TRAILER + 8, sum);
    set(pipe, CLOSED, 1);
}

/// The Writer took its seat as the first one, so it has no predecessor.
#[test]
fn a_predecessor_that_appears_later_is_not_believed() {
    for replaces in ["", "--replace-within=5s "] {
        let folder = Folder::new();
        folder.write("src", bytes(5000, 1));
        folder.write("dst", OLD);
        let (mut reader, pipe) = hostile_reader(&folder, named(&folder).replace_within(HANGS));
        let writer = folder.duocopy(&format!("{replaces}{LINE}")).start_writer();
        // It reports nothing before the Reader is ready.
        let monitor = reader.monitor();
        until("the Writer has its seat", || monitor.snapshot().consumer.filter(|id| *id == writer.id()));
        pretend(&folder, &pipe, 5000, 7);
        // The Writer may have noticed already, and ended.
        let ready = reader.ready(Geometry::new(4096, 4), &origin(&folder, 5000));
        assert!(matches!(ready, Ok(()) | Err(PipeError::PeerDied)), "{ready:?}");
        pause(milliseconds(300));
        writer.signal_if_there(Signal::TERM);
        drop(reader);
        let ended = ends(writer, Instant::now(), replaces);
        assert_ne!(ended.code, 0, "{ended:?}");
        assert!(folder.read("dst") == OLD, "the destination was touched: {ended:?}");
        folder.assert_next_copy_works();
    }
}

/// Joins as a Reader of 4 KiB, and starts the Writer, which begins.
fn stranger(folder: &Folder, line: &str) -> (Producer, Process) {
    let name = folder.text("a name");
    let halves = Pipe::named(&name).tag(HALVES).connect_timeout(HANGS);
    let mut reader = halves.join_as_producer().expect("nobody else is there");
    reader.ready(Geometry::new(4096, 4), &origin(folder, 4096)).expect("there is memory");
    let writer = folder.duocopy(line).word(&name).start();
    reader.start().expect("the Writer begins");
    (reader, writer)
}

/// The Writer checks the length before the first byte, and the actual bytes before each block.
#[test]
fn a_reader_that_sends_more_than_announced_gets_no_further_than_allowed() {
    let folder = Folder::new();
    folder.write("src", bytes(4096, 1));
    let (mut reader, writer) = stranger(&folder, "write --max-bytes=4096 dst");
    for _ in 0..2 {
        let block = reader.empty_block().expect("there are four");
        reader.send(block, 4096).expect("it goes on");
    }
    assert!(reader.finish().is_err());
    drop(reader);
    let ended = ends(writer, Instant::now(), "more than allowed");
    ended.expect(12, &["at least 8192 bytes, and --max-bytes allows 4096"]);
    assert!(!folder.is_there("dst"));
    assert!(folder.temporaries("").is_empty(), "a temporary file is left: {ended:?}");
}

/// The Reader describes a block as no correct Reader does.
#[test]
fn an_impossible_block_is_an_error() {
    let hole = |zeros: u64| [&[1][..], &zeros.to_le_bytes()].concat();
    // The length and the header of each block.
    let unknown_kind = vec![(4096, vec![3])];
    let hole_with_bytes = vec![(4096, hole(4096))];
    let hole_beyond_the_limit = vec![(0, hole(1 << 63))];
    let end_beyond_the_limit = vec![(1, vec![]), (0, hole((1 << 63) - 1))];
    for blocks in [unknown_kind, hole_with_bytes, hole_beyond_the_limit, end_beyond_the_limit] {
        let folder = Folder::new();
        folder.write("src", bytes(4096, 1));
        let (mut reader, writer) = stranger(&folder, "write dst");
        for (length, header) in &blocks {
            let mut block = reader.empty_block().expect("there are four");
            block.set_header(header);
            reader.send(block, *length).expect("it goes on");
        }
        assert!(reader.finish().is_err());
        drop(reader);
        let ended = ends(writer, Instant::now(), "an impossible block");
        assert!(ended.code != 0 && ended.messages.contains("violated the protocol"), "{blocks:?}: {ended:?}");
        assert!(!folder.is_there("dst"));
        assert!(folder.temporaries("").is_empty(), "a temporary file is left: {ended:?}");
    }
}

/// Only the Writer can report *complete*.
#[test]
fn an_abort_of_the_reader_never_counts_as_complete() {
    for code in [0, 3, 130, 259] {
        let folder = Folder::new();
        folder.write("src", bytes(4096, 1));
        let (reader, writer) = stranger(&folder, "write dst");
        let _ = reader.abort(&Reason::new(code, "all is well"));
        ends(writer, Instant::now(), "a code that is none").expect(1, &["the Reader failed"]);
        assert!(!folder.is_there("dst"));
    }
}

/// The Reader describes its source with garbage, or with a length that no disk has.
#[test]
fn an_impossible_source_is_an_error() {
    let folder = Folder::new();
    folder.write("src", bytes(5000, 1));
    folder.write("dst", OLD);
    let mut random = Random::of(1);
    let lengths = [u64::MAX, u64::MAX >> 1, 1 << 62, (1 << 62) + 1];
    let nonsense = (0..4).map(|_| packed([(); 16].map(|()| random.next() | 1 << 63)));
    for origin in lengths.map(|length| origin(&folder, length)).into_iter().chain(nonsense) {
        let (mut reader, _pipe) = hostile_reader(&folder, named(&folder).connect_timeout(HANGS));
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
    folder.assert_next_copy_works();
}

/// Impossible positions are shown as they are, and stop no process.
#[test]
fn impossible_positions_cause_no_panic_of_a_status_line() {
    let folder = Folder::new();
    folder.write("src", bytes(5000, 1));
    let (mut reader, pipe) = hostile_reader(&folder, named(&folder).connect_timeout(HANGS));
    reader.ready(Geometry::new(4096, 4), &origin(&folder, 5000)).expect("there is memory");
    let writer = folder.duocopy(LINE).start_writer();
    until("the Writer has begun", || (get(&pipe, BEGUN) as u32 == 1).then_some(()));
    for position in [u64::MAX, u64::MAX / 100 + 1] {
        set(&pipe, WRITER_RESUME_POINTS, position);
        let lines = writer.messages().matches("written").count();
        until("it hears signals", || {
            writer.signal(Signal::USR1);
            pause(milliseconds(150));
            let messages = writer.messages();
            (messages.matches("written").count() > lines || messages.contains("panicked")).then_some(())
        });
    }
    drop(reader);
    let ended = ends(writer, Instant::now(), "a status line");
    ended.expect(8, &["the Reader", "died"]);
}

/// A Writer that replaces a dead one relies on what that one has left in shared memory, but the Reader may have written
/// that. The destination then does not match, or is not finished, and must stay what it is.
#[test]
fn an_invented_predecessor_cannot_claim_the_old_destination() {
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
            set(&pipe, TRAILER, length + 10);
            set(&pipe, CLOSED, 1 + 1);
            set(&pipe, SLOTS, 0);
            set(&pipe, SLOTS + 8, 10);
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
