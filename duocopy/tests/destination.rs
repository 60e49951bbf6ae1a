//! What becomes of the destination: when it appears, its mode and owner, and what it may be.

use crate::util::*;
#[cfg(unix)]
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;

#[test(needs = [strace], not_on_windows = "modes")]
fn the_destination_is_untouched_until_the_copy_is_complete() {
    for old in [None, Some(OLD)] {
        let folder = Folder::new();
        folder.write("src", bytes(2 * MIB, 1));
        if let Some(old) = old {
            folder.write("dst", old);
        }
        let line = &format!("{SMALL_BLOCKS} src dst");
        let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
        let mut checks = 0;
        while writer.ended().is_none() {
            let now = folder.content("dst");
            // While there is a temporary file the rename is still to come, so `now` is from before it. The journal, which
            // a copy of more than a second has, outlives the rename.
            if let Some(temporary) = folder.left_over("part") {
                assert!(now.as_deref() == old, "the destination changed too early");
                let mode = temporary.metadata().map_or(0o600, |metadata| metadata.mode() & 0o7777);
                // It gets its final mode after the last write.
                if writer.calls("pwrite64").len() < 32 {
                    assert_eq!(mode, 0o600, "others could open it before it is complete");
                    checks += 1;
                }
            }
            pause(milliseconds(5));
        }
        assert!(checks > 20, "the copy was too fast for this test: {checks}");
        complete([reader, writer]);
        folder.assert_same("src", "dst");
        folder.assert_nothing_left();
    }
}

#[test(needs = [strace])]
fn complete_means_that_content_and_name_are_on_the_disk() {
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

#[test(not_on_windows = "modes and masks; windows.rs tests attributes")]
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

#[test(not_on_windows = "modes; windows.rs tests attributes")]
fn an_existing_destination_keeps_its_mode() {
    let folder = Folder::new();
    folder.write("src", "new content");
    folder.set_mode("src", 0o604);
    for mode in [0o640, 0o755, 0o600, 0o444] {
        folder.write("dst", OLD);
        folder.set_mode("dst", mode);
        let start = || folder.duocopy("src dst").start();
        complete([start(), start()]);
        folder.assert_same("src", "dst");
        assert_eq!(folder.mode("dst"), mode);
        assert_eq!(folder.path("dst").metadata().unwrap().uid(), folder.path("").metadata().unwrap().uid());
        fs::remove_file(folder.path("dst")).unwrap();
    }
}

#[test(needs = [root], not_on_windows = "owners")]
fn an_existing_destination_keeps_a_foreign_owner() {
    let folder = Folder::with_source_and_destination(KIB);
    std::os::unix::fs::chown(folder.path("dst"), Some(1234), Some(1235)).unwrap();
    let start = || folder.duocopy("src dst").start();
    complete([start(), start()]);
    folder.assert_same("src", "dst");
    let metadata = folder.path("dst").metadata().unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (1234, 1235));
}

/// A destination `dst` that is a link to a link to `deep/target`.
#[cfg(unix)]
fn linked_destination() -> Folder {
    let folder = Folder::with_source(2 * MIB);
    folder.make("deep");
    folder.write("deep/target", OLD);
    symlink("deep/target", folder.path("first")).unwrap();
    symlink("first", folder.path("dst")).unwrap();
    folder
}

#[cfg(unix)]
#[track_caller]
fn assert_target_is_replaced(folder: &Folder) {
    assert!(folder.path("dst").is_symlink() && folder.path("first").is_symlink());
    assert!(!folder.path("deep/target").is_symlink());
    folder.assert_same("src", "deep/target");
    folder.assert_nothing_left_in("deep");
}

#[test(not_on_windows = "links need a right that few users have")]
fn a_link_stays_a_link_and_its_target_is_replaced() {
    let folder = linked_destination();
    let line = &format!("{SMALL_BLOCKS} src dst");
    complete(pair(folder.duocopy(line), folder.duocopy(line)));
    assert_target_is_replaced(&folder);
}

#[test(needs = [strace], not_on_windows = "links need a right that few users have")]
fn the_temporary_file_is_beside_the_target_of_a_link() {
    let folder = linked_destination();
    let line = &format!("{SMALL_BLOCKS} src dst");
    let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(SLOW_WRITES));
    writer.has_written(1);
    assert_eq!((folder.temporaries("deep").len(), folder.temporaries("").len()), (1, 0));
    complete([reader, writer]);
    assert_target_is_replaced(&folder);
}

#[test(not_on_windows = "devices have other names; windows.rs tests them")]
fn what_is_not_a_regular_file_is_refused_as_destination_and_stays() {
    let folder = Folder::new();
    folder.write("src", "content");
    symlink("nowhere", folder.path("dangling")).unwrap();
    folder.make_fifo("fifo");
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
    folder.make("folder");
    folder.make("folder/src");
    for (destination, message) in [
        ("dangling", "a dangling link"),
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
        // A failure here must not destroy devices of this machine.
        let start = || folder.duocopy(line).by_nobody();
        for ended in end(pair(start(), start())) {
            ended.expect(12, &[named, message, "name "]);
        }
        assert_eq!(kind(), before, "{destination} was touched");
    }
    assert!(!folder.is_there("nowhere"));
    folder.assert_nothing_left();
}

#[test(not_on_windows = "links need a right that few users have; windows.rs tests the rest")]
fn a_directory_as_destination_gets_a_file_of_the_same_name() {
    let folder = Folder::new();
    folder.write("src", "content");
    folder.make("folder");
    symlink("folder", folder.path("link")).unwrap();
    for (words, copy) in
        [("src folder", "folder/src"), ("src folder/", "folder/src"), ("src link", "link/src")]
    {
        // Both spellings mean the same copy.
        let [one, other] = [folder.duocopy(words), folder.duocopy(&format!("src {copy}"))];
        complete([one.start(), other.start()]);
        folder.assert_same("src", copy);
        fs::remove_file(folder.path(copy)).unwrap();
    }
    folder.make("folder/deep");
    folder.duocopy("cp folder/../src folder/deep/.").end().expect(0, &[]);
    folder.assert_same("src", "folder/deep/src");
}

#[test(needs = [held_copies])]
fn a_second_copy_to_the_same_destination_is_refused() {
    let folder = Folder::new();
    folder.write("src", bytes(4 * MIB, 1));
    folder.write("other", "other content");
    folder.write("dst", OLD);
    let first = in_the_middle(&folder);
    for ended in end(pair(folder.duocopy("other dst"), folder.duocopy("other dst"))) {
        ended.expect(
            12,
            &[&folder.text("dst"), "another copy writes to this destination", "wait until it ends"],
        );
    }
    assert!(first[1].ended().is_none(), "the copy was too fast for this test");
    complete(first);
    folder.assert_same("src", "dst");
}

#[test(needs = [held_copies], not_on_windows = "the name of an open file goes with its last handle")]
fn a_temporary_file_that_somebody_removes_ends_the_copy() {
    let folder = Folder::new();
    folder.write("src", bytes(2 * MIB, 1));
    folder.write("dst", OLD);
    let processes = in_the_middle(&folder);
    let [temporary] = &folder.temporaries("")[..] else { panic!("one temporary file") };
    fs::remove_file(temporary).unwrap();
    let texts = ["removed or replaced the temporary file", "copy again", &folder.text("dst")];
    both_fail(&folder, processes, 12, &texts);
}

/// Cleaners of temporary files remove what is old, and know nothing of the journal.
#[test(needs = [held_copies], not_on_windows = "the name of an open file goes with its last handle")]
fn the_journal_goes_with_the_temporary_file() {
    for flags in ["", "--partial", "--replace-within=30s"] {
        let folder = Folder::with_source_and_destination(LONG);
        let processes = after_a_checkpoint(&folder, flags);
        fs::remove_file(folder.left_over("part").expect("a temporary file")).unwrap();
        both_fail(&folder, processes, 12, &["removed or replaced the temporary file"]);
    }
    // An interrupted copy keeps nothing, because there is nothing to resume.
    let folder = Folder::with_source_and_destination(LONG);
    let [reader, writer] = after_a_checkpoint(&folder, "--partial");
    fs::remove_file(folder.left_over("part").expect("a temporary file")).unwrap();
    writer.signal(Signal::INT);
    writer.end().expect(130, &["is unchanged"]);
    reader.end().expect(8, &[]);
    folder.assert_untouched(Some(OLD));
}

/// The journal of another copy, which has taken the names by then, stays.
#[test(needs = [held_copies], not_on_windows = "the name of an open file goes with its last handle")]
fn the_journal_of_another_copy_stays() {
    let folder = Folder::with_source_and_destination(LONG);
    let processes = after_a_checkpoint(&folder, "");
    let [part, journal] = ["part", "journal"].map(|what| folder.left_over(what).expect("a file of the copy"));
    for path in [&part, &journal] {
        fs::remove_file(path).unwrap();
        fs::write(path, "of another copy").unwrap();
    }
    for ended in end(processes) {
        ended.expect(12, &["removed or replaced the temporary file"]);
    }
    for path in [&part, &journal] {
        assert_eq!(fs::read(path).unwrap(), b"of another copy");
    }
}

/// While the Writer reads for a minute, it checks now and then whether the copy can continue.
#[test(needs = [strace])]
fn an_interrupt_of_the_reader_ends_reading_the_copy_back() {
    let folder = Folder::with_source(80 * MIB);
    // The first calls are those of the program's start.
    let slow = "-e trace=read -e inject=read:delay_enter=1000000:when=45+";
    let line = "--verify=reread src dst";
    let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(slow));
    until("the copy is read back", || (writer.trace().matches(", 1048576").count() > 2).then_some(()));
    reader.signal(Signal::INT);
    reader.end().expect(130, &[]);
    writer.end().expect(8, &["the Reader was interrupted"]);
    folder.assert_untouched(None);
}

/// Where no call renames without replacing, the file has two names for a moment.
#[test(needs = [strace], not_on_windows = "its kills are placed by strace")]
fn a_kill_or_an_error_between_the_two_calls_of_a_rename_blocks_nobody() {
    for (length, then) in [KIB, 3 * MIB]
        .into_iter()
        .flat_map(|length| ["signal=KILL", "error=EACCES", "error=ENOENT"].map(|then| (length, then)))
    {
        for next in ["", "--no-resume", "--backup=numbered"] {
            let folder = Folder::with_source(length);
            let calls = format!(
                "-f -e trace=renameat2,linkat,unlinkat -e inject=renameat2:error=EINVAL -e inject=unlinkat:{then}:when=1"
            );
            let ended = folder.duocopy("cp -n --no-sandbox src dst").traced(&calls).start().end();
            folder.assert_same("src", "dst");
            assert!(folder.left_over("part").is_some(), "{length} {then}: {ended:?}");
            if then != "signal=KILL" {
                ended.expect(0, &[]);
            }
            for _ in 0..2 {
                folder.duocopy(&format!("cp {next} src dst")).end().expect(0, &[]);
                folder.assert_same("src", "dst");
            }
            folder.assert_nothing_left();
        }
    }
}
