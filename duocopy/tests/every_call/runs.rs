//! Runs of a pair, with or without something that happens to one of its processes.

use crate::util::*;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The destination has a directory of its own, so anything else in it is a left-over. The source has ten blocks, of
/// which four are in memory at a time.
pub const LINE: &str = "-v --wait=30s --block-size=4K --buffer-size=16K src place/dst";
const LENGTH: usize = 40 * KIB;
/// How much of an interrupted copy is safe on the disk.
pub const SAFE: usize = 20 * KIB;
/// Within this time after one process has ended, its peer has ended too or waits for a new peer.
const AFTER_THE_CAUSE: Duration = Duration::from_secs(2);
/// A pair must end within this time; it takes milliseconds.
const PAIR_LIMIT: Duration = Duration::from_secs(15);

/// What is at the destination before the copy, and how the copy ends if no case disturbs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Nothing,
    OldFile,
    /// What a pair left that was killed after a checkpoint, at which the copy resumes.
    Interrupted,
    /// An old file. The copy fails at its end, and keeps what it has for the next one.
    Kept,
}

impl Before {
    pub const ALL: [Self; 4] = [Self::Nothing, Self::OldFile, Self::Interrupted, Self::Kept];

    pub fn prepare(self) -> Copy {
        let folder = Folder::new();
        folder.write("src", bytes(LENGTH, 1));
        folder.make("place");
        if self != Self::Nothing {
            folder.write("place/dst", OLD);
        }
        let name = [folder.text("src"), folder.text("place/dst")].join("\0");
        let mut copy = Copy { pipe: pipe_path(name.as_bytes()), folder, flags: "--partial", fails: None };
        match self {
            Self::Nothing => copy.flags = "",
            Self::OldFile => {}
            Self::Interrupted => {
                copy.interrupt("pwrite64:error=ENOSPC:when=6", 7);
                // The kill comes after the checkpoint, so the file has more than the journal records.
                copy.interrupt("pwrite64:signal=KILL:when=3", 8);
            }
            Self::Kept => copy.fails = Some("renameat:error=EIO:when=1"),
        }
        copy
    }
}

/// A copy from `src` to `place/dst` in a folder of its own.
pub struct Copy {
    pub folder: Folder,
    /// The file of its pipe, while there is one.
    pub pipe: PathBuf,
    pub flags: &'static str,
    /// What fails in the Writer besides the case, until the next copy.
    pub fails: Option<&'static str>,
}

/// What `strace` watches and injects.
pub struct Traced<'a> {
    pub role: Role,
    pub calls: &'a str,
    pub injection: Option<&'a str>,
}

/// How the processes of one run ended, and what was wrong.
#[derive(Default)]
pub struct Story {
    pub ended: Vec<Ended>,
    /// If a process that was left alone got a new peer: how many had ended before.
    pub helped: Option<usize>,
    /// The time from the first end to the last one, if no process was left alone.
    pub lasted: Duration,
    pub wrong: Vec<String>,
    /// The trace of the process that was traced.
    pub trace: String,
}

impl Copy {
    pub fn start(&self, role: Role, traced: Option<&Traced>) -> Process {
        // With the test's own LD_LIBRARY_PATH the loader would make more calls.
        let run = self.folder.duocopy(&format!("{} {LINE}", self.flags)).after("unset LD_LIBRARY_PATH");
        let traced = traced.filter(|traced| traced.role == role);
        let fails = self.fails.filter(|_| role == Role::Writer);
        if traced.is_none() && fails.is_none() {
            return run.start();
        }
        let mut flags = String::from("-f -y -e trace=");
        flags += traced.map_or("renameat", |traced| traced.calls);
        for injection in traced.and_then(|traced| traced.injection).into_iter().chain(fails) {
            flags.extend([" -e inject=", injection]);
        }
        run.traced(&flags).start()
    }

    /// Starts the second process once the first has its seat or has ended.
    pub fn pair(&self, traced: Option<&Traced>) -> [Process; 2] {
        let reader = self.start(Role::Reader, traced);
        until("the Reader's header", || (self.is_seated() || reader.ended().is_some()).then_some(()));
        [reader, self.start(Role::Writer, traced)]
    }

    /// Injects this into the Writer of a pair, whose Reader ends with this code.
    pub fn interrupt(&self, injection: &str, code: i32) {
        let traced = Traced { role: Role::Writer, calls: "pwrite64", injection: Some(injection) };
        let [reader, _] = end(self.pair(Some(&traced)));
        reader.expect(code, &[]);
    }

    /// Reads the pipe's header.
    pub fn header(&self) -> Option<[u8; pipe_header::LENGTH]> {
        let mut header = [0; pipe_header::LENGTH];
        File::open(&self.pipe).ok()?.read_exact_at(&mut header, 0).ok()?;
        Some(header)
    }

    /// Whether there is a Reader.
    pub fn is_seated(&self) -> bool {
        self.header().is_some_and(|header| word(&header, pipe_header::STATE) != 0)
    }

    /// Whether this process is the Reader and waits for a peer: nothing has begun, and there is no verdict.
    pub fn is_left_alone(&self, process: &Process) -> bool {
        self.header().is_some_and(|header| {
            let word = |at| word(&header, at);
            word(pipe_header::STATE) != 0
                && word(pipe_header::READER_PROCESS) == process.id()
                && word(pipe_header::BEGUN) == 0
                && word(pipe_header::VERDICT) as u8 == 0
        })
    }

    pub fn destination(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.path("place/dst")).ok()
    }

    /// Runs a pair to its end. A process that is left alone before the copy has begun gets a new peer.
    pub fn run(&self, traced: Option<&Traced>) -> Story {
        let (mut story, before) = (Story::default(), self.destination());
        let mut running = Vec::from(self.pair(traced));
        let (mut first_end, mut deadline) = (None, Instant::now() + PAIR_LIMIT);
        while !running.is_empty() {
            if let Some(index) = running.iter().position(|process| process.ended().is_some()) {
                let process = running.remove(index);
                story.trace += &process.trace();
                story.ended.push(process.end());
                let begun = *first_end.get_or_insert_with(Instant::now);
                story.lasted = begun.elapsed();
                if story.helped.is_none() {
                    deadline = begun + AFTER_THE_CAUSE;
                }
            } else if Instant::now() > deadline {
                let messages = running.iter().map(Process::messages).collect::<String>();
                story.wrong.push(format!("a process hangs, and has reported: {messages}"));
                return story;
            } else if running.len() == 1 && story.helped.is_none() && self.is_left_alone(&running[0]) {
                story.helped = Some(story.ended.len());
                if self.destination() != before {
                    story.wrong.push("the destination was touched before anything had begun".into());
                }
                deadline = Instant::now() + PAIR_LIMIT;
                running.push(self.start(Role::Reader, None));
            }
            pause(Duration::from_micros(500));
        }
        story
    }
}

fn word(header: &[u8], offset: u64) -> u32 {
    let offset = usize::try_from(offset).expect("an offset in the header");
    u32::from_ne_bytes(header[offset..offset + 4].try_into().expect("four bytes"))
}

/// Returns the path of the pipe with this name: its file is named by the FNV-1a hash.
fn pipe_path(name: &[u8]) -> PathBuf {
    let hash = name.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    pipes_folder().join(format!("{hash:032x}"))
}

impl Copy {
    /// Lists what is left beside the destination.
    pub fn beside(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path("place")).expect("reading a folder");
        let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
        paths.filter(|path| !path.ends_with("dst")).collect()
    }

    /// Lists what is left beside the destination and in shared memory.
    pub fn left(&self) -> Vec<PathBuf> {
        self.beside().into_iter().chain(self.pipe.exists().then(|| self.pipe.clone())).collect()
    }
}
