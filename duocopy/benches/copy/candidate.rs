//! One way to copy, run as whole processes.

use crate::cases::Outcome;
use crate::files;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, sync::mpsc, thread};
use wait4::Wait4;

const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Argument with which this executable only writes: what the file system takes for the bytes alone. A program
/// that reserves the room beforehand, or writes from a buffer that fits the caches better, can be faster.
pub const WRITE_ONLY: &str = "--write-only";

/// One way to make `destination` from `source`, both in the directory in which its line runs.
pub struct Candidate {
    /// Commands run one after another; one that pipes or redirects is left to `sh`, which takes a millisecond.
    pub line: &'static str,
    /// How many processes each command is started as.
    pub starts: usize,
    pub remark: &'static str,
    /// The timed ones, in the order of the rounds.
    pub runs: Vec<Run>,
}

/// What one copy cost.
#[derive(Clone, Copy, Default)]
pub struct Run {
    /// From the first start to the last end of a process.
    pub elapsed: Duration,
    /// Of all its processes.
    pub processors: Duration,
}

impl Candidate {
    pub fn label(&self) -> String {
        format!("`{}`{}", self.line, self.remark)
    }

    /// Whether it is installed.
    pub fn is_there(&self) -> bool {
        self.line == WRITE_ONLY || self.line.split(' ').next().is_some_and(|tool| version(tool).is_some())
    }

    /// Makes `destination`, checks and removes it.
    pub fn run(&self, directory: &Path, existing: bool) -> Outcome<Run> {
        let [source, destination, spare] =
            ["source", "destination", "spare"].map(|name| directory.join(name));
        let size = fs::metadata(&source)?.len();
        if existing {
            files::write(&destination, size)?;
        }
        // The writeback of an earlier copy must not be in the way, and nor must free memory that a virtual
        // machine has handed back to its host: fetching it again can take ten times as long as the copy.
        run_step("sync", 1, directory)?;
        files::write(&spare, files::space(&source)? / 4 * 5)?;
        fs::remove_file(spare)?;

        let mut whole = Run::default();
        for step in self.line.split(" && ") {
            let run = run_step(step, self.starts, directory)?;
            whole.elapsed += run.elapsed;
            whole.processors += run.processors;
        }
        if files::space(&source)? < size {
            files::compare_sparse(&source, &destination)?;
        } else if self.line != WRITE_ONLY {
            run_step("cmp source destination", 1, directory)?;
        } else if fs::metadata(&destination)?.len() != size {
            return Err("wrote too little".into());
        }
        fs::remove_file(destination)?;
        Ok(whole)
    }
}

pub fn command(step: &str) -> io::Result<Command> {
    let words = if step.contains(['>', '|']) { vec!["sh", "-c", step] } else { step.split(' ').collect() };
    let (program, arguments) = match words[0] {
        "duocopy" => (PathBuf::from(env!("CARGO_BIN_EXE_duocopy")), &words[1..]),
        WRITE_ONLY => (env::current_exe()?, &words[..]),
        tool => (PathBuf::from(tool), &words[1..]),
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

fn run_step(step: &str, starts: usize, directory: &Path) -> Outcome<Run> {
    // All processes share one pipe for complaints. It ends when the last of them has ended, which is how to
    // wait for several processes with a time limit and without polling.
    let (mut complaints, pipe) = io::pipe()?;
    let mut commands = Vec::new();
    for _ in 0..starts {
        let mut command = command(step)?;
        command.current_dir(directory).stderr(pipe.try_clone()?);
        commands.push(command);
    }
    drop(pipe);
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = complaints.read_to_end(&mut text);
        let _ = sender.send(text);
    });

    let begin = Instant::now();
    let mut children = Vec::new();
    let started =
        commands.iter_mut().try_for_each(|command| command.spawn().map(|child| children.push(child)));
    drop(commands);
    let said = started.is_ok().then(|| ended.recv_timeout(TIME_LIMIT).ok()).flatten();
    let (mut succeeded, mut processors) = (true, Duration::ZERO);
    for child in &mut children {
        if said.is_none() {
            child.kill()?;
        }
        let ended = child.wait4()?;
        succeeded &= ended.status.success();
        processors += ended.rusage.utime + ended.rusage.stime;
    }
    let elapsed = begin.elapsed();

    started.map_err(|error| format!("{step}: {error}"))?;
    let said = said.ok_or_else(|| format!("{step}: killed after {} s", TIME_LIMIT.as_secs()))?;
    let failure = || format!("{step}: failed. {}", String::from_utf8_lossy(&said)).into();
    succeeded.then_some(Run { elapsed, processors }).ok_or_else(failure)
}

/// First line of what a command prints, if there is such a command.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdout(Stdio::piped()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}

pub fn version(tool: &str) -> Option<String> {
    first_line(&mut command(&format!("{tool} --version")).ok()?)
}
