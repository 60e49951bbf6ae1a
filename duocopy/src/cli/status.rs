//! `duocopy status`: the pipes that exist now.

use super::args::Query;
use super::output::say;
use super::progress::rate;
use super::render::{self, Audience, quoted, role_name, show_tag};
use super::{json, output};
use console::Term;
use duocopy::status::{Phase, PipeStatus, ProcessStatus, pair, pipe, pipes, remove_dead};
use duocopy::{Error, ErrorKind, Request, Role, Signals, Stop, check_standard_output};
use indicatif::{BinaryBytes, HumanDuration};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The time over which rates are taken.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(250);
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// A pipe at one moment, and the bytes per second that passed through it just before.
struct Seen {
    pipe: PipeStatus,
    rates: Option<(u64, u64)>,
}

/// Shows the pipes, and returns the exit code.
pub fn run(query: &Query, signals: &Signals) -> u8 {
    let show = || if query.clean { clean(query) } else { list(query, &signals.stop()) };
    match check_standard_output().map_err(Failure::from).and_then(|()| show()) {
        Ok(()) => 0,
        Err(Failure::Output(error)) => output::failed(&error),
        Err(Failure::Error(code, message)) => {
            say(&message);
            code
        }
    }
}

/// Why the command failed.
enum Failure {
    /// Standard output could not be written.
    Output(io::Error),
    /// The exit code and the message.
    Error(u8, String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn list(query: &Query, stop: &Stop) -> Result<(), Failure> {
    let mut before = Sample::take(query)?;
    let (terminal, mut lines, mut is_first) = (Term::stdout(), 0, true);
    loop {
        // Only a moving pipe has a rate, which takes two samples.
        if before.is_moving() || !is_first {
            wait(if is_first { BETWEEN_SAMPLES } else { WATCH_EVERY }, stop);
            // While there is nothing to show, no write would fail.
            check_standard_output()?;
        }
        let now = Sample::take(query)?;
        let seen = now.since(&before);
        if query.json {
            for seen in &seen {
                json::object("pipe", fields(seen))?;
            }
            for error in &now.others {
                say(&refused(error, query));
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
                print(&text)?;
            }
            lines = text.lines().count();
        }
        is_first = false;
        if !query.watch {
            return match &query.name {
                Some(_) if !now.others.is_empty() => Err(failure(&now.others[0], query)),
                Some(name) if seen.is_empty() => {
                    let name = quoted(&render::show_name(name));
                    let what = format!("there is no pipe {name}; `duocopy status` shows all that exist");
                    Err(Failure::Error(1, what))
                }
                _ => Ok(()),
            };
        }
        if stop.is_requested() {
            return Ok(());
        }
        before = now;
    }
}

#[expect(clippy::disallowed_methods, reason = "an observer from outside is woken by nobody")]
fn wait(time: Duration, stop: &Stop) {
    let begun = Instant::now();
    while begun.elapsed() < time && !stop.is_requested() {
        std::thread::sleep(Duration::from_millis(25).min(time));
    }
}

fn clean(query: &Query) -> Result<(), Failure> {
    let removed = remove_dead(query.dir.as_deref()).map_err(|error| failure(&error, query))?;
    if removed.is_empty() && !query.json {
        print("nothing to remove")?;
    }
    for pipe in removed {
        let name =
            pipe.as_ref().map_or("one of another version".into(), |pipe| quoted(&show_tag(&pipe.name)));
        match pipe {
            Ok(pipe) if query.json => json::object("pipe", fields(&Seen { pipe, rates: None }))?,
            _ if query.json => {}
            _ => print(&format!("removed {name}, which a killed pair had left"))?,
        }
    }
    Ok(())
}

fn print(text: &str) -> io::Result<()> {
    output::write(&format!("{}\n", render::printable_lines(text)))
}

/// All pipes at one moment.
struct Sample {
    at: Instant,
    pipes: Vec<PipeStatus>,
    /// Why others cannot be inspected.
    others: Vec<Error>,
}

impl Sample {
    fn take(query: &Query) -> Result<Self, Failure> {
        let (at, dir) = (Instant::now(), query.dir.as_deref());
        let all = match &query.name {
            Some(name) => named(name, dir),
            None => pipes(dir).map_err(|error| failure(&error, query))?,
        };
        let (mut pipes, mut others) = (Vec::new(), Vec::new());
        for one in all {
            match one {
                Ok(pipe) => pipes.push(pipe),
                Err(error) => others.push(error),
            }
        }
        pipes.sort_by(|a, b| (a.is_dead(), &a.name).cmp(&(b.is_dead(), &b.name)));
        Ok(Self { at, pipes, others })
    }

    fn is_moving(&self) -> bool {
        self.pipes.iter().any(|pipe| pipe.phase == Phase::Moving && !pipe.is_dead())
    }

    fn since(&self, before: &Self) -> Vec<Seen> {
        let time = self.at.duration_since(before.at);
        let seen = |pipe: &PipeStatus| {
            let then = before.pipes.iter().find(|then| then.generation == pipe.generation);
            let rates =
                then.map(|then| (rate(then.read, pipe.read, time), rate(then.written, pipe.written, time)));
            Seen { pipe: pipe.clone(), rates: rates.filter(|_| pipe.phase == Phase::Moving) }
        };
        self.pipes.iter().map(seen).collect()
    }
}

/// Returns the pipe of this name, or those that are shown under it.
fn named(name: &OsStr, dir: Option<&Path>) -> Vec<Result<PipeStatus, Error>> {
    if let Some(found) = pipe(name.as_encoded_bytes(), dir).transpose() {
        return vec![found];
    }
    let of_paths =
        read_tag(name).filter_map(|(source, destination)| pair(source, destination, dir).transpose());
    let found: Vec<_> = of_paths.collect();
    if !found.is_empty() {
        return found;
    }
    // The name may have been copied from the output of `status`, which escapes some characters. Pipes that cannot be
    // inspected have no name to compare.
    let is_shown_so = |pipe: &PipeStatus| *show_tag(&pipe.name) == *name.to_string_lossy();
    pipes(dir).into_iter().flatten().flatten().filter(is_shown_so).map(Ok).collect()
}

/// Reads what [`show_tag`] shows of two paths: in every way, because a path may contain the arrow.
fn read_tag(shown: &OsStr) -> impl Iterator<Item = (&Path, &Path)> {
    const ARROW: &str = " -> ";
    let text = shown.to_str().unwrap_or_default();
    let arrows = text.char_indices().map(|(at, _)| at).filter(|at| text[*at..].starts_with(ARROW));
    let splits = arrows.map(|at| (&text[..at], &text[at + ARROW.len()..]));
    splits.map(|(source, destination)| (Path::new(source), Path::new(destination)))
}

fn failure(error: &Error, query: &Query) -> Failure {
    if matches!(error.kind, ErrorKind::Meeting { .. }) && cfg!(windows) {
        return Failure::Error(1, "pipes cannot be listed on this system; give the NAME of one".into());
    }
    let to = audience(query);
    Failure::Error(render::exit_code(error, &to, None), render::message(error, &to))
}

fn refused(error: &Error, query: &Query) -> String {
    let message = render::message(error, &audience(query));
    format!("one pipe cannot be inspected: {message}")
}

fn audience(query: &Query) -> Audience {
    let mut request = Request::read("", query.name.clone().unwrap_or_default());
    request.dir.clone_from(&query.dir);
    Audience::new(&request)
}

/// Returns some lines for people.
fn describe(seen: &Seen) -> Vec<String> {
    let Seen { pipe, rates } = seen;
    let name = quoted(&show_tag(&pipe.name));
    if pipe.is_dead() {
        let what = "left by a killed pair; the next copy removes it, or `duocopy status --clean` does";
        return vec![format!("{name}: {what}")];
    }
    let tag = if pipe.name == pipe.tag { String::new() } else { format!(": {}", show_tag(&pipe.tag)) };
    let mut lines = vec![format!("{name}{tag}")];
    let halves = [(Role::Reader, pipe.reader, pipe.came[0]), (Role::Writer, pipe.writer, pipe.came[1])];
    for (role, process, came) in halves {
        let half = role_name(role);
        let Some(ProcessStatus { process, user }) = process else {
            lines.push(format!("  {half}: {}", if came { "gone" } else { "not arrived yet" }));
            continue;
        };
        let user = user.map_or(String::new(), |user| format!(", {}", render::user(user)));
        let waits = pipe.waits.filter(|(waits, _)| *waits == role).map_or(String::new(), |(_, time)| {
            let time = if time < WATCH_EVERY { "a moment".into() } else { HumanDuration(time).to_string() };
            format!(", has waited for the other process for {time}")
        });
        lines.push(format!("  {half}: process {process}{user}{waits}"));
    }
    let mut facts = vec![format!("  {}", phase(pipe))];
    if pipe.is_ready {
        let of = pipe.length.map_or(String::new(), |length| {
            let percent = (u128::from(pipe.written) * 100).checked_div(length.into()).unwrap_or(100);
            format!(" of {} ({percent} %)", BinaryBytes(length))
        });
        facts.push(format!("{} read, {} written{of}", BinaryBytes(pipe.read), BinaryBytes(pipe.written)));
    }
    if let Some((reading, writing)) = rates {
        facts.push(format!("in {}/s, out {}/s", BinaryBytes(*reading), BinaryBytes(*writing)));
    }
    if let Some((size, blocks)) = pipe.blocks.filter(|_| pipe.is_ready) {
        facts.push(format!(
            "{} of {blocks} blocks of {} filled",
            pipe.filled_blocks,
            BinaryBytes(size as u64)
        ));
    }
    lines.push(facts.join(" · "));
    lines
}

fn phase(pipe: &PipeStatus) -> String {
    match pipe.phase {
        Phase::Opening => "not started".into(),
        Phase::Alone => {
            let (missing, came) = match pipe.reader {
                None => (Role::Reader, pipe.came[0]),
                Some(_) => (Role::Writer, pipe.came[1]),
            };
            let who = role_name(missing);
            if came {
                format!("interrupted, waiting for another {who}")
            } else {
                format!("waiting for the {who}")
            }
        }
        Phase::Moving => "copying".into(),
        Phase::Finishing => "all read, the rest is being written".into(),
        Phase::Committing => "committing".into(),
        Phase::Over => "ending".into(),
    }
}

/// Returns the fields of a pipe for programs.
fn fields(seen: &Seen) -> Value {
    let Seen { pipe, rates } = seen;
    let process =
        |half: Option<ProcessStatus>| half.map(|half| json!({ "process": half.process, "user": half.user }));
    json!({
        "name": show_tag(&pipe.name),
        "tag": show_tag(&pipe.tag),
        "dead": pipe.is_dead(),
        "phase": json::lower(&pipe.phase),
        "reader": process(pipe.reader),
        "writer": process(pipe.writer),
        "waits": pipe.waits.map(|(role, time)| json!({ "who": role, "seconds": time.as_secs_f64() })),
        "length": pipe.length,
        "read": pipe.read,
        "written": pipe.written,
        "read_per_second": rates.map(|rates| rates.0),
        "written_per_second": rates.map(|rates| rates.1),
        "block_size": pipe.blocks.map(|(size, _)| size),
        "blocks": pipe.blocks.map(|(_, blocks)| blocks),
        "filled_blocks": pipe.filled_blocks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_paths_are_read_as_they_are_shown() {
        let read = |shown: &str| -> Vec<_> {
            let paths = |(from, to): (&Path, &Path)| (from.display().to_string(), to.display().to_string());
            read_tag(shown.as_ref()).map(paths).collect()
        };
        assert_eq!(read("/a b -> /c"), [("/a b".into(), "/c".into())]);
        let ways = [("/a", "/b ->  -> /c"), ("/a -> /b", " -> /c"), ("/a -> /b -> ", "/c")];
        assert_eq!(read("/a -> /b ->  -> /c"), ways.map(|(from, to)| (from.into(), to.into())));
        let ways = [("/a", "-> /b"), ("/a ->", "/b")];
        assert_eq!(read("/a -> -> /b"), ways.map(|(from, to)| (from.into(), to.into())));
        assert_eq!((read("nightly"), read("/a->/b")), (vec![], vec![]));
    }

    #[test]
    fn a_pipe_is_described_in_some_lines() {
        let pipe = PipeStatus {
            generation: 1,
            name: b"n".into(),
            tag: b"/a\0/b".into(),
            phase: Phase::Alone,
            reader: Some(ProcessStatus { process: 7, user: None }),
            writer: None,
            came: [true, false],
            waits: Some((Role::Reader, Duration::from_millis(5))),
            length: Some(4 << 20),
            is_ready: true,
            read: 1 << 20,
            written: 0,
            blocks: Some((4096, 4)),
            filled_blocks: 2,
        };
        let lines = describe(&Seen { pipe: pipe.clone(), rates: None });
        assert_eq!(
            lines,
            [
                "\u{201c}n\u{201d}: /a -> /b",
                "  Reader: process 7, has waited for the other process for a moment",
                "  Writer: not arrived yet",
                "  waiting for the Writer · 1.00 MiB read, 0 B written of 4.00 MiB (0 %) · 2 of 4 blocks of 4.00 KiB filled"
            ]
        );
        let writer = pipe.reader;
        let after_a_death = [
            (PipeStatus { came: [true; 2], ..pipe.clone() }, "interrupted, waiting for another Writer"),
            (PipeStatus { reader: None, writer, ..pipe }, "interrupted, waiting for another Reader"),
        ];
        for (pipe, expected) in after_a_death {
            assert_eq!(phase(&pipe), expected);
        }
    }
}
