//! A process that a test has started.

use super::system::{code_of, send};
use super::{SLOWNESS, Signal, milliseconds, pause, soon};
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A process must end within this time.
const PROCESS_LIMIT: Duration = Duration::from_secs(30 * SLOWNESS);

/// A process, which is killed if the test ends before it.
pub struct Process {
    pub(super) child: Arc<Mutex<Child>>,
    pub(super) began: Instant,
    pub(super) errors: PathBuf,
    pub(super) output: PathBuf,
    pub(super) trace: PathBuf,
    pub(super) terminal: bool,
    /// Stopped by the test until the test waits for its end.
    pub(super) paused: Cell<bool>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; a signal that killed it is negative.
    pub code: i32,
    /// What the process has reported on standard error, or on its terminal.
    pub messages: String,
    /// Standard output.
    pub output: String,
    pub took: Duration,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    pub(super) fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().expect("no panic while it is held")
    }

    /// Returns what it has reported so far.
    pub fn messages(&self) -> String {
        text_of(if self.terminal { &self.output } else { &self.errors })
    }

    /// Returns what it has written to standard output so far.
    pub fn output(&self) -> String {
        text_of(&self.output)
    }

    /// Waits until it has reported this.
    #[track_caller]
    pub fn reports(&self, text: &str) {
        let found = soon(|| self.messages().contains(text).then_some(()));
        assert!(found.is_some(), "“{text}” is not reported, but: {}", self.messages());
    }

    /// Waits until it has made this call `times` times.
    #[track_caller]
    pub fn has_called(&self, call: &str, times: usize) {
        let found = soon(|| (self.calls(call).len() >= times).then_some(()));
        assert!(found.is_some(), "not {times} times {call}: {}\n{}", self.trace(), self.messages());
    }

    /// Waits until it has written `blocks` of the [`SMALL_BLOCKS`](super::SMALL_BLOCKS). The process that creates a pipe
    /// may write, too, but never that many bytes at once.
    #[track_caller]
    pub fn has_written(&self, blocks: usize) {
        let written = || self.calls("pwrite64").iter().filter(|call| call.contains(", 65536, ")).count();
        let found = soon(|| (written() >= blocks).then_some(()));
        assert!(found.is_some(), "not {blocks} blocks: {}\n{}", self.trace(), self.messages());
    }

    /// Returns the lines about finished calls whose name begins with `call`. The process must be traced.
    pub fn calls(&self, call: &str) -> Vec<String> {
        let is_one = |line: &&str| {
            // A process id or a time may come before the name, and white space before the result.
            let name = line.split('(').next().unwrap_or_default().split_whitespace().next_back();
            let finished = line.rsplit_once(" = ").is_some_and(|(call, _)| call.trim_end().ends_with(')'));
            finished && name.is_some_and(|name| name.starts_with(call))
        };
        self.trace().lines().filter(is_one).map(Into::into).collect()
    }

    /// Returns everything that was traced so far.
    pub fn trace(&self) -> String {
        text_of(&self.trace)
    }

    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let sent = self.signal_if_there(signal);
        assert!(sent, "ended before {signal:?} could be sent: {}", text_of(&self.errors));
    }

    /// Sends the signal if the process still runs; whether it did.
    pub fn signal_if_there(&self, signal: Signal) -> bool {
        let mut child = self.child();
        // Once it has been waited for, its number may belong to another process.
        let alive = child.try_wait().expect("polling a child").is_none();
        if alive {
            send(&child, signal);
        }
        alive
    }

    /// Continues the process if it is stopped to hold a copy in the middle.
    pub fn go_on(&self) {
        if self.paused.take() {
            self.signal_if_there(Signal::CONT);
        }
    }

    /// Kills it, and waits until it is dead: on a busy machine that takes a moment.
    pub fn kill(&self) {
        let mut child = self.child();
        child.kill().expect("killing a child");
        child.wait().expect("waiting for a child");
    }

    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("polling a child")
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(self) -> Ended {
        self.end_within(PROCESS_LIMIT).unwrap_or_else(|process| {
            panic!("still running after {PROCESS_LIMIT:?}; it has reported: {}", process.messages());
        })
    }

    /// Waits for its end up to `limit`.
    #[allow(clippy::result_large_err, reason = "the caller continues with a process that has not ended")]
    pub fn end_within(self, limit: Duration) -> Result<Ended, Self> {
        self.go_on();
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                let code = code_of(status);
                let (took, output) = (self.began.elapsed(), text_of(&self.output));
                return Ok(Ended { code, messages: self.messages(), output, took });
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
    // Before the file exists there is nothing to read.
    let _ = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ended {
    /// Fails unless it has ended with this code and has reported all of these texts.
    #[track_caller]
    pub fn expect(&self, code: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        for text in texts {
            assert!(self.messages.contains(text), "“{text}” is missing in: {self:?}");
        }
        self
    }
}
