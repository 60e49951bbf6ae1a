//! The cases: what can happen to which process at which of its calls.

use super::runs::{Before, Traced};
use crate::util::*;
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// How many kills the sample takes from all cases.
const KILLS: usize = 200;

const ERRORS: [&str; 7] = ["EIO", "ENOSPC", "EDQUOT", "EINTR", "EMFILE", "ENOMEM", "EROFS"];
/// Calls that fail with each of these errors; all others fail with three of them.
const ON_FILES: &str = "read pread64 write pwrite64 open openat close fsync fdatasync ftruncate fallocate rename \
                        renameat renameat2 linkat unlinkat mkdirat";
/// Errors of `mmap`, which takes no space on a disk.
const ON_MEMORY: [&str; 4] = ["EIO", "EINTR", "EMFILE", "ENOMEM"];
const ON_OTHERS: [&str; 3] = ["EIO", "EINTR", "ENOMEM"];
/// Calls that the manual calls interruptible: the program tries again, or does not need the result.
const INTERRUPTIBLE: &str = "read pread64 write pwrite64 open openat close fsync fdatasync ftruncate fallocate \
                             clock_nanosleep getrandom";
pub const ONLY_ADVICE: &str = "fadvise64 madvise";
/// Calls that have no errors (`brk` returns the current break), or whose process ends. If waking a futex failed, its
/// sleeper would not wake up, which no kernel does.
const NEVER_FAILING: &str =
    "brk execve exit exit_group futex getpid gettid geteuid umask rt_sigreturn restart_syscall";

pub fn is_one_of(list: &str, call: &str) -> bool {
    list.split_whitespace().any(|one| one == call)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Kill,
    Fail { error: &'static str, for_ever: bool },
}

/// One thing that happens to one process of a pair.
pub struct Case {
    pub before: Before,
    pub role: Role,
    pub call: String,
    /// Which of the calls of this name, and how many there are.
    pub number: usize,
    pub of: usize,
    pub effect: Effect,
    /// Whether the loader and the runtime make the call, before the program itself starts.
    pub start_up: bool,
}

impl Case {
    /// Returns the case as `strace` takes it.
    pub fn injection(&self) -> String {
        let Self { call, number, .. } = self;
        match self.effect {
            Effect::Kill => format!("{call}:signal=KILL:when={number}"),
            Effect::Fail { error, for_ever } => {
                format!("{call}:error={error}:when={number}{}", if for_ever { "+" } else { "" })
            }
        }
    }

    pub fn interrupts(&self) -> bool {
        matches!(self.effect, Effect::Fail { error: "EINTR", .. })
    }

    /// Whether the process may leave a file: it cannot remove the file, or cannot check that it is its own.
    pub fn may_leave_something(&self) -> bool {
        let for_ever = matches!(self.effect, Effect::Fail { for_ever: true, .. });
        is_one_of("unlinkat newfstatat fchmod", &self.call)
            || for_ever && is_one_of("fstat statx", &self.call)
    }

    /// Whether the copy must complete as if nothing had happened.
    pub fn must_succeed(&self) -> bool {
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

/// How often a process makes each call: before the program itself begins, and altogether.
type Calls = BTreeMap<String, (usize, usize)>;

/// Counts the calls in a trace, for each thread by itself, as `strace` does when it injects.
fn count(trace: &str) -> Calls {
    let (mut calls, mut by_thread) = (Calls::new(), BTreeMap::new());
    let mut begun = false;
    for line in trace.lines() {
        // The program first reads which signals are ignored.
        begun |= line.contains("\"/proc/self/status\"");
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        // Before `execve` the process runs something else.
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

/// Returns all calls of one process of an undisturbed pair.
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

/// Returns what can happen to this call.
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
        // A call that is always interrupted may be repeated for ever.
        if error != "EINTR" && !start_up {
            effects.push(Effect::Fail { error, for_ever: true });
        }
    }
    effects
}

pub fn all_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for before in Before::ALL {
        for role in [Role::Reader, Role::Writer] {
            let calls = calls_of(before, role).into_iter();
            // `strace` cannot inject twice into the same call.
            for (call, (start_up, all)) in
                calls.filter(|(call, _)| before != Before::Kept || call != "renameat")
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

/// Selects a sample, the same one each time: kills from everywhere and all kills at calls that are made at most three
/// times; and of each kind of fault one case, or two if a call on a file fails once: an early call and a late one.
pub fn sample(cases: Vec<Case>) -> Vec<Case> {
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
        // The step has no common factor with the number of errors.
        let one_of = move |mut kind: Vec<Case>| {
            let one = index * 7919 % kind.len().max(1);
            (!kind.is_empty()).then(|| kind.swap_remove(one))
        };
        [one_of(early), one_of(late)].into_iter().flatten()
    });
    kills.map(|(_, case)| case).chain(faults).collect()
}
