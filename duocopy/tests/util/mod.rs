//! What the tests of the program share: a fresh folder for each test, the program as a command object, and a limit for
//! everything that waits.

#![allow(dead_code, reason = "each system uses a part of this")]

mod folder;
#[cfg(all(target_os = "linux", not(blockpipe_portable)))]
pub mod fuse;
#[cfg(target_os = "linux")]
pub mod mounts;
pub mod needs;
pub mod pipe_header;
mod process;
mod run;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;
mod watchdog;

pub use folder::Folder;
pub use process::{Ended, Process};
pub use run::Run;
pub use system::*;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_duocopy");
pub const KIB: usize = 1 << 10;
pub const MIB: usize = 1 << 20;

/// A whole test must be over after this time.
pub const TEST_LIMIT: Duration = Duration::from_secs(60 * SLOWNESS);
/// What a test waits for must happen within this time.
const SOON: Duration = Duration::from_secs(10 * SLOWNESS);

/// The content of a destination before a copy.
pub const OLD: &[u8] = b"what was there before";

/// Small blocks. With [`SLOW_WRITES`], which delays each write by 20 ms, 2 MiB take most of a second in 32 steps.
pub const SMALL_BLOCKS: &str = "--block-size=64K --buffer-size=256K";
pub const SLOW_WRITES: &str = "-e trace=pwrite64 -e inject=pwrite64:delay_enter=20000";

/// The job of two processes that were started as `duocopy read` and `duocopy write`.
pub const HALVES: &str = "`duocopy read` and `duocopy write`";

/// One of the two processes of a copy. As an index it selects from a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Reader,
    Writer,
}

/// Returns the path of the manual in the repository.
pub fn manual() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md")
}

/// Returns the path of the example `embed`, which lies beside the test's own directory.
pub fn example() -> PathBuf {
    let suite = std::env::current_exe().expect("a test knows its executable");
    let target = suite.parent().and_then(Path::parent).expect("target/*/deps");
    target.join("examples").join("embed").with_extension(std::env::consts::EXE_EXTENSION)
}

/// Runs a command without any output; whether it succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Sleeps, to wait for something outside this process that cannot wake it.
#[expect(clippy::disallowed_methods, reason = "tests poll other processes from outside")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

pub fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Polls every two milliseconds until there is a result, and fails with `what` if there is none soon.
#[track_caller]
pub fn until<T>(what: &str, poll: impl FnMut() -> Option<T>) -> T {
    soon(poll).unwrap_or_else(|| panic!("waited {SOON:?} in vain: {what}"))
}

fn soon<T>(mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + SOON;
    loop {
        let found = poll();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        pause(milliseconds(2));
    }
}

/// Returns pseudo-random bytes, the same ones for the same seed.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::of(seed);
    let mut bytes = vec![0; length.next_multiple_of(8)];
    bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&random.next().to_le_bytes()));
    bytes.truncate(length);
    bytes
}

/// Marsaglia's xorshift, which is good enough to choose contents and moments.
pub struct Random(u64);

impl Random {
    /// Takes the seed from `DUOCOPY_SEED` or from the clock, and prints it so that a failure can be repeated.
    pub fn new(what: &str) -> Self {
        let given = std::env::var("DUOCOPY_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64;
        let seed = given.unwrap_or(now) | 1;
        note!("{what}: DUOCOPY_SEED={seed}");
        Self(seed)
    }

    /// Starts from this seed.
    pub fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Starts the Reader, and once it has its role the Writer.
pub fn pair(reader: Run, writer: Run) -> [Process; 2] {
    let reader = reader.start_reader();
    [reader, writer.start_writer()]
}

/// Starts a pair and returns it in the middle of its copy from `src`, of 2 MiB, to `dst`.
pub fn in_the_middle(folder: &Folder) -> [Process; 2] {
    held_in_the_middle(folder, &format!("{HELD_BLOCKS} src dst"))
}

/// Starts a pair and returns it after the first checkpoint of its copy from `src`, as long as [`LONG`], to `dst`.
pub fn after_a_checkpoint(folder: &Folder, flags: &str) -> [Process; 2] {
    let processes = held_in_the_middle(folder, &format!("{HELD_BLOCKS} {flags} src dst"));
    until("the first checkpoint", || folder.has_checkpoint().then_some(()));
    processes
}

/// Waits for both processes, which must complete the copy.
#[track_caller]
pub fn complete(processes: [Process; 2]) {
    for ended in end(processes) {
        ended.expect(0, &[]);
    }
}

/// Waits for the end of both processes.
pub fn end([reader, writer]: [Process; 2]) -> [Ended; 2] {
    [reader.end(), writer.end()]
}

/// Waits until this process is the Writer of a copy from `src` to `dst`.
pub fn seated(folder: &Folder, writer: &Process) {
    until("the Writer's process number in the header", || {
        let mut id = [0; 4];
        folder.pipe()?.read_exact_at(&mut id, pipe_header::WRITER_PROCESS).ok()?;
        (u32::from_ne_bytes(id) == writer.id()).then_some(())
    });
    // It writes the number before it takes the seat.
    pause(milliseconds(50));
}

/// Fails unless both processes have ended with this code and these texts, and the destination is what it was.
#[track_caller]
pub fn both_fail(folder: &Folder, processes: [Process; 2], code: i32, texts: &[&str]) {
    let old = folder.content("dst");
    for ended in end(processes) {
        ended.expect(code, texts);
    }
    folder.assert_untouched(old.as_deref());
}
