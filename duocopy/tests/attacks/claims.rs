//! A peer of another user that writes false claims into the shared memory: which file an earlier Writer had and how far
//! it came, that everything has been sent, that the copy is complete or was skipped. A half must report only what it
//! did itself, and touch only files that its own journal confirms.
//!
//! The tests run as root, so this process is the hostile user, and the halves run as others.

use crate::parties::{STORE, reader, two_parties, writer};
use crate::util::pipe_header::*;
use crate::util::*;
use blockpipe::{Consumer, Geometry, Pipe, Producer, Reason, ResumePoint};
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt, chown};
use std::time::{Duration, Instant};

const BLOCK: usize = 64 * KIB;
const HANGS: Duration = Duration::from_secs(20);

fn pipe(folder: &Folder) -> Pipe {
    let pipe = Pipe::named("nightly").in_directory(folder.path("meet"));
    pipe.tag(HALVES).connect_timeout(HANGS).replace_within(HANGS)
}

pub fn pipe_in(folder: &Folder) -> Option<File> {
    let entries = std::fs::read_dir(folder.path("meet")).expect("a folder").flatten();
    let path =
        entries.map(|entry| entry.path()).find(|path| path.file_name().is_some_and(|name| name.len() == 32));
    File::options().read(true).write(true).open(path?).ok()
}

fn memory(folder: &Folder) -> File {
    pipe_in(folder).expect("the pipe is there")
}

pub fn get(memory: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    // Past the end of a new file there is nothing to read.
    let _ = memory.read_at(&mut word, at);
    u64::from_le_bytes(word)
}

pub fn set(memory: &File, at: u64, value: u64) {
    memory.write_all_at(&value.to_le_bytes(), at).expect("a word");
}

fn set_verdict(memory: &File, stage: u64) {
    set(memory, VERDICT, get(memory, GENERATION) << 8 | stage);
}

fn packed<const N: usize>(words: [u64; N]) -> [u8; 128] {
    let mut bytes = [0; 128];
    bytes.chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
    bytes
}

/// Returns the record that a Reader sends for a source of this length (`record.rs`), with the mode 0666.
fn source(length: u64) -> [u8; 128] {
    packed([1, 2, length, 3, 0, 3, 0, 0o666, 1 << 8])
}

/// Returns the record that a Reader sends for this file.
fn source_at(folder: &Folder, name: &str, mode: u32) -> [u8; 128] {
    let of = folder.path(name).metadata().expect("it is there");
    let times = [of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()].map(i64::cast_unsigned);
    let owner = u64::from(of.uid()) | u64::from(of.gid()) << 32;
    packed([
        of.dev(),
        of.ino(),
        of.len(),
        times[0],
        times[1],
        times[2],
        times[3],
        mode.into(),
        1 << 8,
        0,
        0,
        owner,
    ])
}

fn sum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes)
}

fn hostile_reader(folder: &Folder, source: &[u8]) -> Producer {
    let mut reader = pipe(folder).join_as_producer().expect("nobody else is there");
    reader.ready(Geometry::new(BLOCK, 2), source).expect("there is memory");
    reader
}

/// Returns the metadata of a file, and its birth time in nanoseconds.
fn identity(file: &std::path::Path) -> (std::fs::Metadata, u64) {
    let of = file.metadata().expect("it is there");
    let born = of.created().expect("it has a birth time").duration_since(std::time::UNIX_EPOCH).unwrap();
    (of, born.as_nanos() as u64)
}

/// Writes the header that a dead Writer of this file would leave, after it had come this far. The stream ends there,
/// too.
fn pretend_writer(memory: &File, file: &std::path::Path, reached: ResumePoint, stage: u64) {
    let (of, born) = identity(file);
    memory.write_all_at(&128_u32.to_le_bytes(), TARGET_LENGTH).unwrap();
    memory.write_all_at(&packed([of.dev(), of.ino(), 0, born]), TARGET).unwrap();
    memory.write_all_at(&reached, WRITER_RESUME_POINTS).unwrap();
    memory.write_all_at(&reached, TRAILER).unwrap();
    set(memory, CLOSED, 1);
    memory.write_all_at(&1_u32.to_le_bytes(), BEGUN).unwrap();
    set_verdict(memory, stage);
}

fn point(position: u64, sum: u64) -> ResumePoint {
    let mut point = ResumePoint::default();
    point[..8].copy_from_slice(&position.to_le_bytes());
    point[8..16].copy_from_slice(&sum.to_le_bytes());
    point
}

/// The Writer must neither change the file nor report its checksum.
#[test(needs = [root])]
fn a_forged_dead_writer_gets_no_existing_destination() {
    for (flags, stage) in [("", COMMITTING), ("-p", COMMITTING), ("", 0), ("--force -p", COMMITTING)] {
        let folder = two_parties();
        let file = folder.write("store/dst", OLD);
        chown(&file, Some(STORE), Some(STORE)).expect("root may");
        folder.set_mode("store/dst", 0o600);
        let before = file.metadata().expect("it is there");
        let reader = hostile_reader(&folder, &source(OLD.len() as u64));
        let memory = memory(&folder);
        pretend_writer(&memory, &file, point(OLD.len() as u64, sum(OLD)), stage);
        let writer = writer(&folder, &format!("{flags} --replace-within=5s")).start();
        // If nothing else has ended the Writer, the end of the Reader does.
        let begun = Instant::now();
        while writer.ended().is_none() && begun.elapsed() < milliseconds(1500) {
            pause(milliseconds(10));
        }
        let _ = reader.abort(&Reason::new(0, "enough"));
        let ended = writer.end();
        assert_ne!(ended.code, 0, "{flags}: {ended:?}");
        let after = file.metadata().expect("it is there");
        let state = |of: &std::fs::Metadata| (of.ino(), of.mode(), of.uid(), of.mtime(), of.mtime_nsec());
        assert_eq!(state(&before), state(&after), "{flags}: {ended:?}");
        assert!(folder.read("store/dst") == OLD);
    }
}

/// Interrupts a copy from `backup` to `store`, and returns the length that it leaves.
fn interrupted(folder: &Folder) -> u64 {
    let halves = [reader(folder, "--bwlimit=700K"), writer(folder, "")].map(Run::start);
    until("a checkpoint", || (!folder.temporaries("store").is_empty()).then_some(()));
    until("a journal", || {
        let names = std::fs::read_dir(folder.path("store")).ok()?.flatten();
        names.map(|entry| entry.file_name()).find(|name| name.to_string_lossy().ends_with(".journal"))
    });
    pause(milliseconds(300));
    for half in &halves {
        half.kill();
    }
    for half in halves {
        half.end();
    }
    let parts = folder.temporaries("store");
    let part =
        parts.iter().find(|path| path.to_string_lossy().ends_with(".part")).expect("it was interrupted");
    part.metadata().expect("it is there").len()
}

/// A Reader of the same user resumes its copy. A process of another user that describes the same source does not.
#[test(needs = [root])]
fn a_left_over_copy_is_resumed_only_for_its_reader() {
    let folder = two_parties();
    interrupted(&folder);
    // The description is the same, but the user is another.
    let described = source_at(&folder, "backup/src", 0o600);
    let mut stranger = hostile_reader(&folder, &described);
    let attacked = writer(&folder, "").start();
    let begins = stranger.start().expect("the Writer begins");
    assert_eq!(begins, ResumePoint::default(), "the Writer resumed for a stranger");
    drop(stranger);
    assert_ne!(attacked.end().code, 0);
    assert!(!folder.is_there("store/dst"));

    interrupted(&folder);
    let halves = [reader(&folder, ""), writer(&folder, "-v")].map(Run::start);
    let [reader, writer] = halves.map(Process::end);
    reader.expect(0, &[]);
    writer.expect(0, &["resum"]);
    folder.assert_same("backup/src", "store/dst");
}

/// A dead Writer that is not in this user's journal is ignored.
#[test(needs = [root])]
fn a_forged_dead_writer_gets_no_left_over_copy() {
    for stage in [0, COMMITTING] {
        let folder = two_parties();
        let length = interrupted(&folder);
        let parts = folder.temporaries("store");
        let part = parts.iter().find(|path| path.to_string_lossy().ends_with(".part")).expect("it is there");
        let content = std::fs::read(part).expect("root may");
        let reader = hostile_reader(&folder, &source_at(&folder, "backup/src", 0o666));
        pretend_writer(&memory(&folder), part, point(length, sum(&content)), stage);
        let writer = writer(&folder, "--force --replace-within=5s").start();
        pause(milliseconds(500));
        drop(reader);
        let ended = writer.end();
        assert_ne!(ended.code, 0, "{ended:?}");
        assert!(!folder.is_there("store/dst"), "{ended:?}");
    }
}

/// A real Writer that was killed is replaced, even before its first checkpoint.
#[test(needs = [root])]
fn a_real_writer_is_replaced_at_any_time() {
    for (flags, wait) in [("", 0), ("--fsync=none", 300), ("", 1500), ("--hash=blake3", 700)] {
        let folder = two_parties();
        let options = format!("{flags} --replace-within=20s").replace("--fsync=none", "");
        let reader = reader(&folder, &format!("{options} --bwlimit=700K")).start();
        let first = writer(&folder, &format!("{flags} --replace-within=20s")).start();
        until("it has begun", || {
            let memory = pipe_in(&folder)?;
            (get(&memory, EMPTIED) > 0).then_some(())
        });
        pause(milliseconds(wait));
        first.kill();
        let second = writer(&folder, &format!("{flags} --replace-within=20s")).start();
        reader.end().expect(0, &[]);
        second.end().expect(0, &[]);
        folder.assert_same("backup/src", "store/dst");
        folder.assert_nothing_left_in("store");
    }
}

fn hostile_writer(folder: &Folder, at: ResumePoint) -> Consumer {
    let mut writer = pipe(folder).join_as_consumer().expect("a Reader comes");
    writer.begin(b"", at).expect("the first one");
    writer
}

/// A Reader reads everything again that an earlier Reader seems to have read.
#[test(needs = [root])]
fn a_reader_reports_a_checksum_only_of_what_it_has_read() {
    let folder = two_parties();
    let content = folder.read("backup/src");
    let reader = reader(&folder, "-v").start();
    let mut writer = hostile_writer(&folder, point(content.len() as u64, 0x4141_4141_4242_4242));
    assert!(writer.filled_block().expect("the Reader lives").is_none(), "there is nothing left to send");
    writer.commit().expect("nobody else").complete().expect("nobody else");
    reader.end().expect(0, &[&format!("CRC-64/NVME {:016x}", sum(&content))]);
}

/// A Reader that replaces a dead one does not believe that the dead one had sent everything.
#[test(needs = [root])]
fn a_forged_dead_reader_is_not_believed_to_have_sent_everything() {
    for is_there in [true, false] {
        let folder = two_parties();
        let content = folder.read("backup/src");
        let length = content.len() as u64;
        let described = source_at(&folder, "backup/src", 0o600);
        if !is_there {
            std::fs::remove_file(folder.path("backup/src")).expect("root may");
        }
        let dead = hostile_reader(&folder, &described);
        let writer = hostile_writer(&folder, ResumePoint::default());
        let memory = memory(&folder);
        drop(dead);
        // The Reader's end has left. Make the header look as if it had been killed after it had sent everything.
        memory.write_all_at(&READY.to_le_bytes(), STATE).unwrap();
        memory.write_all_at(&point(length, 7), TRAILER).unwrap();
        set(&memory, CLOSED, 1);
        set_verdict(&memory, 0);
        for at in [READER_RESUME_POINTS, READER_RESUME_POINTS + 32] {
            memory.write_all_at(&point(length, 7), at).unwrap();
        }
        let reader = reader(&folder, "--replace-within=20s").start();
        until("it has its seat", || (get(&memory, READER_PROCESS) as u32 == reader.id()).then_some(()));
        set_verdict(&memory, COMPLETE);
        let ended = reader.end();
        assert_ne!(ended.code, 0, "{ended:?}");
        drop(writer);
    }
}

/// In a directory that others can enter, a process reports *skipped* only if it has inspected the destination itself.
#[test(needs = [root])]
fn a_half_reports_skipped_only_if_it_finds_the_destination() {
    let folder = two_parties();
    let tag = [folder.text("backup/src"), folder.text("store/dst")].join("\0");
    let line = "--no-clobber --dir=meet --wait=20s backup/src store/dst nightly";
    let pipe = || pipe(&folder).tag(&tag);
    let skipped = r#"{"kind":"Skipped"}"#;
    // The Writer claims to have skipped the copy. (The Reader runs as root, which may inspect both files.)
    for exists in [false, true] {
        if exists {
            folder.write("store/dst", OLD);
        }
        let reader = folder.duocopy(line).start_reader();
        let writer = pipe().join_as_consumer().expect("the Reader is there");
        writer.abort(&Reason::new(1, skipped));
        let ended = reader.end();
        assert_eq!(ended.code == 0, exists, "{ended:?}");
    }
    std::fs::remove_file(folder.path("store/dst")).expect("it is there");
    // The Writer finds its own name under that claim. The number is that of --no-clobber without a backup.
    let mut described = source(5000);
    described[66] = 1 + 2 * 4;
    let mut reader = pipe().join_as_producer().expect("nobody else is there");
    reader.ready(Geometry::new(BLOCK, 2), &described).expect("there is memory");
    let writer = folder.duocopy(line).start();
    reader.start().expect("the Writer begins");
    let memory = memory(&folder);
    memory.write_all_at(skipped.as_bytes(), WRITER_REASON + 8).unwrap();
    memory.write_all_at(&(skipped.len() as u32).to_le_bytes(), WRITER_REASON + 4).unwrap();
    memory.write_all_at(&1_u32.to_le_bytes(), WRITER_REASON).unwrap();
    set_verdict(&memory, ABORTED_BY_WRITER);
    let ended = writer.end();
    assert_ne!(ended.code, 0, "{ended:?}");
    assert!(!folder.is_there("store/dst"));
}

/// After the rename the Writer knows that the copy is complete, whatever is written over the verdict.
#[test(needs = [root])]
fn a_renamed_copy_is_complete_whatever_is_written_over_the_verdict() {
    let mut changed = 0;
    for stage in [0, 3, ABORTED_BY_WRITER, COMPLETE, 77] {
        for _ in 0..10 {
            let folder = two_parties();
            let file = folder.write("store/dst", OLD);
            chown(&file, Some(STORE), Some(STORE)).expect("root may");
            let mut reader = hostile_reader(&folder, &source(OLD.len() as u64 - 1));
            let writer = writer(&folder, "--force").start();
            reader.start().expect("the Writer begins");
            let memory = memory(&folder);
            let new = OLD[1..].to_vec();
            let mut block = reader.empty_block().expect("there are two");
            block.copy_from(0, &new);
            reader.send_with(block, new.len(), &point(new.len() as u64, sum(&new))).expect("it is there");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let begun = Instant::now();
                    while begun.elapsed() < HANGS && get(&memory, VERDICT) & 0xff != COMMITTING {}
                    set_verdict(&memory, stage);
                });
                let _ = reader.close(&point(new.len() as u64, sum(&new)));
            });
            let ended = writer.end();
            ended.expect(0, &[]);
            assert!(folder.read("store/dst") == new, "{ended:?}");
            folder.assert_nothing_left_in("store");
            if ended.messages.contains("verdict") {
                changed += 1;
                break;
            }
        }
    }
    note!("in {changed} of 5 cases the verdict was overwritten between the rename and its end");
    assert!(changed > 0, "the moment was never found");
}

/// A stop ends the wait for a Writer that announces its commit and then does nothing.
#[test(needs = [root])]
fn an_interrupted_reader_leaves_a_commit_that_does_not_end() {
    let folder = two_parties();
    let reader = reader(&folder, "").start();
    let mut writer = hostile_writer(&folder, ResumePoint::default());
    while let Some(block) = writer.filled_block().expect("the Reader lives") {
        writer.release(block).expect("the Reader lives");
    }
    let _committing = writer.commit().expect("nobody else");
    pause(milliseconds(200));
    reader.signal(Signal::TERM);
    let begun = Instant::now();
    let ended = reader.end();
    ended.expect(8, &["did not finish committing"]);
    let took = begun.elapsed();
    assert!((milliseconds(9000)..milliseconds(13_000)).contains(&took), "{took:?}");
}

/// Every loop over content ends with the first signal: a Reader that reads what the Writer claims to have, and a Writer
/// that reads back what it has written.
#[test(needs = [root, strace])]
fn an_interrupt_ends_every_loop_over_content() {
    const LENGTH: u64 = 300_000_000_000;
    let folder = two_parties();
    for hash in ["", "--hash=blake3"] {
        File::options().write(true).open(folder.path("backup/src")).unwrap().set_len(LENGTH).expect("sparse");
        let reader = reader(&folder, hash).start();
        let writer = hostile_writer(&folder, point(LENGTH, 0));
        pause(milliseconds(500));
        assert!(reader.ended().is_none(), "{}", reader.messages());
        reader.signal(Signal::TERM);
        let begun = Instant::now();
        reader.end().expect(128 + 15, &[]);
        assert!(begun.elapsed() < milliseconds(3000), "{:?}", begun.elapsed());
        drop(writer);
    }
    folder.write("backup/src", vec![0; 64 * MIB]);
    let slow = "-f -e trace=read -e inject=read:delay_enter=100000";
    let writer = writer(&folder, "--verify=reread --fsync=none").traced(slow);
    let runs = [reader(&folder, ""), writer];
    // The Writer's user writes the trace.
    folder.set_mode("", 0o777);
    let [reader, writer] = runs.map(Run::start);
    // Pieces of 1 MiB are read only to read the copy back, which takes 64 of them.
    until("the copy is read back", || (writer.trace().matches(", 1048576").count() > 2).then_some(()));
    writer.signal(Signal::TERM);
    let begun = Instant::now();
    let [reader, writer] = [reader, writer].map(Process::end);
    writer.expect(128 + 15, &[]);
    assert_ne!(reader.code, 0);
    assert!(begun.elapsed() < milliseconds(3000), "{:?}", begun.elapsed());
    folder.assert_nothing_left_in("store");
}

/// A Writer that dies while it commits leaves a Reader that inspects the destination. A stranger can make that long.
#[test(needs = [root, strace])]
fn an_interrupt_ends_the_inspection_of_a_huge_destination() {
    let folder = two_parties();
    for name in ["backup/src", "store/dst"] {
        folder.write(name, vec![0; 64 * MIB]);
    }
    let tag = [folder.text("backup/src"), folder.text("store/dst")].join("\0");
    let line = "--dir=meet --wait=20s backup/src store/dst nightly";
    // The inspection reads 64 times, which takes longer than a process may take to end.
    let slow = format!("-f -P {} -e trace=read -e inject=read:delay_enter=1000000", folder.text("store/dst"));
    let reader = folder.duocopy(line).traced(&slow).start_reader();
    let mut writer = pipe(&folder).tag(&tag).join_as_consumer().expect("the Reader is there");
    let (of, born) = identity(&folder.path("store/dst"));
    writer.begin(&packed([of.dev(), of.ino(), 0, born]), ResumePoint::default()).expect("the first one");
    while let Some(block) = writer.filled_block().expect("the Reader lives") {
        writer.release(block).expect("the Reader lives");
    }
    let _ = writer.commit().expect("nobody else");
    drop(writer);
    reader.has_called("read", 1);
    reader.signal(Signal::TERM);
    reader.end().expect(8, &["cannot be told from here"]);
}

/// A replacement of another user is detected before the copy is committed.
#[test(needs = [root])]
fn a_reader_is_replaced_only_by_its_own_user() {
    let folder = two_parties();
    let content = folder.read("backup/src");
    let first = reader(&folder, "--replace-within=20s --bwlimit=700K").start();
    let writer = writer(&folder, "--replace-within=20s").start();
    until("a part has been written", || {
        assert!(writer.ended().is_none(), "{}", writer.messages());
        let memory = pipe_in(&folder)?;
        (get(&memory, EMPTIED) > 0).then_some(())
    });
    first.kill();
    let mut stranger = pipe(&folder).join_as_producer().expect("the first one is dead");
    let at = stranger.start().expect("the Writer lives");
    let mut position = u64::from_le_bytes(at[..8].try_into().unwrap()) as usize;
    while position < content.len() {
        let mut block = stranger.empty_block().expect("the Writer lives");
        let bytes = block.capacity().min(content.len() - position);
        block.copy_from(0, &content[position..position + bytes]);
        position += bytes;
        let reached = point(position as u64, sum(&content[..position]));
        stranger.send_with(block, bytes, &reached).expect("the Writer lives");
    }
    let closed = stranger.close(&point(content.len() as u64, sum(&content)));
    assert!(closed.is_err(), "{closed:?}");
    writer.end().expect(12, &["has replaced one of another user"]);
    assert!(!folder.is_there("store/dst"));
}
