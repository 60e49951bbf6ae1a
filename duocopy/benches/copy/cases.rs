//! What is measured.

use crate::candidate::{ALONE, Candidate, OTHER, WRITE_ONLY, command, first_line, other_build, version};
use crate::files::{self, MIB};
use crate::report;
use crate::statistics::Random;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Candidates that are measured in one run, interleaved; the first one is what the others are compared with.
struct Case {
    /// What it is called on the command line.
    key: &'static str,
    title: &'static str,
    source: Source,
    /// Whether the destination is there before.
    existing: bool,
    /// Whether the source is on the disk only.
    cold: bool,
    /// Copied in memory (a tmpfs) instead of on the disk.
    in_memory: bool,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy)]
enum Source {
    /// As many MiB as the settings say, which do not compress.
    Usual,
    Mebibytes(u64),
    Page,
    /// A length of 64 GiB with 64 pieces of 1 MiB in it.
    Sparse,
}

fn once(line: &str) -> Candidate {
    let label = format!("`{}`", line.replace('|', r"\|"));
    Candidate { line: line.into(), starts: 1, label, runs: Vec::new() }
}

fn with(remark: &str, candidate: Candidate) -> Candidate {
    Candidate { label: format!("{} ({remark})", candidate.label), ..candidate }
}

fn called(label: &str, line: &str) -> Candidate {
    Candidate { label: label.into(), ..once(line) }
}

fn pair(line: &str) -> Candidate {
    Candidate { starts: 2, ..with("started twice", once(line)) }
}

fn again(line: &str) -> Candidate {
    with("again: the noise", once(line))
}

fn case(key: &'static str, title: &'static str, candidates: Vec<Candidate>) -> Case {
    Case { key, title, source: Source::Usual, existing: false, cold: false, in_memory: false, candidates }
}

const PAIR: &str = "duocopy --fsync=none source destination";
const UNVERIFIED: &str = "duocopy --fsync=none --verify=none source destination";

fn cases() -> Vec<Case> {
    const CP: &str = "cp source destination";
    const CP_SYNC: &str = "cp source destination && sync -d destination";
    const UNCONFINED: &str = "duocopy --fsync=none --no-sandbox source destination";
    const ONE: &str = "duocopy cp --fsync=none source destination";

    let alone = || with("one process, the same calls", once(ALONE));
    if cfg!(windows) {
        // Nothing to compare with is sure to be there.
        let candidates = vec![alone(), with("again: the noise", alone()), pair(PAIR), pair(UNVERIFIED)];
        return vec![case("new", "A new file, nobody flushes", candidates)];
    }
    let write_only = || with("1 MiB writes, no copy", once(WRITE_ONLY));
    let plain = || vec![once(CP), again(CP), pair(PAIR), pair(UNVERIFIED)];
    let with_bounds = || plain().into_iter().chain([alone(), write_only()]).collect();
    let rivals = vec![
        once(CP),
        pair(PAIR),
        once("dd if=source of=destination bs=1M status=none"),
        once("cat source | cat > destination"),
        // It flushes when its output is a file; into a pipe it cannot.
        once("mbuffer -q -m 16M -i source | cat > destination"),
        once("pv -q source > destination"),
        once("tar cf - source | tar xf - --transform=s/source/destination/"),
        once("rsync --whole-file source destination"),
        once("rclone copyto source destination"),
        once("xcp source destination"),
    ];
    let flushed = vec![
        once(CP_SYNC),
        again(CP_SYNC),
        pair("duocopy source destination"),
        once("duocopy cp source destination"),
        once("mbuffer -q -m 16M -i source -o destination"),
    ];
    let read_again = vec![
        once(&format!("{CP_SYNC} && cmp source destination")),
        pair("duocopy --verify=reread source destination"),
        // `cmp` alone reads the page cache, and duocopy the disk.
        called(
            "the first one, but `cmp` reads the disk, too",
            &format!(
                "{CP_SYNC} && dd if=destination iflag=nocache count=0 status=none && cmp source destination"
            ),
        ),
    ];
    let sparse = vec![once("cp --sparse=auto source destination"), pair(PAIR), pair(UNVERIFIED)];
    let throttled = |key, title, read, write| Case {
        source: Source::Mebibytes(96),
        cold: true,
        ..case(key, title, throttled(read, write))
    };
    vec![
        case("new", "A new file, nobody flushes", with_bounds()),
        case("rivals", "A new file, nobody flushes: other tools", rivals),
        Case { existing: true, ..case("existing", "Over an existing file, nobody flushes", plain()) },
        Case {
            source: Source::Mebibytes(4096),
            ..case("large", "4 GiB, a new file, nobody flushes", with_bounds())
        },
        Case { in_memory: true, ..case("memory", "From tmpfs to tmpfs", with_bounds()) },
        case("flushed", "A new file, flushed to the disk", flushed),
        case("reread", "A new file, flushed and read again", read_again),
        Case {
            source: Source::Page,
            ..case(
                "small",
                "4 KiB, a new file, nobody flushes",
                vec![once(CP), again(CP), pair(PAIR), pair(UNCONFINED), once(ONE)],
            )
        },
        Case {
            source: Source::Sparse,
            ..case("sparse", "64 GiB with 64 MiB of data, a new file, nobody flushes", sparse)
        },
        throttled("slow", "Two slow ends, equally fast", "4000", "4000"),
        throttled(
            "bursty",
            "Two slow ends that come in bursts, in the mean equally fast",
            "32000:when=1+8",
            "32000:when=5+8",
        ),
    ]
}

/// The same copies by another build and by this one.
fn two_builds() -> Vec<Case> {
    let candidates = |line: &str| {
        let other = line.replace("duocopy", OTHER);
        vec![pair(&other), again(&other), pair(line)]
            .into_iter()
            .map(|both| Candidate { starts: 2, ..both })
            .collect()
    };
    vec![
        case("builds-new", "Two builds: a new file, nobody flushes", candidates(PAIR)),
        case(
            "builds-flushed",
            "Two builds: a new file, flushed to the disk",
            candidates("duocopy source destination"),
        ),
        Case {
            source: Source::Page,
            ..case("builds-small", "Two builds: 4 KiB, a new file, nobody flushes", candidates(PAIR))
        },
        Case {
            source: Source::Page,
            ..case(
                "builds-cp",
                "Two builds: 4 KiB with one command",
                ["other-duocopy cp", "other-duocopy cp", "duocopy cp"]
                    .map(|program| once(&format!("{program} --fsync=none source destination")))
                    .into(),
            )
        },
    ]
}

/// Calls that move half a MiB and take so many microseconds more, because strace holds them up when they are done.
fn throttled(read: &str, write: &str) -> Vec<Candidate> {
    let traced = |calls: &str| format!("strace -f -qq -o /dev/null -e trace={calls}");
    let slow = |call: &str, time: &str| format!("-e inject={call}:delay_exit={time}");
    let (reading, writing) = (slow("read", read), slow("write", write));
    // strace knows only files that are there.
    let (make, dd) = ("touch destination", "dd if=source of=destination bs=512K status=none");
    let half = format!("{} -P source {reading} duocopy read source bench", traced("read"));
    let other = slow("pwrite64", write);
    let other = format!("{} {other} duocopy write --fsync=none destination bench", traced("pwrite64"));
    let both = "-P source -P destination";
    vec![
        called(
            "the slower end alone",
            &format!("{make} && {} -P destination {writing} {dd}", traced("write")),
        ),
        called("`dd`", &format!("{make} && {} {both} {reading} {writing} {dd}", traced("read,write"))),
        called("`duocopy read`, `duocopy write`", &format!("{half} | {other}")),
    ]
}

/// Measures what the command line asks for.
pub fn measure() -> Outcome<()> {
    let timed = env::args().any(|argument| argument == "--bench");
    let wanted: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (mib, rounds) = if timed { (512, 11) } else { (8, 0) };
    let (mib, rounds) = (setting("DUOCOPY_BENCH_MIB", mib)?, setting("DUOCOPY_BENCH_ROUNDS", rounds)?);
    let mut cases = cases();
    if other_build().is_some() {
        cases.extend(two_builds());
    }
    if let Some(unknown) = wanted.iter().find(|key| cases.iter().all(|case| case.key != **key)) {
        let keys: Vec<_> = cases.iter().map(|case| case.key).collect();
        return Err(format!("there is no case {unknown}, but {}", keys.join(", ")).into());
    }
    describe(mib)?;
    for mut case in cases {
        if !wanted.is_empty() && !wanted.iter().any(|key| key == case.key) {
            continue;
        }
        if !timed && let Source::Mebibytes(_) = case.source {
            case.source = Source::Usual;
        }
        case.run(mib, rounds).map_err(|error| format!("{}: {error}; no report", case.key))?;
    }
    Ok(())
}

impl Case {
    fn run(&mut self, mib: u64, rounds: u64) -> Outcome<()> {
        let workplace = tempfile::tempdir_in(self.parent()?)?;
        let (directory, mut random) = (workplace.path(), Random::default());
        let source = directory.join("source");
        match self.source {
            Source::Usual => files::make(&source, mib * MIB as u64, &mut random)?,
            Source::Mebibytes(mib) => files::make(&source, mib * MIB as u64, &mut random)?,
            Source::Page => files::make(&source, 4096, &mut random)?,
            Source::Sparse => files::make_sparse(&source, 64, &mut random)?,
        }
        self.candidates.retain(Candidate::is_there);
        // Round 0 only checks that every candidate does what it should.
        for round in 0..=rounds {
            eprint!("\r{}: round {round} of {rounds} ", self.key);
            let mut order: Vec<_> = self.candidates.iter_mut().collect();
            order.sort_by_cached_key(|_| random.next());
            for candidate in order {
                let run = candidate
                    .run(directory, self.existing, self.cold)
                    .map_err(|error| format!("{}: {error}", candidate.label))?;
                if round > 0 {
                    candidate.runs.push(run);
                }
            }
        }
        eprintln!();
        if rounds > 0 {
            report::print(self.title, &self.candidates);
        }
        Ok(())
    }

    fn parent(&self) -> Outcome<PathBuf> {
        if self.in_memory {
            return Ok("/dev/shm".into());
        }
        let parent = env::var_os("DUOCOPY_BENCH_DIR")
            .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench"), PathBuf::from);
        fs::create_dir_all(&parent)?;
        Ok(parent)
    }
}

fn setting(name: &str, default: u64) -> Outcome<u64> {
    let Ok(text) = env::var(name) else { return Ok(default) };
    text.parse().map_err(|error| format!("{name}={text}: {error}").into())
}

fn describe(mib: u64) -> Outcome<()> {
    let ask = |line| command(line).ok().and_then(|mut it| first_line(&mut it)).unwrap_or_default();
    println!(
        "- {} cores, {}; load before: {}",
        thread::available_parallelism()?,
        ask("uname -srm"),
        ask("cat /proc/loadavg")
    );
    println!(
        "- {mib} MiB that do not compress, where no other size is said; the source is in the page cache"
    );
    let tools = ["duocopy", "cp", "dd", "cat", "mbuffer", "pv", "tar", "rsync", "rclone", "xcp"];
    let versions =
        tools.map(|tool| version(tool).unwrap_or_else(|| format!("{tool}: not installed, left out")));
    println!("- {}", versions.join("; "));
    Ok(())
}
