//! A confined half can do exactly what docs/cli.md says ("What each half gives up").
//!
//! Halves of real copies make the system calls. They run as root, so that only the sandbox restricts them.

use super::attempts::{Attempt, CHANGE_OWN, attempts, is_refused};
use super::calls::number_of;
use super::tracee::Tracee;
use crate::hostile::origin;
use crate::util::*;
use blockpipe::{Geometry, Pipe};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const NAME: &str = "a name";
/// Options that make a copy last longer than the test.
const SLOWLY: &str = "--bwlimit=10K --block-size=4K --buffer-size=16K";

/// The columns of the table.
const READER: &str = "Reader of `read`";
const READER_OF_PAIR: &str = "Reader that knows DST";
const WRITER: &str = "Writer";

/// A half that is confined, in the middle of its copy.
struct Half {
    column: &'static str,
    /// The options that give it more rights.
    options: &'static [&'static str],
    /// The directory of its pipe.
    pipes: PathBuf,
    tracee: Tracee,
    /// The processes of its copy, which end with the test.
    _processes: Vec<Process>,
}

impl Half {
    /// Stops this process once it is confined.
    fn stop(folder: &Folder, column: &'static str, processes: Vec<Process>, id: u32) -> Self {
        let status = || fs::read_to_string(format!("/proc/{id}/status")).expect("it lives");
        until("it is confined", || status().contains("Seccomp:\t2").then_some(()));
        let (options, pipes) = (&["--dir"][..], folder.path("meet"));
        Self { column, options, pipes, tracee: Tracee::stop(id), _processes: processes }
    }

    fn has(&self, cell: &str) -> bool {
        match cell {
            "yes" => true,
            "no" => false,
            _ => self.options.iter().any(|option| cell.contains(option)),
        }
    }
}

fn fresh() -> Folder {
    let folder = Folder::new();
    for name in ["in", "out", "out/sub", "meet", "elsewhere"] {
        folder.make(name);
    }
    folder.write("in/src", bytes(MIB, 1));
    for name in ["out/a", "out/b", "out/c", "out/sub/private", "meet/a", "elsewhere/secret"] {
        folder.write(name, "x");
        folder.set_mode(name, 0o600);
    }
    folder
}

fn reader(folder: &Folder) -> Half {
    let reader = folder.duocopy(&format!("read --dir=meet {SLOWLY} in/src")).word(NAME).start();
    let writer = folder.duocopy("write --dir=meet out/dst").word(NAME).start();
    let id = reader.id();
    Half::stop(folder, READER, vec![reader, writer], id)
}

fn writer(folder: &Folder, flags: &str) -> Half {
    let reader = folder.duocopy(&format!("read --dir=meet {SLOWLY} in/src")).word(NAME).start();
    let writer = folder.duocopy(&format!("write --dir=meet {flags} out/dst")).word(NAME).start();
    let id = writer.id();
    Half::stop(folder, WRITER, vec![reader, writer], id)
}

fn both_of_a_pair(folder: &Folder) -> [Process; 2] {
    let line = format!("--dir=meet {SLOWLY} in/src out/dst");
    pair(folder.duocopy(&line).word(NAME), folder.duocopy(&line).word(NAME))
}

#[test(needs = [root, strace, landlock, manual])]
fn a_reader_can_do_what_the_manual_says() {
    let folder = fresh();
    check(&reader(&folder), &folder);
}

#[test(needs = [root, strace, landlock, manual])]
fn a_reader_without_dir_can_do_what_the_manual_says() {
    let folder = fresh();
    let reader = folder.read_half(&format!("{SLOWLY} in/src")).start();
    let (id, writer) = (reader.id(), folder.write_half("out/dst").start());
    let half = Half::stop(&folder, READER, vec![reader, writer], id);
    check(&Half { options: &[], pipes: pipes_folder(), ..half }, &folder);
}

#[test(needs = [root, strace, landlock, manual])]
fn a_reader_of_a_pair_can_do_what_the_manual_says() {
    let folder = fresh();
    let processes = both_of_a_pair(&folder);
    let id = processes[0].id();
    check(&Half::stop(&folder, READER_OF_PAIR, processes.into(), id), &folder);
}

#[test(needs = [root, strace, landlock, manual])]
fn a_writer_can_do_what_the_manual_says() {
    let folder = fresh();
    check(&writer(&folder, ""), &folder);
}

#[test(needs = [root, strace, landlock, manual])]
fn a_writer_whose_options_need_rights_has_those() {
    let folder = fresh();
    let options = &["--dir", "--verify=reread", "--backup=numbered"];
    let half = writer(&folder, &options[1..].join(" "));
    check(&Half { options, ..half }, &folder);
}

#[test(needs = [root, strace, landlock, manual])]
fn a_writer_of_a_pair_can_do_what_the_manual_says() {
    let folder = fresh();
    let processes = both_of_a_pair(&folder);
    let id = processes[1].id();
    check(&Half::stop(&folder, WRITER, processes.into(), id), &folder);
}

#[test(needs = [root, strace, landlock, manual, children_in_proc])]
fn the_second_process_of_cp_can_do_what_the_manual_says() {
    let folder = fresh();
    let first = folder.duocopy(&format!("cp {SLOWLY} in/src out/dst")).start();
    let id = until("the second process", || first.children().first().copied());
    let half = Half::stop(&folder, WRITER, vec![first], id);
    check(&Half { options: &[], pipes: pipes_folder(), ..half }, &folder);
}

/// A hostile peer that owns the directory above replaces the meeting directory after the half has joined and before it
/// is confined.
#[test(needs = [strace, landlock])]
fn a_meeting_directory_that_becomes_a_link_gives_no_rights_elsewhere() {
    let folder = fresh();
    folder.write("src", bytes(4096, 1));
    let pipe = Pipe::named(NAME).in_directory(folder.path("meet")).tag(HALVES);
    let mut reader = pipe.join_as_producer().expect("nobody else is there");
    let writer = folder.duocopy("write --dir=meet out/dst").word(NAME).start();
    let monitor = reader.monitor();
    until("the Writer has its seat", || monitor.snapshot().consumer.filter(|id| *id == writer.id()));
    fs::rename(folder.path("meet"), folder.path("moved")).expect("it is ours");
    symlink("/", folder.path("meet")).expect("the name is free");
    reader.ready(Geometry::new(4096, 4), &origin(&folder, 4096)).expect("there is memory");
    reader.start().expect("the Writer begins");
    let id = writer.id();
    let half = Half::stop(&folder, WRITER, vec![writer], id);
    let remove = |name: &str| {
        let path = folder.path(name);
        half.tracee.call(libc::SYS_unlinkat, [libc::AT_FDCWD.into(), (&*path).into(), 0.into()])
    };
    assert!(is_refused(remove("elsewhere/secret")) && folder.is_there("elsewhere/secret"));
    assert_eq!(remove("moved/a"), 0, "the directory in which it has joined");
}

/// Fails unless the half can do exactly what the manual says.
#[track_caller]
fn check(half: &Half, folder: &Folder) {
    let manual = fs::read_to_string(manual()).expect("the test needs it");
    let (_, section) = manual.split_once("### What each half gives up").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let mut wrong = Vec::new();

    let rows = section.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let table: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    let column = table[0].iter().position(|title| *title == half.column).expect("a column for this half");
    let attempts = attempts(&half.tracee, folder, &half.pipes);
    // Skip the two rows of the table's head.
    for row in table.iter().skip(2) {
        // A Reader writes no file.
        let has_it = row[0] != CHANGE_OWN || half.column == WRITER;
        if has_it && !attempts.iter().any(|attempt| attempt.row == row[0]) {
            wrong.push(format!("not tried: {}", row[0]));
        }
    }
    for Attempt { row, what, result } in attempts {
        let Some(cells) = table.iter().find(|cells| cells[0] == row) else {
            panic!("not in the manual: {row}");
        };
        if is_refused(result) == half.has(cells[column]) {
            wrong.push(format!("{row}: {} in the manual, but {what} returns {result}", cells[column]));
        }
    }

    let listed = |bullet: &str| {
        let line = section.lines().find_map(|line| line.strip_prefix(bullet));
        let line = line.unwrap_or_else(|| panic!("no list of calls: {bullet}"));
        line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let mut expected = listed("- Every half:");
    if half.column == WRITER {
        expected.extend(listed("- The Writer of a file:"));
    }
    if !half.options.contains(&"--backup=numbered") {
        expected.remove("getdents64");
    }
    let expected: BTreeSet<i64> = expected.iter().map(|name| number_of(name)).collect();
    // These calls end the process, or do not return, or fail with these arguments as if the filter had refused them.
    let never = ["exit", "exit_group", "rt_sigreturn", "restart_syscall", "futex"].map(number_of);
    // The kernel lets `uretprobe` and `uprobe` pass every filter. They are for debuggers' breakpoints only.
    let passing = [335, 336];
    for number in (0..512).filter(|number| !never.contains(number) && !passing.contains(number)) {
        let refused = half.tracee.raw(number, [-1; 6]) == -i64::from(Errno::NOSYS.raw_os_error());
        if refused == expected.contains(&number) {
            let expected = if refused { "refused, but in" } else { "allowed, but not in" };
            wrong.push(format!("system call {number} is {expected} the manual"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", half.column, wrong.join("\n"));
}
