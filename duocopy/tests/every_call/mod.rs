//! A copy survives a kill and an error at every system call: each process is killed at each of its calls in turn, and
//! each of its calls fails in turn, once or from then on.
//!
//! An undisturbed pair is traced first; the cases are made from its calls, and `strace` injects them. By default a
//! sample runs, with `DUOCOPY_ALL_CALLS=1` all cases, and with any other value the cases whose name contains it.
//!
//! Windows has no strace; windows.rs tests what is possible there.

mod cases;
mod outcome;
mod runs;

use crate::util::*;
use cases::{Case, Effect, ONLY_ADVICE, all_cases, is_one_of, sample};
use outcome::{Outcome, try_case};
use runs::{Before, LINE};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

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
        scope.spawn(work);
        work();
    });
    report(&outcomes.into_inner().expect("no panic while it was held"));
    note!("of {all} cases in {:.0?}", begun.elapsed());
}

/// The Reader asks whether the Writer lives, and gets the answer, an error, only after the Writer has completed.
#[test(needs = [strace])]
fn a_question_that_fails_late_does_not_make_a_complete_copy_a_failed_one() {
    for _ in 0..3 {
        let copy = Before::OldFile.prepare();
        // The first five calls on this file belong to the arrival. The source opens late, so that the Writer is there.
        let question = format!(
            "-P {} -P src -e trace=fcntl,openat -e inject=openat:delay_enter=300000 \
             -e inject=fcntl:error=EIO:delay_exit=400000:when=6",
            copy.pipe.display()
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
        // On a busy machine the Reader may ask before the verdict, and then both give up.
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
        "{complete} copies completed nevertheless; {missed} cases did not happen; {advice} copies ended because only \
         advice failed"
    );
    note!(
        "the peer ended at most {:.0?} after a kill, {:.0?} after a failure",
        longest(true),
        longest(false)
    );
    assert_eq!(wrong, 0, "see above");
}
