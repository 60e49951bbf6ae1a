//! A copy never has more rights than the finished file, at any moment and for any user.

use crate::util::*;
use rustix::fs::XattrFlags;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

/// The group of all users, the user of the Reader, the user of the Writer, and a third user.
const GROUP: u32 = 20_000;
const READER: u32 = 20_001;
const WRITER: u32 = 20_002;
const THIRD: u32 = 20_003;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
const CAPABILITIES: &str = "security.capability";

/// The calls that change what others may do with a file, and the one that puts it in place.
const CALLS: [&str; 6] = ["fchmod", "fchown", "fsetxattr", "fremovexattr", "fsync", "renameat"];

/// An access list: owner, one named user, owning group, mask, others.
fn list(user: u32, [owner, named, group, mask, others]: [u8; 5]) -> Vec<u8> {
    let entry = |kind: u8, rights: u8, id: u32| [&[kind, 0, rights, 0][..], &id.to_le_bytes()].concat();
    let entries = [
        entry(1, owner, u32::MAX),
        entry(2, named, user),
        entry(4, group, u32::MAX),
        entry(0x10, mask, u32::MAX),
        entry(0x20, others, u32::MAX),
    ];
    [&2_u32.to_le_bytes()[..], &entries.concat()].concat()
}

/// An access list that names nobody.
fn short_list([owner, group, others]: [u8; 3]) -> Vec<u8> {
    let entries = [(1, owner), (4, group), (0x20, others)];
    let entries = entries.map(|(kind, rights)| [[kind, 0, rights, 0], [0xff; 4]].concat());
    [&2_u32.to_le_bytes()[..], &entries.concat()].concat()
}

fn set(path: &Path, attribute: &str, value: &[u8]) {
    rustix::fs::setxattr(path, attribute, value, XattrFlags::empty()).expect("the test needs attributes");
}

fn get(path: &Path, attribute: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 65536];
    let length = rustix::fs::getxattr(path, attribute, &mut value[..]).ok()?;
    Some(value[..length].to_vec())
}

/// All capabilities, in version 2.
fn capabilities() -> Vec<u8> {
    [&0x0200_0001_u32.to_le_bytes()[..], &[0xff; 16]].concat()
}

fn give(folder: &Folder, name: &str, owner: u32, group: u32, mode: u32) {
    chown(folder.path(name), Some(owner), Some(group)).expect("root may");
    folder.set_mode(name, mode);
}

/// Returns whether a user can open a file: `r` for reading, `w` for writing.
fn may(folder: &Folder, user: u32, group: u32, how: char, name: &str) -> bool {
    let script = if how == 'r' { ": < \"$0\"" } else { ": >> \"$0\"" };
    let mut command = Command::new("sh");
    surround(command.args(["-c", script]).arg(folder.path(name)), Some((user, group)), false);
    succeeds(command.stderr(std::process::Stdio::null()))
}

/// The metadata that decides on access to a file.
#[derive(Debug, PartialEq)]
struct Access {
    owner: (u32, u32),
    mode: u32,
    list: Option<Vec<u8>>,
    capabilities: Option<Vec<u8>>,
}

impl Access {
    fn of(path: &Path) -> Self {
        let it = fs::symlink_metadata(path).expect("inspecting a file");
        let [list, capabilities] = [ACCESS, CAPABILITIES].map(|name| get(path, name));
        Self { owner: (it.uid(), it.gid()), mode: it.mode() & 0o7777, list, capabilities }
    }

    /// Returns whether nobody but this process has more rights than with `end`.
    fn is_within(&self, end: &Self) -> bool {
        let of_owner = if self.owner.0 == end.owner.0 && end.owner.0 != 0 { 0 } else { 0o600 };
        let is_final = self.owner == end.owner;
        // Group, list and set-ID bits mean something else with another owner.
        let most = if is_final { end.mode | of_owner } else { end.mode & 0o600 | of_owner };
        let in_list = self.list.is_none() || self.list == end.list || matches!(self.mode & 0o077, 0);
        let is_able = self.capabilities.is_none() || self.capabilities == end.capabilities && is_final;
        // With a list, the group bits are the mask.
        let group_is_masked = self.list.is_some() || end.list.is_none() || self.mode & 0o070 == 0;
        self.mode & !most == 0 && in_list && is_able && group_is_masked
    }
}

/// A directory for a source, one for a destination, and one in which two users meet.
fn folders() -> Folder {
    let folder = Folder::new();
    for (name, owner, group, mode) in
        [("from", READER, READER, 0o700), ("to", 0, 0, 0o755), ("meet", 0, GROUP, 0o2770)]
    {
        folder.make(name);
        give(&folder, name, owner, group, mode);
    }
    folder.set_mode("", 0o755);
    folder.write("from/src", bytes(100, 1));
    give(&folder, "from/src", READER, READER, 0o644);
    folder
}

/// A copy whose Writer is root.
struct Case {
    name: &'static str,
    /// True if the Reader belongs to another user.
    stranger: bool,
    options: &'static str,
    prepare: fn(&Folder),
    /// The final mode, the owner, and whether the copy has capabilities.
    expected: (u32, u32, bool),
}

const CASES: [Case; 7] = [
    Case {
        name: "a stranger replaces a set-user-ID program",
        stranger: true,
        options: "",
        prepare: |folder| {
            folder.write("to/dst", OLD);
            give(folder, "to/dst", 0, 0, 0o6755);
        },
        expected: (0o755, 0, false),
    },
    Case {
        name: "a stranger replaces a program with capabilities",
        stranger: true,
        options: "--preserve=xattr",
        prepare: |folder| {
            let path = folder.write("to/dst", OLD);
            give(folder, "to/dst", THIRD, GROUP, 0o750);
            set(&path, CAPABILITIES, &capabilities());
            set(&folder.path("from/src"), CAPABILITIES, &capabilities());
        },
        expected: (0o750, THIRD, false),
    },
    Case {
        name: "another user's file with a list is replaced",
        stranger: false,
        options: "",
        prepare: |folder| {
            let path = folder.write("to/dst", OLD);
            give(folder, "to/dst", THIRD, GROUP, 0o600);
            set(&path, ACCESS, &list(WRITER, [6, 6, 0, 6, 0]));
        },
        expected: (0o660, THIRD, false),
    },
    Case {
        name: "another user's read-only file is replaced",
        stranger: false,
        options: "",
        prepare: |folder| {
            folder.write("to/dst", OLD);
            give(folder, "to/dst", THIRD, GROUP, 0o440);
        },
        expected: (0o440, THIRD, false),
    },
    Case {
        name: "another user's set-user-ID program is copied",
        stranger: false,
        options: "-p",
        prepare: |folder| give(folder, "from/src", THIRD, GROUP, 0o6711),
        expected: (0o6711, THIRD, false),
    },
    Case {
        name: "a file with a list and capabilities takes the place of a public one",
        stranger: false,
        options: "--preserve=all",
        prepare: |folder| {
            folder.write("to/dst", OLD);
            folder.set_mode("to/dst", 0o666);
            let path = folder.path("from/src");
            give(folder, "from/src", THIRD, GROUP, 0o700);
            set(&path, CAPABILITIES, &capabilities());
            set(&path, ACCESS, &list(WRITER, [7, 5, 0, 5, 0]));
        },
        expected: (0o750, THIRD, true),
    },
    Case {
        name: "a new file appears in a directory that gives a list",
        stranger: false,
        options: "",
        prepare: |folder| set(&folder.path("to"), DEFAULT, &list(WRITER, [7, 7, 0, 7, 0])),
        expected: (0o640, 0, false),
    },
];

impl Case {
    /// Copies, and kills the Writer at its n-th call of this name. Returns whether the Writer made that many.
    fn run(&self, folder: &Folder, kill: Option<(&str, usize)>) -> bool {
        let (options, name) = (self.options, folder.pipe_name());
        let read = folder.duocopy(&format!("read --dir=meet from/src {name}"));
        let read = if self.stranger { read.by_user(READER, GROUP) } else { read };
        let line = if self.stranger {
            format!("write --force --dir=meet --wait=20s {options} to/dst {name}")
        } else {
            format!("--wait=20s {options} from/src to/dst")
        };
        let write = folder.duocopy(&line);
        let write = match kill {
            Some((call, number)) => {
                let calls = CALLS.join(",");
                write.traced(&format!("-f -e trace={calls} -e inject={call}:signal=KILL:when={number}"))
            }
            None => write,
        };
        let reader = if self.stranger { read.start() } else { folder.duocopy(&line).start_reader() };
        let writer = write.start().end();
        if writer.code == KILLED {
            // If the Writer was killed before it arrived, the Reader would wait.
            reader.kill();
        }
        reader.end();
        assert!([0, 3, KILLED].contains(&writer.code), "{}: {writer:?}", self.name);
        writer.code == KILLED
    }
}

#[test(needs = [root, strace, extended_attributes])]
fn no_call_gives_more_rights_than_the_finished_file_has() {
    for case in &CASES {
        let folder = folders();
        (case.prepare)(&folder);
        assert!(!case.run(&folder, None));
        let end = Access::of(&folder.path("to/dst"));
        let found = (end.mode, end.owner.0, end.capabilities.is_some());
        assert_eq!(found, case.expected, "{}: {end:?}", case.name);
        let (mut kills, mut left_complete) = (0, 0);
        for call in CALLS {
            for number in 1.. {
                let folder = folders();
                (case.prepare)(&folder);
                if !case.run(&folder, Some((call, number))) {
                    break;
                }
                kills += 1;
                for path in folder.temporaries("to") {
                    let access = Access::of(&path);
                    left_complete += usize::from(access == end);
                    assert!(
                        access.is_within(&end),
                        "{}, killed at {call} {number}: {access:?} and not {end:?}",
                        case.name
                    );
                }
            }
        }
        // The last calls come after the rights were set.
        assert!(kills > 4 && left_complete > 0, "{}: {kills} {left_complete}", case.name);
    }
}

/// The group bits of a file with an access list are the list's mask, and not the rights of the group.
#[test(needs = [root, extended_attributes])]
fn the_group_does_not_get_what_a_list_gives_to_one_user() {
    let secret = |folder: &Folder, name: &str| {
        give(folder, name, 0, GROUP, 0o600);
        set(&folder.path(name), ACCESS, &list(READER, [6, 6, 0, 6, 0]));
    };
    let check = |folder: &Folder, named: bool, what: &str| {
        for how in ['r', 'w'] {
            assert_eq!(may(folder, READER, READER, how, "to/dst"), named, "{what}: the named user, {how}");
            assert!(!may(folder, THIRD, GROUP, how, "to/dst"), "{what}: the group, {how}");
        }
    };
    for (options, named) in [
        ("-p", true),
        ("--preserve=mode", true),
        ("--preserve=acl", true),
        ("", false),
        ("--preserve=xattr", false),
    ] {
        let folder = folders();
        secret(&folder, "from/src");
        folder.duocopy(&format!("cp {options} from/src to/dst")).end().expect(0, &[]);
        // The copy gets the group of its directory.
        if named {
            chown(folder.path("to/dst"), None, Some(GROUP)).expect("root may");
        }
        check(&folder, named, options);
    }
    for options in ["", "--preserve=timestamps", "--preserve=xattr"] {
        let folder = folders();
        folder.write("to/dst", OLD);
        secret(&folder, "to/dst");
        folder.duocopy(&format!("cp {options} from/src to/dst")).end().expect(0, &[]);
        folder.assert_same("from/src", "to/dst");
        check(&folder, true, &format!("replaced, {options}"));
    }
    // A file system without lists gets the mode that the group may have, and the loss is reported.
    if own_mounts().is_some() {
        let folder = folders();
        secret(&folder, "from/src");
        let script = "mkdir place; mount -t ramfs ramfs place; \"$0\" cp -p from/src place/dst || code=$?; \
                      stat -c 'mode %a' place/dst; exit ${code:-0}";
        let ended = folder.with_own_mounts(script);
        ended.expect(3, &["system.posix_acl_access ("]);
        assert_eq!(ended.output.trim(), "mode 600");
    }
}

/// As with `cp`, the default access list of a directory counts, and the umask does not.
#[test(needs = [root, extended_attributes])]
fn a_new_file_gets_what_its_directory_gives() {
    for (default, mode) in [
        (short_list([6, 0, 0]), 0o644),
        (short_list([7, 7, 7]), 0o666),
        (short_list([7, 7, 0]), 0o640),
        (list(THIRD, [7, 6, 4, 6, 0]), 0o666),
        (list(THIRD, [6, 6, 0, 6, 6]), 0o604),
    ] {
        let folder = folders();
        give(&folder, "from/src", 0, 0, mode);
        set(&folder.path("to"), DEFAULT, &default);
        assert!(succeeds(Command::new("cp").arg(folder.path("from/src")).arg(folder.path("to/gnu"))));
        folder.duocopy("cp from/src to/dst").after("umask 022").end().expect(0, &[]);
        let name = folder.pipe_name();
        let halves = [format!("read from/src {name}"), format!("write to/half {name}")];
        complete(halves.map(|line| folder.duocopy(&line).after("umask 077").start()));
        let expected = Access::of(&folder.path("to/gnu"));
        for name in ["to/dst", "to/half"] {
            assert_eq!(Access::of(&folder.path(name)), expected, "{name} {mode:o}");
        }
    }
}

#[test(needs = [root, strace])]
fn a_destination_that_was_given_away_during_the_copy_stays_given_away() {
    for call in ["pwrite64", "fsync"] {
        let folder = folders();
        folder.write("to/dst", OLD);
        folder.set_mode("to/dst", 0o644);
        let slow = format!("-f -e trace={call} -e inject={call}:delay_enter=2000000:when=1");
        let line = "--wait=20s from/src to/dst";
        let both = [folder.duocopy(line).start_reader(), folder.duocopy(line).traced(&slow).start()];
        // The call has begun, and takes long enough for everything that follows.
        until("the call", || both[1].trace().contains(&format!("{call}(")).then_some(()));
        give(&folder, "to/dst", THIRD, THIRD, 0o600);
        assert_eq!(folder.read("to/dst"), OLD, "the machine is too busy");
        complete(both);
        folder.assert_same("from/src", "to/dst");
        let access = Access::of(&folder.path("to/dst"));
        assert_eq!((access.mode, access.owner), (0o600, (THIRD, THIRD)), "{call}");
    }
}

#[test(needs = [root, extended_attributes])]
fn a_stranger_gives_no_attribute_that_container_tools_take_for_rights() {
    let folder = folders();
    give(&folder, "to", WRITER, GROUP, 0o755);
    let source = folder.path("from/src");
    for name in ["user.containers.override_stat", "user.fuseoverlayfs.override_stat", "user.rsync.%stat"] {
        set(&source, name, b"0:0:04755");
    }
    set(&source, "user.mime_type", b"text/plain");
    let name = folder.pipe_name();
    let reader = folder.duocopy(&format!("read --dir=meet from/src {name}")).by_user(READER, GROUP).start();
    let line = format!("write --dir=meet --preserve=mode,xattr to/dst {name}");
    let writer = folder.duocopy(&line).by_user(WRITER, GROUP).start();
    for ended in end([reader, writer]) {
        ended.expect(
            3,
            &[
                "user.containers.override_stat (it grants rights",
                "user.fuseoverlayfs.override_stat (it grants rights",
                "user.rsync.%stat (it grants rights",
            ],
        );
        assert!(!ended.messages.contains("user.mime_type"), "{ended:?}");
    }
    let copy = folder.path("to/dst");
    assert_eq!(get(&copy, "user.mime_type").as_deref(), Some(&b"text/plain"[..]));
    assert_eq!(get(&copy, "user.containers.override_stat"), None);
    // One user copies everything.
    folder.duocopy("cp --preserve=xattr from/src to/own").end().expect(0, &[]);
    assert!(get(&folder.path("to/own"), "user.containers.override_stat").is_some());
}

#[test(needs = [root, extended_attributes])]
fn a_replaced_file_hands_on_its_attributes_and_no_rights_of_its_content() {
    let folder = folders();
    give(&folder, "to", THIRD, GROUP, 0o755);
    let old = folder.write("to/dst", OLD);
    give(&folder, "to/dst", THIRD, GROUP, 0o6755);
    set(&old, "user.tag", b"precious");
    set(&old, CAPABILITIES, &capabilities());
    give(&folder, "from", THIRD, GROUP, 0o700);
    folder.set_mode("from/src", 0o644);
    let ended = folder.duocopy("cp from/src to/dst").by_user(THIRD, GROUP).end();
    ended.expect(0, &["security.capability, the set-user-ID and set-group-ID bits: "]);
    let access = Access::of(&old);
    assert_eq!((access.mode, access.owner, access.capabilities), (0o755, (THIRD, GROUP), None));
    assert_eq!(get(&old, "user.tag").as_deref(), Some(&b"precious"[..]));
    // The attributes of the source are added.
    set(&folder.path("from/src"), "user.other", b"x");
    folder.duocopy("cp --preserve=xattr from/src to/dst").end().expect(0, &[]);
    assert!(get(&old, "user.tag").is_some() && get(&old, "user.other").is_some());
}

/// If the copy cannot get its group, nobody gets the rights that were meant for that group.
#[test(needs = [root, extended_attributes])]
fn without_its_group_a_copy_gives_neither_the_own_group_nor_others_more() {
    let folder = folders();
    give(&folder, "to", WRITER, WRITER, 0o755);
    give(&folder, "from", READER, READER, 0o755);
    let copy = |line: &str| folder.duocopy(line).by_user(WRITER, WRITER).end();
    // The mode of a file; the mode of a copy that replaces it; and the mode of a copy that preserves it.
    for (mode, replaced, preserved) in
        [(0o664, 0o604, 0o644), (0o644, 0o604, 0o644), (0o604, 0o600, 0o600), (0o754, 0o704, 0o744)]
    {
        folder.write("to/dst", OLD);
        give(&folder, "to/dst", THIRD, GROUP, mode);
        copy("cp from/src to/dst").expect(0, &["cannot keep the owner and group of the old file"]);
        assert_eq!(folder.mode("to/dst"), replaced, "replaced {mode:o}");
        give(&folder, "from/src", THIRD, GROUP, mode);
        copy("cp -pv from/src to/dst").expect(0, &["ownership ("]);
        assert_eq!(folder.mode("to/dst"), preserved, "preserved {mode:o}");
        fs::remove_file(folder.path("to/dst")).expect("root may");
    }
    // A list still gives named users their rights, even if this user cannot read the replaced file.
    folder.write("to/dst", OLD);
    give(&folder, "to/dst", THIRD, GROUP, 0o600);
    set(&folder.path("to/dst"), ACCESS, &list(READER, [6, 6, 6, 6, 4]));
    copy("cp from/src to/dst").expect(0, &[]);
    assert!(may(&folder, READER, READER, 'w', "to/dst"));
    assert!(!may(&folder, THIRD, WRITER, 'r', "to/dst") && !may(&folder, THIRD, GROUP, 'w', "to/dst"));
    give(&folder, "to/dst", THIRD, WRITER, 0o000);
    set(&folder.path("to/dst"), ACCESS, &list(READER, [0, 6, 0, 6, 0]));
    copy("cp from/src to/dst").expect(0, &[]);
    assert!(may(&folder, READER, READER, 'w', "to/dst"));
    assert!(!may(&folder, THIRD, WRITER, 'r', "to/dst") && !may(&folder, THIRD, GROUP, 'r', "to/dst"));
}
