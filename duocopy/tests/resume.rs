//! An interrupted copy resumes at its last checkpoint, and only if that is safe; checksums; sources that change.

use crate::util::*;
use std::fs::{self, File};
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A source of which a part can reach the disk before the copy is killed, and an old destination.
fn prepared() -> Folder {
    Folder::with_source_and_destination(LONG)
}

/// A change of the files of a copy.
type Change<'a> = &'a (dyn Fn(&Folder) + Sync);

/// The message that precedes the number of bytes that were copied before.
const RESUMING: &str = "resuming an interrupted copy: ";

/// Copies again, and returns how many bytes were not copied again. Nothing but the copy is left.
#[track_caller]
fn copy_again(folder: &Folder, flags: &str) -> u64 {
    let line = &format!("{flags} src dst");
    let [reader, writer] = end(pair(folder.duocopy(line), folder.duocopy(line)));
    reader.expect(0, &[]);
    writer.expect(0, &[]);
    folder.assert_same("src", "dst");
    folder.assert_nothing_left();
    let Some((_, messages)) = writer.messages.split_once(RESUMING) else { return 0 };
    messages.split(' ').next().and_then(|bytes| bytes.parse().ok()).expect("a number of bytes")
}

/// Interrupts a copy of which a part is on the disk. Both processes are killed.
fn interrupted(folder: &Folder, flags: &str) {
    let processes = after_a_checkpoint(folder, flags);
    processes.iter().for_each(Process::kill);
    end(processes);
    assert!(folder.read("dst") == OLD);
    assert_eq!(folder.temporaries("").len(), 2, "a temporary file and its journal");
}

#[test(needs = [held_copies])]
fn a_killed_copy_resumes_whichever_process_was_killed() {
    for killed in [&[0][..], &[1], &[0, 1]] {
        let folder = prepared();
        let processes = after_a_checkpoint(&folder, "");
        for hit in killed {
            processes[*hit].kill();
        }
        let ended = end(processes);
        if killed == [0] {
            ended[1].expect(8, &["the Reader", "died", "is unchanged", "bytes of the copy are kept"]);
        }
        if killed == [1] {
            ended[0].expect(8, &["the Writer died", "is unchanged", "which the next run resumes or removes"]);
        }
        assert!(folder.read("dst") == OLD);
        let saved = copy_again(&folder, "");
        note!("{killed:?} killed: {saved} bytes were safe");
        assert!(saved > 0 && saved < LONG as u64, "{saved}");
    }
}

#[test(needs = [strace], not_on_windows = "its calls are watched by strace")]
fn data_before_the_checkpoint_is_neither_read_nor_written_again() {
    let folder = prepared();
    interrupted(&folder, "");
    let traced = |calls: &str| folder.duocopy("src dst").traced(&format!("-f -y -e trace={calls}"));
    let [reader, writer] = pair(traced("read,lseek"), traced("pwrite64"));
    until("the end of both", || Some((reader.ended()?, writer.ended()?)));
    let (src, part) = (folder.text("src"), ".part");
    let total = |calls: Vec<String>, file: &str| -> u64 {
        let of_file = calls.iter().filter(|call| call.contains(file));
        of_file.filter_map(|call| call.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    let (read, written) = (total(reader.calls("read"), &src), total(writer.calls("pwrite64"), part));
    let [_, writer] = end([reader, writer]);
    let saved: u64 =
        writer.messages.split_once(RESUMING).unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert_eq!((read, written), (LONG as u64 - saved, LONG as u64 - saved));
    folder.assert_same("src", "dst");
}

/// A power failure may lose everything that the journal does not record.
#[test(needs = [held_copies])]
fn nothing_past_the_checkpoint_is_trusted() {
    let folder = prepared();
    interrupted(&folder, "");
    let part = folder.left_over("part").unwrap();
    let journal = fs::read(folder.left_over("journal").unwrap()).unwrap();
    let word = |at: usize| u64::from_le_bytes(journal[at..at + 8].try_into().unwrap());
    let (_, durable) = [(word(512), word(520)), (word(1024), word(1032))].into_iter().max().unwrap();
    let file = File::options().write(true).open(part).unwrap();
    file.write_all_at(&vec![0; LONG - durable as usize], durable).unwrap();
    assert_eq!(copy_again(&folder, ""), durable);
}

#[test(needs = [strace], not_on_windows = "its calls are watched by strace")]
fn the_journal_records_only_what_is_on_the_disk() {
    let folder = prepared();
    let line = &format!("{SMALL_BLOCKS} src dst");
    let watched =
        "-f -y -e inject=pwrite64:delay_enter=20000 -e trace=pwrite64,fsync,fdatasync,rename,renameat";
    let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(watched));
    until("the end of the Writer", || writer.ended());
    let steps =
        ["fdatasync:part", "pwrite64:journal", "fdatasync:journal", "fsync:part", "fsync:journal", "rename"];
    // Each thread makes one call after the other, so the lines are in the order of the calls.
    let step = |call: &str| {
        let name = call.split('(').next()?.split_whitespace().next_back()?.to_owned();
        // The journal is opened without a name, and `strace` shows its descriptor so even after it has one.
        let files = [(".part>", "part"), (".journal>", "journal"), ("/#", "journal")];
        let file = files.iter().find(|(shown, _)| call.contains(shown)).map_or("", |(_, file)| file);
        let step = match file {
            "" if name.starts_with("rename") => "rename".to_owned(),
            file => format!("{name}:{file}"),
        };
        steps.contains(&step.as_str()).then_some(step)
    };
    let trace = writer.trace();
    let order: Vec<String> =
        trace.lines().filter(|line| !line.contains(" resumed>")).filter_map(step).collect();
    complete([reader, writer]);
    note!("{order:?}");
    // The journal is created with its first entry; each entry is written between two flushes.
    for (at, _) in order.iter().enumerate().filter(|(at, step)| *at > 0 && *step == "fdatasync:journal") {
        assert_eq!(order[at - 1], "pwrite64:journal");
    }
    assert_eq!(order[..5], [steps[0], steps[1], steps[4], steps[1], steps[2]], "{order:?}");
    assert_eq!(order[order.len() - 4..], [steps[3], steps[1], steps[2], steps[5]], "{order:?}");
}

#[test(needs = [held_copies])]
fn an_interrupted_copy_is_kept_only_on_request() {
    for hit in [0, 1] {
        for partial in [false, true] {
            let folder = prepared();
            let processes = after_a_checkpoint(&folder, if partial { "--partial" } else { "" });
            processes[hit].signal(Signal::INT);
            let ended = end(processes);
            ended[hit].expect(130, &["interrupted", "is unchanged"]);
            ended[1 - hit].expect(8, &["was interrupted", "is unchanged"]);
            assert!(folder.read("dst") == OLD);
            assert_eq!(folder.temporaries("").len(), if partial { 2 } else { 0 });
            if partial {
                ended[1].expect(ended[1].code, &["bytes of the copy are kept, which the next run resumes"]);
            }
            let saved = copy_again(&folder, "");
            assert_eq!(saved > 0, partial, "{saved}");
        }
    }
}

#[test(needs = [strace], not_on_windows = "its disk fails by strace")]
fn a_failed_copy_is_kept_on_request() {
    let folder = prepared();
    let line = &format!("{SMALL_BLOCKS} --partial src dst");
    let full = "-f -e trace=pwrite64 -e inject=pwrite64:error=ENOSPC:when=100";
    let ended = end(pair(folder.duocopy(line), folder.duocopy(line).traced(full)));
    ended[1].expect(7, &["No space left"]);
    ended[0].expect(7, &["the Writer failed: cannot write"]);
    // 99 writes of 64 KiB, some of which may belong to the journal.
    assert!(copy_again(&folder, "") >= 90 * 64 * KIB as u64);
}

#[test(needs = [strace], not_on_windows = "its disk fails by strace")]
fn a_copy_that_cannot_be_read_again_is_not_kept() {
    let folder = prepared();
    let line = "--partial --verify=reread src dst";
    // Only reading again makes this call.
    let unreadable = "-f -e trace=lseek -e inject=lseek:error=EIO";
    let ended = end(pair(folder.duocopy(line), folder.duocopy(line).traced(unreadable)));
    ended[1].expect(6, &["cannot read back the copy", "Input/output error"]);
    ended[0].expect(6, &["the Writer failed: cannot read back"]);
    assert!(folder.read("dst") == OLD);
    folder.assert_nothing_left();
}

/// Changes a file and gives it its old modification time again.
fn keep_times(path: &Path, change: &dyn Fn(&Path)) {
    let before = fs::metadata(path).unwrap();
    change(path);
    let times = fs::FileTimes::new().set_modified(before.modified().unwrap());
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

fn write_into(path: &Path, at: u64) {
    File::options().write(true).open(path).unwrap().write_all_at(b"another", at).unwrap();
}

#[test(needs = [held_copies])]
fn nothing_else_is_ever_resumed() {
    let changes: &[(&str, &str, Change<'_>)] = &[
        ("told to start over", "--no-resume", &|_| {}),
        ("no journal without fsync", "--fsync=none", &|_| {}),
        ("another checksum", "--hash=blake3", &|_| {}),
        ("a source that was written to", "", &|folder| write_into(&folder.path("src"), 5)),
        ("another file as source", "", &|folder| {
            fs::copy(folder.path("src"), folder.path("other")).unwrap();
            keep_times(&folder.path("src"), &|path| fs::rename(folder.path("other"), path).unwrap());
        }),
        ("another file as temporary file", "", &|folder| {
            let left = folder.left_over("part").unwrap();
            fs::copy(&left, folder.path("other")).unwrap();
            fs::rename(folder.path("other"), left).unwrap();
        }),
        ("a journal with a wrong byte", "", &|folder| {
            write_into(&folder.left_over("journal").unwrap(), 100);
        }),
    ];
    are_not_resumed(changes);
}

#[test(needs = [held_copies], not_on_windows = "modes, and a time of change that cannot be read there")]
fn a_changed_source_with_its_old_time_and_an_open_journal_are_not_resumed() {
    are_not_resumed(&[
        ("a source that was written to, with its old time", "", &|folder| {
            keep_times(&folder.path("src"), &|path| write_into(path, 5));
        }),
        ("a journal that others could write to", "", &|folder| {
            let journal = folder.left_over("journal").unwrap();
            folder.set_mode(journal, 0o660);
        }),
    ]);
}

/// Copies again after each of these changes, which must copy everything.
fn are_not_resumed(changes: &[(&str, &str, Change<'_>)]) {
    std::thread::scope(|scope| {
        for some in changes.chunks(3) {
            scope.spawn(move || {
                for (what, flags, change) in some {
                    let folder = prepared();
                    interrupted(&folder, "");
                    change(&folder);
                    assert_eq!(copy_again(&folder, flags), 0, "{what}");
                }
            });
        }
    });
}

#[test(needs = [held_copies])]
fn a_blake3_copy_resumes_after_it_has_read_the_beginning_again() {
    let folder = prepared();
    interrupted(&folder, "--hash=blake3");
    assert!(copy_again(&folder, "--hash=blake3 --verify=reread") > 0);

    // A change on the disk is found once, and the next copy starts from the beginning.
    let folder = prepared();
    interrupted(&folder, "--hash=blake3");
    let left = folder.left_over("part").unwrap();
    File::options().write(true).open(left).unwrap().write_all_at(b"flipped", 1000).unwrap();
    for ended in end(pair(folder.duocopy("--hash=blake3 src dst"), folder.duocopy("--hash=blake3 src dst"))) {
        ended.expect(4, &["the copy differs from the source", "is unchanged"]);
    }
    assert!(folder.read("dst") == OLD);
    assert_eq!(copy_again(&folder, "--hash=blake3"), 0);
}

/// A kill between the announcement and the verdict: the next run inspects the files and does what is missing.
#[test(needs = [strace], not_on_windows = "its kills are placed by strace")]
fn a_copy_that_was_killed_around_its_rename_is_not_repeated() {
    for (delay, renamed) in [("delay_enter", false), ("delay_exit", true)] {
        // A destination that was changed after the rename is not the complete copy.
        let cases =
            if renamed { &[("", false), ("", true), ("--verify=none", true)][..] } else { &[("", false)] };
        for (flags, changed) in cases {
            let folder = prepared();
            folder.set_mode("dst", 0o444);
            let slow = format!(
                "-f -e trace=pwrite64,/^rename -e inject=pwrite64:delay_enter=10000 -e inject=/^rename:{delay}=500000"
            );
            let line = &format!("{SMALL_BLOCKS} {flags} src dst");
            let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(&slow));
            until("the Writer announces the rename", || folder.is_committing().then_some(()));
            pause(milliseconds(100));
            reader.kill();
            writer.kill();
            end([reader, writer]);
            let inode = |name: &str| fs::metadata(folder.path(name)).map(|it| it.ino()).ok();
            let there = inode("dst");
            assert_eq!(folder.read("dst") != OLD, renamed);
            if *changed {
                folder.set_mode("dst", 0o644);
                File::options().write(true).open(folder.path("dst")).unwrap().write_all_at(b"x", 77).unwrap();
            }
            let saved = copy_again(&folder, flags);
            assert_eq!(saved, if *changed { 0 } else { LONG as u64 }, "{delay} {changed}");
            assert_eq!(inode("dst") == there, renamed && !changed);
            if !changed {
                assert_eq!(folder.mode("dst"), 0o444);
            }
        }
    }
}

/// The Reader reports only what it can know.
#[test(needs = [strace], not_on_windows = "its kills are placed by strace")]
fn a_reader_whose_writer_died_at_the_rename_inspects_the_files() {
    let changes: [(&str, &str, Change<'_>); 4] = [
        ("delay_enter", "is unchanged; copy again", &|_| {}),
        ("delay_exit", "is complete", &|_| {}),
        ("delay_exit", "was replaced, and another program has changed it since", &|folder| {
            let file = File::options().write(true).open(folder.path("dst")).unwrap();
            file.write_all_at(b"x", 77).unwrap();
        }),
        ("delay_exit", "may be complete or unchanged, which cannot be told from here", &|folder| {
            folder.write("other", "another");
            fs::rename(folder.path("other"), folder.path("dst")).unwrap();
        }),
    ];
    for (delay, message, change) in changes {
        let folder = Folder::new();
        folder.write("src", bytes(MIB, 1));
        folder.write("dst", OLD);
        let slow = format!("-f -e trace=/^rename -e inject=/^rename:{delay}=500000");
        let [reader, writer] = pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced(&slow));
        until("the Writer announces the rename", || folder.is_committing().then_some(()));
        pause(milliseconds(100));
        change(&folder);
        writer.kill();
        reader.end().expect(8, &["the Writer did not finish committing the copy", message]);
    }
}

#[test(needs = [strace], not_on_windows = "its calls are watched by strace")]
fn a_copy_of_less_than_a_second_keeps_no_journal() {
    let folder = prepared();
    let [reader, writer] =
        pair(folder.duocopy("src dst"), folder.duocopy("src dst").traced("-f -e trace=openat"));
    until("the end of the Writer", || writer.ended());
    let made = |line: &&str| line.contains(".journal") && line.contains("O_CREAT");
    assert_eq!(writer.trace().lines().filter(made).collect::<Vec<_>>(), [] as [&str; 0]);
    complete([reader, writer]);
}

#[test(needs = [strace], not_on_windows = "blocks are in no file there")]
fn a_flipped_byte_in_a_block_is_found_and_never_committed() {
    for hash in ["crc64", "blake3"] {
        let folder = Folder::new();
        folder.write("src", bytes(2 * MIB, 1));
        folder.write("dst", OLD);
        let line = &format!("{SMALL_BLOCKS} --hash={hash} src dst");
        let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
        processes[1].has_written(3);
        // The Reader has sent all four blocks.
        let pipe = folder.pipe().unwrap();
        for block in 0..4 {
            let at = pipe_header::FIRST_BLOCK + (block << 16) + 4000;
            let mut byte = [0];
            pipe.read_exact_at(&mut byte, at).unwrap();
            pipe.write_all_at(&[byte[0] ^ 1], at).unwrap();
        }
        for ended in end(processes) {
            ended.expect(4, &["the copy differs from the source", &folder.text("dst"), "is unchanged"]);
        }
        assert!(folder.read("dst") == OLD);
        folder.assert_nothing_left();
    }
}

#[test(needs = [strace], not_on_windows = "its flush is slowed down by strace")]
fn a_flipped_byte_on_the_disk_is_found_by_reading_again() {
    for hash in ["crc64", "blake3"] {
        let folder = prepared();
        let slow = "-f -e trace=fsync -e inject=fsync:delay_exit=400000:when=1";
        let line = &format!("--verify=reread --hash={hash} src dst");
        let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(slow));
        let part = until("the temporary file has its last mode", || {
            let path = folder.left_over("part")?;
            (fs::metadata(&path).ok()?.mode() & 0o777 == 0o644).then_some(path)
        });
        pause(milliseconds(150));
        File::options().write(true).open(part).unwrap().write_all_at(b"flipped", 4_000_000).unwrap();
        for ended in end([reader, writer]) {
            ended.expect(4, &["the copy that was read back differs from what was written", "is unchanged"]);
        }
        assert!(folder.read("dst") == OLD);
        folder.assert_nothing_left();
    }
}

#[test(not_on_windows = "every file system there has such reads")]
fn reading_again_reports_that_it_uses_the_page_cache() {
    let folder = prepared();
    let memory = tempfile::Builder::new().prefix("duocopy-test-").tempdir_in("/dev/shm").unwrap();
    let line = format!("cp -v --verify=reread src {}", memory.path().join("dst").display());
    let ended = folder.duocopy(&line).end();
    ended.expect(0, &["read back through the page cache"]);
    assert!(fs::read(memory.path().join("dst")).unwrap() == folder.read("src"));
    // With these lengths the last piece is not a whole page.
    for length in [0, 1, 4097, MIB + 13] {
        folder.write("src", bytes(length, 3));
        folder.duocopy("cp --verify=reread src dst").end().expect(0, &[]);
        folder.assert_same("src", "dst");
    }
}

#[test]
fn both_must_verify_alike() {
    let folder = prepared();
    for (one, other) in [("--hash=blake3", ""), ("", "--verify=none"), ("--verify=none", "--hash=blake3")] {
        let ended =
            end(pair(folder.duocopy(&format!("{one} src dst")), folder.duocopy(&format!("{other} src dst"))));
        ended[1].expect(12, &["different --verify or --hash", "start both with the same options"]);
        ended[0].expect(12, &["the Writer failed: the two processes were started with different"]);
        assert!(folder.read("dst") == OLD);
    }
    let line = "--verify=none src dst";
    let ended = end(pair(folder.duocopy(line), folder.duocopy(line)));
    let unsummed = |ended: &Ended| {
        ended.code == 0 && ended.messages.contains("complete") && !ended.messages.contains("CRC")
    };
    assert!(ended.iter().all(unsummed), "{ended:?}");
    folder.assert_same("src", "dst");
    let hash = folder.duocopy("cp -v --hash=blake3 src other").end();
    hash.expect(0, &["BLAKE3 "]);
}

#[test(needs = [held_copies], not_on_windows = "a source cannot be written to while it is read")]
fn a_source_that_is_replaced_or_keeps_its_time_is_noticed() {
    let changes: [(&str, Change<'_>); 2] = [
        ("was written to while it was read", &|folder| {
            let file = File::options().write(true).open(folder.path("src")).unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"changed", 100).unwrap();
            file.set_times(fs::FileTimes::new().set_modified(before)).unwrap();
            fs::hard_link(folder.path("src"), folder.path("link")).unwrap();
        }),
        ("was replaced by another file", &|folder| {
            folder.write("other", bytes(2 * MIB, 2));
            fs::rename(folder.path("other"), folder.path("src")).unwrap();
        }),
    ];
    for (message, change) in changes {
        let folder = Folder::new();
        folder.write("src", bytes(2 * MIB, 1));
        folder.write("dst", OLD);
        let [reader, writer] = in_the_middle(&folder);
        change(&folder);
        reader.end().expect(5, &[message, "copy again"]);
        writer.end().expect(5, &["the Reader failed", message]);
        assert!(folder.read("dst") == OLD);
        folder.assert_nothing_left();
    }
}

/// Btrfs gets another device number each time that it is mounted.
#[cfg(unix)]
#[test(needs = [own_mounts, loop_devices, btrfs])]
fn a_copy_resumes_after_its_file_system_was_mounted_again() {
    let folder = Folder::with_limit(milliseconds(60_000));
    folder.write("src", bytes(30 * MIB, 1));
    for name in ["disk", "other"] {
        folder.make(name);
        fs::File::create(folder.path(format!("{name}.img"))).unwrap().set_len(200 << 20).unwrap();
    }
    let ended = folder.with_own_mounts(
        "for name in disk other; do mkfs.btrfs -q $name.img; done
        mount -o loop disk.img disk
        before=$(stat -c %d disk)
        $0 --bwlimit=5M src disk/dst & reader=$!
        $0 --bwlimit=5M src disk/dst & writer=$!
        sleep 3
        kill -9 $reader $writer
        wait $reader $writer || true
        umount disk
        mount -o loop other.img other
        mount -o loop disk.img disk
        test $before != $(stat -c %d disk)
        $0 cp src disk/dst
        cmp src disk/dst",
    );
    ended.expect(0, &["resum"]);
}
