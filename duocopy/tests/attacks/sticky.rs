//! Other users put links, pipes and files where this user's copy will find them: in a directory like `/tmp`, beside the
//! destination, or where the two processes meet.
//!
//! In directories that everybody can write to, the kernel prevents some of these attacks (`fs.protected_symlinks` and
//! its like). In directories that only a group can write to, it prevents none: there, the program's own rule is tested.

use crate::util::*;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown, lchown, symlink};
use std::path::PathBuf;

/// The user that copies, the user that attacks, and the group of both.
const VICTIM: u32 = 20_002;
const MALLORY: u32 = 20_003;
const GROUP: u32 = 20_000;
/// Modes of a directory with the sticky bit that others can write to.
const STICKY: [u32; 2] = [0o1777, 0o1775];
/// The users that copy: the rule protects root, too.
const USERS: [u32; 2] = [VICTIM, 0];

const NOT_FOLLOWED: &str = "a symbolic link of another user, in a sticky directory that others can write to";
const NOT_WRITTEN: &str = "a file of another user, in a sticky directory that others can write to";

/// Makes a folder with a `home` of the victim, in which there are files, and a directory `drop` of root, in which both
/// users can write. The test needs `root`.
fn with_drop(mode: u32) -> Folder {
    let folder = Folder::new();
    chown(folder.make("home"), Some(VICTIM), Some(GROUP)).expect("root may");
    for (name, content) in [("home/src", &b"new"[..]), ("home/private", OLD)] {
        chown(folder.write(name, content), Some(VICTIM), Some(GROUP)).expect("root may");
        folder.set_mode(name, 0o600);
    }
    chown(folder.make("drop"), Some(0), Some(GROUP)).expect("root may");
    folder.set_mode("drop", mode);
    folder
}

/// Returns the program, run by this user.
fn run<'a>(folder: &'a Folder, user: u32, line: &str) -> Run<'a> {
    folder.duocopy(line).by_user(user, GROUP)
}

fn make_link(folder: &Folder, name: &str, target: &str, owner: u32) {
    let link = folder.path(name);
    symlink(folder.path(target), &link).expect("a free name");
    lchown(&link, Some(owner), Some(GROUP)).expect("root may");
}

fn make_file(folder: &Folder, name: &str, owner: u32) -> PathBuf {
    let path = folder.write(name, "theirs");
    folder.set_mode(name, 0o666);
    chown(&path, Some(owner), Some(GROUP)).expect("root may");
    path
}

/// Makes a FIFO, and opens it as the process that waits for what is written to it.
fn make_fifo(folder: &Folder, name: &str, owner: u32) -> File {
    folder.make_fifo(name);
    chown(folder.path(name), Some(owner), Some(GROUP)).expect("root may");
    folder.set_mode(name, 0o666);
    let opened = OpenOptions::new().read(true).custom_flags(nonblocking()).open(folder.path(name));
    opened.expect("root may")
}

fn nonblocking() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

/// Runs both halves of a copy from `home/src` to this destination.
fn halves(folder: &Folder, user: u32, flags: &str, destination: &str) -> [Ended; 2] {
    let name = folder.pipe_name();
    let reader = run(folder, user, &format!("read --wait=20s home/src {name}")).start();
    let writer = run(folder, user, &format!("write --wait=20s {flags} {destination} {name}")).start();
    end([reader, writer])
}

#[test(needs = [root])]
fn another_users_link_in_a_sticky_directory_is_not_followed() {
    for (mode, user) in STICKY.into_iter().flat_map(|mode| USERS.map(|user| (mode, user))) {
        let folder = with_drop(mode);
        make_link(&folder, "drop/link", "home/private", MALLORY);
        // The last link of a chain that begins with a link of this user.
        make_link(&folder, "home/chain", "drop/link", user);
        // A directory on the way.
        make_link(&folder, "drop/way", "home", MALLORY);
        make_link(&folder, "home/long", "drop/way", user);
        make_link(&folder, "drop/nowhere", "drop/new", MALLORY);
        let cases = [
            ("drop/link", "drop/link"),
            ("home/chain", "drop/link"),
            ("drop/way/private", "drop/way"),
            ("drop/way", "drop/way"),
            ("home/long/private", "drop/way"),
            ("drop/nowhere", "drop/nowhere"),
        ];
        for (path, link) in cases {
            let named = folder.text(link);
            for flags in ["", "--dry-run", "--backup", "-T"] {
                let ended = run(&folder, user, &format!("cp {flags} home/src {path}")).end();
                ended.expect(
                    12,
                    &[NOT_FOLLOWED, &format!("followed: {named};"), "have its owner remove the link"],
                );
            }
            // The same holds for a source: the attacker would choose which of the user's files is copied.
            for flags in ["", "--dry-run"] {
                let ended = run(&folder, user, &format!("cp {flags} {path} drop/copy")).end();
                ended.expect(12, &[NOT_FOLLOWED, &format!("followed: {named};")]);
            }
        }
        // A dry run resolves the path of a pipe, but does not open the pipe.
        folder.make_fifo("home/fifo");
        run(&folder, user, "read --dry-run drop/way/fifo x").end().expect(12, &[NOT_FOLLOWED]);
        let [reader, writer] = halves(&folder, user, "--force", "drop/way/new");
        writer.expect(12, &[NOT_FOLLOWED, &folder.text("drop/way")]);
        reader.expect(12, &["the Writer failed: ", NOT_FOLLOWED]);
        assert!(!reader.messages.contains("drop/way"), "{reader:?}");
        assert_eq!(folder.read("home/private"), OLD);
        for name in ["drop/copy", "drop/new", "home/new", "home/src~", "home/private~"] {
            assert!(!folder.is_there(name), "{name}");
        }
    }
}

#[test(needs = [root])]
fn links_that_nobody_else_can_have_made_are_followed() {
    for (mode, owner, user) in [
        (0o1777, VICTIM, VICTIM),
        (0o1775, VICTIM, VICTIM),
        // The directory belongs to root.
        (0o1777, 0, VICTIM),
        // In the first directory only the owner can write; in the second anybody can replace everything.
        (0o1755, MALLORY, VICTIM),
        (0o777, MALLORY, 0),
    ] {
        let folder = with_drop(mode);
        make_link(&folder, "drop/link", "home/private", owner);
        make_link(&folder, "drop/way", "home", owner);
        run(&folder, user, "cp home/src drop/link").end().expect(0, &[]);
        assert_eq!(folder.read("home/private"), b"new", "{mode:o} {owner} {user}");
        run(&folder, user, "cp drop/link drop/way/copy").end().expect(0, &[]);
        assert_eq!(folder.read("home/copy"), b"new");
    }
}

/// Links in `/proc` lead elsewhere than their text says, and belong to the process.
#[test]
fn a_file_that_is_already_open_can_be_the_source() {
    let folder = Folder::new();
    folder.write("src", "content");
    for path in ["/dev/stdin", "/proc/self/fd/0"] {
        fs::copy(folder.path("src"), folder.path("open")).expect("copying");
        folder.duocopy(&format!("cp {path} dst")).after("exec <open; rm open").end().expect(0, &[]);
        folder.assert_same("src", "dst");
        fs::remove_file(folder.path("dst")).expect("it is there");
    }
}

#[test(needs = [root])]
fn nothing_is_written_to_another_users_pipe() {
    for user in USERS {
        for mode in STICKY {
            let folder = with_drop(mode);
            let mut fifo = make_fifo(&folder, "drop/out", MALLORY);
            for flags in ["", "--force"] {
                let [_, writer] = halves(&folder, user, flags, "drop/out");
                writer.expect(12, &[NOT_WRITTEN, &folder.text("drop/out")]);
                let planned = run(&folder, user, &format!("write --dry-run {flags} drop/out x")).end();
                planned.expect(12, &[NOT_WRITTEN]);
            }
            assert_eq!(fifo.read(&mut [0]).expect("nobody has it open"), 0);
        }
        let folder = with_drop(0o777);
        let mut fifo = make_fifo(&folder, "drop/out", MALLORY);
        let [reader, writer] = halves(&folder, user, "", "drop/out");
        writer.expect(12, &["the destination is a named pipe of another user", "--force"]);
        reader.expect(12, &["the Writer failed: the destination is a named pipe of another user"]);
        run(&folder, user, "write --dry-run drop/out x").end().expect(12, &["a named pipe of another user"]);
        assert_eq!(fifo.read(&mut [0]).expect("nobody has it open"), 0);
        complete(halves_started(&folder, user, "--force", "drop/out"));
        let mut came = String::new();
        fifo.read_to_string(&mut came).expect("the Writer has ended");
        assert_eq!(came, "new");
    }
}

fn halves_started(folder: &Folder, user: u32, flags: &str, destination: &str) -> [Process; 2] {
    let name = folder.pipe_name();
    let reader = run(folder, user, &format!("read --wait=20s home/src {name}")).start();
    [reader, run(folder, user, &format!("write --wait=20s {flags} {destination} {name}")).start()]
}

#[test(needs = [root])]
fn pipes_of_this_user_and_of_the_directorys_owner_are_written_to() {
    for (owner, flags) in [(VICTIM, ""), (0, "--force")] {
        let folder = with_drop(0o1777);
        let mut fifo = make_fifo(&folder, "drop/out", owner);
        complete(halves_started(&folder, VICTIM, flags, "drop/out"));
        let mut came = String::new();
        fifo.read_to_string(&mut came).expect("the Writer has ended");
        assert_eq!(came, "new");
    }
}

/// The copy would get the owner and the mode of the file that it replaces.
#[test(needs = [root])]
fn another_users_file_in_a_sticky_directory_is_not_replaced() {
    for (mode, user) in STICKY.into_iter().flat_map(|mode| USERS.map(|user| (mode, user))) {
        let folder = with_drop(mode);
        let theirs = make_file(&folder, "drop/dst", MALLORY);
        let before = fs::metadata(&theirs).expect("it is there").ino();
        for flags in ["", "--backup=numbered", "--update=all", "--dry-run"] {
            let ended = run(&folder, user, &format!("cp {flags} home/src drop/dst")).end();
            ended.expect(12, &[NOT_WRITTEN, &folder.text("drop/dst")]);
        }
        let [_, writer] = halves(&folder, user, "--force", "drop/dst");
        writer.expect(12, &[NOT_WRITTEN]);
        // A file that the copy does not replace is not refused.
        run(&folder, user, "cp -n home/src drop/dst").end().expect(0, &[]);
        let [_, writer] = halves(&folder, user, "", "drop/dst");
        writer.expect(12, &["the destination exists"]);
        assert_eq!(
            (folder.read("drop/dst"), fs::metadata(&theirs).unwrap().ino()),
            (b"theirs".into(), before)
        );
        folder.assert_nothing_left_in("drop");
        // Another user's file is not replaced as an older backup, either.
        make_file(&folder, "drop/own", user);
        make_file(&folder, "drop/own~", MALLORY);
        for flags in ["", "--dry-run"] {
            let ended = run(&folder, user, &format!("cp --backup=simple {flags} home/src drop/own")).end();
            ended.expect(12, &[NOT_WRITTEN, &folder.text("drop/own~")]);
        }
        assert_eq!((folder.read("drop/own"), folder.read("drop/own~")), (b"theirs".into(), b"theirs".into()));
        folder.assert_nothing_left_in("drop");
    }
    // In directories without the sticky bit, it is replaced.
    let folder = with_drop(0o775);
    make_file(&folder, "drop/dst", MALLORY);
    run(&folder, 0, "cp home/src drop/dst").end().expect(0, &[]);
    assert_eq!(folder.read("drop/dst"), b"new");
}

/// The temporary file is not given to the other user, not even for a moment. A copy that replaces nothing takes no
/// rights from the file either, because the other user may remove it again.
#[test(needs = [root, strace])]
fn a_file_that_another_user_creates_during_the_copy_is_not_replaced_and_gives_no_rights() {
    for (flag, code, message) in [("", 12, NOT_WRITTEN), ("--no-clobber", 0, "skipped")] {
        let folder = with_drop(0o1777);
        folder.write("home/src", bytes(MIB, 1));
        let line = &format!("{SMALL_BLOCKS} {flag} home/src drop/dst");
        let calls = SLOW_WRITES.replacen("pwrite64", "pwrite64,fchown", 1);
        let [reader, writer] = pair(folder.duocopy(line), folder.duocopy(line).traced(&calls));
        writer.has_written(3);
        make_file(&folder, "drop/dst", MALLORY);
        until("the Writer has ended", || writer.ended());
        assert_eq!(writer.calls("fchown"), Vec::<String>::new(), "{flag}");
        for ended in end([reader, writer]) {
            ended.expect(code, &[message, &folder.text("drop/dst")]);
        }
        assert_eq!(folder.read("drop/dst"), b"theirs", "{flag}");
        folder.assert_nothing_left_in("drop");
    }
}

/// Returns the path of the temporary file with this ending, for a copy to `drop/dst`.
fn temporary(folder: &Folder, ending: &str) -> PathBuf {
    let name = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, b"dst");
    folder.path(format!("drop/.duocopy-{name:016x}.{ending}"))
}

#[test(needs = [root])]
fn another_users_files_under_temporary_names_stay() {
    for (user, ending) in
        USERS.into_iter().flat_map(|user| ["part", "journal", "backup"].map(|it| (user, it)))
    {
        let folder = with_drop(0o1777);
        let path = temporary(&folder, ending);
        let name = path.strip_prefix(folder.path("")).expect("in the folder").to_str().expect("readable");
        make_file(&folder, name, MALLORY);
        let before = fs::metadata(&path).expect("it is there").ino();
        make_file(&folder, "drop/dst", user);
        make_file(&folder, "drop/dst~", user);
        let ended = run(&folder, user, "cp --backup=simple home/src drop/dst").end();
        ended.expect(6, &["another file has the name", path.to_str().expect("readable"), "ask its owner"]);
        assert_eq!(folder.read("drop/dst"), b"theirs");
        let ended = run(&folder, user, "cp home/src drop/dst").end();
        // Without a backup, its name is not needed.
        assert_eq!(ended.code, if ending == "backup" { 0 } else { 6 }, "{ended:?}");
        let after = fs::metadata(&path).map(|it| (it.ino(), it.uid(), it.len()));
        assert_eq!(after.expect("it stays"), (before, MALLORY, 6), "{user} {ending}");
    }
}

#[test(needs = [root, strace])]
fn a_journal_of_another_user_that_appears_during_the_copy_stays() {
    let folder = with_drop(0o1777);
    folder.write("home/src", bytes(2 * MIB, 1));
    let line = &format!("{SMALL_BLOCKS} home/src drop/dst");
    let [reader, writer] =
        pair(folder.duocopy(line), folder.duocopy(line).traced(&format!("-f {SLOW_WRITES}")));
    writer.has_written(1);
    let path = temporary(&folder, "journal");
    let name = path.strip_prefix(folder.path("")).expect("in the folder").to_str().expect("readable");
    make_file(&folder, name, MALLORY);
    complete([reader, writer]);
    folder.assert_same("home/src", "drop/dst");
    assert_eq!(folder.read(name), b"theirs");
}

/// Root gives the temporary file to the owner of the old destination before it renames it.
#[test(needs = [root, strace])]
fn what_a_killed_copy_of_root_has_given_away_is_recognised() {
    for flags in ["", "--fsync=none"] {
        let folder = with_drop(0o755);
        make_file(&folder, "drop/dst", MALLORY);
        let line = &format!("{flags} home/src drop/dst");
        let slow = "-f -e trace=/^rename -e inject=/^rename:delay_enter=5000000";
        let processes = pair(folder.duocopy(line), folder.duocopy(line).traced(slow));
        let part = temporary(&folder, "part");
        until("it is given away", || fs::metadata(&part).ok().filter(|it| it.uid() == MALLORY).map(drop));
        processes.iter().for_each(Process::kill);
        end(processes);
        // The new owner may have changed the file, so it is not resumed.
        fs::write(&part, "changed").expect("root may");
        run(&folder, 0, "cp home/src drop/dst").end().expect(0, &[]);
        assert_eq!(folder.read("drop/dst"), b"new");
        assert_eq!(fs::metadata(folder.path("drop/dst")).unwrap().uid(), MALLORY);
        folder.assert_nothing_left_in("drop");
    }
}

#[test]
fn a_link_that_a_killed_backup_left_is_removed_only_if_the_destination_is_the_same_file() {
    for (same, code) in [(true, 0), (false, 6)] {
        let folder = Folder::new();
        folder.make("drop");
        folder.write("src", "new");
        folder.write("drop/dst", OLD);
        folder.write("drop/dst~", "older");
        let link = temporary(&folder, "backup");
        if same {
            fs::hard_link(folder.path("drop/dst"), &link).expect("a file system with links");
        } else {
            // The destination was replaced, and this is the last name of the old file.
            fs::write(&link, "the only copy").expect("a free name");
        }
        let ended = folder.duocopy("cp --backup=simple src drop/dst").end();
        ended.expect(code, if same { &[] } else { &["another file has the name", "remove it"] });
        assert_eq!(link.exists(), !same);
        assert_eq!(folder.read("drop/dst~"), if same { OLD } else { b"older" });
    }
}

/// Makes a directory in which both users meet.
fn meeting(mode: u32) -> Folder {
    let folder = with_drop(0o755);
    chown(folder.make("meet"), Some(0), Some(GROUP)).expect("root may");
    folder.set_mode("meet", mode);
    folder
}

fn left_in(folder: &Folder, name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path(name)).expect("root may");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test(needs = [root])]
fn what_has_the_name_of_a_user_card_is_named_and_no_pipe_is_left() {
    for (mode, is_directory) in [(0o2770, true), (0o3770, true), (0o3770, false)] {
        let folder = meeting(mode);
        // The name of the card is known once the pipe has been there.
        let first = run(&folder, VICTIM, "read --dir=meet home/src n").start();
        let card = until("the card", || {
            left_in(&folder, "meet")
                .into_iter()
                .find(|path| path.to_string_lossy().ends_with("-producer-user"))
        });
        first.signal(Signal::INT);
        first.end();
        assert_eq!(left_in(&folder, "meet"), [] as [PathBuf; 0]);
        if is_directory { fs::create_dir(&card) } else { fs::write(&card, "x") }.expect("a free name");
        chown(&card, Some(MALLORY), Some(GROUP)).expect("root may");
        for _ in 0..2 {
            let ended = run(&folder, VICTIM, "read --wait=5s --dir=meet home/src n").end();
            let what = if is_directory { "a directory has" } else { "a file of another user has" };
            ended.expect(12, &[what, card.to_str().expect("readable"), "find out who created it"]);
            assert_eq!(left_in(&folder, "meet"), std::slice::from_ref(&card));
        }
    }
}

/// A name with characters that move the cursor, or hide or reorder text, and with bytes that are not UTF-8.
const ODD: &[u8] =
    b"a\x1b[2J\xc2\x9b\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xae\xe2\x81\xa6\xf3\xa0\x81\x81\xff\r\n";

#[test]
fn no_name_reaches_the_terminal_as_it_is() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    folder.write("src", "x");
    let odd = OsStr::from_bytes(ODD);
    let with = |before: &str| {
        let mut word = std::ffi::OsString::from(before);
        word.push(odd);
        word
    };
    let there = folder.make(odd);
    fs::set_permissions(&there, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("ours");
    let check = |ended: &Ended| {
        let said = format!("{}{}", ended.messages, ended.output);
        let hidden = |c: char| {
            (c.is_control() && c != '\n') || "\u{61c}\u{200e}\u{200f}\u{202e}\u{2066}\u{e0041}".contains(c)
        };
        assert!(!said.contains(hidden), "{said:?}");
        let is_shown = ["u{202e}", "\\342\\200\\256"].iter().any(|escaped| said.contains(escaped));
        assert!(is_shown, "the name is not shown: {said:?}");
    };
    let waiting = folder.duocopy("read -v --wait=3s src n").word(with("--dir=")).end();
    waiting.expect(10, &["duocopy write", "\\033[2J"]);
    check(&waiting);
    for run in [
        folder.duocopy("read --wait=1s src n").word(with("--dir=nowhere")),
        folder.duocopy("read --wait=1s src n").word(with("--dir=src/")),
        folder.duocopy("read -v --wait=1s src").word(odd),
        folder.duocopy("cp src").word(with("nowhere/")),
        folder.duocopy("cp --dry-run src").word(with("new")),
        folder.duocopy("cp").word(odd).word("dst"),
        folder.duocopy("status").word(odd),
        folder.duocopy("status").word(with("--dir=nowhere")),
    ] {
        check(&run.end());
    }
    // A message repeats an invalid argument only if it is UTF-8.
    let text = std::str::from_utf8(&ODD[..ODD.len() - 3]).expect("all but the end");
    for word in [format!("--bwlimit={text}"), format!("--{text}"), format!("--peer-user={text}")] {
        let ended = folder.duocopy("src dst --dir=.").word(word).end();
        assert_eq!(ended.code, 2, "{ended:?}");
        check(&ended);
    }
}

/// Any user can create a file with the name of this user's directory in `/dev/shm`.
#[test(needs = [root, own_mounts])]
fn a_user_whose_directory_of_pipes_is_taken_can_copy_elsewhere() {
    let taken = pipes_folder();
    let taken = taken.display();
    let ways = [
        format!("touch {taken}; chown {MALLORY} {taken}"),
        format!("mkdir -m 700 {taken}; chown {MALLORY} {taken}"),
        format!("ln -s /tmp {taken}; chown -h {MALLORY} {taken}"),
    ];
    for take in ways {
        let folder = Folder::new();
        folder.write("src", "content");
        let prepare =
            format!("mount -t tmpfs -o mode=1777 tmpfs /dev/shm; unset XDG_RUNTIME_DIR DUOCOPY_DIR; {take}");
        // The two processes of a pair would have to find the same other place.
        let ended = folder.with_own_mounts(&format!("{prepare}; \"$0\" src dst"));
        ended.expect(12, &[&format!("cannot use the directory of the pipe: {taken}: "), "DUOCOPY_DIR"]);
        assert!(!folder.is_there("dst"));
        let pair = "mkdir -m 700 /dev/shm/own; export DUOCOPY_DIR=/dev/shm/own; \"$0\" src dst & \"$0\" src dst && wait $!";
        folder.with_own_mounts(&format!("{prepare}; {pair}")).expect(0, &[]);
        folder.assert_same("src", "dst");
        folder.with_own_mounts(&format!("{prepare}; \"$0\" cp src again")).expect(0, &[]);
        folder.assert_same("src", "again");
    }
}
