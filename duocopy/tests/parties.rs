//! Users and containers that cannot open each other's file, and meet in a directory that both can enter.
//!
//! On Windows only processes of the same user can meet.

use crate::util::*;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

/// The group of both users, the user who may read the source, and the user who may write the destination.
pub const GROUP: u32 = 20_000;
pub const BACKUP: u32 = 20_001;
pub const STORE: u32 = 20_002;
/// A container: namespaces of its own for users, mounts and processes.
const CONTAINER: &str = "unshare --user --map-root-user --mount --pid --fork --kill-child";

/// Makes a folder with a source that only one user may read, a directory in which only another user may write, and one
/// in which they meet. The test needs `root`.
pub fn two_parties() -> Folder {
    let folder = Folder::new();
    for (name, owner, group, mode) in
        [("backup", BACKUP, BACKUP, 0o700), ("store", STORE, STORE, 0o700), ("meet", 0, GROUP, 0o2770)]
    {
        chown(folder.make(name), Some(owner), Some(group)).expect("root may");
        folder.set_mode(name, mode);
    }
    chown(folder.write("backup/src", bytes(2 * MIB + 7, 1)), Some(BACKUP), Some(BACKUP)).expect("root may");
    folder.set_mode("backup/src", 0o600);
    folder
}

pub fn reader<'a>(folder: &'a Folder, flags: &str) -> Run<'a> {
    folder.duocopy(&format!("read --dir=meet --wait=20s {flags} backup/src nightly")).by_user(BACKUP, GROUP)
}

pub fn writer<'a>(folder: &'a Folder, flags: &str) -> Run<'a> {
    folder.duocopy(&format!("write --dir=meet --wait=20s {flags} store/dst nightly")).by_user(STORE, GROUP)
}

#[track_caller]
fn left_in(folder: &Folder) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path("meet")).expect("root may");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// Whether this user can open this file.
fn may_open(folder: &Folder, user: u32, name: &str) -> bool {
    let mut command = Command::new("head");
    surround(command.args(["-c", "1"]).arg(folder.path(name)), Some((user, GROUP)), false);
    succeeds(&mut command)
}

#[test(needs = [root])]
fn two_users_copy_what_neither_could_alone() {
    let folder = two_parties();
    let [reader, writer] = [reader(&folder, "--bwlimit=700K"), writer(&folder, "")].map(Run::start);
    // A third user who may enter the directory sees both.
    let seen = until("both are seen", || {
        let seen = folder.duocopy("status --json --dir=meet nightly").end();
        seen.output.contains("\"moving\"").then_some(seen.output)
    });
    for part in [format!("\"user\":{BACKUP}"), format!("\"user\":{STORE}"), "\"dead\":false".into()] {
        assert!(seen.contains(&part), "{seen}");
    }
    let [reader, writer] = [reader.end(), writer.end()];
    reader.expect(0, &[&format!("the Writer belongs to user {STORE}")]);
    writer.expect(0, &[&format!("the Reader belongs to user {BACKUP}")]);
    folder.assert_same("backup/src", "store/dst");
    assert_eq!(left_in(&folder), [] as [PathBuf; 0]);
    for (user, own, other) in [(BACKUP, "backup/src", "store/dst"), (STORE, "store/dst", "backup/src")] {
        assert!(may_open(&folder, user, own) && !may_open(&folder, user, other), "{user}");
    }
}

/// A confined half cannot read the user database when its peer comes.
#[test(needs = [root])]
fn a_peer_is_shown_by_name() {
    let output = Command::new("id").args(["-un", &NOBODY.to_string()]).output().expect("id is everywhere");
    let name = String::from_utf8(output.stdout).expect("a readable name");
    let folder = two_parties();
    chown(folder.path("store"), Some(NOBODY), Some(GROUP)).expect("root may");
    let nobody = folder.duocopy("write --dir=meet --wait=20s store/dst nightly").by_user(NOBODY, GROUP);
    let [reader, writer] = [reader(&folder, ""), nobody].map(Run::start).map(Process::end);
    reader.expect(0, &[&format!("the Writer belongs to user {} ({NOBODY})", name.trim())]);
    writer.expect(0, &[&format!("the Reader belongs to user {BACKUP}")]);
}

#[test(needs = [root])]
fn an_unexpected_user_is_refused_by_both() {
    let folder = two_parties();
    let allowed = format!("--peer-user=root,{STORE}");
    let ended =
        [reader(&folder, &allowed), writer(&folder, "--peer-user=0")].map(Run::start).map(Process::end);
    let [reads, writes] = &ended;
    writes.expect(12, &[&format!("the other process belongs to user {BACKUP}, which --peer-user")]);
    reads.expect(12, &["the Writer failed: "]);
    assert!(!folder.is_there("store/dst"));

    let ended = [reader(&folder, "--peer-user=root --peer-group=0"), writer(&folder, "")];
    let [reads, writes] = ended.map(Run::start).map(Process::end);
    reads.expect(12, &[&format!("belongs to user {STORE}, which"), "or allow this user"]);
    writes.expect(12, &["the Reader failed: "]);
    assert!(!folder.is_there("store/dst"));

    let both = [reader(&folder, &allowed), writer(&folder, &format!("--peer-user={BACKUP}"))];
    for ended in both.map(Run::start).map(Process::end) {
        ended.expect(0, &[]);
    }
    let lonely = folder.duocopy(&format!("read --peer-user={STORE} backup/src x")).end();
    lonely.expect(2, &["without --dir only processes of this user can meet", "--dir"]);
    let unknown = reader(&folder, "--peer-user=nobody-at-all").end();
    unknown.expect(2, &["cannot look up the user nobody-at-all: there is no such user", "--peer-user"]);
}

/// The file that proves the user of a process is missing.
#[test(needs = [root])]
fn a_process_that_has_not_proved_its_user_is_refused() {
    let folder = two_parties();
    let writer = writer(&folder, "").start();
    let proof = until("the file that proves its user", || {
        left_in(&folder).into_iter().find(|path| path.to_string_lossy().ends_with("-user"))
    });
    std::fs::remove_file(proof).expect("root may");
    let reader = reader(&folder, &format!("--peer-user={STORE}")).start();
    reader.end().expect(
        12,
        &[
            "the other process has not proved which user it belongs to",
            "check who can enter the directory in --dir",
        ],
    );
    assert_ne!(writer.end().code, 0);
    assert!(!folder.is_there("store/dst"));
}

/// The members of a group are known for users of this system.
#[test]
fn a_peer_may_be_expected_by_its_group() {
    let folder = Folder::new();
    folder.write("src", "x");
    folder.make("meet");
    folder.set_mode("meet", 0o700);
    let line = "--dir=meet --wait=20s --peer-group=GROUP src dst";
    let own = rustix::process::getegid().as_raw().to_string();
    let known = succeeds(Command::new("id").args(["-nu"]));
    for (group, code) in [(own.as_str(), 0), ("4294967294", 12)] {
        if known || code != 0 {
            let line = line.replace("GROUP", group);
            for ended in end(pair(folder.duocopy(&line), folder.duocopy(&line))) {
                ended.expect(code, &[]);
            }
        }
    }
}

#[test(needs = [root])]
fn a_killed_half_leaves_nothing_that_stops_another_user() {
    let folder = two_parties();
    for victim in [0, 1] {
        let both = [reader(&folder, "--bwlimit=1M"), writer(&folder, "")].map(Run::start);
        both[1 - victim].reports("belongs to user");
        both[victim].kill();
        let survivor = both.into_iter().nth(1 - victim).expect("two");
        survivor.end().expect(8, &["died"]);
        for ended in [reader(&folder, ""), writer(&folder, "--force")].map(Run::start).map(Process::end) {
            ended.expect(0, &[]);
        }
        folder.assert_same("backup/src", "store/dst");
        assert_eq!(left_in(&folder), [] as [PathBuf; 0]);
        std::fs::remove_file(folder.path("store/dst")).expect("root may");
    }
}

#[test(needs = [root])]
fn an_unsuitable_directory_is_reported_with_the_remedy() {
    let folder = two_parties();
    let read =
        |dir: &str| folder.duocopy(&format!("read --dir={dir} backup/src x")).by_user(BACKUP, BACKUP).end();
    read("nowhere").expect(1, &[&folder.text("nowhere"), "No such file", "create this directory first"]);
    read("meet").expect(1, &[&folder.text("meet"), "Permission denied", "chmod 2770"]);
    folder
        .duocopy("cp --dir=meet backup/src dst")
        .end()
        .expect(2, &["--dir: `cp` starts both processes, as the same user"]);
}

#[test]
fn the_directory_may_come_from_the_environment() {
    let folder = Folder::new();
    folder.write("src", "x");
    let place = folder.make("meet");
    folder.set_mode("meet", 0o700);
    let here = "export DUOCOPY_DIR=meet";
    let start = |line: &str| folder.duocopy(line).after(here).start();
    let reader = start("read src x");
    reader.reports(&format!("start it as a user who may enter {}", place.display()));
    reader.reports(&format!("duocopy write --dir={} DST x", place.display()));
    let there = folder.duocopy("status x").after(here).end();
    assert!(there.output.contains("has waited for the other process for"), "{there:?}");
    start("write dst x").end().expect(0, &[]);
    reader.end().expect(0, &[]);
    folder.duocopy("status x").after(here).end().expect(1, &["there is no pipe \u{201c}x\u{201d}"]);
    // An empty variable counts as missing.
    let [reader, writer] = ["read src x", "write --force dst x"]
        .map(|line| folder.duocopy(line).after("export DUOCOPY_DIR=").start());
    assert_eq!([reader.end().code, writer.end().code], [0, 0]);
    // `cp` meets there, too, and admits no process of another user.
    folder
        .duocopy("cp src other")
        .after("export DUOCOPY_DIR=nowhere")
        .end()
        .expect(1, &["nowhere: No such file"]);
    folder.duocopy("cp src other").after(here).end().expect(0, &[]);
    folder.assert_same("src", "other");
}

#[test(needs = [root, user_namespaces])]
fn two_containers_share_nothing_but_a_directory() {
    let folder = two_parties();
    // Each container hides the other's directory, and the memory that all processes of this system share.
    let hidden = |other: &str| format!("mount -t tmpfs tmpfs {other} && mount -t tmpfs tmpfs /dev/shm");
    let both = [
        reader(&folder, "").inside(CONTAINER).after(&hidden("store")),
        writer(&folder, "").inside(CONTAINER).after(&hidden("backup")),
    ];
    let [reader, writer] = both.map(Run::start).map(Process::end);
    // A container that does not know the peer's user cannot name it. (Only Linux has such containers.)
    let user = if cfg!(blockpipe_portable) { "user" } else { "a user unknown in this user namespace" };
    reader.expect(0, &[&format!("the Writer belongs to {user}")]);
    writer.expect(0, &[&format!("the Reader belongs to {user}")]);
    folder.assert_same("backup/src", "store/dst");
    assert_eq!(left_in(&folder), [] as [PathBuf; 0]);
}

/// Only a file system that can leave out parts of a file can reserve space in it.
#[test(needs = [own_mounts, loop_devices, ext3])]
fn the_directory_may_be_where_no_space_can_be_reserved() {
    let folder = Folder::with_source(MIB);
    folder.make("disk");
    std::fs::File::create(folder.path("disk.img")).unwrap().set_len(8 << 20).unwrap();
    let ended = folder.with_own_mounts(
        "mkfs.ext3 -qF disk.img
        mount -o loop disk.img disk
        mkdir -m 2770 disk/meet
        if fallocate -l 1 disk/none 2>/dev/null; then
            echo 'space can be reserved on ext3' >&2
            exit 77
        fi
        for flags in '' --block-size=4K --buffer-size=3M; do
            $0 read --dir disk/meet --wait=9s $flags src x & $0 write --dir disk/meet --wait=9s -f dst x
            wait $!
            cmp src dst
            test -z \"$(ls disk/meet)\"
        done
        head -c 16M /dev/zero > big
        status=0
        $0 read --dir disk/meet --wait=9s --buffer-size=12M --block-size=4M big y & $0 write --dir disk/meet --wait=9s none y || status=$?
        wait $! || test $? = 7
        test $status = 7
        test -z \"$(ls disk/meet)\"",
    );
    ended.expect(0, &["no space for"]);
}
