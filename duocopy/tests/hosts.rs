//! Hosts as a table: what a copy needs from the machine, the kernel and its parent. The tables in `docs/platforms.md`
//! say what works on each host. The code here makes the host, and each test compares the two.
//!
//! Some hosts have tests of their own that go further than a row could: too few descriptors and threads, and a program
//! that is hard to find again (`limits.rs`), all combinations of closed standard streams (`output.rs`), a destination
//! beyond `ulimit -f` (`failures.rs`), an unusable directory of the pipes (`no_usual_place.rs`), an unusable working
//! directory (`working_directory.rs`), file systems without a call (`misbehaving.rs`), drop boxes (`directories.rs`),
//! and errors at every single call (`every_call/`).

use crate::util::*;
use libc::{c_long, *};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};
use seccompiler::{SeccompFilter, SeccompRule};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// The uses of a host, in the words of the table, each with two files that are equal if it has worked.
const USES: [(&str, &str, &str); 5] = [
    ("small files", "small", "small.copy"),
    ("`cp`", "large", "large.copy"),
    ("pairs", "large", "pair.copy"),
    ("halves", "holes", "halves.copy"),
    ("`status`", "", ""),
];

/// Returns the shell script that uses a host: `$0` is the program, and `each` what surrounds the program alone.
fn uses(each: &str, program: &str, name: &str) -> String {
    format!(
        "try() {{ (exec >$1.out 2>$1.err; {each}; do_$1); echo $? >$1.code; }}
        both() {{ [ $1 = 10 ] && return $2; [ $2 = 10 ] && return $1; [ $1 = $2 ] || return 99; return $1; }}
        do_0() {{ {program} cp small small.copy; }}
        do_1() {{ {program} cp large large.copy; }}
        do_2() {{ {program} --wait=6s large pair.copy & {program} --wait=6s large pair.copy; one=$?; wait $!; both $one $?; }}
        do_3() {{ {program} read --wait=6s holes {name} & {program} write --wait=6s halves.copy {name}; one=$?; wait $!; both $one $?; }}
        do_4() {{ {program} status; }}
        for use in 0 1 2 3 4; do try $use; done"
    )
}

/// A recipe for a host.
struct Host {
    /// A shell script for the whole host, which has mounts of its own.
    mounts: &'static str,
    /// A command that runs all uses.
    around: &'static str,
    /// A shell script for each use.
    each: &'static str,
    /// The program, as the shell calls it.
    program: &'static str,
    /// The calls that fail with this error, each with an argument that must have this value.
    refused: &'static [(c_long, Option<(u8, u64)>)],
    error: i32,
}

const PLAIN: Host =
    Host { mounts: "", around: "", each: "true", program: "\"$0\"", refused: &[], error: ENOSYS };

/// The row of the table about a host.
struct Documented {
    works: Vec<&'static str>,
    /// The exit code of everything else.
    code: Option<i32>,
    /// Texts that the messages contain.
    texts: Vec<String>,
}

/// Parses the row of the table with this title.
fn documented(title: &str) -> Documented {
    let page = fs::read_to_string(manual().with_file_name("platforms.md")).expect("the test needs it");
    let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {title} | ")));
    let row = row.unwrap_or_else(|| panic!("“{title}” is not in the tables of platforms.md"));
    let (works, rest) = row.split_once(" |").expect("three cells");
    let all = USES.map(|(name, ..)| name);
    let works = match (works, works.strip_prefix("everything but ")) {
        ("everything", _) => all.to_vec(),
        ("nothing", _) => Vec::new(),
        (_, Some(but)) => all.into_iter().filter(|name| !but.split(", ").any(|one| one == *name)).collect(),
        _ => all.into_iter().filter(|name| works.split(", ").any(|one| one == *name)).collect(),
    };
    let code = rest.trim().split([':', ' ']).next().and_then(|code| code.parse().ok());
    let texts = rest.split('“').skip(1).filter_map(|text| Some(text.split_once('”')?.0.to_owned()));
    Documented { works, code, texts: texts.collect() }
}

/// Makes these calls fail from now on, in this thread and in the processes that it starts.
fn refuse(calls: &[(c_long, Option<(u8, u64)>)], error: i32) {
    let rule = |(argument, value)| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
            .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    let mut rules = std::collections::BTreeMap::<i64, Vec<SeccompRule>>::new();
    for (call, condition) in calls {
        rules.entry(*call).or_default().extend(condition.map(|it| rule(it).expect("a rule")));
    }
    let refused = SeccompAction::Errno(error.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into().expect("a processor with filters");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture);
    let program: BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
    seccompiler::apply_filter(&program).expect("applying a filter");
}

/// Makes a host, uses it, and compares the results with the table. The test's thread is not used for anything else.
fn check(title: &str, host: &Host) {
    let documented = documented(title);
    let folder = prepared();
    let Host { mounts, around, each, program, refused, error } = host;
    let uses = uses(each, program, &folder.pipe_name());
    let script = format!(
        "export TMPDIR=$PWD/tmp; unset XDG_RUNTIME_DIR DUOCOPY_DIR
        mount -t tmpfs -o mode=1777 none /dev/shm; {mounts}
        {around} sh -c '{uses}' \"$0\"
        find /dev/shm tmp ! -path /dev/shm ! -path tmp ! -name 'blockpipe-*' >left 2>none || true"
    );
    let has_holes = needs::holes().is_ok();
    if !refused.is_empty() {
        refuse(refused, *error);
    }
    folder.with_own_mounts(&script).expect(0, &[]);
    for (number, (name, from, to)) in USES.into_iter().enumerate() {
        let code = String::from_utf8(folder.read(format!("{number}.code"))).unwrap();
        let messages = String::from_utf8(folder.read(format!("{number}.err"))).unwrap();
        let works = documented.works.contains(&name);
        let expected = if works { 0 } else { documented.code.expect("a code in the table") };
        assert_eq!(code.trim(), expected.to_string(), "{title}: {name}: {messages}");
        let is_said = name != "`status`" && (!works || documented.code.is_none());
        for text in documented.texts.iter().filter(|_| is_said) {
            assert!(messages.contains(text.as_str()), "{title}: {name}: “{text}” is missing in: {messages}");
        }
        if works && !to.is_empty() {
            folder.set_mode(to, 0o600);
            folder.assert_same(from, to);
        } else {
            assert!(to.is_empty() || !folder.is_there(to), "{title}: {name}");
        }
    }
    if has_holes && documented.works.contains(&"halves") {
        // `fs::metadata` would not do: once `statx` has worked, it does not fall back after an error.
        let copy = rustix::fs::stat(folder.path("halves.copy")).unwrap();
        assert!(copy.st_blocks * 512 < copy.st_size, "{title}: the copy has no holes");
    }
    folder.assert_nothing_left();
    let left = String::from_utf8(folder.read("left")).unwrap();
    assert_eq!(left, "", "{title}: something is left in memory");
}

/// Makes a folder with files of less than a block, of several blocks and with holes.
fn prepared() -> Folder {
    let folder = Folder::new();
    folder.write("small", bytes(3 * KIB, 1));
    folder.write("large", bytes(3 * MIB, 2));
    let holes = fs::File::create(folder.path("holes")).unwrap();
    holes.set_len(4 * MIB as u64).unwrap();
    holes.write_all_at(&bytes(70 * KIB, 3), MIB as u64).unwrap();
    folder.make("tmp");
    folder
}

/// Makes a test of each row.
macro_rules! hosts {
    ($($name:ident[$($need:ident)*]: $title:expr, $host:expr;)*) => {$(
        #[test(needs = [manual, own_mounts $(, $need)*])]
        fn $name() {
            check($title, &$host);
        }
    )*
        const TITLES: &[&str] = &[$($title),*];
    };
}

/// Calls that a copy can do without.
const DISPENSABLE: [(c_long, Option<(u8, u64)>); 20] = [
    (SYS_openat2, None),
    (SYS_statx, None),
    (SYS_faccessat2, None),
    (SYS_fallocate, None),
    (SYS_copy_file_range, None),
    (SYS_memfd_create, None),
    (SYS_renameat2, None),
    (SYS_linkat, None),
    (SYS_close_range, None),
    (SYS_getrandom, None),
    (SYS_futex_waitv, None),
    (SYS_pidfd_open, None),
    (SYS_waitid, None),
    (SYS_rseq, None),
    (SYS_sched_getaffinity, None),
    (SYS_fadvise64, None),
    (SYS_sync_file_range, None),
    (SYS_syncfs, None),
    (SYS_lseek, Some((2, SEEK_DATA as u64))),
    (SYS_lseek, Some((2, SEEK_HOLE as u64))),
];
const LANDLOCK: [(c_long, Option<(u8, u64)>); 3] =
    [(SYS_landlock_create_ruleset, None), (SYS_landlock_add_rule, None), (SYS_landlock_restrict_self, None)];
const OFD_LOCKS: [(c_long, Option<(u8, u64)>); 3] = [
    (SYS_fcntl, Some((1, F_OFD_GETLK as u64))),
    (SYS_fcntl, Some((1, F_OFD_SETLK as u64))),
    (SYS_fcntl, Some((1, F_OFD_SETLKW as u64))),
];

/// A `/dev` without a directory for shared memory.
const NO_DEVICES: &str =
    "mkdir -p dev run; chmod 700 run; touch dev/null; mount --bind /dev/null dev/null; mount --bind dev /dev";
/// Turns the working directory into a root in which the program can run.
const PROGRAM_HERE: &str = "for lib in $(ldd \"$0\" | grep -o \"/[^ ]*\"); do mkdir -p .${lib%/*}; cp $lib .$lib; done; cp \"$0\" duocopy";
/// The title of the row about [`DISPENSABLE`].
const CALLS: &str = "`openat2`, `statx`, `faccessat2`, `fallocate`, `copy_file_range`, `memfd_create`, `renameat2`, \
                     `linkat`, `close_range`, `getrandom`, `futex_waitv`, `pidfd_open`, `waitid`, `rseq`, \
                     `sched_getaffinity`, `fadvise64`, `sync_file_range`, `syncfs`, `SEEK_DATA` and `SEEK_HOLE`";

hosts! {
    nothing_is_missing[]: "a usual one", PLAIN;
    no_proc[]: "no `/proc`", Host { mounts: "mount -t tmpfs none /proc", ..PLAIN };
    hidden_processes[]: "`/proc` with `hidepid=2`",
        Host { around: "unshare --pid --fork --kill-child --mount-proc", each: "mount -o remount,hidepid=2 /proc", ..PLAIN };
    no_shared_memory[]: "no `/dev/shm`", Host { mounts: NO_DEVICES, ..PLAIN };
    no_shared_memory_but_a_runtime_directory[]: "no `/dev/shm`, but `XDG_RUNTIME_DIR`",
        Host { mounts: NO_DEVICES, each: "export XDG_RUNTIME_DIR=$PWD/run", ..PLAIN };
    shared_memory_that_is_read_only[]: "read-only `/dev/shm`", Host { mounts: "mount -o remount,ro /dev/shm", ..PLAIN };
    shared_memory_of_a_container[]: "`/dev/shm` of 64 MiB", Host { mounts: "mount -o remount,size=64m /dev/shm", ..PLAIN };
    little_shared_memory[]: "`/dev/shm` of 1 MiB", Host { mounts: "mount -o remount,size=1m /dev/shm", ..PLAIN };
    no_memory_for_a_header[]: "`/dev/shm` of 4 KiB, or without inodes", Host { mounts: "mount -o remount,size=4k /dev/shm", ..PLAIN };
    no_inodes[]: "`/dev/shm` of 4 KiB, or without inodes", Host { mounts: "mount -t tmpfs -o nr_inodes=2 none /dev/shm", ..PLAIN };
    everything_else_is_read_only[]: "read-only root, writable destination and `/dev/shm`",
        Host { mounts: "mount --bind $PWD $PWD; mount -o remount,bind,ro /; cd $PWD", ..PLAIN };
    no_programs[]: "destination and `/dev/shm` with `noexec`, `nosuid`, `nodev`",
        Host { mounts: "mount --bind $PWD $PWD; for at in $PWD /dev/shm; do mount -o remount,bind,noexec,nosuid,nodev $at; done; cd $PWD", ..PLAIN };
    changed_root[root loader]: "`chroot` to a directory with the program and its libraries",
        Host { mounts: PROGRAM_HERE, program: "chroot . /duocopy", ..PLAIN };
    changed_root_with_memory[root loader]: "`chroot` to a directory with the program, its libraries and `/dev/shm`",
        Host { mounts: PROGRAM_HERE, each: "mkdir -p dev/shm; mount --bind /dev/shm dev/shm", program: "chroot . /duocopy", ..PLAIN };
    pid_namespace[]: "PID namespace", Host { around: "unshare --pid --fork --kill-child", ..PLAIN };
    user_namespace[user_namespaces]: "user namespace whose user is root", Host { around: "unshare --user --map-root-user", ..PLAIN };
    no_user[user_namespaces]: "user namespace without any user", Host { around: "unshare --user", ..PLAIN };
    namespaces_of_everything[user_namespaces]: "namespaces of everything",
        Host { around: "unshare --user --map-root-user --pid --fork --kill-child --mount-proc --net --uts --ipc --cgroup", ..PLAIN };
    no_capabilities[root]: "root without capabilities", Host { around: "setpriv --bounding-set=-all --inh-caps=-all --no-new-privs", ..PLAIN };
    small_files_only[]: "files of at most 512 KiB (`ulimit -f`)", Host { each: "ulimit -f 1024", ..PLAIN };
    small_limits[]: "256 KiB of stack, 8 MiB of data, no locked memory (`ulimit -s`, `-d`, `-l`)",
        Host { each: "ulimit -s 256; ulimit -d 8192; ulimit -l 0", ..PLAIN };
    no_rights_for_new_files[]: "umask 0777", Host { each: "umask 0777", ..PLAIN };
    no_environment[]: "no environment variable", Host { program: "env -i \"$0\"", ..PLAIN };
    odd_environment[]: "variables with nonsense (`TZ`, `LANG`, `HOME`, `TERM`)",
        Host { each: "export TZ=:/none LANG=xx_YY.none LC_ALL=tr_TR LANGUAGE=- HOME= TERM=", ..PLAIN };
    no_name[bash]: "empty `argv[0]`",
        Host { program: "bash -c \"exec -a \\\"\\\" \\\"\\$0\\\" \\\"\\$@\\\"\" \"$0\"", ..PLAIN };
    full_output[]: "full standard output", Host { each: "exec >/dev/full", ..PLAIN };
    signals_ignored[]: "all signals ignored by the parent", Host { around: "env --ignore-signal", ..PLAIN };
    signals_blocked[]: "all signals blocked by the parent", Host { around: "env --block-signal", ..PLAIN };
    children_ignored[]: "SIGCHLD ignored by the parent", Host { around: "env --ignore-signal=CHLD", ..PLAIN };
    broken_pipes_kill[]: "SIGPIPE not ignored by the parent", Host { around: "env --default-signal", ..PLAIN };

    old_kernel[holes]: CALLS, Host { refused: &DISPENSABLE, error: ENOSYS, ..PLAIN };
    filter_of_a_container[holes]: CALLS, Host { refused: &DISPENSABLE, error: EPERM, ..PLAIN };
    old_clone[]: "`clone3`, unknown (ENOSYS)", Host { refused: &[(SYS_clone3, None)], ..PLAIN };
    // A filter on the test's own thread would keep the test from starting anything.
    refused_clone[strace]: "`clone3`, refused with EPERM",
        Host { around: "strace -f -o trace -e trace=clone3 -e inject=clone3:error=EPERM", ..PLAIN };
    no_landlock[]: "Landlock", Host { refused: &LANDLOCK, ..PLAIN };
    landlock_is_refused[]: "Landlock", Host { refused: &LANDLOCK, error: EPERM, ..PLAIN };
    no_filters[]: "`seccomp`", Host { refused: &[(SYS_seccomp, None)], ..PLAIN };
    no_locks[]: "`flock`", Host { refused: &[(SYS_flock, None)], ..PLAIN };
    no_locks_of_open_files[]: "open-file-description locks", Host { refused: &OFD_LOCKS, error: EINVAL, ..PLAIN };
    refused_locks[]: "open-file-description locks", Host { refused: &OFD_LOCKS, error: EPERM, ..PLAIN };
}

#[test(needs = [manual])]
fn every_host_in_the_tables_is_made_here() {
    let page = fs::read_to_string(manual().with_file_name("platforms.md")).expect("the test needs it");
    let (_, section) = page.split_once("\n## Hosts\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let titles = section.lines().filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" |")?.0));
    let unknown: Vec<_> =
        titles.filter(|title| !["host", "without"].contains(title) && !TITLES.contains(title)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The table's row refuses all of them at once; this test refuses each call alone.
#[test(needs = [large, own_mounts])]
fn each_call_that_a_copy_can_do_without_may_be_the_only_one_that_is_missing() {
    for (call, condition) in DISPENSABLE {
        let errors: &[i32] = if call == SYS_lseek { &[ENOSYS, EPERM, EINVAL] } else { &[ENOSYS, EPERM] };
        for &error in errors {
            // A filter belongs to the thread that has set it.
            let one = std::thread::spawn(move || {
                let folder = prepared();
                refuse(&[(call, condition)], error);
                for line in ["cp small small.copy", "cp --sparse=always --verify=reread holes halves.copy"] {
                    folder.duocopy(line).end().expect(0, &[]);
                }
                folder.assert_same("holes", "halves.copy");
                complete([(); 2].map(|()| folder.duocopy("--wait=9s large pair.copy").start()));
                folder.assert_same("large", "pair.copy");
            });
            assert!(one.join().is_ok(), "{call} {error}");
        }
    }
}

const AS_PROCESS_1: &str = "unshare --pid --fork --kill-child";

#[test(needs = [root])]
fn two_processes_that_are_both_number_1_copy_and_are_replaced() {
    let folder = prepared();
    let first = |line: &str| folder.duocopy(&format!("--wait=9s {line}")).inside(AS_PROCESS_1).start();
    complete([first("large pair.copy"), first("large pair.copy")]);
    folder.assert_same("large", "pair.copy");
    let read =
        folder.read_half("--wait=9s --bwlimit=2M --replace-within=9s large").inside(AS_PROCESS_1).start();
    let write = || folder.write_half("--wait=9s --replace-within=9s dst").inside(AS_PROCESS_1).start();
    let killed = write();
    until("the copy has begun", || folder.halves_have_begun().then_some(()));
    killed.kill();
    read.reports("waiting up to 9s for a replacement");
    complete([read, write()]);
    folder.assert_same("large", "dst");
    folder.assert_nothing_left();
}

#[test(needs = [root, children_in_proc])]
fn process_1_ends_with_its_peer_and_by_signals() {
    let folder = prepared();
    let read = || folder.read_half("--wait=9s --bwlimit=256K large");
    let writer = folder.write_half("--wait=9s dst").inside(AS_PROCESS_1).start();
    let reader = read().start();
    until("the copy has begun", || folder.halves_have_begun().then_some(()));
    reader.kill();
    writer.end().expect(8, &["the Reader died"]);
    for signal in STOPPING {
        let outside = read().inside(AS_PROCESS_1).start();
        outside.reports("waiting for the Writer");
        let [number] = outside.children()[..] else { panic!("one child") };
        let process = rustix::process::Pid::from_raw(number.cast_signed()).unwrap();
        rustix::process::kill_process(process, signal).unwrap();
        outside.end().expect(128 + signal.as_raw(), &["interrupted"]);
    }
    folder.assert_untouched(None);
}

#[test]
fn signals_that_the_parent_has_blocked_end_a_copy() {
    let folder = prepared();
    for signal in STOPPING {
        let blocked = |line: &str| folder.duocopy(line).inside("env --block-signal").start();
        let waiting = blocked("--wait=9s large dst");
        waiting.reports("waiting for the second process");
        waiting.signal(Signal::USR1);
        waiting.reports("waiting for the second process · ");
        waiting.signal(signal);
        waiting.end().expect(128 + signal.as_raw(), &["interrupted"]);
        let copying = blocked("cp --bwlimit=256K large dst");
        until("the copy has begun", || folder.left_over("part"));
        copying.signal(signal);
        copying.end().expect(128 + signal.as_raw(), &["interrupted"]);
    }
    folder.assert_untouched(None);
    // A signal may arrive before the program watches for it.
    let early = folder.duocopy("cp large dst").after("kill -TERM $$").inside("env --block-signal").end();
    early.expect(128 + Signal::TERM.as_raw(), &["interrupted"]);
    folder.assert_untouched(None);
}

/// Without `/dev/null`, a shell starts nothing in the background.
#[test(needs = [own_mounts])]
fn streams_may_be_closed_where_there_is_no_dev_null() {
    let folder = prepared();
    let script = "mkdir -p dev/shm; mount --bind /dev/shm dev/shm; mount --bind dev /dev
        for closing in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
            (eval exec $closing; exec \"$0\" cp large dst); cmp large dst; rm dst
        done
        code=0; (\"$0\" read --dry-run - x <&-) || code=$?; test $code = 5
        code=0; (\"$0\" write --dry-run - x >&-) || code=$?; test $code = 6
        code=0; (\"$0\" --help >&-) || code=$?; test $code = 1";
    folder.with_own_mounts(script).expect(0, &["standard input", "standard output"]);
    folder.assert_untouched(None);
}

#[test(needs = [loader])]
fn the_end_of_the_second_process_is_known_although_the_parent_ignores_sigchld() {
    let folder = prepared();
    let loader = needs::LOADERS.iter().find(|path| std::path::Path::new(path).exists()).unwrap();
    let run =
        folder.duocopy("cp large dst").inside(&format!("env --ignore-signal=CHLD {loader} --argv0 none"));
    run.end().expect(1, &["cannot start the second process: it could not be loaded"]);
    folder.assert_untouched(None);
}

#[test]
fn with_too_little_memory_a_copy_works_or_ends_before_the_last_step() {
    let folder = prepared();
    let (mut explained, mut worked) = (0, 0);
    for kilobytes in (10_000..=40_000).step_by(1_000) {
        let limit = format!("unset RUST_BACKTRACE; ulimit -v {kilobytes}");
        let ended = folder.duocopy("cp --buffer-size=4M large dst").after(&limit).end();
        match ended.code {
            0 => {
                worked += 1;
                folder.assert_same("large", "dst");
                fs::remove_file(folder.path("dst")).unwrap();
                continue;
            }
            // 16 MiB more than the blocks take.
            _ if kilobytes >= 20 << 10 => panic!("{kilobytes}: {ended:?}"),
            1 if ended.messages.contains("`ulimit -v`") => explained += 1,
            // The system or the runtime ends a program that gets no memory.
            code => assert!(code < 0 || [8, 127, 134, 139].contains(&code), "{kilobytes}: {ended:?}"),
        }
        assert!(!folder.is_there("dst"), "{kilobytes}: {ended:?}");
    }
    assert!(explained > 3 && worked > 3, "{explained} {worked}");
    folder.duocopy("cp large dst").end().expect(0, &[]);
    folder.assert_nothing_left();
}

#[test(needs = [root])]
fn a_directory_of_pipes_that_locks_out_its_owner_is_opened_up() {
    let folder = prepared();
    let user = 48_011;
    let usual = pipes_folder_of(user);
    for mode in [0o000, 0o200, 0o400, 0o600] {
        let _ = fs::create_dir(&usual);
        std::os::unix::fs::chown(&usual, Some(user), None).unwrap();
        fs::set_permissions(&usual, fs::Permissions::from_mode(mode)).unwrap();
        let run = || folder.duocopy("--wait=9s small dst").by_user(user, user);
        let runs = [run(), run()];
        folder.set_mode("", 0o777);
        complete(runs.map(Run::start));
        assert_eq!(fs::metadata(&usual).unwrap().mode() & 0o7777, 0o700);
        fs::remove_file(folder.path("dst")).unwrap();
    }
    fs::remove_dir(&usual).unwrap();
}

/// A file of an unknown owner appears to have the same owner as any other such file.
#[test(needs = [root, user_namespaces])]
fn an_owner_that_the_namespace_does_not_know_is_not_preserved() {
    let folder = prepared();
    let unknown = |name: &str, mode| {
        std::os::unix::fs::chown(folder.path(name), Some(48_012), Some(48_012)).unwrap();
        folder.set_mode(name, mode);
    };
    unknown("small", 0o6775);
    for (namespace, place) in [("unshare --user --map-root-user", "a"), ("unshare --user", "b")] {
        folder.make(place);
        folder.write(format!("{place}/old"), OLD);
        unknown(&format!("{place}/old"), 0o664);
        let run = |line: &str| folder.duocopy(&format!("cp {line}")).inside(namespace).end();
        run(&format!("-p small {place}/whole"))
            .expect(3, &["ownership", "the set-user-ID and set-group-ID bits"]);
        run(&format!("--preserve=mode small {place}/mode"))
            .expect(3, &["the set-user-ID and set-group-ID bits"]);
        run(&format!("small {place}/new")).expect(0, &[]);
        // Neither the group nor others get rights that were meant for the group of the old file.
        run(&format!("small {place}/old")).expect(0, &["the owner"]);
        for (name, mode) in [("whole", 0o755), ("mode", 0o775), ("new", 0o755), ("old", 0o604)] {
            let name = format!("{place}/{name}");
            folder.assert_same("small", &name);
            assert_eq!(folder.mode(&name), mode, "{name} {namespace}");
        }
    }
}
