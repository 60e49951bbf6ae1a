//! One way to copy, run as whole processes.

use crate::cases::Outcome;
use crate::files;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, sync::mpsc, thread};
use wait4::Wait4;

const TIME_LIMIT: Duration = Duration::from_secs(120);
/// The system gives back what was removed after it says so, and takes one of the processors for that: up to a tenth of
/// the time of two processes.
const SETTLING: Duration = Duration::from_millis(50);
/// Argument with which this executable copies alone, through the same calls as the two processes.
pub const ALONE: &str = "--alone";
/// Argument with which this executable only writes: what the file system takes for the bytes alone. A program
/// that reserves the room beforehand, or writes from a buffer that fits the caches better, can be faster.
pub const WRITE_ONLY: &str = "--write-only";

/// One way to make `destination` from `source`, both in the directory in which its line runs.
pub struct Candidate {
    /// Commands run one after another; one that pipes or redirects is left to `sh`, which takes a millisecond.
    pub line: String,
    /// How many processes each command is started as.
    pub starts: usize,
    /// What the report calls it.
    pub label: String,
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
    /// Bytes that the largest process had in memory at once, shared ones too.
    pub memory: u64,
}

impl Candidate {
    /// Whether it is installed.
    pub fn is_there(&self) -> bool {
        let own = [WRITE_ONLY, ALONE].contains(&&*self.line);
        let first = |step: &str| step.split(' ').next().is_some_and(|tool| version(tool).is_some());
        own || self.line.split(" && ").all(first)
    }

    /// Makes `destination`, checks and removes it. `existing`: it is there before; `cold`: the source is on the disk only.
    pub fn run(&self, directory: &Path, existing: bool, cold: bool) -> Outcome<Run> {
        let [source, destination, spare] =
            ["source", "destination", "spare"].map(|name| directory.join(name));
        let size = fs::metadata(&source)?.len();
        if existing {
            files::write(&destination, size)?;
        }
        // The writeback of an earlier copy must not be in the way, and nor must free memory that a virtual
        // machine has handed back to its host: fetching it again can take ten times as long as the copy.
        if cfg!(unix) {
            run_step("sync", 1, directory)?;
        }
        files::write(&spare, files::space(&source)? / 4 * 5)?;
        fs::remove_file(spare)?;
        if cold {
            run_step("dd if=source iflag=nocache count=0 status=none", 1, directory)?;
        }
        #[expect(clippy::disallowed_methods, reason = "nobody tells when it is done")]
        thread::sleep(SETTLING);

        let mut whole = Run::default();
        for step in self.line.split(" && ") {
            let run = run_step(step, self.starts, directory)?;
            whole.elapsed += run.elapsed;
            whole.processors += run.processors;
            whole.memory = whole.memory.max(run.memory);
        }
        if files::space(&source)? < size {
            files::compare_sparse(&source, &destination)?;
        } else if self.line != WRITE_ONLY {
            files::compare(&source, &destination)?;
        } else if fs::metadata(&destination)?.len() != size {
            return Err("wrote too little".into());
        }
        fs::remove_file(destination)?;
        Ok(whole)
    }
}

/// Stands for the other build of the program, which `DUOCOPY_BENCH_OTHER` names.
pub const OTHER: &str = "other-duocopy";

/// Returns the path of the other build, if there is one.
pub fn other_build() -> Option<String> {
    env::var("DUOCOPY_BENCH_OTHER").ok()
}

pub fn command(step: &str) -> io::Result<Command> {
    let program = |word: &str| match word {
        "duocopy" => env!("CARGO_BIN_EXE_duocopy").into(),
        OTHER => other_build().unwrap_or_else(|| OTHER.into()),
        word => word.into(),
    };
    let mut words: Vec<String> = step.split(' ').map(program).collect();
    if [WRITE_ONLY, ALONE].contains(&step) {
        words.insert(0, env::current_exe()?.display().to_string());
    } else if step.contains(['>', '|']) {
        words = vec!["sh".into(), "-c".into(), words.join(" ")];
    }
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
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
    let (mut succeeded, mut processors, mut memory) = (true, Duration::ZERO, 0);
    for child in &mut children {
        if said.is_none() {
            child.kill()?;
        }
        let ended = child.wait4()?;
        succeeded &= ended.status.success();
        processors += ended.rusage.utime + ended.rusage.stime;
        memory = memory.max(ended.rusage.maxrss);
    }
    let elapsed = begin.elapsed();

    started.map_err(|error| format!("{step}: {error}"))?;
    let said = said.ok_or_else(|| format!("{step}: killed after {} s", TIME_LIMIT.as_secs()))?;
    let failure = || format!("{step}: failed. {}", String::from_utf8_lossy(&said)).into();
    succeeded.then_some(Run { elapsed, processors, memory }).ok_or_else(failure)
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
