//! Destinations on file systems that refuse calls, report errors late, or tell things wrongly.

use crate::util::fuse::{Call, Errno, Fault::CoarseTimes, Fault::Ignores, Fault::Mode, Fault::Refuses};
use crate::util::*;

/// The note about a file system that cannot rename without replacing.
const LIMIT: &str = "no rename that fails if the destination exists, so that was checked just before";

/// A copy to a file system without faults tells whether the file system of these tests is good enough.
#[test(needs = [fuse])]
fn a_file_system_without_faults_takes_a_copy() {
    let folder = Folder::with_source(MIB);
    let _mounted = folder.mount("mounted", &[]);
    for _ in 0..2 {
        folder.duocopy("cp -p src mounted/dst").end().expect(0, &[]);
        folder.assert_same("src", "mounted/dst");
        folder.assert_nothing_left_in("mounted");
    }
}

/// Remote file systems report a full disk or quota only when a file is closed.
#[test(needs = [fuse])]
fn an_error_that_only_close_reports_fails_the_copy() {
    let cases = [(Errno::ENOSPC, 7), (Errno::EDQUOT, 7), (Errno::EIO, 6)];
    for (error, code) in cases {
        let folder = Folder::with_source(MIB);
        let mounted = folder.mount("mounted", &[Refuses(Call::Close, error)]);
        std::fs::write(mounted.backing.join("dst"), OLD).unwrap();
        for flags in ["", "--fsync=none", "--fsync=none --verify=none", "--partial"] {
            let ended = folder.duocopy(&format!("cp {flags} src mounted/dst")).end();
            ended.expect(code, &["cannot write to the destination", &folder.text("mounted/dst")]);
            assert_eq!(folder.read("mounted/dst"), OLD, "{flags}");
            folder.assert_nothing_left_in("mounted");
        }
        let mut write = folder.duocopy(&format!("write --fsync=none - {}", folder.pipe_name()));
        write = write.after("exec > mounted/output");
        for ended in end([folder.read_half("src").start(), write.start()]) {
            ended.expect(code, &[]);
        }
    }
}

/// The lengths and modes are right without the call, so a refusal means nothing.
#[test(needs = [fuse])]
fn a_call_whose_effect_is_there_already_may_be_refused() {
    let chmod = [Errno::ENOSYS, Errno::EPERM, Errno::EOPNOTSUPP].map(|it| Refuses(Call::Chmod, it));
    let others = [
        Refuses(Call::Truncate, Errno::EPERM),
        Refuses(Call::Truncate, Errno::ENOSYS),
        Refuses(Call::Chown, Errno::EPERM),
        Refuses(Call::SetTimes, Errno::EPERM),
        Refuses(Call::Reserve, Errno::EPERM),
        Refuses(Call::Reserve, Errno::EIO),
        Refuses(Call::SyncDirectory, Errno::EINVAL),
        Refuses(Call::SyncDirectory, Errno::EPERM),
    ];
    for fault in chmod.into_iter().chain(others) {
        let folder = Folder::with_source(300 * KIB);
        folder.set_mode("src", 0o600);
        let _mounted = folder.mount("mounted", &[fault]);
        for flags in ["", "--backup=simple", "--sparse=always"] {
            folder.write("src", bytes(300 * KIB, flags.len() as u64));
            let ended = folder.duocopy(&format!("cp {flags} src mounted/dst")).end();
            ended.expect(0, &[]);
            assert_eq!(ended.messages, "", "{fault:?} {flags}");
            folder.assert_same("src", "mounted/dst");
        }
        folder.assert_nothing_left_in("mounted");
    }
    // A time that cannot be set is lost.
    let folder = Folder::with_source(KIB);
    let _mounted = folder.mount("mounted", &[Refuses(Call::SetTimes, Errno::EPERM)]);
    folder.duocopy("cp -p src mounted/dst").end().expect(3, &["timestamps (Operation not permitted"]);
}

#[test(needs = [fuse, holes])]
fn where_no_length_can_be_set_holes_become_zeros() {
    for error in [Errno::EPERM, Errno::EOPNOTSUPP, Errno::EINVAL] {
        let folder = Folder::new();
        let mut content = vec![0; 2 * MIB];
        content[MIB..MIB + 100].fill(1);
        let source = std::fs::File::create(folder.path("src")).unwrap();
        source.set_len(2 * MIB as u64).unwrap();
        source.write_all_at(&content[MIB..MIB + 100], MIB as u64).unwrap();
        let _mounted = folder.mount("mounted", &[Refuses(Call::Truncate, error)]);
        for flags in ["", "--sparse=always", "--sparse=never"] {
            folder.duocopy(&format!("cp {flags} src mounted/dst")).end().expect(0, &[]);
            assert!(folder.read("mounted/dst") == content, "{flags}");
        }
    }
}

/// File systems for cloud storage have neither of the two calls that replace nothing.
#[test(needs = [fuse])]
fn where_no_call_refuses_to_replace_the_name_is_checked_before() {
    for link in [Errno::EPERM, Errno::ENOSYS, Errno::EIO, Errno::EMLINK] {
        let faults = [Refuses(Call::RenameNoReplace, Errno::EINVAL), Refuses(Call::Link, link)];
        let folder = Folder::with_source(300 * KIB);
        let mounted = folder.mount("mounted", &faults);
        let halves = || end([folder.read_half("src").start(), folder.write_half("mounted/dst").start()]);
        let [reader, writer] = halves();
        reader.expect(0, &[]);
        writer.expect(0, &[LIMIT, &folder.text("mounted/dst")]);
        folder.assert_same("src", "mounted/dst");
        let [reader, writer] = halves();
        reader.expect(12, &[]);
        writer.expect(12, &["the destination exists", "--force"]);
        folder.duocopy("cp -n src mounted/other").end().expect(0, &[LIMIT]);
        folder.write("src", "newer");
        folder.duocopy("cp -n src mounted/other").end().expect(0, &[]);
        folder.assert_same("mounted/dst", "mounted/other");
        folder.assert_nothing_left_in("mounted");
        // A backup needs a second name, and says so.
        folder.duocopy("cp --backup src mounted/dst").end().expect(
            if matches!(link, Errno::EIO | Errno::EMLINK) { 6 } else { 12 },
            &["cannot keep the old destination under another name"],
        );
        drop(mounted);
    }
}

/// A note about the last step is reported even if the name cannot be flushed afterwards.
#[test(needs = [fuse])]
fn a_note_about_the_last_step_is_not_lost_with_its_name() {
    let folder = Folder::with_source(KIB);
    let faults = [
        Refuses(Call::RenameNoReplace, Errno::EINVAL),
        Refuses(Call::Link, Errno::EPERM),
        Refuses(Call::SyncDirectory, Errno::EIO),
    ];
    let _mounted = folder.mount("mounted", &faults);
    let ended = folder.duocopy("cp -n src mounted/dst").end();
    ended.expect(6, &["Input/output error", LIMIT]);
    folder.assert_same("src", "mounted/dst");
}

/// The destination appears during the copy.
#[test(needs = [fuse, strace])]
fn a_name_that_was_taken_during_the_copy_is_not_replaced_there_either() {
    let folder = Folder::with_source(2 * MIB);
    let faults = [Refuses(Call::RenameNoReplace, Errno::EINVAL), Refuses(Call::Link, Errno::EPERM)];
    let mounted = folder.mount("mounted", &faults);
    let line = format!("{SMALL_BLOCKS} --update=none-fail src mounted/dst");
    let [reader, writer] = pair(folder.duocopy(&line), folder.duocopy(&line).traced(SLOW_WRITES));
    writer.has_written(3);
    std::fs::write(mounted.backing.join("dst"), OLD).unwrap();
    for ended in end([reader, writer]) {
        ended.expect(12, &["the destination was created during the copy"]);
    }
    assert_eq!(folder.read("mounted/dst"), OLD);
    folder.assert_nothing_left_in("mounted");
}

/// Some file systems answer with an I/O error what they do not know.
#[test(needs = [fuse])]
fn where_no_question_about_attributes_is_answered_copies_work() {
    let folder = Folder::with_source(300 * KIB);
    folder.set_mode("src", 0o664);
    let _mounted = folder.mount("mounted", &[Refuses(Call::Attributes, Errno::EIO)]);
    assert_eq!(folder.duocopy("cp src mounted/dst").end().expect(0, &[]).messages, "");
    // A list that nobody can see may make the group's bits a mask.
    assert_eq!(folder.mode("mounted/dst") & 0o070, 0);
    folder.write("src", "newer");
    let note = "did not keep these properties of the old file: extended attributes";
    folder.duocopy("cp src mounted/dst").end().expect(0, &[note]);
    folder.assert_same("src", "mounted/dst");
    folder.assert_nothing_left_in("mounted");
}

/// NTFS-3G and rclone accept owners, modes and access lists that they do not store.
#[test(needs = [fuse, root, extended_attributes])]
fn what_a_file_system_accepts_and_does_not_store_is_not_preserved() {
    let cannot = "(the file system cannot store this value)";
    let remedy = "leave it out of --preserve, or copy to another file system";
    for (call, what) in [(Call::Chown, "ownership"), (Call::Chmod, "mode"), (Call::Attributes, ACCESS_LIST)] {
        let folder = Folder::with_source(300 * KIB);
        folder.set_mode("src", 0o644);
        match call {
            Call::Chown => std::os::unix::fs::chown(folder.path("src"), Some(NOBODY), None).unwrap(),
            Call::Attributes => assert!(folder.set_attribute("src", ACCESS_LIST, &access_list())),
            _ => {}
        }
        let _mounted = folder.mount("mounted", &[Ignores(call)]);
        let ended = folder.duocopy("cp -p src mounted/dst").end();
        ended.expect(3, &[&format!("mounted/dst: {what} {cannot}; {remedy}")]);
        folder.assert_same("src", "mounted/dst");
        folder.duocopy("cp src mounted/other").end().expect(0, &[]);
    }
}

/// Where the file system does not store the list, the group must not get the list's mask instead.
#[test(needs = [fuse, root, extended_attributes])]
fn a_list_that_is_not_stored_gives_its_mask_to_nobody() {
    let folder = Folder::with_source(KIB);
    let mut list = access_list();
    // The group itself has no rights in the list.
    list[4 + 2 * 8 + 2] = 0;
    assert!(folder.set_attribute("src", ACCESS_LIST, &list));
    let _mounted = folder.mount("mounted", &[Ignores(Call::Attributes)]);
    folder.duocopy("cp --preserve=mode src mounted/dst").end().expect(3, &[ACCESS_LIST]);
    assert_eq!((folder.mode("src"), folder.mode("mounted/dst")), (0o640, 0o600));
}

/// No later copy would trust a journal that others can write to.
#[test(needs = [fuse])]
fn where_no_file_is_private_there_is_no_journal() {
    for (faults, journal) in [(&[][..], true), (&[Mode(0o666), Ignores(Call::Chmod)], false)] {
        let folder = Folder::with_source(2 * MIB);
        let _mounted = folder.mount("mounted", faults);
        let copies = [(); 2].map(|()| folder.duocopy("--bwlimit=1M src mounted/dst").start());
        until("something is copied", || {
            let left = folder.temporaries("mounted");
            left.iter().any(|path| path.metadata().is_ok_and(|it| it.len() > 0)).then_some(())
        });
        copies.iter().for_each(Process::kill);
        end(copies);
        let left = folder.temporaries("mounted");
        assert_eq!(left.len(), if journal { 2 } else { 1 }, "{left:?}");
        folder.duocopy("cp src mounted/dst").end().expect(0, &[]);
        folder.assert_same("src", "mounted/dst");
        folder.assert_nothing_left_in("mounted");
    }
}

/// NTFS-3G and Btrfs need space to remove a name.
#[test(needs = [fuse])]
fn a_full_file_system_gets_its_space_back() {
    let folder = Folder::with_source(300 * KIB);
    let faults = [Call::RemoveContent, Call::Sync].map(|call| Refuses(call, Errno::ENOSPC));
    let mounted = folder.mount("mounted", &faults);
    std::fs::write(mounted.backing.join("dst"), OLD).unwrap();
    folder.duocopy("cp src mounted/dst").end().expect(7, &["free some space there"]);
    assert_eq!(folder.read("mounted/dst"), OLD);
    folder.assert_nothing_left_in("mounted");
}

/// FAT rounds to two seconds.
#[test(needs = [fuse])]
fn a_time_that_the_file_system_rounds_is_not_preserved() {
    let folder = Folder::with_source(KIB);
    let _mounted = folder.mount("mounted", &[CoarseTimes]);
    let set_time = |nanoseconds| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, nanoseconds);
        let times = std::fs::FileTimes::new().set_accessed(time).set_modified(time);
        std::fs::File::options().write(true).open(folder.path("src")).unwrap().set_times(times).unwrap();
    };
    set_time(1);
    let lost = ["not everything was preserved", "timestamps (the file system cannot store this value)"];
    folder.duocopy("cp -p src mounted/dst").end().expect(3, &lost);
    folder.duocopy("cp src mounted/dst").end().expect(0, &[]);
    set_time(0);
    folder.duocopy("cp -p src mounted/dst").end().expect(0, &[]);
}
