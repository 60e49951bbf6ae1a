//! What two processes, a third one and `cp` do with the files that people have: exit codes, messages, files.

use crate::util::*;
#[cfg(unix)]
use rustix::fs::{CWD, FileType, Mode};
use std::collections::BTreeSet;
#[cfg(unix)]
use std::ffi::OsStr;
use std::fs::{self, File};
#[cfg(unix)]
use std::os::unix::{ffi::OsStrExt, fs::MetadataExt};
use std::path::Path;
use std::time::Duration;

/// Copies so many bytes by a pair with these flags.
fn copies(folder: &Folder, length: usize, flags: &str) {
    folder.write("src", bytes(length, length as u64));
    let start = || folder.duocopy(&format!("{flags} src dst")).start();
    for process in [start(), start()] {
        let ended = process.end();
        assert_eq!((ended.code, ended.said.as_str()), (0, ""), "{length} bytes, {flags}");
        assert_eq!(ended.output, "", "standard output is for data");
    }
    folder.assert_same("src", "dst");
    fs::remove_file(folder.path("dst")).unwrap();
}

/// What is in this file, if it is there.
fn content(folder: &Folder, name: &str) -> Option<Vec<u8>> {
    fs::read(folder.path(name)).ok()
}

/// Fails unless both ended with this code and with these texts, and the destination is what it was.
#[track_caller]
fn both_fail(folder: &Folder, processes: [Process; 2], code: i32, texts: &[&str]) {
    let old = content(folder, "dst");
    for ended in end(processes) {
        ended.expect(code, texts);
    }
    assert_untouched(folder, old.as_deref());
}

/// Fails unless the destination has its old content, or none, and nothing is left beside it.
#[track_caller]
fn assert_untouched(folder: &Folder, old: Option<&[u8]>) {
    assert!(content(folder, "dst").as_deref() == old, "the destination was touched");
    assert_eq!(folder.temporaries(""), [] as [&Path; 0], "a temporary file is left");
}

// ------------------------------------------------------------------------------------------------ the pair

#[test]
fn every_length_arrives_whole() {
    let folder = Folder::new();
    let block = 64 * KIB;
    for length in [0, 1, block - 1, block, block + 1, 2 * block, 4 * block, 8 * block, 8 * block + 123] {
        copies(&folder, length, SMALL_BLOCKS);
    }
    let block = 512 * KIB;
    for length in [0, 1, 4095, 4096, 4097, block - 1, block, block + 1, 4 * block, 8 * block, 40 * MIB] {
        copies(&folder, length, "");
        copies(&folder, length, "--fsync=none --progress=never");
    }
}

#[test]
fn a_file_of_more_than_32_bits_arrives_whole() {
    if !large("a source of 5 GiB") {
        return;
    }
    let folder = Folder::with_limit(Duration::from_secs(600));
    let length = 5 << 30;
    let source = File::create_new(folder.path("src")).unwrap();
    source.set_len(length).unwrap();
    for place in [0, (1 << 32) - 5, length / 2, length - 10] {
        source.write_all_at(b"not a hole", place).unwrap();
    }
    let start = || folder.duocopy("--fsync=none src dst").start();
    for process in [start(), start()] {
        let ended = process.end_within(Duration::from_secs(500)).ok().expect("an end in time");
        ended.expect(0, &[]);
    }
    let copy = File::open(folder.path("dst")).unwrap();
    assert_eq!(copy.metadata().unwrap().len(), length);
    let (mut one, mut other) = (vec![0; 4 * MIB], vec![0; 4 * MIB]);
    for place in (0..length).step_by(one.len()) {
        source.read_exact_at(&mut one, place).unwrap();
        copy.read_exact_at(&mut other, place).unwrap();
        assert!(one == other, "different after {place} bytes");
    }
}

#[test]
fn each_process_opens_its_own_file_only() {
    if !strace("who opens which file") {
        return;
    }
    let folder = Folder::new();
    folder.write("src", bytes(300 * KIB, 1));
    folder.write("dst", OLD);
    let watched = || folder.duocopy("src dst").traced("-f -e trace=open,openat,openat2,creat");
    let [reader, writer] = pair(watched(), watched());
    // What is opened with `O_PATH` can only be found, and neither read nor written.
    let opened = |process: &Process, what: &str| {
        process.trace().lines().any(|line| line.contains(what) && !line.contains("O_PATH"))
    };
    let (source, destination) =
        (format!("\"{}\"", folder.text("src")), format!("\"{}\"", folder.text("dst")));
    for process in [&reader, &writer] {
        until("the end of the trace", || opened(process, "+++ exited").then_some(()));
    }
    assert!(opened(&reader, &source) && opened(&writer, ".part\""), "{}{}", reader.trace(), writer.trace());
    let own_folder = format!("\"{}\"", folder.text("").trim_end_matches('/'));
    assert!(writer.trace().contains(&own_folder), "the Writer opens the directory: {}", writer.trace());
    for (process, foreign) in
        [(&reader, ".part"), (&reader, &own_folder), (&reader, &destination), (&writer, &source)]
    {
        assert!(!opened(process, foreign), "{foreign} is opened: {}", process.trace());
    }
    // The old destination is replaced without being read.
    let reads =
        writer.trace().lines().filter(|line| line.contains("\"dst\"")).any(|line| !line.contains("O_PATH"));
    assert!(!reads, "{}", writer.trace());
    complete([reader, writer]);
    folder.assert_same("src", "dst");
}

#[test]
fn reading_and_writing_go_on_at_the_same_time() {
    if !strace("that reading and writing overlap") {
        return;
    }
    let folder = Folder::new();
    let source = folder.write("src", bytes(2 * MIB, 1));
    let line = &format!("{SMALL_BLOCKS} src dst");
    let reading = format!("-ttt -P {} -e trace=read -e inject=read:delay_enter=5000", source.display());
    let writing = format!("-ttt {SLOW_WRITES}");
    let [reader, writer] = pair(folder.duocopy(line).traced(&reading), folder.duocopy(line).traced(&writing));
    let begun = |process: &Process, call| -> Vec<f64> {
        let lines = process.calls(call);
        lines.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    reader.has_called("read", 33);
    writer.has_called("pwrite64", 32);
    let (filled, drained) = (begun(&reader, "read"), begun(&writer, "pwrite64"));
    complete([reader, writer]);
    // A read takes 5 ms from its beginning, and a write 20 ms.
    let meet = |read: f64, write: f64| write < read + 0.005 && read < write + 0.02;
    let overlapping = filled.iter().filter(|read| drained.iter().any(|write| meet(**read, *write))).count();
    println!("{overlapping} of {} reads went on while a write went on", filled.len());
    assert!(overlapping >= 16, "reads: {filled:?}, writes: {drained:?}");
}

#[test]
fn the_reader_of_a_tiny_file_waits_for_its_writer() {
    let folder = Folder::new();
    for content in ["", "tiny"] {
        folder.write("src", content);
        let reader = folder.duocopy("src dst").start_reader();
        pause(milliseconds(1000));
        assert!(reader.ended().is_none(), "left before the Writer came: {}", reader.said());
        assert!(!folder.is_there("dst"));
        let writer = folder.duocopy("src dst").start_writer();
        complete([reader, writer]);
        folder.assert_same("src", "dst");
        fs::remove_file(folder.path("dst")).unwrap();
    }
}

// ----------------------------------------------------------------------------------------- a third process

/// Starts a third process, which must be turned away.
#[track_caller]
fn turned_away(folder: &Folder, when: &str, says: &str) {
    let third = folder.duocopy("src dst").end();
    third.expect(9, &["too many instances", &folder.text("src"), &folder.text("dst"), says]);
    println!("a third process {when} is turned away after {:?}", third.took);
    assert!(third.took < milliseconds(1000 * SLOWNESS), "{third:?}");
}

#[test]
fn a_third_process_is_turned_away_while_the_two_are_starting() {
    if !strace("a third process while two are starting") {
        return;
    }
    let folder = Folder::new();
    let source = folder.write("src", "content");
    let slow = format!("-P {} -e trace=openat -e inject=openat:delay_enter=1500000", source.display());
    let [reader, writer] = pair(folder.duocopy("src dst").traced(&slow), folder.duocopy("src dst"));
    seated(&folder, &writer);
    for _ in 0..3 {
        turned_away(&folder, "while they start", "they are starting");
    }
    complete([reader, writer]);
    folder.assert_same("src", "dst");
}

/// Waits until this process has the second seat under the default name.
fn seated(folder: &Folder, writer: &Process) {
    until("the Writer's number in the header", || {
        let mut id = [0; 4];
        folder.pipe()?.read_exact_at(&mut id, 132).ok()?;
        (u32::from_ne_bytes(id) == writer.id()).then_some(())
    });
    // It has still to sit down.
    pause(milliseconds(50));
}

#[test]
fn a_third_process_is_turned_away_while_the_two_copy() {
    if !can_be_held("a third process during a copy") {
        return;
    }
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    let [reader, writer] = in_the_middle(&folder);
    let says = format!("Reader (process {}) and its Writer (process {})", reader.id(), writer.id());
    for _ in 0..3 {
        turned_away(&folder, "during the copy", &says);
    }
    assert!(writer.ended().is_none(), "the copy was too fast for this test");
    complete([reader, writer]);
    folder.assert_same("src", "dst");
}

#[test]
fn a_third_process_is_turned_away_while_the_two_are_finishing() {
    if !strace("a third process while two are finishing") {
        return;
    }
    for slow in [
        "-e trace=/^fsync -e inject=/^fsync:delay_enter=1000000:when=1",
        "-e trace=/^rename -e inject=/^rename:delay_enter=1000000",
    ] {
        let folder = Folder::new();
        folder.write("src", bytes(MIB, 1));
        let [reader, writer] = pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced(slow));
        until("the beginning of the slow call", || {
            let length = folder.temporaries("").first()?.metadata().ok()?.len();
            (length == MIB as u64).then_some(())
        });
        pause(milliseconds(200));
        turned_away(&folder, "while they finish", "they are finishing");
        assert!(writer.ended().is_none(), "the copy was too fast for this test");
        complete([reader, writer]);
        folder.assert_same("src", "dst");
    }
}

#[test]
fn a_new_pair_can_come_right_after_one_that_has_ended() {
    let folder = Folder::new();
    folder.write("src", "again and again");
    let start = || folder.duocopy("src dst").start();
    let mut longest = Duration::ZERO;
    for round in 0..200 / SLOWNESS {
        for ended in end([start(), start()]) {
            assert_eq!(ended.code, 0, "round {round}: {ended:?}");
            longest = longest.max(ended.took);
        }
    }
    println!("the slowest of many pairs in a row took {longest:?}");
    folder.assert_same("src", "dst");
}

#[test]
fn a_new_pair_can_come_while_one_is_leaving() {
    let folder = Folder::new();
    folder.write("src", "again and again");
    let start = || folder.duocopy("--wait=20s src dst").start();
    let mut pair = [start(), start()];
    for round in 0..60 / SLOWNESS {
        until("one of the two ends", || pair.iter().any(|process| process.ended().is_some()).then_some(()));
        for ended in end(std::mem::replace(&mut pair, [start(), start()])) {
            assert_eq!(ended.code, 0, "round {round}: {ended:?}");
        }
    }
    complete(pair);
}

// --------------------------------------------------------------------------------------------------- names

#[test]
fn unrelated_copies_run_side_by_side_without_a_name() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..6).map(|n| format!("{SMALL_BLOCKS} src{n} dst{n}")).collect();
    for n in 0..lines.len() {
        folder.write(format!("src{n}"), bytes(MIB + n, n as u64));
    }
    let start = |line: &String| folder.duocopy(line).start();
    let first: Vec<_> = lines.iter().map(start).collect();
    let second: Vec<_> = lines.iter().map(start).collect();
    for process in first.into_iter().chain(second) {
        process.end().expect(0, &[]);
    }
    for n in 0..lines.len() {
        folder.assert_same(format!("src{n}"), format!("dst{n}"));
    }
}

#[test]
fn a_name_may_be_long_and_odd() {
    let folder = Folder::new();
    folder.write("src", bytes(300 * KIB, 1));
    let odd = format!("{} / \t\n\u{1b}[2J/../ 'ü'\u{202e} \"日本\"", folder.text(""));
    let name = odd.repeat(4000 / odd.len() + 1);
    let [reader, writer] = pair(folder.duocopy("src dst").word(&name), folder.duocopy("src dst").word(&name));
    for ended in end([reader, writer]) {
        ended.expect(0, &["complete", "\\t\\n\\u{1b}[2J"]);
        assert!(!ended.said.contains('\u{1b}'), "control characters must not reach a terminal: {ended:?}");
    }
    folder.assert_same("src", "dst");
}

left_out_on_windows!(paths_need_not_be_readable, "names are no bytes here; windows.rs has surrogates");
#[cfg(unix)]
#[test]
fn paths_need_not_be_readable() {
    let folder = Folder::new();
    let [source, destination] = [OsStr::from_bytes(b"a \xff\xfe\n"), OsStr::from_bytes(b"-b\x80")];
    folder.write(source, "content");
    let start = || folder.duocopy("--").word(source).word(destination).start();
    complete([start(), start()]);
    folder.assert_same(source, destination);
}

#[test]
fn another_job_under_the_same_name_is_refused_and_the_first_goes_on() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.write("other", "other content");
    let name = &folder.text("a name");
    let reader = folder.duocopy("src dst").word(name).start_reader();
    for line in ["other dst", "src other-dst", "dst src"] {
        let newcomer = folder.duocopy(line).word(name).end();
        let paths = line.split(' ').map(|path| folder.text(path)).collect::<Vec<_>>();
        let job = |from: &str, to: &str| format!("{from} -> {to}");
        let (theirs, ours) = (job(&folder.text("src"), &folder.text("dst")), job(&paths[0], &paths[1]));
        // Where case makes no difference, the other process' paths come in small letters.
        let theirs = if cfg!(windows) { theirs.to_lowercase() } else { theirs };
        newcomer.expect(12, &[name, &theirs, &ours, "choose another NAME"]);
        assert!(newcomer.took < milliseconds(1000 * SLOWNESS), "{newcomer:?}");
    }
    assert!(reader.ended().is_none(), "the first process must go on waiting: {}", reader.said());
    let writer = folder.duocopy("src dst").word(name).start_writer();
    complete([reader, writer]);
    folder.assert_same("src", "dst");
    assert!(!folder.is_there("other-dst"));
}

left_out_on_windows!(
    another_version_is_refused_by_number_and_the_first_goes_on,
    "pipes are no files; the library tests it"
);
#[cfg(unix)]
#[test]
fn another_version_is_refused_by_number_and_the_first_goes_on() {
    let folder = Folder::new();
    folder.write("src", "content");
    let name = &folder.text("a name");
    let reader = folder.duocopy("src dst").word(name).start_reader();
    let header = until("the pipe's file", || pipe_file(name.as_bytes()));
    let mut ours = [0; 4];
    header.read_exact_at(&mut ours, 8).unwrap();
    header.write_all_at(&77_u32.to_ne_bytes(), 8).unwrap();
    let texts =
        [name, "version 77", &format!("version {}", u32::from_ne_bytes(ours)), "use the same duocopy"];
    folder.duocopy("src dst").word(name).end().expect(11, &texts);
    assert!(reader.ended().is_none(), "the first process must go on waiting: {}", reader.said());
    header.write_all_at(&ours, 8).unwrap();
    let writer = folder.duocopy("src dst").word(name).start_writer();
    complete([reader, writer]);
}

// -------------------------------------------------------------------------------------------------- memory

#[test]
fn full_shared_memory_is_an_error_on_both_sides() {
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    folder.write("dst", OLD);
    // With too little memory for the blocks, and for anything at all.
    for size in ["256k", "4k"] {
        let script = format!(
            "mount -t tmpfs -o size={size} tmpfs /dev/shm
            \"$0\" -v --wait=10s src dst 2> first & first=$!
            \"$0\" -v --wait=10s src dst 2> second & second=$!
            wait $first && code=0 || code=$?
            wait $second && codes=\"$code 0\" || codes=\"$code $?\"
            echo $codes"
        );
        let Some(ended) = folder.with_own_mounts("full shared memory", &script) else { return };
        assert_eq!(ended.output, "7 7\n", "{ended:?}");
        for said in ["first", "second"] {
            let said = String::from_utf8(folder.read(said)).unwrap();
            assert!(said.contains("/dev/shm") && said.contains("free some of it"), "{said}");
        }
        assert_untouched(&folder, Some(OLD));
    }
}

#[test]
fn a_writer_that_waits_is_told_that_shared_memory_is_full() {
    if !strace("a Writer that waits for a Reader without memory") {
        return;
    }
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    // The kernel's answer for the blocks, which are reserved by the second such call, comes late and is `no space`.
    let call = if cfg!(blockpipe_portable) { "pwrite64" } else { "fallocate" };
    let full = format!("-e trace={call} -e inject={call}:error=ENOSPC:delay_enter=300000:when=2");
    let [reader, writer] = pair(folder.duocopy("src dst").traced(&full), folder.duocopy("src dst"));
    seated(&folder, &writer);
    let texts = ["shared memory is full", "free some of it", "--buffer-size"];
    both_fail(&folder, [reader, writer], 7, &texts);
}

#[test]
fn impossible_sizes_are_mended_with_a_note() {
    let folder = Folder::new();
    folder.write("src", bytes(300 * KIB + 7, 1));
    for (flags, note) in [
        ("--block-size=1", Some("blocks of 4096 bytes")),
        ("--block-size=5000", Some("blocks of 8192 bytes")),
        ("--block-size=64K --buffer-size=64K", Some("2 blocks of 65536 bytes")),
        ("--buffer-size=1", Some("2 blocks of 4096 bytes")),
        ("--block-size=64KiB --buffer-size=1MB", None),
    ] {
        let line = &format!("{flags} src dst");
        // Only the Reader's wishes count, and only the Reader has something to say.
        let reader = folder.duocopy(line).start_reader();
        let writer = folder.duocopy(line).start();
        let [reader, writer] = end([reader, writer]);
        reader.expect(0, note.as_slice());
        assert_eq!(reader.said.contains("the nearest that works"), note.is_some(), "{reader:?}");
        assert_eq!(writer.expect(0, &[]).said, "");
        folder.assert_same("src", "dst");
        fs::remove_file(folder.path("dst")).unwrap();
    }
    for flag in ["--block-size=0", "--block-size=x", "--buffer-size=-1"] {
        folder.duocopy(&format!("{flag} src dst")).end().expect(2, &["--b"]);
    }
}

left_out_on_windows!(memory_does_not_grow_with_the_file, "the peak of a process is read from /proc");
#[cfg(unix)]
#[test]
fn memory_does_not_grow_with_the_file() {
    let folder = Folder::new();
    let source = File::create_new(folder.path("src")).unwrap();
    source.set_len(200 * MIB as u64).unwrap();
    source.write_all_at(&bytes(MIB, 1), 100 * MIB as u64).unwrap();
    let ring = MIB as u64;
    let line = "--fsync=none --block-size=256K --buffer-size=1M src dst";
    let processes = pair(folder.duocopy(line), folder.duocopy(line));
    let mut peaks = [0; 2];
    // The kernel keeps the peak, so the last look before the end is enough.
    until("the end of both", || {
        for (process, peak) in processes.iter().zip(&mut peaks) {
            *peak = process.peak_memory().unwrap_or(0).max(*peak);
        }
        processes.iter().all(|process| process.ended().is_some()).then_some(())
    });
    complete(processes);
    println!("peak memory of Reader and Writer with a ring of {ring} bytes: {peaks:?}");
    for peak in peaks {
        assert!(peak > ring, "the last look came too early: {peaks:?}");
        assert!(peak < ring + 16 * MIB as u64, "{peaks:?}");
    }
}

// --------------------------------------------------------------------------------------------- destination

left_out_on_windows!(the_destination_is_untouched_until_the_copy_is_complete, "modes");
#[cfg(unix)]
#[test]
fn the_destination_is_untouched_until_the_copy_is_complete() {
    if !strace("the destination during a copy") {
        return;
    }
    for old in [None, Some(OLD)] {
        let folder = Folder::new();
        folder.write("src", bytes(2 * MIB, 1));
        if let Some(old) = old {
            folder.write("dst", old);
        }
        let line = &format!("{SMALL_BLOCKS} src dst");
        let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
        let mut looks = 0;
        while writer.ended().is_none() {
            let now = content(&folder, "dst");
            // While the temporary file exists, the rename is still to come, and `now` was read before it. The journal,
            // which a copy of more than a second has, outlives the rename.
            if let Some(temporary) = folder.left_over("part") {
                assert!(now.as_deref() == old, "the destination changed too early");
                let mode = temporary.metadata().map_or(0o600, |metadata| metadata.mode() & 0o7777);
                // It gets its final mode after the last write.
                if writer.calls("pwrite64").len() < 32 {
                    assert_eq!(mode, 0o600, "others could open it before it is complete");
                    looks += 1;
                }
            }
            pause(milliseconds(5));
        }
        assert!(looks > 20, "the copy was too fast for this test: {looks}");
        complete([reader, writer]);
        folder.assert_same("src", "dst");
        assert_eq!(folder.temporaries(""), [] as [&Path; 0]);
    }
}

#[test]
fn complete_means_that_content_and_name_are_on_the_disk() {
    if !strace("the order of writing, flushing and renaming") {
        return;
    }
    let steps = ["pwrite64", "fsync", "rename"];
    let order = |flags: &str| {
        let folder = Folder::new();
        folder.write("src", bytes(300 * KIB, 1));
        let line = &format!("{flags} src dst");
        let watched = folder.duocopy(line).traced("-f -e trace=/^(pwrite64|fsync|fdatasync|rename)");
        let [reader, writer] = pair(folder.duocopy(line), watched);
        until("the end of the Writer", || writer.ended());
        let trace = writer.trace();
        let mut calls: Vec<_> =
            trace.lines().filter_map(|line| steps.into_iter().find(|step| line.contains(step))).collect();
        calls.dedup();
        complete([reader, writer]);
        calls
    };
    assert_eq!(order(""), ["pwrite64", "fsync", "rename", "fsync"]);
    assert_eq!(order("--fsync=none"), ["pwrite64", "rename"]);
}

left_out_on_windows!(
    a_new_destination_gets_the_mode_of_the_source_and_of_the_mask,
    "modes and masks; windows.rs has attributes"
);
#[cfg(unix)]
#[test]
fn a_new_destination_gets_the_mode_of_the_source_and_of_the_mask() {
    let folder = Folder::new();
    folder.write("src", "content");
    for (source, mask, expected) in [
        (0o644, "umask 022", 0o644),
        (0o754, "umask 027", 0o750),
        (0o666, "umask 077", 0o600),
        (0o777, "umask 0", 0o777),
        (0o4755, "umask 022", 0o755),
        (0o400, "umask 022", 0o400),
    ] {
        folder.set_mode("src", source);
        let start = || folder.duocopy("src dst").after(mask).start();
        complete([start(), start()]);
        assert_eq!(folder.mode("dst"), expected, "{source:o} under {mask}");
        fs::remove_file(folder.path("dst")).unwrap();
    }
}

left_out_on_windows!(
    an_existing_destination_keeps_its_mode_and_owner,
    "modes and owners; windows.rs has attributes"
);
#[cfg(unix)]
#[test]
fn an_existing_destination_keeps_its_mode_and_owner() {
    let folder = Folder::new();
    folder.write("src", "new content");
    folder.set_mode("src", 0o604);
    for mode in [0o640, 0o755, 0o600, 0o444] {
        folder.write("dst", OLD);
        folder.set_mode("dst", mode);
        let owner = if is_root() { (1234, 1235) } else { (folder.path("").metadata().unwrap().uid(), 0) };
        if is_root() {
            std::os::unix::fs::chown(folder.path("dst"), Some(owner.0), Some(owner.1)).unwrap();
        }
        let start = || folder.duocopy("src dst").start();
        complete([start(), start()]);
        folder.assert_same("src", "dst");
        assert_eq!(folder.mode("dst"), mode);
        let metadata = folder.path("dst").metadata().unwrap();
        if is_root() {
            assert_eq!((metadata.uid(), metadata.gid()), owner);
        } else {
            assert_eq!(metadata.uid(), owner.0);
        }
        fs::remove_file(folder.path("dst")).unwrap();
    }
    if !is_root() {
        left_out("that a foreign owner is kept: needs root");
    }
}

left_out_on_windows!(a_link_stays_a_link_and_its_target_is_replaced, "links need a right that few have");
#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_its_target_is_replaced() {
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    folder.make("deep");
    folder.write("deep/target", OLD);
    symlink("deep/target", folder.path("first")).unwrap();
    symlink("first", folder.path("dst")).unwrap();
    let line = &format!("{SMALL_BLOCKS} src dst");
    let slowed = strace("where the temporary file of a link's target is");
    let writer = if slowed { folder.duocopy(line).traced(SLOW_WRITES) } else { folder.duocopy(line) };
    let [reader, writer] = pair(folder.duocopy(line), writer);
    if slowed {
        writer.has_called("pwrite64", 1);
        assert_eq!((folder.temporaries("deep").len(), folder.temporaries("").len()), (1, 0));
    }
    complete([reader, writer]);
    assert!(folder.path("dst").is_symlink() && folder.path("first").is_symlink());
    assert!(!folder.path("deep/target").is_symlink());
    folder.assert_same("src", "deep/target");
    assert_eq!(folder.temporaries("deep"), [] as [&Path; 0]);
}

left_out_on_windows!(
    what_is_not_a_regular_file_is_refused_as_destination_and_stays,
    "devices have other names; windows.rs has them"
);
#[cfg(unix)]
#[test]
fn what_is_not_a_regular_file_is_refused_as_destination_and_stays() {
    let folder = Folder::new();
    folder.write("src", "content");
    symlink("nowhere", folder.path("dangling")).unwrap();
    rustix::fs::mknodat(CWD, folder.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
    folder.make("folder");
    folder.make("folder/src");
    for (destination, says) in [
        ("dangling", "a link that leads nowhere"),
        ("fifo", "a device, a pipe or a socket"),
        ("socket", "a device, a pipe or a socket"),
        ("/dev/null", "a device, a pipe or a socket"),
        ("folder", "is a directory"),
    ] {
        let path = folder.path(destination);
        let kind = || path.symlink_metadata().unwrap().mode();
        let before = kind();
        let line = &format!("src {destination}");
        let named = if destination == "folder" { "folder/src" } else { destination };
        let named = &folder.path(named).display().to_string();
        // Whatever goes wrong here must not cost this machine its devices.
        let start = || folder.duocopy(line).by_nobody();
        for ended in end(pair(start(), start())) {
            ended.expect(12, &[named, says, "name "]);
        }
        assert_eq!(kind(), before, "{destination} was touched");
    }
    assert!(!folder.is_there("nowhere"));
    assert_eq!(folder.temporaries(""), [] as [&Path; 0]);
}

left_out_on_windows!(
    a_directory_as_destination_gets_a_file_of_the_same_name,
    "links need a right that few have; windows.rs has the rest"
);
#[cfg(unix)]
#[test]
fn a_directory_as_destination_gets_a_file_of_the_same_name() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.make("folder");
    symlink("folder", folder.path("link")).unwrap();
    for (words, copy) in
        [("src folder", "folder/src"), ("src folder/", "folder/src"), ("src link", "link/src")]
    {
        // However it is written, it is the same copy.
        let [one, other] = [folder.duocopy(words), folder.duocopy(&format!("src {copy}"))];
        complete([one.start(), other.start()]);
        folder.assert_same("src", copy);
        fs::remove_file(folder.path(copy)).unwrap();
    }
    folder.make("folder/deep");
    folder.duocopy("cp folder/../src folder/deep/.").end().expect(0, &[]);
    folder.assert_same("src", "folder/deep/src");
}

#[test]
fn a_second_copy_to_the_same_destination_is_refused() {
    if !can_be_held("two copies with one destination") {
        return;
    }
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    folder.write("other", "other content");
    folder.write("dst", OLD);
    let first = in_the_middle(&folder);
    for ended in end(pair(folder.duocopy("other dst"), folder.duocopy("other dst"))) {
        ended.expect(
            12,
            &[&folder.text("dst"), "another copy writes to this destination", "wait for its end"],
        );
    }
    assert!(first[1].ended().is_none(), "the copy was too fast for this test");
    complete(first);
    folder.assert_same("src", "dst");
}

left_out_on_windows!(
    a_temporary_file_that_somebody_removes_ends_the_copy,
    "the name of an open file goes with its last handle"
);
#[cfg(unix)]
#[test]
fn a_temporary_file_that_somebody_removes_ends_the_copy() {
    if !can_be_held("a temporary file that is removed") {
        return;
    }
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    let processes = in_the_middle(&folder);
    let [temporary] = &folder.temporaries("")[..] else { panic!("one temporary file") };
    fs::remove_file(temporary).unwrap();
    let texts = ["removed or replaced the temporary file", "copy again", &folder.text("dst")];
    both_fail(&folder, processes, 12, &texts);
}

// ------------------------------------------------------------------------------------------------ failures

#[cfg(unix)]
/// Starts the Reader with its opening of the source slowed down, so that the Writer is there when it fails.
fn slow_to_open(folder: &Folder, line: &str) -> [Process; 2] {
    let source = folder.path(line.split(' ').next().unwrap());
    let slow = format!("-P {} -e trace=openat -e inject=openat:delay_enter=300000", source.display());
    pair(
        folder.duocopy(line).traced(&slow),
        folder.duocopy(line).traced("-f -e trace=open,openat,openat2,creat"),
    )
}

left_out_on_windows!(
    a_source_that_cannot_be_opened_ends_both_and_nothing_is_made,
    "modes and devices; windows.rs has what there is here"
);
#[cfg(unix)]
#[test]
fn a_source_that_cannot_be_opened_ends_both_and_nothing_is_made() {
    let folder = Folder::new();
    folder.make("folder");
    folder.write("unreadable", "content");
    folder.set_mode("unreadable", 0);
    folder.write("file", "content");
    rustix::fs::mknodat(CWD, folder.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let cases = [
        ("missing", "look at the spelling"),
        ("folder", "name a file"),
        ("file/below", "Not a directory"),
        ("fifo", "name a regular file"),
    ];
    for (source, says) in cases {
        let line = &format!("{source} dst");
        let start = || folder.duocopy(line).start();
        let texts = [&folder.text(source), says];
        both_fail(&folder, [start(), start()], 5, &texts);
        if strace("a Writer that is told about the source") {
            let [reader, writer] = slow_to_open(&folder, line);
            reader.end().expect(5, &texts);
            until("the end of the Writer's trace", || writer.trace().contains("+++ exited").then_some(()));
            assert!(!writer.trace().contains(".part"), "the Writer made a file: {}", writer.trace());
            writer.end().expect(5, &texts).expect(5, &["the Reader gave up"]);
            assert_untouched(&folder, None);
        }
        assert!(!folder.is_there("dst"));
    }
    let start = || folder.duocopy("unreadable dst").by_nobody().start();
    let texts = [&folder.text("unreadable"), "run as a user who may read it"];
    both_fail(&folder, [start(), start()], 5, &texts);
    assert!(!folder.is_there("dst"));
}

/// Copies 2 MiB slowly, lets `change` do something to the source after some blocks, and expects this to be said.
fn changing_source(change: impl Fn(&Path), says: &str) {
    if !strace(&format!("a source that changes: {says}")) {
        return;
    }
    let folder = Folder::new();
    let source = folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    let line = &format!("{SMALL_BLOCKS} src dst");
    let slow = format!("-P {} -e trace=read -e inject=read:delay_enter=10000", source.display());
    let [reader, writer] = pair(folder.duocopy(line).traced(&slow), folder.duocopy(line));
    reader.has_called("read", 4);
    change(&source);
    let texts = [source.to_str().unwrap(), says, "copy again"];
    both_fail(&folder, [reader, writer], 5, &texts);
}

#[test]
fn a_source_that_shrinks_ends_both() {
    changing_source(
        |source| File::options().write(true).open(source).unwrap().set_len(MIB as u64).unwrap(),
        "shrank from 2097152 to 1048576 bytes",
    );
}

#[test]
fn a_source_that_grows_ends_both() {
    changing_source(
        |source| {
            File::options().write(true).open(source).unwrap().write_all_at(b"more", 2 * MIB as u64).unwrap();
        },
        "grew from 2097152 to 2097156 bytes",
    );
}

#[test]
fn a_source_that_is_written_to_ends_both() {
    changing_source(
        |source| File::options().write(true).open(source).unwrap().write_all_at(b"new", 0).unwrap(),
        "was written to",
    );
}

#[test]
fn a_source_that_never_stops_growing_ends_both() {
    if !strace("a source that grows faster than it is read") {
        return;
    }
    let folder = Folder::new();
    let source = folder.write("src", bytes(256 * KIB, 1));
    let line = &format!("{SMALL_BLOCKS} src dst");
    let slow = format!("-P {} -e trace=read -e inject=read:delay_enter=5000", source.display());
    let [reader, writer] = pair(folder.duocopy(line).traced(&slow), folder.duocopy(line));
    reader.has_called("read", 1);
    let log = File::options().append(true).open(source).unwrap();
    let piece = bytes(128 * KIB, 2);
    // At most 64 MiB, so that the test ends even if the copy does not notice.
    let rounds = (0..512).take_while(|_| {
        std::io::Write::write_all(&mut &log, &piece).unwrap();
        pause(milliseconds(5));
        reader.ended().is_none()
    });
    let rounds = rounds.count();
    both_fail(&folder, [reader, writer], 5, &["grew from 262144"]);
    assert!(rounds < 100, "it read on for {rounds} rounds of 5 ms");
}

#[test]
fn a_destination_that_cannot_be_made_ends_both() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.write("file", "content");
    let long = "n".repeat(256);
    for (destination, says) in [
        ("missing/dst", "make its directory first"),
        ("missing/deep", "make its directory first"),
        (&long, "choose another name: it is too long"),
        ("file/dst", "a part of its path is a file"),
    ] {
        if cfg!(windows) && destination == long {
            left_out("a name that is too long: Windows says so, but not everything that plays it");
            continue;
        }
        let line = &format!("src {destination}");
        let path = folder.text(destination.trim_end_matches('/'));
        both_fail(&folder, pair(folder.duocopy(line), folder.duocopy(line)), 6, &[&path, says]);
        assert!(!folder.is_there("missing"));
    }
    // The longest name that a file may have, which is longer than what fits beside a prefix.
    let longest = &long[1..];
    folder.duocopy(&format!("cp src {longest}")).end().expect(0, &[]);
    folder.assert_same("src", longest);
}

left_out_on_windows!(a_directory_that_is_closed_to_us_ends_both, "modes");
#[cfg(unix)]
#[test]
fn a_directory_that_is_closed_to_us_ends_both() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.make("closed");
    folder.write("closed/dst", OLD);
    folder.set_mode("closed", 0o555);
    folder.set_mode("closed/dst", 0o666);
    let start = || folder.duocopy("src closed/dst").by_nobody();
    for ended in end(pair(start(), start())) {
        ended.expect(6, &[&folder.text("closed/dst"), "run as a user who may write in its directory"]);
    }
    assert_eq!(folder.read("closed/dst"), OLD);
    assert_eq!(folder.temporaries("closed"), [] as [&Path; 0]);
    folder.set_mode("closed", 0o755);
}

#[test]
fn a_full_disk_ends_both_before_the_copy_or_in_the_middle() {
    let folder = Folder::new();
    folder.write("src", bytes(3 * MIB, 1));
    // A source with a hole needs less space than its length says, so nothing is reserved for it.
    let punched = File::create_new(folder.path("punched")).unwrap();
    punched.set_len(3 * MIB as u64).unwrap();
    punched.write_all_at(&bytes(2 * MIB, 1), 0).unwrap();
    folder.make("small");
    for (source, says) in [("src", "reserving space for the copy"), ("punched", "writing")] {
        let script = format!(
            "mount -t tmpfs tmpfs /dev/shm
            mount -t tmpfs -o size=1m tmpfs small
            echo what was there before > small/dst
            \"$0\" -v --wait=10s {source} small/dst 2> first & first=$!
            \"$0\" -v --wait=10s {source} small/dst 2> second & second=$!
            wait $first && code=0 || code=$?
            wait $second && codes=\"$code 0\" || codes=\"$code $?\"
            echo $codes
            ls -A small
            cat small/dst"
        );
        let Some(ended) = folder.with_own_mounts("a full disk", &script) else { return };
        assert_eq!(ended.output, "7 7\ndst\nwhat was there before\n", "{ended:?}");
        for said in ["first", "second"] {
            let said = String::from_utf8(folder.read(said)).unwrap();
            for text in [&folder.text("small/dst"), says, "free some space there"] {
                assert!(said.contains(text), "“{text}” is missing in: {said}");
            }
        }
    }
}

left_out_on_windows!(a_limit_on_the_size_of_files_is_an_error_and_not_a_death, "there is no such limit");
#[cfg(unix)]
#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_a_death() {
    let folder = Folder::new();
    folder.write("src", bytes(3 * MIB, 1));
    folder.write("dst", OLD);
    // 1 MiB is enough for the shared memory of small blocks, but not for the copy.
    let limit = "ulimit -f 2048 || ulimit -f 1024";
    let start = || folder.duocopy(&format!("{SMALL_BLOCKS} src dst")).after(limit);
    both_fail(&folder, pair(start(), start()), 6, &[&folder.text("dst"), "ulimit -f"]);
    // And too little for the shared memory.
    let start = || folder.duocopy("--wait=10s src dst").after("ulimit -f 1").start();
    for ended in end([start(), start()]) {
        assert!(ended.code > 0, "{ended:?}");
    }
    assert_untouched(&folder, Some(OLD));
}

left_out_on_windows!(a_file_is_not_copied_onto_itself, "links; windows.rs has the rest");
#[cfg(unix)]
#[test]
fn a_file_is_not_copied_onto_itself() {
    let folder = Folder::new();
    folder.write("src", OLD);
    folder.make("folder");
    fs::hard_link(folder.path("src"), folder.path("hard")).unwrap();
    symlink("src", folder.path("soft")).unwrap();
    symlink("../src", folder.path("folder/src")).unwrap();
    for line in ["src src", "src ./folder/../src", "src hard", "src soft", "soft src", "src folder", "src ."]
    {
        let processes = pair(folder.duocopy(line), folder.duocopy(line));
        for ended in end(processes) {
            ended.expect(12, &["source and destination are the same file", "name another destination"]);
        }
        folder.duocopy(&format!("cp {line}")).end().expect(12, &["the same file"]);
        assert_eq!(folder.read("src"), OLD);
        assert_eq!(folder.temporaries(""), [] as [&Path; 0]);
    }
    assert_eq!(folder.path("src").metadata().unwrap().nlink(), 2);
}

// -------------------------------------------------------------------------------------- the command line

#[test]
fn wrong_usage_is_explained() {
    let folder = Folder::new();
    folder.write("a", "content");
    folder.write("cp", "content of cp");
    for (line, says) in [
        ("", "Usage: duocopy"),
        ("a", "<DST>"),
        ("a b c d", "'d'"),
        ("--nonsense a b", "--nonsense"),
        ("-v cp a b", "duocopy cp"),
        ("-v cp a", "duocopy cp"),
        ("-v status x", "duocopy status"),
        ("status x y", "'y'"),
        ("status --clean x", "--clean"),
        ("--peer-user=a --replace-within=1s a b", "--replace-within"),
        ("write --json - x", "carries the data"),
        ("read --verify=reread a x", "give --verify=reread to `write`"),
        ("read a", "<NAME>"),
        ("read --fsync=none a n", "give --fsync to `write`"),
        ("write a b c", "'c'"),
        ("-v write a b", "duocopy write"),
        ("cp a", "<DST>"),
        ("cp --wait=1s a b", "--wait"),
        ("-q -v a b", "--quiet"),
        ("--wait=x a b", "--wait"),
        ("--fsync=maybe a b", "end"),
    ] {
        let ended = folder.duocopy(line).end();
        ended.expect(2, &[says]);
        assert_eq!(ended.output, "", "{ended:?}");
    }
    folder.duocopy("").word("").word("b").end().expect(2, &["<SRC>"]);
    folder.duocopy("a").word("").end().expect(2, &["[DST]"]);
    assert!(!folder.is_there("b"));
}

#[test]
fn help_and_version_are_answers_and_not_errors() {
    let folder = Folder::new();
    for line in ["--help", "-h"] {
        let ended = folder.duocopy(line).end();
        ended.expect(0, &[]);
        let mentioned = [
            "SRC",
            "DST",
            "NAME",
            "duocopy cp",
            "duocopy read",
            "duocopy write",
            "duocopy status",
            "--wait",
            "--block-size",
            "--buffer-size",
            "--fsync",
        ];
        for text in
            mentioned.into_iter().chain(["--progress", "too many instances", "same user", "Exit codes"])
        {
            assert!(ended.output.contains(text), "“{text}” is missing in: {}", ended.output);
        }
    }
    let ended = folder.duocopy("cp --help").end();
    assert!(
        ended.code == 0 && ended.output.contains("duocopy cp") && !ended.output.contains("--wait"),
        "{ended:?}"
    );
    let ended = folder.duocopy("--version").end();
    assert_eq!((ended.code, ended.output), (0, format!("duocopy {}\n", env!("CARGO_PKG_VERSION"))));
}

#[cfg(unix)]
#[test]
fn colours_are_for_those_who_want_them() {
    if !has_script() {
        return;
    }
    let folder = Folder::new();
    for (surroundings, coloured) in
        [("true", true), ("export NO_COLOR=1", false), ("export TERM=dumb", false)]
    {
        let program = format!("{surroundings}; exec {PROGRAM} --nonsense");
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &program, "/dev/null"]).current_dir(folder.path("")).env("TERM", "xterm");
        // Each of these has a say about colours; build servers set CI.
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
            command.env_remove(variable);
        }
        let said = command.stdin(std::process::Stdio::null()).output().expect("it is there");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("--nonsense") && said.contains('\x1b') == coloured, "{surroundings}: {said:?}");
    }
}

left_out_on_windows!(colours_are_for_those_who_want_them, "no terminal can be made");

#[test]
fn the_manual_and_the_help_name_the_same_options_and_exit_codes() {
    let folder = Folder::new();
    let help = folder.duocopy("--help").end().output;
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let Ok(manual) = fs::read_to_string(manual) else {
        return left_out("the manual against the help: docs/cli.md is not in this package");
    };
    let options = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let is_option = |word: &&str| word.starts_with("--") && word.contains(char::is_alphabetic);
        words.filter(is_option).map(Into::into).collect()
    };
    let in_any_help = ["", "cp", "read", "write", "status"]
        .map(|verb| folder.duocopy(&format!("{verb} --help")).end().output);
    assert_eq!(options(&manual), options(&in_any_help.concat()));
    let is_code = |word: &&str| *word == "128+n" || word.parse::<u8>().is_ok();
    let (_, end_of_help) = help.split_once("Exit codes").unwrap();
    let in_help: BTreeSet<&str> = end_of_help.split_whitespace().filter(is_code).collect();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    assert_eq!(rows.filter(is_code).collect::<BTreeSet<_>>(), in_help);
}

#[test]
fn a_file_called_like_a_verb_is_copied_when_the_line_says_so() {
    let folder = Folder::new();
    folder.write("cp", "content of cp");
    let lines = ["-- cp dst", "./cp dst", "-v -- cp dst", "--fsync=none ./cp dst"];
    for line in lines {
        let start = || folder.duocopy(line).start();
        complete([start(), start()]);
        folder.assert_same("cp", "dst");
        fs::remove_file(folder.path("dst")).unwrap();
    }
}

// ------------------------------------------------------------------------------------------- a lone Reader

left_out_on_windows!(
    a_lone_reader_says_how_to_start_the_second_process,
    "shells; windows.rs has the command interpreter"
);
#[cfg(unix)]
#[test]
fn a_lone_reader_says_how_to_start_the_second_process() {
    for (shell, source, destination, name) in [
        ("sh", "src", "dst", None),
        ("sh", "a file's name", "-a \"copy\" of $HOME; `x` \\", Some("-my name & more")),
        // The plainest shells have no way to write control characters.
        ("bash", "ü*?[a]~", "new\tline\n\u{7f}\u{85}'\\\u{1b}", None),
    ] {
        if shell == "bash" && !Path::new("/bin/bash").exists() {
            left_out("a command line with control characters: bash is missing");
            continue;
        }
        let folder = Folder::new();
        folder.write(source, bytes(MIB, 1));
        let mut run = folder.duocopy("-v --fsync=none --").word(source).word(destination);
        if let Some(name) = name {
            run = run.word(name);
        }
        let reader = run.start();
        reader.says("start it as the same user:\n  ");
        let said = reader.said();
        let command = said.split_once("start it as the same user:\n  ").unwrap().1.lines().next().unwrap();
        assert!(command.contains("--fsync=none"), "{command}");
        let second = folder.typed_into(shell, command);
        assert_eq!((second.code, second.said.as_str()), (0, ""), "{command}");
        reader.end().expect(0, &["complete"]);
        folder.assert_same(source, destination);
    }
}

#[test]
fn a_lone_reader_speaks_after_two_seconds_and_not_if_it_is_to_be_quiet() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.write("other", "content");
    let quiet = folder.duocopy("-q --wait=3s src dst").start();
    let reader = folder.duocopy("--wait=3s other dst").start();
    pause(milliseconds(1500));
    assert_eq!(reader.said(), "");
    reader.says("waiting for the second process");
    let ended = reader.end();
    ended.expect(10, &["nobody came", "--wait", &folder.text("other")]);
    assert!(ended.took > milliseconds(2900) && ended.took < milliseconds(4000), "{ended:?}");
    let ended = quiet.end();
    ended.expect(10, &["nobody came"]);
    assert!(!ended.said.contains("waiting for the second process"), "{ended:?}");
}

#[test]
fn a_reader_waits_as_long_as_it_is_told_to() {
    let folder = Folder::new();
    folder.write("src", "content");
    let ended = folder.duocopy("--wait=1s src dst").end();
    ended.expect(10, &["nobody came", "--wait"]);
    assert!(ended.took >= milliseconds(1000) && ended.took < milliseconds(2000), "{ended:?}");
    assert_untouched(&folder, None);
    // A Writer that came in time may take as long as it likes.
    if strace("a copy that takes longer than --wait") {
        folder.write("src", bytes(2 * MIB, 1));
        let line = &format!("{SMALL_BLOCKS} --wait=400ms src dst");
        let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
        for ended in end(processes) {
            ended.expect(0, &["complete"]);
            assert!(ended.took > milliseconds(500), "{ended:?}");
        }
    }
}

// ---------------------------------------------------------------------------------------------- `duocopy cp`

#[test]
fn cp_does_both_halves() {
    let folder = Folder::new();
    for length in [0, 1, 4097, 3 * MIB] {
        folder.write("src", bytes(length, 1));
        let ended = folder.duocopy("cp src dst").end();
        assert_eq!((ended.code, ended.said.as_str(), ended.output.as_str()), (0, "", ""));
        folder.assert_same("src", "dst");
    }
    let ended = folder.duocopy("cp -v --fsync=none src dst").end();
    ended.expect(0, &["complete: 3145728 bytes", "CRC-64/NVME"]);
    assert_eq!(ended.said.matches("CRC-64/NVME").count(), 1, "one copy, one checksum: {ended:?}");
    let ended = folder.duocopy("cp -q src dst").end();
    assert_eq!((ended.code, ended.said.as_str()), (0, ""));
}

#[test]
fn cp_ends_with_the_codes_of_the_pair() {
    let folder = Folder::new();
    folder.write("src", OLD);
    folder.write("dst", OLD);
    folder.make("folder");
    let cases = [
        ("missing dst", 5, "missing", "look at the spelling"),
        ("folder dst", 5, "folder", "is a directory"),
        ("src src", 12, "src", "name another destination"),
        ("src missing/dst", 6, "missing/dst", "make its directory first"),
    ];
    for (line, code, path, says) in cases {
        let ended = folder.duocopy(&format!("cp {line}")).end();
        ended.expect(code, &[&folder.text(path), says]);
        assert_eq!(ended.said.matches(says).count(), 1, "said once: {ended:?}");
        assert_untouched(&folder, Some(OLD));
    }
}

/// Starts `cp` with slow writes, and finds its child.
fn slow_cp(folder: &Folder) -> Option<(Process, u32)> {
    if !strace("what happens to `cp` in the middle") {
        return None;
    }
    folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    let run = folder.duocopy(&format!("cp {SMALL_BLOCKS} src dst"));
    let parent = run.traced(&format!("-f {SLOW_WRITES}")).start();
    parent.has_called("pwrite64", 2);
    let child = child_of(&parent)?;
    Some((parent, child))
}

/// The one process that `cp` has started.
fn child_of(parent: &Process) -> Option<u32> {
    let children = parent.children();
    let [child] = children[..] else {
        left_out(&format!("what happens to `cp` in the middle: its child is not in /proc: {children:?}"));
        return None;
    };
    Some(child)
}

#[cfg(unix)]
/// Signals the child of a child that still runs, so that the number is still its own.
fn signal_child(child: u32, signal: Signal) {
    let child = rustix::process::Pid::from_raw(child.cast_signed()).unwrap();
    rustix::process::kill_process(child, signal).unwrap();
}

#[cfg(windows)]
fn signal_child(_child: u32, _signal: Signal) {
    unreachable!("children are not found here");
}

fn is_alive(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn interrupting_cp_ends_both_of_its_processes() {
    let folder = Folder::new();
    let Some((parent, child)) = slow_cp(&folder) else { return };
    parent.signal(Signal::INT);
    parent.end().expect(130, &["interrupted", &folder.text("dst")]);
    assert!(!is_alive(child), "a child is left");
    assert_untouched(&folder, Some(OLD));
}

#[test]
fn control_c_reaches_both_processes_of_cp() {
    let folder = Folder::new();
    folder.write("src", bytes(64 * MIB, 1));
    folder.write("dst", OLD);
    let parent = folder.duocopy("cp --block-size=4K --buffer-size=16K src dst").in_its_own_group().start();
    until("the temporary file", || folder.temporaries("").pop());
    let children = parent.children();
    parent.signal_group(Signal::INT);
    let ended = parent.end();
    ended.expect(130, &["interrupted", &folder.text("dst")]);
    assert_eq!(ended.said.lines().count(), 1, "said once: {ended:?}");
    assert!(children.iter().all(|child| !is_alive(*child)), "a child is left");
    assert_untouched(&folder, Some(OLD));
}

#[test]
fn an_interrupt_of_cp_is_explained_although_its_child_was_faster() {
    if !strace("an interrupt that comes after the child's end") {
        return;
    }
    let folder = Folder::new();
    let source = folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    // Only the parent is slow: it is in the middle of a read when its child has ended already.
    let slow = format!("-P {} -e trace=read -e inject=read:delay_enter=700000:when=3", source.display());
    let parent = folder.duocopy(&format!("cp {SMALL_BLOCKS} src dst")).traced(&slow).start();
    parent.has_called("read", 2);
    let Some(child) = child_of(&parent) else { return };
    signal_child(child, Signal::INT);
    until("the end of the child", || (!is_alive(child)).then_some(()));
    parent.signal(Signal::INT);
    parent.end().expect(130, &["interrupted", &folder.text("dst")]);
    assert_untouched(&folder, Some(OLD));
}

#[test]
fn killing_the_child_of_cp_ends_it() {
    let folder = Folder::new();
    let Some((parent, child)) = slow_cp(&folder) else { return };
    signal_child(child, Signal::KILL);
    parent.end().expect(8, &[&folder.text("dst"), "is unchanged"]);
    assert!(content(&folder, "dst").as_deref() == Some(OLD));
    folder.duocopy("cp src dst").end().expect(0, &[]);
    folder.assert_same("src", "dst");
    assert_untouched(&folder, Some(&folder.read("src")));
}

#[test]
fn killing_cp_ends_its_child() {
    let folder = Folder::new();
    let Some((parent, child)) = slow_cp(&folder) else { return };
    parent.kill();
    until("the end of the child", || (!is_alive(child)).then_some(()));
    assert_eq!(parent.end().code, KILLED);
    assert_untouched(&folder, Some(OLD));
}

// ------------------------------------------------------------------------------------------------ progress

#[test]
fn a_bar_is_drawn_on_a_terminal_only_and_not_for_a_quiet_copy() {
    if !strace("the bar of a slow copy") || !has_script() {
        return;
    }
    let folder = Folder::new();
    for (flags, bar) in [("", true), ("-q", false), ("--progress=never", false)] {
        folder.write("src", bytes(4 * MIB + 512 * KIB, 1));
        let line = &format!("{flags} {SMALL_BLOCKS} src dst");
        // On a terminal of its own, and elsewhere.
        let reader = folder.duocopy(line).on_a_terminal().start();
        until("the Reader", || folder.pipe());
        let writer =
            folder.duocopy(line).traced("-e trace=pwrite64 -e inject=pwrite64:delay_enter=30000").start();
        let [reader, writer] = end([reader, writer]);
        assert!(writer.took > milliseconds(2000), "the copy was too fast for this test");
        assert_eq!((reader.code, writer.code, writer.said.as_str()), (0, 0, ""), "{reader:?}");
        if bar {
            let texts = [" %", "in ", "out ", "left", "iB/s", "waiting for the destination"];
            reader.expect(0, &texts);
        } else {
            assert_eq!(reader.said, "", "{flags}");
        }
        folder.assert_same("src", "dst");
    }
}

#[test]
fn two_processes_on_one_terminal_draw_one_bar() {
    if !strace("who draws the bar") || !has_script() {
        return;
    }
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    let line = &format!("{SMALL_BLOCKS} src dst");
    let trace = folder.path("trace-of-the-reader");
    let reader = format!(
        "strace -D -f -qqq -s 500 -e trace=write -o {} {PROGRAM} {line} & sleep 0.5",
        trace.display()
    );
    let writer = folder.duocopy(line).traced("-e trace=pwrite64 -e inject=pwrite64:delay_enter=30000");
    let ended = writer.after(&reader).on_a_terminal().end();
    ended.expect(0, &["in ", "out ", "copied, flushing to the disk"]);
    let by_the_reader = fs::read_to_string(trace).unwrap();
    assert!(!by_the_reader.contains("out "), "{by_the_reader}");
    folder.assert_same("src", "dst");
}

/// Whether a process can be given a terminal.
fn has_script() -> bool {
    let script = std::process::Command::new("script").arg("--version").output();
    let works = script.is_ok_and(|output| output.status.success());
    if !works {
        left_out("a bar on a terminal: `script` is missing");
    }
    works
}

#[test]
fn a_log_gets_a_line_every_ten_seconds_if_it_is_asked_for() {
    if !large("a progress line after 10 s") || !strace("a progress line after 10 s") {
        return;
    }
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    let line = &format!("{SMALL_BLOCKS} -g src dst");
    let slow = "-e trace=pwrite64 -e inject=pwrite64:delay_enter=370000";
    let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(slow));
    pause(milliseconds(9000));
    for process in &processes {
        assert!(!process.said().contains("written"), "too early: {}", process.said());
    }
    pause(milliseconds(2000));
    for process in &processes {
        assert!(process.said().contains(" of 2.00 MiB written · in "), "{}", process.said());
    }
    for ended in end(processes) {
        ended.expect(0, &["complete"]);
        assert_eq!(ended.said.matches(" written · ").count(), 1, "{ended:?}");
    }
}
