//! Shared memory: too little of it, sizes of blocks and of the buffer, and what a process needs.

use crate::util::*;
use std::fs;
#[cfg(unix)]
use std::fs::File;

#[test(needs = [own_mounts])]
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
        let ended = folder.with_own_mounts(&script);
        assert_eq!(ended.output, "7 7\n", "{ended:?}");
        for file in ["first", "second"] {
            let messages = String::from_utf8(folder.read(file)).unwrap();
            assert!(messages.contains("/dev/shm") && messages.contains("free some of it"), "{messages}");
        }
        folder.assert_untouched(Some(OLD));
    }
}

#[test(needs = [strace])]
fn a_waiting_writer_reports_that_shared_memory_is_full() {
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    // The first such call that reserves the blocks fails, but late. In the portable build, two others come first.
    let (call, nth) = if cfg!(blockpipe_portable) { ("pwrite64", 3) } else { ("fallocate", 2) };
    let full = format!("-e trace={call} -e inject={call}:error=ENOSPC:delay_enter=300000:when={nth}");
    let [reader, writer] = pair(folder.duocopy("src dst").traced(&full), folder.duocopy("src dst"));
    seated(&folder, &writer);
    let texts = ["cannot reserve shared memory", "free some of it", "--buffer-size"];
    both_fail(&folder, [reader, writer], 7, &texts);
}

#[test]
fn impossible_sizes_are_corrected_with_a_note() {
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
        // Only the Reader's options count, and only the Reader reports something.
        let reader = folder.duocopy(line).start_reader();
        let writer = folder.duocopy(line).start();
        let [reader, writer] = end([reader, writer]);
        reader.expect(0, note.as_slice());
        assert_eq!(reader.messages.contains("the nearest that works"), note.is_some(), "{reader:?}");
        assert_eq!(writer.expect(0, &[]).messages, "");
        folder.assert_same("src", "dst");
        fs::remove_file(folder.path("dst")).unwrap();
    }
    for flag in ["--block-size=0", "--block-size=x", "--buffer-size=-1"] {
        folder.duocopy(&format!("{flag} src dst")).end().expect(2, &["--b"]);
    }
}

#[test(not_on_windows = "the peak of a process is read from /proc")]
fn memory_does_not_grow_with_the_file() {
    let folder = Folder::new();
    let source = File::create_new(folder.path("src")).unwrap();
    source.set_len(200 * MIB as u64).unwrap();
    source.write_all_at(&bytes(MIB, 1), 100 * MIB as u64).unwrap();
    let ring = MIB as u64;
    let line = "--fsync=none --block-size=256K --buffer-size=1M src dst";
    let processes = pair(folder.duocopy(line), folder.duocopy(line));
    let mut peaks = [0; 2];
    // The kernel keeps the peak, so the last value before the end is enough.
    until("the end of both", || {
        for (process, peak) in processes.iter().zip(&mut peaks) {
            *peak = process.peak_memory().unwrap_or(0).max(*peak);
        }
        processes.iter().all(|process| process.ended().is_some()).then_some(())
    });
    complete(processes);
    note!("peak memory of Reader and Writer with a ring of {ring} bytes: {peaks:?}");
    for peak in peaks {
        assert!(peak > ring, "the last value came too early: {peaks:?}");
        assert!(peak < ring + 16 * MIB as u64, "{peaks:?}");
    }
}
