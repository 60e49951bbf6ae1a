//! A copy survives anything at every system call: each process is killed at each of its calls in turn, and each of
//! its calls fails in turn, once or from then on.
//!
//! An undisturbed pair is traced first; the cases are made from its calls, and `strace` injects them. A sample runs
//! by default, all with `DUOCOPY_ALL_CALLS=1`, and with any other value the cases whose name contains it.
//!
//! Not on Windows (its kills are placed by strace); windows.rs says so there, and has what there is.

use crate::util::*;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The destination has a directory of its own: anything else in it is a left-over. The source has ten blocks, of which
/// four are in memory at a time.
const LINE: &str = "-v --wait=30s --block-size=4K --buffer-size=16K src place/dst";
const LENGTH: usize = 40 * KIB;
/// So much is safe on the disk where a copy was interrupted before.
const SAFE: usize = 20 * KIB;
/// So long after one process has ended the other one has ended too, or waits for a new partner.
const AFTER_THE_CAUSE: Duration = Duration::from_secs(2);
/// A pair takes milliseconds.
const PAIR_LIMIT: Duration = Duration::from_secs(15);
/// How many kills the sample has from everywhere.
const KILLS: usize = 200;

const ERRORS: [&str; 7] = ["EIO", "ENOSPC", "EDQUOT", "EINTR", "EMFILE", "ENOMEM", "EROFS"];
/// These fail with each of the errors, all others with three of them.
const ON_FILES: &str = "read pread64 write pwrite64 open openat close fsync fdatasync ftruncate fallocate rename \
                        renameat renameat2 linkat unlinkat mkdirat";
/// Mapping takes no space on a disk.
const ON_MEMORY: [&str; 4] = ["EIO", "EINTR", "EMFILE", "ENOMEM"];
const ON_OTHERS: [&str; 3] = ["EIO", "EINTR", "ENOMEM"];
/// What the manual calls interruptible: the program tries again, or does not need the result.
const INTERRUPTIBLE: &str = "read pread64 write pwrite64 open openat close fsync fdatasync ftruncate fallocate \
                             clock_nanosleep getrandom";
const ONLY_ADVICE: &str = "fadvise64 madvise";
/// These have no errors (`brk` says where the break is then), or nobody is left to notice one. An error instead of a futex's wake would let its sleeper
/// sleep on, which no kernel does.
const NEVER_FAILING: &str =
    "brk execve exit exit_group futex getpid gettid geteuid umask rt_sigreturn restart_syscall";

fn is_one_of(list: &str, call: &str) -> bool {
    list.split_whitespace().any(|one| one == call)
}

/// What is there before the copy, and how it goes without what a case does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    OldFile,
    /// What a pair left that was killed after a checkpoint; the copy goes on from there.
    Interrupted,
    /// An old file. The copy fails at its end, and keeps what it has for the next one.
    Kept,
}

impl Before {
    const ALL: [Self; 4] = [Self::Nothing, Self::OldFile, Self::Interrupted, Self::Kept];

    fn prepare(self) -> Copy {
        let folder = Folder::new();
        folder.write("src", bytes(LENGTH, 1));
        folder.make("place");
        if self != Self::Nothing {
            folder.write("place/dst", OLD);
        }
        let name = [folder.text("src"), folder.text("place/dst")].join("\0");
        let mut copy = Copy { pipe: pipe_path(name.as_bytes()), folder, flags: "--partial", fails: None };
        match self {
            Self::Nothing => copy.flags = "",
            Self::OldFile => {}
            Self::Interrupted => {
                copy.interrupt("pwrite64:error=ENOSPC:when=6", 7);
                // Killed behind the checkpoint: there is more in the file than the journal says.
                copy.interrupt("pwrite64:signal=KILL:when=3", 8);
            }
            Self::Kept => copy.fails = Some("ftruncate:error=EIO:when=1"),
        }
        copy
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Kill,
    Fail { error: &'static str, for_ever: bool },
}

/// One thing that happens to one process of a pair.
struct Case {
    before: Before,
    role: Role,
    call: String,
    /// Which of the calls of this name, and how many there are.
    number: usize,
    of: usize,
    effect: Effect,
    /// Made by the loader and the runtime, before the program itself.
    start_up: bool,
}

impl Case {
    /// As `strace` wants it.
    fn injection(&self) -> String {
        let Self { call, number, .. } = self;
        match self.effect {
            Effect::Kill => format!("{call}:signal=KILL:when={number}"),
            Effect::Fail { error, for_ever } => {
                format!("{call}:error={error}:when={number}{}", if for_ever { "+" } else { "" })
            }
        }
    }

    fn interrupts(&self) -> bool {
        matches!(self.effect, Effect::Fail { error: "EINTR", .. })
    }

    /// Who cannot remove something, or may never look whether it is what it should be, leaves it there.
    fn may_leave_something(&self) -> bool {
        let for_ever = matches!(self.effect, Effect::Fail { for_ever: true, .. });
        is_one_of("unlinkat newfstatat fchmod", &self.call)
            || for_ever && is_one_of("fstat statx", &self.call)
    }

    /// Nobody may notice more of it than a line in a trace.
    fn must_succeed(&self) -> bool {
        self.interrupts()
            && !self.start_up
            && self.before != Before::Kept
            && is_one_of(INTERRUPTIBLE, &self.call)
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {}", self.before, self.role, self.injection())
    }
}

// --------------------------------------------------------------------------------------------------- cases

/// How often a process makes each call: before the program itself begins, and altogether.
type Calls = BTreeMap<String, (usize, usize)>;

/// Counted for each thread by itself, as `strace` does when it injects.
fn count(trace: &str) -> Calls {
    let (mut calls, mut by_thread) = (Calls::new(), BTreeMap::new());
    let mut begun = false;
    for line in trace.lines() {
        // The program's first step is to look which signals are ignored.
        begun |= line.contains("\"/proc/self/status\"");
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        // Before `execve` there is no program.
        if name == "execve" || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            continue;
        }
        let number = by_thread.entry((thread, name)).or_insert(0);
        *number += 1;
        let (start_up, all) = calls.entry(name.into()).or_default();
        *all = (*all).max(*number);
        if !begun {
            *start_up = *number;
        }
    }
    assert!(begun, "the program's first call is not in: {trace}");
    calls
}

/// All calls of one process of an undisturbed pair.
fn calls_of(before: Before, role: Role) -> Calls {
    let copy = before.prepare();
    let processes = copy.pair(Some(&Traced { role, calls: "all", injection: None }));
    let traced = &processes[role as usize];
    let trace = until("the end of a trace", || {
        let trace = traced.trace();
        let (first, _) = trace.split_once(' ')?;
        let is_last =
            |line: &str| line.starts_with(first) && line.ends_with(" +++") && line.contains("+++ exited");
        trace.lines().any(is_last).then_some(trace)
    });
    for ended in end(processes) {
        ended.expect(if before == Before::Kept { 6 } else { 0 }, &[]);
    }
    count(&trace)
}

/// What can happen to this call.
fn effects(call: &str, start_up: bool) -> Vec<Effect> {
    let mut effects = vec![Effect::Kill];
    let errors: &[&str] = match call {
        _ if is_one_of(NEVER_FAILING, call) => &[],
        _ if start_up => &["ENOMEM"],
        _ if is_one_of(ON_FILES, call) => &ERRORS,
        "mmap" => &ON_MEMORY,
        "clock_nanosleep" => &["EINTR"],
        _ => &ON_OTHERS,
    };
    for &error in errors {
        effects.push(Effect::Fail { error, for_ever: false });
        // What is interrupted for ever may be repeated for ever.
        if error != "EINTR" && !start_up {
            effects.push(Effect::Fail { error, for_ever: true });
        }
    }
    effects
}

fn all_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for before in Before::ALL {
        for role in [Role::Reader, Role::Writer] {
            let calls = calls_of(before, role).into_iter();
            // Where this call fails already, nothing else can be done to it.
            for (call, (start_up, all)) in
                calls.filter(|(call, _)| before != Before::Kept || call != "ftruncate")
            {
                for number in 1..=all {
                    let start_up = number <= start_up;
                    let case =
                        |effect| Case { before, role, call: call.clone(), number, of: all, effect, start_up };
                    cases.extend(effects(&call, start_up).into_iter().map(case));
                }
            }
        }
    }
    cases
}

/// The same ones each time. Kills from everywhere, and all of those at what is called only a few times; of each kind
/// of fault one, or two where a call on a file fails once: an early call and a late one.
fn sample(cases: Vec<Case>) -> Vec<Case> {
    let (kills, faults): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.effect == Effect::Kill);
    let (all, mut kinds) = (kills.len(), BTreeMap::<String, Vec<Case>>::new());
    let is_taken = |index: usize| (index + 1) * KILLS / all > index * KILLS / all;
    let is_rare = |case: &Case| case.before == Before::OldFile && !case.start_up && case.of <= 3;
    let kills = kills.into_iter().enumerate().filter(|(index, case)| is_taken(*index) || is_rare(case));
    for case in faults {
        let Case { role, call, effect, start_up, .. } = &case;
        kinds.entry(format!("{role:?} {call} {effect:?} {start_up}")).or_default().push(case);
    }
    let faults = kinds.into_values().enumerate().flat_map(|(index, mut early)| {
        early.sort_by_key(|case| case.number);
        let mut late = early.split_off(early.len() / 2);
        let fails_once = |case: &Case| matches!(case.effect, Effect::Fail { for_ever: false, .. });
        if early.iter().any(|case| !is_one_of(ON_FILES, &case.call) || !fails_once(case)) {
            late.append(&mut early);
        }
        // A step that has nothing in common with the number of errors.
        let one_of = move |mut kind: Vec<Case>| {
            let one = index * 7919 % kind.len().max(1);
            (!kind.is_empty()).then(|| kind.swap_remove(one))
        };
        [one_of(early), one_of(late)].into_iter().flatten()
    });
    kills.map(|(_, case)| case).chain(faults).collect()
}

// ---------------------------------------------------------------------------------------------------- runs

/// A copy from `src` to `place/dst` in a folder of its own.
struct Copy {
    folder: Folder,
    /// The file of its pipe, while there is one.
    pipe: PathBuf,
    flags: &'static str,
    /// What fails in the Writer besides, until the next copy.
    fails: Option<&'static str>,
}

/// What `strace` looks at, and does to a process.
struct Traced<'a> {
    role: Role,
    calls: &'a str,
    injection: Option<&'a str>,
}

/// How the processes of one run ended, and what was wrong with it.
#[derive(Default)]
struct Story {
    ended: Vec<Ended>,
    /// When somebody who was left alone got a new partner: how many had ended before.
    helped: Option<usize>,
    /// From the first end to the last one, if nobody was left alone.
    lasted: Duration,
    wrong: Vec<String>,
    /// Of whom it was asked for.
    trace: String,
}

impl Copy {
    fn start(&self, role: Role, traced: Option<&Traced>) -> Process {
        // What the test's own surroundings add to it lets the loader search in vain.
        let run = self.folder.duocopy(&format!("{} {LINE}", self.flags)).after("unset LD_LIBRARY_PATH");
        let traced = traced.filter(|traced| traced.role == role);
        let fails = self.fails.filter(|_| role == Role::Writer);
        if traced.is_none() && fails.is_none() {
            return run.start();
        }
        let mut flags = String::from("-f -y -e trace=");
        flags += traced.map_or("ftruncate", |traced| traced.calls);
        for injection in traced.and_then(|traced| traced.injection).into_iter().chain(fails) {
            flags.extend([" -e inject=", injection]);
        }
        run.traced(&flags).start()
    }

    /// Starts the second one when the first has its seat, or has ended.
    fn pair(&self, traced: Option<&Traced>) -> [Process; 2] {
        let reader = self.start(Role::Reader, traced);
        until("the Reader's header", || (self.is_seated() || reader.ended().is_some()).then_some(()));
        [reader, self.start(Role::Writer, traced)]
    }

    /// Does this to the Writer of a pair, whose Reader ends with this code.
    fn interrupt(&self, injection: &str, code: i32) {
        let traced = Traced { role: Role::Writer, calls: "pwrite64", injection: Some(injection) };
        let [reader, _] = end(self.pair(Some(&traced)));
        reader.expect(code, &[]);
    }

    /// The first words of the pipe (`docs/protocol.md`).
    fn header(&self) -> Option<[u8; pipe_header::LENGTH]> {
        let mut header = [0; pipe_header::LENGTH];
        File::open(&self.pipe).ok()?.read_exact_at(&mut header, 0).ok()?;
        Some(header)
    }

    /// Whether somebody is the Reader.
    fn is_seated(&self) -> bool {
        self.header().is_some_and(|header| word(&header, pipe_header::STATE) != 0)
    }

    /// Whether this process is the Reader, and nothing has begun or was said: it waits for a partner.
    fn is_left_alone(&self, process: &Process) -> bool {
        self.header().is_some_and(|header| {
            let word = |at| word(&header, at);
            word(pipe_header::STATE) != 0
                && word(pipe_header::READER_PROCESS) == process.id()
                && word(pipe_header::BEGUN) == 0
                && word(pipe_header::VERDICT) as u8 == 0
        })
    }

    fn destination(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.path("place/dst")).ok()
    }

    /// Runs a pair to its end. Whoever is left alone before the copy began gets a new partner.
    fn run(&self, traced: Option<&Traced>) -> Story {
        let (mut story, before) = (Story::default(), self.destination());
        let mut running = Vec::from(self.pair(traced));
        let (mut first_end, mut deadline) = (None, Instant::now() + PAIR_LIMIT);
        while !running.is_empty() {
            if let Some(index) = running.iter().position(|process| process.ended().is_some()) {
                let process = running.remove(index);
                story.trace += &process.trace();
                story.ended.push(process.end());
                let begun = *first_end.get_or_insert_with(Instant::now);
                story.lasted = begun.elapsed();
                if story.helped.is_none() {
                    deadline = begun + AFTER_THE_CAUSE;
                }
            } else if Instant::now() > deadline {
                let said = running.iter().map(Process::said).collect::<String>();
                story.wrong.push(format!("somebody hangs, and said: {said}"));
                return story;
            } else if running.len() == 1 && story.helped.is_none() && self.is_left_alone(&running[0]) {
                story.helped = Some(story.ended.len());
                if self.destination() != before {
                    story.wrong.push("the destination was touched before anything had begun".into());
                }
                deadline = Instant::now() + PAIR_LIMIT;
                running.push(self.start(Role::Reader, None));
            }
            pause(Duration::from_micros(500));
        }
        story
    }
}

fn word(header: &[u8], offset: u64) -> u32 {
    let offset = usize::try_from(offset).expect("an offset in the header");
    u32::from_ne_bytes(header[offset..offset + 4].try_into().expect("four bytes"))
}

/// Where the library keeps the pipe of this name: by its FNV-1a hash.
fn pipe_path(name: &[u8]) -> PathBuf {
    let hash = name.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    pipes_folder().join(format!("{hash:032x}"))
}

// -------------------------------------------------------------------------------------------------- judging

/// What became of one case.
struct Outcome {
    /// Whether the case happened at all: a call that depends on the moment may be missing in a run.
    happened: bool,
    succeeded: bool,
    lasted: Duration,
    wrong: Vec<String>,
    story: String,
}

fn try_case(case: &Case) -> Outcome {
    let mut copy = case.before.prepare();
    let (old, new) = (copy.destination(), Some(copy.folder.read("src")));
    let calls = format!("{},ftruncate", case.call);
    let traced = Traced { role: case.role, calls: &calls, injection: Some(&case.injection()) };
    let Story { ended, helped, lasted, mut wrong, trace } = copy.run(Some(&traced));
    let succeeded = helped.is_none() && ended.iter().all(|ended| ended.code == 0);
    let is_killed = |ended: &&Ended| case.effect == Effect::Kill && ended.code == -9;
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.into());
        }
    };

    let now = copy.destination();
    expect(now == old || now == new, "the destination is neither old nor new");
    for one in &ended[helped.unwrap_or(0)..] {
        let claimed = if one.code == 0 || one.said.contains("is complete") {
            &new
        } else if one.code < 0 || one.said.contains("cannot be told") {
            &now
        } else {
            &old
        };
        expect(*claimed == now, "what was said of the destination is not true");
    }
    // What the loader and the runtime cannot do ends a process in any way.
    let is_orderly = |one: &Ended| (0..=12).contains(&one.code) && !one.said.contains("panicked");
    let orderly = ended.iter().all(|one| case.start_up || is_killed(&one) || is_orderly(one));
    expect(orderly, "a crash");
    let codes: Vec<i32> = ended.iter().map(|one| one.code).filter(|code| *code >= 0).collect();
    if let ([one, other], None) = (&codes[..], helped) {
        let agree = one == other || (codes.contains(&8) && !codes.contains(&0));
        expect(agree, "the two do not agree");
    }
    expect(succeeded || !case.must_succeed(), "what was interrupted was not tried again");
    let injected: Vec<&str> =
        trace.lines().filter(|line| line.contains("INJECTED") && line.contains(&case.call)).collect();
    let unsynced = |file: &str| {
        let is_one = |line: &&str| line.contains("sync(") && line.contains(file);
        !case.interrupts() && injected.iter().any(is_one)
    };
    let lost = unsynced(".part>");
    let unsafe_name = unsynced("place>");
    expect(!succeeded || !lost && !unsafe_name, "complete, though it could not be flushed");
    let tidy = case.may_leave_something() || ended.iter().any(|one| one.code < 0) || copy.beside().is_empty();
    expect(tidy || case.before != Before::Nothing, "something is left");

    copy.fails = None;
    let next = copy.run(None);
    let complete = next.helped.is_none() && next.ended.iter().all(|one| one.code == 0);
    expect(complete && next.wrong.is_empty() && copy.destination() == new, "the next copy failed");
    expect(copy.left().is_empty(), "something is left after the next copy");
    let safe = if case.before == Before::Interrupted { SAFE } else { 0 };
    expect(!lost || next.ended.iter().all(|one| went_on_from(one) <= safe), "what was lost is trusted");
    let story = format!("{ended:#?}, then {:#?}; left: {:?}", next.ended, copy.left());
    let happened = match case.effect {
        Effect::Kill => ended.iter().any(|one| is_killed(&one)),
        Effect::Fail { .. } => !injected.is_empty(),
    };
    Outcome { happened, succeeded, lasted, wrong, story }
}

impl Copy {
    /// What is left beside the destination.
    fn beside(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path("place")).expect("reading a folder");
        let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
        paths.filter(|path| !path.ends_with("dst")).collect()
    }

    /// The same, and in shared memory.
    fn left(&self) -> Vec<PathBuf> {
        self.beside().into_iter().chain(self.pipe.exists().then(|| self.pipe.clone())).collect()
    }
}

/// How many bytes it says it need not copy.
fn went_on_from(ended: &Ended) -> usize {
    let bytes = ended.said.split_once("going on with an interrupted copy: ").map(|(_, rest)| rest);
    bytes.map_or(0, |rest| rest.split(' ').next().and_then(|it| it.parse().ok()).expect("a number of bytes"))
}

// --------------------------------------------------------------------------------------------------- tests

#[test(needs = [strace])]
fn a_copy_survives_a_kill_and_an_error_at_every_call() {
    let begun = Instant::now();
    let wanted = std::env::var("DUOCOPY_ALL_CALLS").ok();
    let mut cases = all_cases();
    let all = cases.len();
    match wanted.as_deref() {
        None => cases = sample(cases),
        Some("1") => {}
        Some(part) => cases.retain(|case| case.to_string().contains(part)),
    }

    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = try_case(case);
            outcomes.lock().expect("no panic while it is held").push((case, outcome));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    report(&outcomes.into_inner().expect("no panic while it was held"));
    note!("of {all} cases in {:.0?}", begun.elapsed());
}

/// The Reader asks whether the Writer lives, and gets its answer, an error, when the Writer has completed.
#[test(needs = [strace])]
fn a_question_that_fails_late_does_not_make_a_complete_copy_a_failed_one() {
    for _ in 0..3 {
        let copy = Before::OldFile.prepare();
        // The first five calls on this file are the arrival. The source opens late, so that the Writer is there.
        let question = format!(
            "-P {} -P {} -e trace=fcntl,openat -e inject=openat:delay_enter=300000 \
             -e inject=fcntl:error=EIO:delay_exit=400000:when=6",
            copy.pipe.display(),
            copy.folder.text("src")
        );
        let reader = copy.folder.duocopy(LINE).traced(&question).start();
        until("the Reader's seat", || copy.is_seated().then_some(()));
        let slow = "-e trace=fsync -e inject=fsync:delay_enter=200000:when=1";
        let writer = copy.folder.duocopy(LINE).traced(slow).start();
        let ended = end([reader, writer]);
        assert_eq!(ended[0].code, ended[1].code, "{ended:?}");
        if ended[0].code == 0 {
            return;
        }
        // On a busy machine it may ask before anything is decided, and then both give up.
        assert_eq!(copy.destination().as_deref(), Some(OLD));
    }
}

fn report(outcomes: &[(&Case, Outcome)]) {
    let count = |is_one: &dyn Fn(&Case, &Outcome) -> bool| {
        outcomes.iter().filter(|(case, outcome)| is_one(case, outcome)).count()
    };
    let kills = count(&|case, _| case.effect == Effect::Kill);
    let wrong = count(&|_, outcome| !outcome.wrong.is_empty());
    let missed = count(&|_, outcome| !outcome.happened);
    let complete = count(&|_, outcome| outcome.succeeded);
    let longest = |kill: bool| {
        let these = outcomes.iter().filter(|(case, _)| (case.effect == Effect::Kill) == kill);
        these.map(|(_, outcome)| outcome.lasted).max().unwrap_or_default()
    };
    for (case, outcome) in outcomes.iter().filter(|(_, outcome)| !outcome.wrong.is_empty()) {
        note!("{case}: {}\n{}", outcome.wrong.join("; "), outcome.story);
    }
    let advice = count(&|case, outcome| {
        let fails = case.effect != Effect::Kill && is_one_of(ONLY_ADVICE, &case.call);
        fails && case.before != Before::Kept && !outcome.succeeded
    });
    note!("every call: {kills} kill cases, {} fault cases, {wrong} wrong", outcomes.len() - kills);
    note!(
        "{complete} copies completed all the same; {missed} cases did not happen; {advice} copies ended because only \
         advice failed"
    );
    note!(
        "the other one ended at most {:.0?} after a kill, {:.0?} after a failure",
        longest(true),
        longest(false)
    );
    assert_eq!(wrong, 0, "see above");
}
