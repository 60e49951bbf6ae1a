//! A process dies between any two stores that its peer can see: at the first such step, at the second, and so on until
//! it survives. In each case the destination is the old file or the new one, the survivor reports which, no process
//! hangs, and the next copy works and leaves nothing but its destination.
//!
//! This needs a build of the program that can die there, which `ci/every_step` makes. `DUOCOPY_STEPS=all` takes every
//! step instead of a few.

use crate::util::*;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Six blocks in three slots.
const LINE: &str = "--block-size=4K --buffer-size=12K";
const LENGTH: usize = 22_000;
/// How long a Reader waits for a Writer.
const WAIT: &str = "--wait=300ms";
/// Processes must end within this time.
const LIMIT: Duration = Duration::from_secs(2);
/// A process that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(15);
const ABORTED: i32 = -6;

/// What is at the destination before the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Old,
}

struct Steps {
    program: PathBuf,
    /// The distance between the steps that are tested.
    stride: usize,
}

impl Steps {
    /// The test needs `program_with_steps`.
    fn new(few: usize) -> Self {
        let program = std::env::var_os("DUOCOPY_STEPS_PROGRAM").expect("the test needs program_with_steps");
        let all = std::env::var_os("DUOCOPY_STEPS").is_some_and(|steps| steps == "all");
        Self { program: program.into(), stride: if all { 1 } else { few } }
    }

    fn run<'a>(&self, folder: &'a Folder, line: &str) -> Run<'a> {
        folder.duocopy(&format!("{LINE} {line} src dst")).built_as(&self.program)
    }

    /// Starts two processes and returns the victim first, which dies at this step.
    fn start(&self, folder: &Folder, victim: Role, step: usize, line: &str) -> [Process; 2] {
        let doomed = |line: &str| self.run(folder, line).after(&format!("export BLOCKPIPE_STEP={step}"));
        let with_wait = format!("-v {WAIT} {line}");
        match victim {
            Role::Reader => {
                let reader = doomed(&with_wait).start();
                until("it is the Reader, or dead", || {
                    (reader.messages().contains("this is the Reader") || reader.ended().is_some())
                        .then_some(())
                });
                [reader, self.run(folder, &with_wait).start()]
            }
            Role::Writer => {
                let reader = self.run(folder, &with_wait).start();
                reader.reports("this is the Reader");
                [doomed(&with_wait).start(), reader]
            }
        }
    }

    /// Fails unless the next copy by the same build completes at once and leaves nothing but source and destination.
    fn assert_next_copy_works(&self, folder: &Folder, context: &str) {
        let begun = Instant::now();
        for ended in [(); 2].map(|()| self.run(folder, "-q --wait=5s").start()).map(Process::end) {
            assert_eq!(ended.code, 0, "the next copy, {context}: {ended:?}");
        }
        let took = begun.elapsed();
        assert!(took < LIMIT, "the next copy took {took:?}, {context}");
        assert!(folder.read("dst") == folder.read("src"), "the next copy differs, {context}");
        nothing_is_left(folder, context);
    }
}

fn nothing_is_left(folder: &Folder, context: &str) {
    let entries = std::fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = entries
        .filter(|name| name.to_str().is_none_or(|name| name.starts_with('.') || name.contains("duocopy")))
        .collect();
    assert!(left.is_empty(), "{left:?} is left, {context}");
    assert!(folder.pipe().is_none(), "a pipe is left, {context}");
}

fn within_limit(process: Process, begun: Instant, context: &str) -> Ended {
    let Ok(ended) = process.end_within(HANGS).map_err(|process| process.messages()) else {
        panic!("hangs, {context}");
    };
    let took = begun.elapsed();
    assert!(took < LIMIT, "took {took:?}, {context}: {ended:?}");
    ended
}

/// Kills one process at each step, and returns the number of deaths.
fn kill(steps: &Steps, victim: Role, before: Before) -> usize {
    for (deaths, step) in (1..).step_by(steps.stride).enumerate() {
        let folder = Folder::new();
        let source = bytes(LENGTH, step as u64);
        folder.write("src", &source);
        if before == Before::Old {
            folder.write("dst", OLD);
        }
        let [doomed, survivor] = steps.start(&folder, victim, step, "");
        let doomed = doomed.end();
        let survivor = within_limit(survivor, Instant::now(), &format!("{victim:?} killed at step {step}"));
        let context = format!("{victim:?} killed at step {step}, {before:?}: {survivor:?}, {doomed:?}");
        assert!([0, ABORTED].contains(&doomed.code), "{context}");
        let is_old = match before {
            Before::Nothing => !folder.is_there("dst"),
            Before::Old => folder.read("dst") == OLD,
        };
        let is_new = !is_old && folder.read("dst") == source;
        assert!(is_old || is_new, "the destination is neither old nor new, {context}");
        match survivor.code {
            0 => assert!(is_new, "complete, but not there, {context}"),
            8 if is_new => assert!(survivor.messages.contains("is complete"), "{context}"),
            8 => assert!(survivor.messages.contains("is unchanged"), "{context}"),
            // There was no peer when the victim died, or the survivor is the first process now.
            10 => assert!(is_old, "{context}"),
            _ => panic!("an unexpected end, {context}"),
        }
        if doomed.code == 0 {
            assert_eq!(survivor.code, 0, "{context}");
            assert!(deaths > 0, "no step at all: is this the right build?");
            return deaths;
        }
        steps.assert_next_copy_works(&folder, &context);
    }
    unreachable!("the steps end")
}

/// Starts the same command again, which replaces the dead process and completes the copy; returns the number of deaths.
fn replace(steps: &Steps, victim: Role) -> usize {
    const REPLACE: &str = "--replace-within=5s";
    for (deaths, step) in (1..).step_by(steps.stride).enumerate() {
        let folder = Folder::new();
        let source = bytes(LENGTH, step as u64);
        folder.write("src", &source);
        folder.write("dst", OLD);
        let [doomed, survivor] = steps.start(&folder, victim, step, REPLACE);
        let doomed = doomed.end();
        let context = format!("{victim:?} killed at step {step}, to be replaced: {doomed:?}");
        if doomed.code == 0 {
            assert_eq!(survivor.end().code, 0, "{context}");
            assert!(deaths > 0, "no step at all: is this the right build?");
            return deaths;
        }
        assert_eq!(doomed.code, ABORTED, "{context}");
        let begun = Instant::now();
        let second = steps.run(&folder, &format!("-v {WAIT} {REPLACE}")).start();
        let survivor = within_limit(survivor, begun, &context);
        let second = within_limit(second, begun, &format!("{context}, {survivor:?}"));
        let context = format!("{context}, {survivor:?}, {second:?}");
        // A survivor that has the verdict already completes alone.
        let alone = survivor.code == 0 && [9, 10].contains(&second.code);
        assert!(alone || (survivor.code, second.code) == (0, 0), "{context}");
        assert!(folder.read("dst") == source, "the copy differs, {context}");
        nothing_is_left(&folder, &context);
    }
    unreachable!("the steps end")
}

fn all(what: &str, few: usize, test: impl Fn(&Steps) -> usize) {
    let (steps, begun) = (Steps::new(few), Instant::now());
    note!("every step: {what}: {} kills in {:?}", test(&steps), begun.elapsed());
}

#[test(needs = [program_with_steps])]
fn a_reader_dies_at_every_step_of_a_copy_to_nothing() {
    all("a Reader killed at every step, new destination", 5, |steps| {
        kill(steps, Role::Reader, Before::Nothing)
    });
}

#[test(needs = [program_with_steps])]
fn a_reader_dies_at_every_step_of_a_copy_over_an_old_file() {
    all("a Reader killed at every step, old destination", 6, |steps| kill(steps, Role::Reader, Before::Old));
}

#[test(needs = [program_with_steps])]
fn a_writer_dies_at_every_step_of_a_copy_to_nothing() {
    all("a Writer killed at every step, new destination", 3, |steps| {
        kill(steps, Role::Writer, Before::Nothing)
    });
}

#[test(needs = [program_with_steps])]
fn a_writer_dies_at_every_step_of_a_copy_over_an_old_file() {
    all("a Writer killed at every step, old destination", 4, |steps| kill(steps, Role::Writer, Before::Old));
}

#[test(needs = [program_with_steps])]
fn a_reader_that_dies_at_any_step_is_replaced() {
    all("a Reader killed at every step and replaced", 6, |steps| replace(steps, Role::Reader));
}

#[test(needs = [program_with_steps])]
fn a_writer_that_dies_at_any_step_is_replaced() {
    all("a Writer killed at every step and replaced", 4, |steps| replace(steps, Role::Writer));
}
