//! Changes of a source that make its copy fail, and changes that do not.

use crate::util::fuse::Fault;
use crate::util::*;
use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

/// Returns two versions of a source.
fn versions() -> [Vec<u8>; 2] {
    [b'A', b'B'].map(|byte| vec![byte; 2 * MIB])
}

/// Waits for the beginning of a step of this many seconds.
fn begin_of_a_step(seconds: u64) {
    until("the beginning of a step", || {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        (now.as_millis() % (u128::from(seconds) * 1000) < 100).then_some(())
    });
}

#[test(needs = [fuse])]
fn a_change_within_the_same_two_seconds_is_no_second_version() {
    for begins_with_a_hole in [false, true] {
        let folder = Folder::new();
        let _mounted = folder.mount("mounted", &[Fault::CoarseTimes]);
        let [mut old, new] = versions();
        begin_of_a_step(2);
        let source = File::create(folder.path("mounted/src")).unwrap();
        if begins_with_a_hole {
            old[..MIB].fill(0);
            source.write_all_at(&old[MIB..], MIB as u64).unwrap();
        } else {
            source.write_all_at(&old, 0).unwrap();
        }
        let copy = folder.duocopy("cp --fsync=none --bwlimit=4M mounted/src dst").start();
        pause(milliseconds(300));
        source.write_all_at(&new, 0).unwrap();
        let ended = copy.end();
        if ended.code == 0 {
            let copied = folder.read("dst");
            assert!(copied == old || copied == new, "of two versions, hole: {begins_with_a_hole}");
        } else {
            ended.expect(5, &["was written to while it was read"]);
        }
    }
}

#[test(needs = [own_mounts, loop_devices, ext4])]
fn a_change_within_the_same_second_is_no_second_version() {
    let folder = Folder::new();
    folder.make("disk");
    for (name, version) in ["old", "new"].into_iter().zip(versions()) {
        folder.write(name, version);
    }
    let ended = folder.with_own_mounts(
        "truncate -s 16M disk.img
        mkfs.ext4 -q -F -I 128 disk.img
        mount -o loop disk.img disk
        until test $(date +%N | cut -c 1) = 0; do :; done
        cp old disk/src
        $0 cp --fsync=none --bwlimit=4M disk/src dst & copy=$!
        sleep 0.3
        dd if=new of=disk/src conv=notrunc bs=2M status=none
        wait $copy || test $? = 5",
    );
    ended.expect(0, &[]);
    if let Some(copied) = folder.content("dst") {
        assert!(versions().contains(&copied), "of two versions");
    }
}

/// A source that was just written to is copied all the same, once a change would show.
#[test(needs = [fuse])]
fn a_fresh_source_with_coarse_times_is_copied() {
    let folder = Folder::new();
    let _mounted = folder.mount("mounted", &[Fault::CoarseTimes]);
    let dry = folder.write("mounted/src", bytes(MIB, 1));
    folder.duocopy("cp mounted/src dst").end().expect(0, &[]);
    folder.assert_same("mounted/src", "dst");
    fs::write(dry, bytes(MIB, 2)).unwrap();
    folder.duocopy("cp --dry-run mounted/src dst").end().expect(0, &["and replace"]);
}

#[test(needs = [held_copies])]
fn a_change_of_names_rights_or_attributes_is_no_change_of_the_content() {
    type Case = (&'static str, fn(&Folder));
    let mut cases: Vec<Case> = vec![
        ("a second name", |folder| fs::hard_link(folder.path("src"), folder.path("link")).unwrap()),
        ("another name", |folder| fs::rename(folder.path("src"), folder.path("moved")).unwrap()),
        ("no name", |folder| fs::remove_file(folder.path("src")).unwrap()),
        ("another mode", |folder| folder.set_mode("src", 0o600)),
        ("another time of access", |folder| {
            let accessed = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            File::open(folder.path("src"))
                .unwrap()
                .set_times(FileTimes::new().set_accessed(accessed))
                .unwrap();
        }),
    ];
    if needs::extended_attributes().is_ok() {
        cases.push(("an attribute", |folder| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(folder.path("src"), "user.x", b"x", flags).unwrap();
        }));
    }
    for (what, change) in cases {
        let folder = Folder::with_source_and_destination(2 * MIB);
        let [reader, writer] = in_the_middle(&folder);
        change(&folder);
        for ended in [reader.end(), writer.end()] {
            assert_eq!(ended.code, 0, "{what}: {ended:?}");
        }
        assert!(folder.read("dst") == bytes(2 * MIB, 1), "{what}");
    }
}

/// Holes, a resumed beginning and both kinds of checksum, for the second reading that a changed inode asks for.
#[test(needs = [held_copies, holes])]
fn the_content_is_compared_whatever_was_read_before() {
    for flags in ["", "--hash=blake3", "--verify=none"] {
        let folder = Folder::new();
        let source = File::create(folder.path("src")).unwrap();
        source.set_len(40 * MIB as u64).unwrap();
        source.write_all_at(&bytes(2 * MIB, 1), 30 * MIB as u64).unwrap();
        let content = folder.read("src");
        let [reader, writer] = held_in_the_middle(&folder, &format!("{HELD_BLOCKS} {flags} src dst"));
        fs::rename(folder.path("src"), folder.path("moved")).unwrap();
        complete([reader, writer]);
        assert!(folder.read("dst") == content, "{flags}");
    }
}

/// The kernel caches what a server has reported about a file. The Reader asks the server itself.
#[test(needs = [fuse, held_copies])]
fn a_change_that_only_the_server_knows_of_is_noticed() {
    let folder = Folder::new();
    let mounted = folder.mount("mounted", &[Fault::Remembered]);
    let [old, new] = versions();
    fs::write(mounted.backing.join("src"), old).unwrap();
    let processes = held_in_the_middle(&folder, &format!("{HELD_BLOCKS} mounted/src dst"));
    fs::write(mounted.backing.join("src"), new).unwrap();
    both_fail(&folder, processes, 5, &["was written to while it was read"]);
}

/// Starts a pair whose Reader reads its source again, because the mode was changed, and takes a second for each of the
/// 40 MiB. Returns both processes once that has begun.
fn comparing(folder: &Folder) -> [Process; 2] {
    folder.write("src", bytes(40 * MIB, 1));
    // The first reading takes 40 calls, and one more for the end.
    let slow = "-e trace=read -e inject=read:delay_enter=1000000:when=43+";
    let line = "--block-size=1M --json src dst";
    let reader = folder.duocopy(line).traced(&format!("-P {} {slow}", folder.text("src"))).start_reader();
    reader.reports("blocks of 1048576 bytes");
    folder.set_mode("src", 0o600);
    let writer = folder.duocopy(line).start();
    until("the second reading", || reader.output().contains("comparing").then_some(()));
    [reader, writer]
}

#[test(needs = [strace])]
fn an_interrupt_or_the_death_of_the_peer_ends_the_second_reading() {
    let folder = Folder::new();
    let [reader, writer] = comparing(&folder);
    reader.signal(Signal::INT);
    reader.end().expect(130, &[]);
    writer.end().expect(8, &["interrupted"]);
    folder.assert_untouched(None);
    let [reader, writer] = comparing(&folder);
    writer.kill();
    reader.end().expect(8, &["the Writer died"]);
    assert!(!folder.is_there("dst"));
}
