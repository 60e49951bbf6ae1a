//! Rounds in which every candidate does every task once, in a new random order, and the table of the times.

use super::statistics::{Random, quartile, ratios};
use super::{Link, Outcome, Peer, Task, end, measure, serve};
use std::process::{self, Command, ExitCode};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;
use std::{env, fs, thread};

/// The time limit for one candidate's task, and for each of its two processes.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// The argument with which this executable is the far process. The candidate, the task's index in [`Task::ALL`] and
/// what the transport needs follow.
const FAR: &str = "--far";

/// The parameters of every run, beside the arguments of [`run`].
const DOUBTS: [&str; 5] = [
    "Anything else that runs takes one of the cores, and waiting by spinning is lost then. \"load before\" tells.",
    "All blocks of a ring fit into the last cache of most machines; what is larger waits for memory.",
    "A pipe or a socket sleeps at once where others spin first. That counts in an answer at once.",
    "What is not touched is in a pipe or a socket a message of 16 bytes, of which hundreds are buffered.",
    "The threads' blocks are ordinary memory, which may lie in large pages. They are a bound, and no candidate.",
];

type Near = dyn Fn(Task, u64) -> Outcome<f64>;
type Far = dyn Fn(Task, &[String]) -> Outcome<()>;

/// One way to hand blocks over.
pub struct Candidate {
    label: &'static str,
    /// The tasks that it supports in its intended use.
    tasks: Vec<Task>,
    near: Box<Near>,
    far: Box<Far>,
}

impl Candidate {
    /// Two processes: `near` starts the other one with the command, to which it may add arguments for `far`.
    pub fn processes<L: Link + 'static>(
        label: &'static str,
        near: fn(Command, usize) -> Outcome<(L, Peer)>,
        far: fn(&[String], usize) -> Outcome<L>,
    ) -> Self {
        let near = move |task: Task, amount| {
            let index = Task::ALL.iter().position(|it| *it == task).ok_or("no such task")?;
            let mut command = Command::new(env::current_exe()?);
            command.args([FAR, label, &index.to_string()]);
            let (mut link, peer) = near(command, task.block_size())?;
            let nanoseconds = measure(&mut link, task, amount)?;
            end(&mut link)?;
            peer.end()?;
            Ok(nanoseconds)
        };
        let far =
            move |task: Task, arguments: &[String]| serve(&mut far(arguments, task.block_size())?, task);
        Self { label, tasks: Task::ALL.into(), near: Box::new(near), far: Box::new(far) }
    }

    /// Both sides in this process.
    pub fn threads(label: &'static str, near: fn(Task, u64) -> Outcome<f64>) -> Self {
        let far = |_: Task, _: &[String]| Err("it has no far process".into());
        Self { label, tasks: Task::ALL.into(), near: Box::new(near), far: Box::new(far) }
    }

    #[must_use]
    pub fn only(mut self, fits: fn(Task) -> bool) -> Self {
        self.tasks.retain(|task| fits(*task));
        self
    }
}

/// Ends this process if the result is not dropped in time, so that nothing hangs whatever its peer does.
fn time_limit(label: &str) -> Sender<()> {
    let (finished, late) = mpsc::channel();
    let label = label.to_owned();
    thread::spawn(move || {
        if late.recv_timeout(TIME_LIMIT) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{label}: not finished after {} s", TIME_LIMIT.as_secs());
            process::exit(1);
        }
    });
    finished
}

/// One candidate's times for one task, in the order of the rounds.
struct Line<'a> {
    candidate: &'a Candidate,
    task: Task,
    nanoseconds: Vec<f64>,
}

fn describe() {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, Into::into);
    let (kernel, load) = (read("/proc/sys/kernel/osrelease"), read("/proc/loadavg"));
    println!("- {cores} cores, {}, Linux {}", model.trim_start_matches([' ', '\t', ':']), kernel.trim());
    println!("- load before: {}", load.trim());
}

fn report(lines: &[Line]) {
    let title = match lines[0].task {
        Task::Blocks(size) => format!("Blocks of {} KiB, written and read", size >> 10),
        Task::Untouched => "A stream of blocks, not touched".into(),
        Task::PingPong => "A message, answered at once".into(),
        Task::Parked => "A message to a process that sleeps".into(),
    };
    println!("\n### {title}\n\n| | time | µs | GiB/s |\n|---|---|---|---|");
    for Line { candidate, task, nanoseconds } in lines {
        let median = quartile(nanoseconds, 2);
        let rate = match task {
            Task::Blocks(size) => format!("{:.2}", *size as f64 / median * 1e9 / f64::from(1 << 30)),
            _ => String::new(),
        };
        let ratios = ratios(nanoseconds, &lines[0].nanoseconds);
        println!("| {} | {ratios} | {:.3} | {rate} |", candidate.label, median / 1e3);
    }
}

fn setting(name: &str, default: u64) -> Outcome<u64> {
    let Ok(text) = env::var(name) else { return Ok(default) };
    text.parse().map_err(|error| format!("{name}={text}: {error}").into())
}

fn compare(candidates: &[Candidate], doubts: &[&str]) -> Outcome<()> {
    let timed = env::args().any(|argument| argument == "--bench");
    let (mib, rounds) = if timed { (512, 11) } else { (2, 0) };
    let (mib, rounds) = (setting("BLOCKPIPE_BENCH_MIB", mib)?, setting("BLOCKPIPE_BENCH_ROUNDS", rounds)?);
    let mut lines = Vec::new();
    for task in Task::ALL {
        let able = candidates.iter().filter(|candidate| candidate.tasks.contains(&task));
        lines.extend(able.map(|candidate| Line { candidate, task, nanoseconds: Vec::new() }));
    }
    describe();
    let mut random = Random::default();
    // Round 0 only checks that every candidate works.
    for round in 0..=rounds {
        eprintln!("round {round} of {rounds}");
        let mut order: Vec<_> = lines.iter_mut().collect();
        order.sort_by_cached_key(|_| random.next());
        for Line { candidate, task, nanoseconds } in order {
            let _in_time = time_limit(candidate.label);
            let failed = |error| format!("{}: {error}; no report", candidate.label);
            let taken = (candidate.near)(*task, task.amount(mib)).map_err(failed)?;
            if round > 0 {
                nanoseconds.push(taken);
            }
        }
    }
    if rounds > 0 {
        println!("- {rounds} rounds with {mib} MiB of blocks for each, everything received as it was sent");
        println!(
            "- time: per block or message, one way; ratio to the first line in the same round, median (quartiles)"
        );
        lines.chunk_by(|one, other| one.task == other.task).for_each(report);
        println!("\nTo doubt:\n");
        DOUBTS.iter().chain(doubts).for_each(|doubt| println!("- {doubt}"));
    }
    Ok(())
}

fn far(candidates: &[Candidate], arguments: &[String]) -> Outcome<()> {
    let [label, task, arguments @ ..] = arguments else { return Err("missing arguments".into()) };
    let _in_time = time_limit(label);
    let candidate = candidates.iter().find(|it| it.label == label).ok_or("no such candidate")?;
    let task = Task::ALL.get(task.parse::<usize>()?).ok_or("no such task")?;
    (candidate.far)(*task, arguments)
}

/// The whole program. The first candidate is the baseline.
pub fn run(candidates: &[Candidate], doubts: &[&str]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [first, rest @ ..] if first == FAR => {
            far(candidates, rest).map_err(|error| format!("far: {error}").into())
        }
        _ => compare(candidates, doubts),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    ExitCode::FAILURE
}
