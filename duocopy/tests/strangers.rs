//! A hostile peer of another user. In a directory of several users it can waste time and lie about its own half, but it
//! cannot make this process report *complete* for other bytes than those that this process has read or written.
//!
//! On Windows only processes of the same user can meet.

use crate::util::pipe_header::{COMMITTING, COMPLETE, EMPTIED, FILLED, GENERATION, VERDICT};
use crate::util::*;
use blockpipe::{Consumer, Geometry, Pipe, Producer, ResumePoint};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

const BLOCK: usize = 64 * KIB;
const BLOCKS: usize = 2;
fn meeting() -> Folder {
    let folder = Folder::new();
    folder.make("meet");
    folder.set_mode("meet", 0o700);
    folder
}

fn pipe(folder: &Folder) -> Pipe {
    let pipe = Pipe::named("x").in_directory(folder.path("meet"));
    pipe.tag(HALVES).connect_timeout(milliseconds(20_000))
}

/// Opens the memory that both processes share.
fn memory(folder: &Folder) -> File {
    let entries = std::fs::read_dir(folder.path("meet")).expect("a folder").flatten();
    let path =
        entries.map(|entry| entry.path()).find(|path| path.file_name().is_some_and(|name| name.len() == 32));
    File::options().read(true).write(true).open(path.expect("the pipe")).expect("ours")
}

/// Flips one bit in these bytes of the blocks, again and again.
fn flicker(memory: &File, original: &[u8], places: &[usize], over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for flip in [1, 0] {
            for at in places {
                let _ = memory
                    .write_all_at(&[original[at % BLOCK] ^ flip], pipe_header::FIRST_BLOCK + *at as u64);
            }
        }
    }
}

fn word(memory: &File, at: u64) -> u64 {
    let mut bytes = [0; 8];
    memory.read_exact_at(&mut bytes, at).expect("a word");
    u64::from_ne_bytes(bytes)
}

/// Stores a verdict that only the other end may store.
fn forge(memory: &File, stage: u64) {
    let verdict = word(memory, GENERATION) << 8 | stage;
    memory.write_all_at(&verdict.to_le_bytes(), VERDICT).expect("ours");
}

fn sum(bytes: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
    value[..8].copy_from_slice(&sum.to_le_bytes());
    value
}

/// Returns what the program tells the Writer about a source of this length (`record.rs`).
fn origin(length: u64) -> [u8; 128] {
    let mut origin = [0; 128];
    for (at, word) in [(0, 1), (8, 2), (16, length), (56, 0o644), (64, 1 << 8)] {
        origin[at..at + 8].copy_from_slice(&u64::to_le_bytes(word));
    }
    origin
}

fn hostile_reader(folder: &Folder, length: usize) -> Producer {
    let mut reader = pipe(folder).join_as_producer().expect("nobody else is there");
    reader.ready(Geometry::new(BLOCK, BLOCKS), &origin(length as u64)).expect("there is memory");
    reader
}

#[test]
fn the_writer_writes_the_bytes_that_it_has_checked() {
    let (mut complete, mut refused) = (0, 0);
    // Only one byte flickers, because the copy must have a chance to be complete.
    for round in 0..20 {
        let folder = meeting();
        let block = bytes(BLOCK, round);
        let mut reader = hostile_reader(&folder, BLOCK);
        let writer = folder.duocopy("write --dir=meet --fsync=none dst x").start();
        reader.start().expect("the Writer begins");
        let (memory, over) = (memory(&folder), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| flicker(&memory, &block, &[BLOCK - 1], &over));
            let mut empty = reader.empty_block().expect("nobody has sent anything");
            empty.copy_from(0, &block);
            pause(milliseconds(5));
            reader.send(empty, BLOCK).expect("the Writer is there");
            // The Writer decides how the copy ends.
            let _ = reader.close(&[&(BLOCK as u64).to_le_bytes()[..], &sum(&block)].concat());
            over.store(true, Ordering::Relaxed);
        });
        drop(reader);
        let ended = writer.end();
        if ended.code == 0 {
            complete += 1;
            assert!(folder.read("dst") == block, "complete, but with other bytes: {ended:?}");
        } else {
            refused += 1;
            ended.expect(4, &["the copy differs from the source"]);
            assert!(!folder.is_there("dst"));
        }
    }
    note!("{complete} complete, {refused} refused");
}

fn hostile_writer(folder: &Folder) -> Consumer {
    let mut writer = pipe(folder).join_as_consumer().expect("a Reader comes");
    writer.begin(b"", ResumePoint::default()).expect("the first one");
    writer
}

#[test]
fn the_reader_reports_the_checksum_of_the_bytes_that_it_has_read() {
    let folder = meeting();
    let block = bytes(BLOCK, 1);
    let whole = block.repeat(200);
    folder.write("src", &whole);
    let reader = folder
        .duocopy(&format!("read -v --dir=meet --block-size=64K --buffer-size={}K src x", 64 * BLOCKS))
        .start();
    let mut writer = hostile_writer(&folder);
    let (memory, over) = (memory(&folder), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let everywhere: Vec<_> = (0..BLOCKS * BLOCK).step_by(4096).collect();
        let (memory, block, over) = (&memory, &block, &over);
        scope.spawn(move || flicker(memory, block, &everywhere, over));
        while let Some(filled) = writer.filled_block().expect("the Reader lives") {
            writer.release(filled).expect("the Reader lives");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(writer.trailer().expect("its last word")[8..40], sum(&whole));
    writer.commit().expect("nobody else").complete().expect("nobody else");
    let ended = reader.end();
    let value = sum(&whole)[..8].iter().rev().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    ended.expect(0, &[&format!("CRC-64/NVME {value}")]);
}

/// A peer that claims that the result is becoming final does not keep a half from being interrupted, whatever that half
/// is waiting for.
#[test]
fn a_claimed_commit_does_not_keep_a_half_from_being_interrupted() {
    let folder = meeting();
    folder.make_fifo("fifo");
    let reader = hostile_reader(&folder, BLOCK);
    let writer = folder.duocopy("write --dir=meet fifo x").start();
    let there = memory(&folder);
    until("the Writer has come", || {
        (word(&there, pipe_header::WRITER_PROCESS) as u32 == writer.id()).then_some(())
    });
    forge(&there, COMMITTING);
    writer.signal(Signal::TERM);
    writer.end().expect(128 + Signal::TERM.as_raw(), &["interrupted"]);
    drop(reader);

    let folder = meeting();
    folder.write("src", bytes(32 * MIB, 1));
    // There is always room for the next block, so the Reader waits only for the bandwidth limit.
    let reader = folder.duocopy("read --dir=meet --bwlimit=64K --buffer-size=64M src x").start();
    let writer = hostile_writer(&folder);
    let there = memory(&folder);
    until("the Reader sends", || (word(&there, FILLED) > 0).then_some(()));
    forge(&there, COMMITTING);
    reader.signal(Signal::TERM);
    reader.end().expect(128 + Signal::TERM.as_raw(), &["interrupted"]);
    drop(writer);
}

/// Only the Writer itself can report that the copy is complete.
#[test]
fn the_writer_does_not_believe_a_verdict_of_the_reader() {
    for late in [false, true] {
        let folder = meeting();
        let mut reader = hostile_reader(&folder, 3 * BLOCK);
        let writer = folder.duocopy("write --dir=meet dst x").start();
        reader.start().expect("the Writer begins");
        let memory = memory(&folder);
        if late {
            let block = reader.empty_block().expect("two");
            reader.send(block, BLOCK).expect("the Writer is there");
            until("it is written", || (word(&memory, EMPTIED) == 1).then_some(()));
        }
        forge(&memory, COMPLETE);
        let ended = writer.end();
        assert!(ended.code != 0 && !ended.messages.contains("panicked"), "{ended:?}");
        assert!(!folder.is_there("dst"));
    }
}
