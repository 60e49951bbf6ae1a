//! A fresh folder for each test, the program in it as a command object, and a limit for everything that waits.

#![allow(dead_code, reason = "each test program uses a part of this")]

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

pub use system::*;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_duocopy");
pub const KIB: usize = 1 << 10;
pub const MIB: usize = 1 << 20;

/// A whole test must be over after this.
pub const TEST_LIMIT: Duration = Duration::from_secs(60 * SLOWNESS);
/// One process must be over after this.
const PROCESS_LIMIT: Duration = Duration::from_secs(30 * SLOWNESS);
/// Something that is about to happen must have happened after this.
const SOON: Duration = Duration::from_secs(10 * SLOWNESS);

/// What a destination had before.
pub const OLD: &[u8] = b"what was there before";

/// Small blocks and 20 ms for each write: 2 MiB take most of a second, in 32 steps.
pub const SMALL_BLOCKS: &str = "--block-size=64K --buffer-size=256K";
pub const SLOW_WRITES: &str = "-e trace=pwrite64 -e inject=pwrite64:delay_enter=20000";

/// Says that something was not tested, and why. Seen with `cargo test -- --show-output`.
pub fn left_out(what: &str) {
    note!("LEFT OUT: {what}");
}

/// What stands for a test that makes no sense on Windows: it says so, and why.
#[macro_export]
macro_rules! left_out_on_windows {
    ($test:ident, $why:literal) => {
        #[cfg(windows)]
        #[test]
        fn $test() {
            $crate::util::left_out(concat!(stringify!($test), ": ", $why));
        }
    };
}

/// Whether tests may take minutes and write gigabytes.
pub fn large(what: &str) -> bool {
    let large = std::env::var_os("DUOCOPY_LARGE").is_some_and(|value| value == "1");
    if !large {
        left_out(&format!("{what}: needs DUOCOPY_LARGE=1"));
    }
    large
}

/// Whether processes can be slowed down and looked at. Without this, `what` is left out.
pub fn strace(what: &str) -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let works = *WORKS.get_or_init(|| succeeds(Command::new("strace").args(["-o", "/dev/null", "true"])));
    if !works {
        left_out(&format!("{what}: strace is missing or may not trace"));
    }
    works
}

pub fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Waits for something outside of this process, which rings no bell.
#[expect(clippy::disallowed_methods, reason = "tests look at other processes from outside")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

pub fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Looks every two milliseconds until there is something, and fails with `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    soon(look).unwrap_or_else(|| panic!("waited {SOON:?} in vain: {what}"))
}

fn soon<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + SOON;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        pause(milliseconds(2));
    }
}

/// Bytes that repeat nowhere, the same for the same seed.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::of(seed);
    let mut bytes = vec![0; length.next_multiple_of(8)];
    bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&random.next().to_le_bytes()));
    bytes.truncate(length);
    bytes
}

/// Marsaglia's xorshift: enough for contents and for moments.
pub struct Random(u64);

impl Random {
    /// A new seed each time, which is printed so that a failure can be repeated.
    pub fn new(what: &str) -> Self {
        let given = std::env::var("DUOCOPY_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64;
        let seed = given.unwrap_or(now) | 1;
        note!("{what}: DUOCOPY_SEED={seed}");
        Self(seed)
    }

    /// The same each time.
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

/// All processes of this test program, for the watchdog.
static CHILDREN: Mutex<Vec<Weak<Mutex<Child>>>> = Mutex::new(Vec::new());

/// Ends the whole test program, with its children, if a test hangs.
struct Watchdog {
    /// Dropped at the end of the test, which the thread notices.
    _end: Sender<()>,
}

impl Watchdog {
    fn new(limit: Duration) -> Self {
        let (sender, end) = mpsc::channel();
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        std::thread::spawn(move || {
            if end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // Not `print!`, which the harness would keep to itself until the end of the test.
                let _ = writeln!(io::stderr(), "\n{test}: not over after {limit:?}");
                for child in CHILDREN.lock().iter().flat_map(|all| all.iter()).filter_map(Weak::upgrade) {
                    let _ = child.lock().map(|mut child| child.kill());
                }
                std::process::abort();
            }
        });
        Self { _end: sender }
    }
}

/// A fresh folder, removed with everything in it at the end of the test.
pub struct Folder {
    place: TempDir,
    started: Cell<usize>,
    _watchdog: Watchdog,
}

impl Folder {
    pub fn new() -> Self {
        Self::with_limit(TEST_LIMIT)
    }

    /// For a test that may take longer than the others.
    pub fn with_limit(limit: Duration) -> Self {
        let place = tempfile::Builder::new().prefix("duocopy-test-").tempdir().expect("a fresh folder");
        Self { place, started: Cell::new(0), _watchdog: Watchdog::new(limit) }
    }

    /// The path of this name in the folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.place.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        plain(self.path(name).to_str().expect("a readable path"))
    }

    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("writing into the folder");
        path
    }

    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn make(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("making a directory");
        path
    }

    pub fn is_there(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Whether the Writer has said that it is about to rename (`ring.rs` of the library).
    pub fn is_committing(&self) -> bool {
        let mut verdict = [0; 8];
        let read = self.pipe().and_then(|pipe| pipe.read_exact_at(&mut verdict, 2560).ok());
        read.is_some() && u64::from_ne_bytes(verdict) & 0xff == 1
    }

    #[track_caller]
    pub fn assert_same(&self, one: impl AsRef<Path>, other: impl AsRef<Path>) {
        // Not `assert_eq!`: nobody wants to read two files in a failure.
        let equal = self.read(&one) == self.read(&other);
        assert!(equal, "{} and {} differ", one.as_ref().display(), other.as_ref().display());
    }

    /// What copies have left in this folder or a subfolder of it: temporary files and journals.
    pub fn temporaries(&self, name: impl AsRef<Path>) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path(name)).expect("reading a folder");
        let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
        let is_one = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(".duocopy-")
        };
        paths.filter(is_one).collect()
    }

    /// The one with this ending, if it is there.
    pub fn left_over(&self, ending: &str) -> Option<PathBuf> {
        self.temporaries("").into_iter().find(|path| path.extension().is_some_and(|it| it == ending))
    }

    /// Whether a journal says that something of the copy is on the disk.
    pub fn has_checkpoint(&self) -> bool {
        let journal = self.left_over("journal").and_then(|path| fs::read(path).ok());
        journal.is_some_and(|content| content.len() == 1536 && content[512..].iter().any(|byte| *byte != 0))
    }

    /// The program, with this folder as its working directory and with these words.
    pub fn duocopy(&self, line: &str) -> Run<'_> {
        Run {
            folder: self,
            program: PROGRAM.into(),
            words: line.split_whitespace().map(OsString::from).collect(),
            trace: None,
            shell: None,
            user: None,
            around: Vec::new(),
            terminal: false,
            own_group: false,
        }
    }

    fn start(&self, mut command: Command, terminal: bool) -> Process {
        let number = self.started.replace(self.started.get() + 1);
        let file = |what: &str| self.path(format!("{what}-{number}"));
        let (errors, output) = (file("stderr"), file("stdout"));
        let open = |path: &Path| File::create(path).expect("making a file for what a process says");
        command.current_dir(self.place.path()).stdin(Stdio::null());
        command.stderr(open(&errors)).stdout(open(&output));
        // What the surroundings say must not matter.
        command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env_remove("COLUMNS");
        let began = Instant::now();
        let spawned = soon(|| Some(command.spawn()).filter(|child| !child.as_ref().is_err_and(passes)));
        let child = spawned.expect("not for ever").unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let child = Arc::new(Mutex::new(child));
        CHILDREN.lock().expect("no panic while it is held").push(Arc::downgrade(&child));
        Process { child, began, errors, output, trace: file("trace"), terminal, paused: Cell::new(false) }
    }
}

/// The program about to be run.
pub struct Run<'a> {
    folder: &'a Folder,
    program: PathBuf,
    words: Vec<OsString>,
    trace: Option<String>,
    shell: Option<String>,
    /// User and group.
    user: Option<(u32, u32)>,
    around: Vec<OsString>,
    terminal: bool,
    own_group: bool,
}

impl Run<'_> {
    /// One more word, which may contain anything.
    pub fn word(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().into());
        self
    }

    /// Another build of the program.
    pub fn built_as(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Looked at and slowed down by `strace` with these flags.
    pub fn traced(mut self, flags: &str) -> Self {
        self.trace = Some(flags.into());
        self
    }

    /// After this line of shell, in the same process.
    pub fn after(mut self, line: &str) -> Self {
        self.shell = Some(line.into());
        self
    }

    /// By this command, which ends in running another one.
    pub fn inside(mut self, command: &str) -> Self {
        self.around = command.split_whitespace().map(OsString::from).collect();
        self
    }

    /// On a terminal of its own; what it says is what the terminal shows.
    pub fn on_a_terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// In a process group of its own, as a shell starts what somebody types.
    pub fn in_its_own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    pub fn start(self) -> Process {
        let mut words = self.around;
        if let Some(line) = &self.shell {
            words.extend(["sh", "-c", &format!("{line}; exec \"$@\""), "sh"].map(OsString::from));
        }
        if let Some(flags) = &self.trace {
            // -D: the program itself is our child, and `strace` a grandchild that goes away with it.
            words.extend(["strace", "-D", "-q", "-o"].map(OsString::from));
            words.push(self.folder.path(format!("trace-{}", self.folder.started.get())).into());
            words.extend(flags.split_whitespace().map(OsString::from));
        }
        words.push(self.program.into());
        words.extend(self.words);
        if self.terminal {
            let quoted = words.iter().map(|word| format!("'{}'", word.to_str().expect("a readable word")));
            let line = format!("exec {}", quoted.collect::<Vec<_>>().join(" "));
            words = ["script", "-qec", &line, "/dev/null"].map(OsString::from).into();
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        surround(&mut command, self.user, self.own_group);
        self.folder.start(command, self.terminal)
    }

    /// Runs it to its end.
    pub fn end(self) -> Ended {
        self.start().end()
    }

    /// Starts it as the first of two, and waits until it knows that.
    pub fn start_reader(mut self) -> Process {
        self.words.insert(0, "-v".into());
        let reader = self.start();
        reader.says("this is the Reader");
        reader
    }

    /// Starts it as the second of two.
    pub fn start_writer(mut self) -> Process {
        self.words.insert(0, "-v".into());
        self.start()
    }
}

/// Starts the Reader, and then the Writer.
pub fn pair(reader: Run, writer: Run) -> [Process; 2] {
    let reader = reader.start_reader();
    [reader, writer.start_writer()]
}

/// A pair in the middle of a copy of `src` to `dst`, of 2 MiB.
pub fn in_the_middle(folder: &Folder) -> [Process; 2] {
    held_in_the_middle(folder, &format!("{HELD_BLOCKS} src dst"))
}

/// A pair in the middle of a copy of `src` to `dst`, as long as [`LONG`], after its first checkpoint.
pub fn after_a_checkpoint(folder: &Folder, flags: &str) -> [Process; 2] {
    let processes = held_in_the_middle(folder, &format!("{HELD_BLOCKS} {flags} src dst"));
    until("the first checkpoint", || folder.has_checkpoint().then_some(()));
    processes
}

/// Both must end complete.
#[track_caller]
pub fn complete(processes: [Process; 2]) {
    for ended in end(processes) {
        ended.expect(0, &[]);
    }
}

/// Both run to their end.
pub fn end([reader, writer]: [Process; 2]) -> [Ended; 2] {
    [reader.end(), writer.end()]
}

/// A running process. It is killed if the test ends before it.
pub struct Process {
    child: Arc<Mutex<Child>>,
    began: Instant,
    errors: PathBuf,
    output: PathBuf,
    trace: PathBuf,
    terminal: bool,
    /// Stopped by the test until it wants to see the end.
    paused: Cell<bool>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; a signal that killed it is negative.
    pub code: i32,
    /// What it said on standard error, or on its terminal.
    pub said: String,
    /// Standard output.
    pub output: String,
    pub took: Duration,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().expect("no panic while it is held")
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        text_of(if self.terminal { &self.output } else { &self.errors })
    }

    /// What came out of it so far.
    pub fn output(&self) -> String {
        text_of(&self.output)
    }

    /// Waits until it says this.
    #[track_caller]
    pub fn says(&self, text: &str) {
        let found = soon(|| self.said().contains(text).then_some(()));
        assert!(found.is_some(), "“{text}” is not said, but: {}", self.said());
    }

    /// Waits until it has made this call so many times.
    #[track_caller]
    pub fn has_called(&self, call: &str, times: usize) {
        let found = soon(|| (self.calls(call).len() >= times).then_some(()));
        assert!(found.is_some(), "not {times} times {call}: {}\n{}", self.trace(), self.said());
    }

    /// The lines about finished calls whose name begins like this. Only of a process that is traced.
    pub fn calls(&self, call: &str) -> Vec<String> {
        let is_one = |line: &&str| {
            // A process id or a time may come before the name, and white space before the result.
            let name = line.split('(').next().unwrap_or_default().split_whitespace().next_back();
            let finished = line.rsplit_once(" = ").is_some_and(|(call, _)| call.trim_end().ends_with(')'));
            finished && name.is_some_and(|name| name.starts_with(call))
        };
        self.trace().lines().filter(is_one).map(Into::into).collect()
    }

    /// All that was traced so far.
    pub fn trace(&self) -> String {
        text_of(&self.trace)
    }

    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let sent = self.signal_if_there(signal);
        assert!(sent, "ended before {signal:?} could be sent: {}", text_of(&self.errors));
    }

    /// Sends it if the process still runs; whether it did.
    pub fn signal_if_there(&self, signal: Signal) -> bool {
        let mut child = self.child();
        // Only while it is ours: its number may be somebody else's after that.
        let alive = child.try_wait().expect("looking at a child").is_none();
        if alive {
            send(&child, signal);
        }
        alive
    }

    /// If it was suspended to hold a copy in its middle.
    pub fn go_on(&self) {
        if self.paused.take() {
            self.signal_if_there(Signal::CONT);
        }
    }

    pub fn kill(&self) {
        self.child().kill().expect("killing a child");
    }

    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("looking at a child")
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn end(self) -> Ended {
        self.end_within(PROCESS_LIMIT).unwrap_or_else(|process| {
            panic!("still running after {PROCESS_LIMIT:?}; said: {}", process.said());
        })
    }

    /// Waits so long for its end.
    #[allow(clippy::result_large_err, reason = "the caller goes on with a process that has not ended")]
    pub fn end_within(self, limit: Duration) -> Result<Ended, Self> {
        self.go_on();
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                let code = code_of(status);
                let (took, output) = (self.began.elapsed(), text_of(&self.output));
                return Ok(Ended { code, said: self.said(), output, took });
            }
            if Instant::now() > deadline {
                return Err(self);
            }
            pause(milliseconds(1));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child();
        if let Ok(None) = child.try_wait() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn text_of(path: &Path) -> String {
    let mut bytes = Vec::new();
    // A file that is not there yet says nothing.
    let _ = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ended {
    /// Fails unless it ended with this code and said all of this.
    #[track_caller]
    pub fn expect(&self, code: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        for text in texts {
            assert!(self.said.contains(text), "“{text}” is missing in: {self:?}");
        }
        self
    }
}
