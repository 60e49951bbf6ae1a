//! How long `duocopy` and other tools take to copy one large file whose contents are in the page cache.
//!
//! `cargo bench -p duocopy` measures. Without `--bench`, as under `cargo test --benches`, every candidate
//! copies a small file once and is checked, and nothing is timed. `DUOCOPY_BENCH_DIR` says where to copy,
//! `DUOCOPY_BENCH_MIB` how much and `DUOCOPY_BENCH_ROUNDS` how often.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, sync::mpsc, thread};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MIB: usize = 1 << 20;
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Argument with which this executable only writes: what the file system takes for the bytes alone. A program
/// that reserves the room beforehand, or writes from a buffer that fits the caches better, can be faster.
const WRITE_ONLY: &str = "--write-only";

/// One way to make `destination` from `source`, both in the directory in which its line runs.
struct Candidate {
    /// Commands run one after another; one that pipes or redirects is left to `sh`, which takes a millisecond.
    line: &'static str,
    /// How many processes each command is started as.
    starts: usize,
    remark: &'static str,
    /// Of the timed runs, in the order of the rounds.
    seconds: Vec<f64>,
}

fn once(line: &'static str) -> Candidate {
    Candidate { line, starts: 1, remark: "", seconds: Vec::new() }
}

fn pair(line: &'static str) -> Candidate {
    Candidate { starts: 2, remark: " (started twice)", ..once(line) }
}

/// Candidates are compared only with those that promise the same; the first of each group is its baseline.
fn groups() -> [(&'static str, Vec<Candidate>); 2] {
    let unflushed = vec![
        once("cp source destination"),
        Candidate { remark: " (again: the noise)", ..once("cp source destination") },
        once("dd if=source of=destination bs=1M status=none"),
        once("cat source | cat > destination"),
        // mbuffer flushes when its output is a file; into a pipe it cannot.
        once("mbuffer -q -m 16M -i source | cat > destination"),
        once("pv -q source > destination"),
        once("rsync --whole-file source destination"),
        pair("duocopy --fsync=none source destination"),
        once("duocopy cp --fsync=none source destination"),
        Candidate { remark: " (1 MiB writes, no copy)", ..once(WRITE_ONLY) },
    ];
    let durable = vec![
        once("cp source destination && sync -d destination"),
        once("mbuffer -q -m 16M -i source -o destination"),
        pair("duocopy source destination"),
        once("duocopy cp source destination"),
    ];
    [("nobody flushes", unflushed), ("durable: flushed to the device", durable)]
}

impl Candidate {
    fn label(&self) -> String {
        format!("{}{}", self.line, self.remark)
    }

    /// Makes `destination`, timed from the first start to the last end of a process; checks and removes it.
    fn run(&self, directory: &Path) -> Outcome<Duration> {
        let [source, destination, spare] =
            ["source", "destination", "spare"].map(|name| directory.join(name));
        let size = fs::metadata(&source)?.len();
        // The writeback of an earlier copy must not be in the way, and nor must free memory that a virtual
        // machine has handed back to its host: fetching it again can take ten times as long as the copy.
        run_step("sync", 1, directory)?;
        write_only(&spare, size / 4 * 5)?;
        fs::remove_file(spare)?;

        let steps = self.line.split(" && ");
        let elapsed = steps.map(|step| run_step(step, self.starts, directory)).sum::<Outcome<Duration>>()?;
        if self.line != WRITE_ONLY {
            run_step("cmp source destination", 1, directory)?;
        } else if fs::metadata(&destination)?.len() != size {
            return Err("wrote too little".into());
        }
        fs::remove_file(destination)?;
        Ok(elapsed)
    }
}

fn command(step: &str) -> io::Result<Command> {
    let words = if step.contains('>') { vec!["sh", "-c", step] } else { step.split(' ').collect() };
    let (program, arguments) = match words[0] {
        "duocopy" => (PathBuf::from(env!("CARGO_BIN_EXE_duocopy")), &words[1..]),
        WRITE_ONLY => (env::current_exe()?, &words[..]),
        tool => (PathBuf::from(tool), &words[1..]),
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

fn run_step(step: &str, starts: usize, directory: &Path) -> Outcome<Duration> {
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
    let mut succeeded = true;
    for child in &mut children {
        if said.is_none() {
            child.kill()?;
        }
        succeeded &= child.wait()?.success();
    }
    let elapsed = begin.elapsed();

    started.map_err(|error| format!("{step}: {error}"))?;
    let said = said.ok_or_else(|| format!("{step}: killed after {} s", TIME_LIMIT.as_secs()))?;
    let failure = || format!("{step}: failed. {}", String::from_utf8_lossy(&said)).into();
    succeeded.then_some(elapsed).ok_or_else(failure)
}

/// Marsaglia's xorshift64: bytes that do not compress, and orders that nobody chose.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn make_source(path: &Path, mib: u64, seed: &mut u64) -> Outcome<()> {
    let mut source = File::create_new(path)?;
    for _ in 0..mib {
        let bytes: Vec<u8> = (0..MIB / 8).flat_map(|_| random(seed).to_le_bytes()).collect();
        source.write_all(&bytes)?;
    }
    source.sync_all()?;
    // Into the page cache; the comparison after every copy reads it again.
    io::copy(&mut File::open(path)?, &mut io::sink())?;
    Ok(())
}

fn write_only(path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let bytes = vec![0x5a; MIB];
    (0..size / MIB as u64).try_for_each(|_| file.write_all(&bytes))
}

/// First line of what a command prints, if there is such a command.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdout(Stdio::piped()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}

fn version(tool: &str) -> Option<String> {
    first_line(&mut command(&format!("{tool} --version")).ok()?)
}

fn describe(directory: &Path, mib: u64) -> Outcome<()> {
    let ask = |line| {
        command(line).ok().and_then(|mut it| first_line(it.current_dir(directory))).unwrap_or_default()
    };
    println!("source       {mib} MiB that do not compress, in the page cache");
    println!("destination  a new file, on {}; the memory for it is at hand", ask("stat -f -c %T ."));
    println!("machine      {} cores, {}", thread::available_parallelism()?, ask("uname -srm"));
    println!("load before  {}", ask("cat /proc/loadavg"));
    for tool in ["duocopy", "cp", "sync", "dd", "cat", "mbuffer", "pv", "rsync"] {
        println!("{tool:<12} {}", version(tool).as_deref().unwrap_or("not installed, left out"));
    }
    let clones = run_step("cp --reflink=always source clone", 1, directory).is_ok();
    println!("cp here      {}", if clones { "CLONES, it does not copy" } else { "copies, it cannot clone" });
    Ok(())
}

/// The value below which so many quarters of the values lie, interpolated.
fn quartile(values: &[f64], quarters: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = quarters * (sorted.len() - 1);
    let (below, above) = (sorted[position / 4], sorted[position.div_ceil(4)]);
    below + (above - below) * (position % 4) as f64 / 4.0
}

fn report(promise: &str, candidates: &[Candidate]) {
    println!("\n{promise:<56} median s    min s  ratio  paired (quartiles)");
    for candidate in candidates {
        let (own, base) = (&candidate.seconds, &candidates[0].seconds);
        let (median, min) = (quartile(own, 2), quartile(own, 0));
        let paired: Vec<f64> = own.iter().zip(base).map(|(own, base)| own / base).collect();
        let [low, middle, high] = [1, 2, 3].map(|quarters| quartile(&paired, quarters));
        let (label, ratio) = (candidate.label(), median / quartile(base, 2));
        println!("{label:<56} {median:8.3} {min:8.3} {ratio:6.2} {middle:7.2} ({low:.2} to {high:.2})");
    }
}

fn setting(name: &str, default: u64) -> Outcome<u64> {
    let Ok(text) = env::var(name) else { return Ok(default) };
    text.parse().map_err(|error| format!("{name}={text}: {error}").into())
}

fn bench() -> Outcome<()> {
    let timed = env::args().any(|argument| argument == "--bench");
    let (mib, rounds) = if timed { (512, 9) } else { (8, 0) };
    let (mib, rounds) = (setting("DUOCOPY_BENCH_MIB", mib)?, setting("DUOCOPY_BENCH_ROUNDS", rounds)?);
    let parent = env::var_os("DUOCOPY_BENCH_DIR")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench"), PathBuf::from);
    fs::create_dir_all(&parent)?;
    let workplace = tempfile::tempdir_in(parent)?;
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let directory = workplace.path();
    make_source(&directory.join("source"), mib, &mut seed)?;
    describe(directory, mib)?;

    let mut groups = groups();
    for (_, candidates) in &mut groups {
        candidates.retain(|it| {
            it.line == WRITE_ONLY || it.line.split(' ').next().is_some_and(|tool| version(tool).is_some())
        });
    }
    // Round 0 only checks that every candidate does what it should.
    for round in 0..=rounds {
        eprintln!("round {round} of {rounds}");
        let mut order: Vec<_> = groups.iter_mut().flat_map(|(_, candidates)| candidates).collect();
        order.sort_by_cached_key(|_| random(&mut seed));
        for candidate in order {
            let failed = |error| format!("{}: {error}; no report", candidate.label());
            let elapsed = candidate.run(directory).map_err(failed)?;
            if round > 0 {
                candidate.seconds.push(elapsed.as_secs_f64());
            }
        }
    }
    if rounds > 0 {
        println!(
            "\n{rounds} rounds, all copies identical. ratio: of the medians, to the first line; paired: median"
        );
        println!("(and quartiles) of the ratios to the first line within each round.");
        for (promise, candidates) in &groups {
            report(promise, candidates);
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let outcome = if env::args().any(|argument| argument == WRITE_ONLY) {
        fs::metadata("source")
            .and_then(|it| write_only(Path::new("destination"), it.len()))
            .map_err(Into::into)
    } else {
        bench()
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    eprintln!("copy: {error}");
    ExitCode::FAILURE
}
