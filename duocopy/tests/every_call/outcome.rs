//! What became of a case, and whether that is right.

use super::cases::{Case, Effect};
use super::runs::{Before, SAFE, Story, Traced};
use crate::util::*;
use std::time::Duration;

/// What became of one case.
pub struct Outcome {
    /// Whether the case happened: a call that depends on timing may be missing in a run.
    pub happened: bool,
    pub succeeded: bool,
    pub lasted: Duration,
    pub wrong: Vec<String>,
    pub story: String,
}

pub fn try_case(case: &Case) -> Outcome {
    let mut copy = case.before.prepare();
    let (old, new) = (copy.destination(), Some(copy.folder.read("src")));
    let calls = format!("{},renameat", case.call);
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
        let claimed = if one.code == 0 || one.messages.contains("is complete") {
            &new
        } else if one.code < 0 || one.messages.contains("cannot be told") {
            &now
        } else {
            &old
        };
        expect(*claimed == now, "what was reported about the destination is not true");
    }
    // A failure of the loader or of the runtime may end a process in any way.
    let is_orderly = |one: &Ended| (0..=12).contains(&one.code) && !one.messages.contains("panicked");
    let orderly = ended.iter().all(|one| case.start_up || is_killed(&one) || is_orderly(one));
    expect(orderly, "a crash");
    let codes: Vec<i32> = ended.iter().map(|one| one.code).filter(|code| *code >= 0).collect();
    if let ([one, other], None) = (&codes[..], helped) {
        let agree = one == other || (codes.contains(&8) && !codes.contains(&0));
        expect(agree, "the two processes do not agree");
    }
    expect(succeeded || !case.must_succeed(), "an interrupted call was not tried again");
    let injected: Vec<&str> =
        trace.lines().filter(|line| line.contains("INJECTED") && line.contains(&case.call)).collect();
    let unsynced = |file: &str| {
        let is_one = |line: &&str| line.contains("sync(") && line.contains(file);
        !case.interrupts() && injected.iter().any(is_one)
    };
    let lost = unsynced(".part>");
    let unsafe_name = unsynced("place>");
    expect(!succeeded || !lost && !unsafe_name, "complete, although it could not be flushed");
    let tidy = case.may_leave_something() || ended.iter().any(|one| one.code < 0) || copy.beside().is_empty();
    expect(tidy || case.before != Before::Nothing, "something is left");

    copy.fails = None;
    let next = copy.run(None);
    let complete = next.helped.is_none() && next.ended.iter().all(|one| one.code == 0);
    expect(complete && next.wrong.is_empty() && copy.destination() == new, "the next copy failed");
    expect(copy.left().is_empty(), "something is left after the next copy");
    let safe = if case.before == Before::Interrupted { SAFE } else { 0 };
    expect(!lost || next.ended.iter().all(|one| went_on_from(one) <= safe), "lost data is trusted");
    let story = format!("{ended:#?}, then {:#?}; left: {:?}", next.ended, copy.left());
    let happened = match case.effect {
        Effect::Kill => ended.iter().any(|one| is_killed(&one)),
        Effect::Fail { .. } => !injected.is_empty(),
    };
    Outcome { happened, succeeded, lasted, wrong, story }
}

/// Returns how many bytes the process reports as copied before.
fn went_on_from(ended: &Ended) -> usize {
    let bytes = ended.messages.split_once("going on with an interrupted copy: ").map(|(_, rest)| rest);
    bytes.map_or(0, |rest| rest.split(' ').next().and_then(|it| it.parse().ok()).expect("a number of bytes"))
}
