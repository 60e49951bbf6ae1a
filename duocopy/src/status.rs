//! `duocopy status`: the pipes that are there now, seen from outside.

use crate::args::Query;
use crate::exit::{self, Failure};
use crate::plan::{read_job, show_job};
use crate::progress;
use crate::record::SourceRecord;
use crate::report;
use crate::sys::Signals;
use crate::verdict::no_pipe;
use blockpipe::{JoinError, Phase, Pipe, Side, Snapshot, pipes, remove_dead};
use console::Term;
use indicatif::{BinaryBytes, HumanDuration};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Rates are taken over this time.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// A pipe at one moment, and what passed through it just before, in bytes per second.
struct Seen {
    pipe: Snapshot,
    rates: Option<(u64, u64)>,
}

pub fn run(query: &Query, signals: &Signals) -> Result<(), Failure> {
    if query.clean {
        return clean(query);
    }
    let mut before = Looked::new(query)?;
    let (terminal, mut lines, mut first) = (Term::stdout(), 0, true);
    loop {
        // Only what is moving has a rate, and is worth a second look at once.
        if before.is_moving() || !first {
            wait(if first { BETWEEN_LOOKS } else { WATCH_EVERY }, signals);
        }
        let now = Looked::new(query)?;
        let seen = now.since(&before);
        if query.json {
            for seen in &seen {
                report::object("pipe", fields(seen));
            }
            for error in &now.others {
                progress::say(&refused(error, query));
            }
        } else {
            let mut text: Vec<String> = seen.iter().flat_map(describe).collect();
            if query.name.is_none() {
                text.extend(now.others.iter().map(|error| refused(error, query)));
            }
            if text.is_empty() && query.name.is_none() {
                text.push("no pipes".into());
            }
            if terminal.is_term() && query.watch {
                let _ = terminal.clear_last_lines(lines);
            }
            let text = text.join("\n");
            if !text.is_empty() {
                show(&text);
            }
            lines = text.lines().count();
        }
        first = false;
        if !query.watch {
            return seen_at_all(query, &seen, &now);
        }
        if signals.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        before = now;
    }
}

fn seen_at_all(query: &Query, seen: &[Seen], now: &Looked) -> Result<(), Failure> {
    match &query.name {
        Some(_) if !now.others.is_empty() => Err(cannot_look(&now.others[0], query)),
        Some(name) if seen.is_empty() => {
            let name = exit::printable(&name.to_string_lossy());
            let what = format!("there is no pipe \u{201c}{name}\u{201d}");
            Err(Failure::new(exit::FAILED, format!("{what}; `duocopy status` shows all that there are")))
        }
        _ => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "who looks from outside is woken by nobody")]
fn wait(time: Duration, signals: &Signals) {
    let begun = Instant::now();
    while begun.elapsed() < time && !signals.stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(25).min(time));
    }
}

fn clean(query: &Query) -> Result<(), Failure> {
    let removed = remove_dead(dir(query)).map_err(|error| cannot_look(&error, query))?;
    if removed.is_empty() && !query.json {
        show("nothing to remove");
    }
    for pipe in removed {
        let name = pipe.as_ref().map_or("one of another version".into(), name_of);
        match pipe {
            Ok(pipe) if query.json => report::object("pipe", fields(&Seen { pipe, rates: None })),
            _ if query.json => {}
            _ => show(&format!("removed {name}, which a killed pair had left")),
        }
    }
    Ok(())
}

/// What was asked for is the output of this command.
fn show(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn dir(query: &Query) -> Option<&OsStr> {
    query.dir.as_deref().map(std::path::Path::as_os_str)
}

/// All that is to be shown, at one moment.
struct Looked {
    at: Instant,
    pipes: Vec<Snapshot>,
    /// What is there and cannot be looked at.
    others: Vec<JoinError>,
}

impl Looked {
    fn new(query: &Query) -> Result<Self, Failure> {
        let at = Instant::now();
        let all = match &query.name {
            Some(name) => {
                let look = |name: &[u8]| {
                    let pipe = Pipe::named(name);
                    dir(query).map_or(pipe.clone(), |dir| pipe.in_directory(dir)).look().transpose()
                };
                // The default name as people see it.
                let of_two_paths = || read_job(name).and_then(|job| look(&job));
                look(name.as_encoded_bytes()).or_else(of_two_paths).into_iter().collect()
            }
            None => pipes(dir(query)).map_err(|error| cannot_look(&error, query))?,
        };
        let (pipes, others): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
        let mut pipes: Vec<Snapshot> = pipes.into_iter().flatten().collect();
        pipes.sort_by(|a, b| (a.is_dead(), &a.name).cmp(&(b.is_dead(), &b.name)));
        Ok(Self { at, pipes, others: others.into_iter().filter_map(Result::err).collect() })
    }

    fn is_moving(&self) -> bool {
        self.pipes.iter().any(|pipe| pipe.phase == Phase::Moving && !pipe.is_dead())
    }

    fn since(&self, before: &Self) -> Vec<Seen> {
        let millis = (self.at.duration_since(before.at).as_millis() as u64).max(1);
        let rate = |then: u64, now: u64| now.saturating_sub(then).saturating_mul(1000) / millis;
        let seen = |pipe: &Snapshot| {
            let then = before.pipes.iter().find(|then| then.generation == pipe.generation);
            let rates = then.map(|then| (rate(then.sent, pipe.sent), rate(then.done, pipe.done)));
            Seen { pipe: pipe.clone(), rates: rates.filter(|_| pipe.phase == Phase::Moving) }
        };
        self.pipes.iter().map(seen).collect()
    }
}

fn cannot_look(error: &JoinError, query: &Query) -> Failure {
    match error {
        JoinError::Io { doing, source } if source.kind() == io::ErrorKind::Unsupported => {
            Failure::new(exit::FAILED, format!("{doing}: {source}; give the NAME of one"))
        }
        JoinError::Io { doing, source } => no_pipe(doing, source, query.dir.as_deref()),
        JoinError::Foreign { path, what }
            if query.dir.as_ref().is_some_and(|dir| dir.as_os_str() == path.as_str()) =>
        {
            let path = exit::printable(path);
            Failure::new(exit::REFUSED, format!("{path}: {what}; name the directory where the two meet"))
        }
        other => Failure::new(exit::REFUSED, other.to_string()),
    }
}

fn refused(error: &JoinError, query: &Query) -> String {
    format!("one that cannot be looked at: {}", cannot_look(error, query).message)
}

fn name_of(pipe: &Snapshot) -> String {
    format!("\u{201c}{}\u{201d}", show_job(&pipe.name))
}

/// How many bytes there will be, if the Reader is ready and knows.
fn length(pipe: &Snapshot) -> Option<u64> {
    SourceRecord::unpack(pipe.origin.as_ref()?).known_length()
}

fn role(side: Side) -> &'static str {
    match side {
        Side::Producer => "Reader",
        Side::Consumer => "Writer",
    }
}

/// Some lines for people.
fn describe(seen: &Seen) -> Vec<String> {
    let Seen { pipe, rates } = seen;
    if pipe.is_dead() {
        let what = "left by a killed pair; the next copy removes it, or `duocopy status --clean` does";
        return vec![format!("{}: {what}", name_of(pipe))];
    }
    let job = if pipe.name == pipe.job { String::new() } else { format!(": {}", show_job(&pipe.job)) };
    let mut lines = vec![format!("{}{job}", name_of(pipe))];
    for side in [Side::Producer, Side::Consumer] {
        let Some((process, user)) = who(pipe, side) else {
            lines.push(format!("  {}: {}", role(side), absent(pipe, side)));
            continue;
        };
        let user = user.map_or(String::new(), |user| format!(", user {}", exit::show_user(user)));
        let waits = pipe.waits.filter(|(waits, _)| *waits == side).map_or(String::new(), |(_, since)| {
            let since =
                if since < WATCH_EVERY { "a moment".into() } else { HumanDuration(since).to_string() };
            format!(", has waited for the other one for {since}")
        });
        lines.push(format!("  {}: process {process}{user}{waits}", role(side)));
    }
    let mut facts = vec![format!("  {}", phase(pipe))];
    if pipe.origin.is_some() {
        let of = length(pipe).map_or(String::new(), |length| {
            let percent = (u128::from(pipe.done) * 100).checked_div(length.into()).unwrap_or(100);
            format!(" of {} ({percent} %)", BinaryBytes(length))
        });
        facts.push(format!("{} read, {} written{of}", BinaryBytes(pipe.sent), BinaryBytes(pipe.done)));
    }
    if let Some((reading, writing)) = rates {
        facts.push(format!("in {}/s, out {}/s", BinaryBytes(*reading), BinaryBytes(*writing)));
    }
    if let Some(geometry) = pipe.geometry.filter(|_| pipe.origin.is_some()) {
        let size = BinaryBytes(geometry.block_size() as u64);
        facts.push(format!("{} of {} blocks of {size} filled", pipe.waiting_blocks, geometry.blocks()));
    }
    lines.push(facts.join(" · "));
    lines
}

/// The process that sits there, and its user.
fn who(pipe: &Snapshot, side: Side) -> Option<(u32, Option<u32>)> {
    match side {
        Side::Producer => pipe.producer_lives.then_some((pipe.producer, pipe.users[0])),
        Side::Consumer => pipe.consumer.map(|process| (process, pipe.users[1])),
    }
}

fn absent(pipe: &Snapshot, side: Side) -> &'static str {
    let came = match side {
        Side::Producer => pipe.producer != 0,
        Side::Consumer => pipe.target.is_some(),
    };
    if came { "gone" } else { "nobody has come yet" }
}

fn phase(pipe: &Snapshot) -> &'static str {
    match pipe.phase {
        Phase::Opening => "not begun",
        Phase::Alone => "ready",
        Phase::Moving => "copying",
        Phase::Finishing => "all read, the rest is being written",
        Phase::Committing => "being put in its place",
        Phase::Over => "ending",
    }
}

/// The same for programs.
fn fields(seen: &Seen) -> Value {
    let Seen { pipe, rates } = seen;
    let process = |side| who(pipe, side).map(|(process, user)| json!({ "process": process, "user": user }));
    json!({
        "name": show_job(&pipe.name),
        "job": show_job(&pipe.job),
        "dead": pipe.is_dead(),
        "phase": format!("{:?}", pipe.phase).to_lowercase(),
        "reader": process(Side::Producer),
        "writer": process(Side::Consumer),
        "waits": pipe.waits.map(|(side, since)| {
            json!({ "who": role(side).to_lowercase(), "seconds": since.as_secs_f64() })
        }),
        "length": length(pipe),
        "read": pipe.sent,
        "written": pipe.done,
        "read_per_second": rates.map(|rates| rates.0),
        "written_per_second": rates.map(|rates| rates.1),
        "block_size": pipe.geometry.map(blockpipe::Geometry::block_size),
        "blocks": pipe.geometry.map(blockpipe::Geometry::blocks),
        "filled_blocks": pipe.waiting_blocks,
    })
}
