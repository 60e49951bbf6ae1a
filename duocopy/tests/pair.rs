//! A pair of processes copies a file.

use crate::util::*;
use std::fs::{self, File};
use std::time::Duration;

/// Copies a source of this length by a pair with these flags.
fn assert_copies(folder: &Folder, length: usize, flags: &str) {
    folder.write("src", bytes(length, length as u64));
    let start = || folder.duocopy(&format!("{flags} src dst")).start();
    for process in [start(), start()] {
        let ended = process.end();
        assert_eq!((ended.code, ended.messages.as_str()), (0, ""), "{length} bytes, {flags}");
        assert_eq!(ended.output, "", "standard output carries data only");
    }
    folder.assert_same("src", "dst");
    fs::remove_file(folder.path("dst")).unwrap();
}

#[test]
fn every_length_arrives_whole() {
    let folder = Folder::new();
    let block = 64 * KIB;
    for length in [0, 1, block - 1, block, block + 1, 2 * block, 4 * block, 8 * block, 8 * block + 123] {
        assert_copies(&folder, length, SMALL_BLOCKS);
    }
    let block = 512 * KIB;
    for length in [0, 1, 4095, 4096, 4097, block - 1, block, block + 1, 4 * block, 8 * block, 40 * MIB] {
        assert_copies(&folder, length, "");
        assert_copies(&folder, length, "--fsync=none --progress=never");
    }
}

#[test(needs = [large])]
fn a_file_of_more_than_32_bits_arrives_whole() {
    let folder = Folder::with_limit(Duration::from_secs(600));
    let length = 5 << 30;
    let source = File::create_new(folder.path("src")).unwrap();
    source.set_len(length).unwrap();
    for offset in [0, (1 << 32) - 5, length / 2, length - 10] {
        source.write_all_at(b"not a hole", offset).unwrap();
    }
    let start = || folder.duocopy("--fsync=none src dst").start();
    for process in [start(), start()] {
        let ended = process.end_within(Duration::from_secs(500)).ok().expect("an end in time");
        ended.expect(0, &[]);
    }
    let copy = File::open(folder.path("dst")).unwrap();
    assert_eq!(copy.metadata().unwrap().len(), length);
    let (mut one, mut other) = (vec![0; 4 * MIB], vec![0; 4 * MIB]);
    for offset in (0..length).step_by(one.len()) {
        source.read_exact_at(&mut one, offset).unwrap();
        copy.read_exact_at(&mut other, offset).unwrap();
        assert!(one == other, "they differ after {offset} bytes");
    }
}

#[test(needs = [strace])]
fn each_process_opens_its_own_file_only() {
    let folder = Folder::new();
    folder.write("src", bytes(300 * KIB, 1));
    folder.write("dst", OLD);
    let line = format!("{} {}", folder.text("src"), folder.text("dst"));
    let watched = || folder.duocopy(&line).traced("-f -e trace=open,openat,openat2,creat");
    let [reader, writer] = pair(watched(), watched());
    // A file that is opened with `O_PATH` can be found, but neither read nor written.
    let opened = |process: &Process, what: &str| {
        process.trace().lines().any(|line| line.contains(what) && !line.contains("O_PATH"))
    };
    // Each name of a path is opened by itself.
    let (source, destination) = ("\"src\"", "\"dst\"");
    for process in [&reader, &writer] {
        until("the end of the trace", || opened(process, "+++ exited").then_some(()));
    }
    assert!(opened(&reader, source) && opened(&writer, ".part\""), "{}{}", reader.trace(), writer.trace());
    let own_folder = format!("\"{}\"", folder.pipe_name());
    assert!(writer.trace().contains(&own_folder), "the Writer opens the directory: {}", writer.trace());
    for (process, foreign) in
        [(&reader, ".part"), (&reader, &own_folder), (&reader, destination), (&writer, source)]
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

#[test(needs = [strace])]
fn reading_and_writing_overlap() {
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
    writer.has_written(32);
    let (filled, drained) = (begun(&reader, "read"), begun(&writer, "pwrite64"));
    complete([reader, writer]);
    // A read takes 5 ms from its beginning, and a write 20 ms.
    let meet = |read: f64, write: f64| write < read + 0.005 && read < write + 0.02;
    let overlapping = filled.iter().filter(|read| drained.iter().any(|write| meet(**read, *write))).count();
    note!("{overlapping} of {} reads overlapped with a write", filled.len());
    assert!(overlapping >= 16, "reads: {filled:?}, writes: {drained:?}");
}

#[test]
fn the_reader_of_a_tiny_file_waits_for_its_writer() {
    let folder = Folder::new();
    for content in ["", "tiny"] {
        folder.write("src", content);
        let reader = folder.duocopy("src dst").start_reader();
        pause(milliseconds(1000));
        assert!(reader.ended().is_none(), "it ended before the Writer came: {}", reader.messages());
        assert!(!folder.is_there("dst"));
        let writer = folder.duocopy("src dst").start_writer();
        complete([reader, writer]);
        folder.assert_same("src", "dst");
        fs::remove_file(folder.path("dst")).unwrap();
    }
}
