//! Runs the test suites that start real processes.
//!
//! It works like the built-in harness (names, filters, `--show-output`, `RUST_TEST_THREADS`), and adds what that one
//! lacks: a test that cannot run on this machine is counted as *ignored* and listed with the reason. A test declares
//! what it needs, `#[test(needs = [strace, root])]`, or calls [`ignore`] where only the test itself can find out.
//!
//! It also makes sure that the processes that the tests start react to signals in the default way ([`signals`]).

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::cell::RefCell;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::thread;

pub use harness_macros::test;
#[doc(hidden)]
pub use inventory;

pub mod layers;
pub mod signals;

/// Finds out whether a need is met; the error is the reason why it is not.
pub type Need = fn() -> Result<(), String>;

/// A test that `#[test]` has registered.
#[derive(Debug)]
pub struct Test {
    path: &'static str,
    needs: &'static [Need],
    body: Body,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Run(fn()),
    /// Never runs on this system, for this reason.
    Ignored(&'static str),
}

inventory::collect!(Test);

impl Test {
    /// Describes a test by its path, starting with the name of the suite, and what must be met before it can run.
    pub const fn new(path: &'static str, needs: &'static [Need], run: fn()) -> Self {
        Self { path, needs, body: Body::Run(run) }
    }

    /// Describes a test that does not make sense on this system.
    pub const fn ignored(path: &'static str, reason: &'static str) -> Self {
        Self { path, needs: &[], body: Body::Ignored(reason) }
    }

    /// Returns the name that users see and filter by: the path without the name of the suite.
    fn name(&self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_, name)| name)
    }

    /// Returns the first reason why the test cannot run here.
    fn obstacle(&self) -> Option<String> {
        match self.body {
            Body::Ignored(reason) => Some(reason.into()),
            Body::Run(_) => self.needs.iter().find_map(|need| need().err()),
        }
    }

    fn run(&'static self, show_output: bool) -> Result<Completion, Failed> {
        if let Some(reason) = self.obstacle() {
            return Ok(Completion::ignored_with(reason));
        }
        let Body::Run(body) = self.body else { return Ok(Completion::ignored()) };
        // A thread of its own, which carries the test's name in messages.
        let test = thread::Builder::new().name(self.name().into()).spawn(move || {
            NOTES.with(|notes| *notes.borrow_mut() = Some(String::new()));
            let result = panic::catch_unwind(AssertUnwindSafe(body));
            (result, NOTES.take().unwrap_or_default())
        });
        let (result, notes) = test.expect("a thread for a test").join().expect("a test's panic is caught");
        match result {
            Ok(()) => {
                if show_output && !notes.is_empty() {
                    // One call, so that tests that run side by side do not mix their lines.
                    let _ =
                        std::io::stdout().write_all(format!("\n---- {}\n{notes}", self.name()).as_bytes());
                }
                Ok(Completion::Completed)
            }
            Err(payload) => match payload.downcast::<Ignored>() {
                Ok(ignored) => Ok(Completion::ignored_with(ignored.0)),
                Err(_) => Err(Failed::from(notes)),
            },
        }
    }
}

/// What unwinds a test that cannot go on.
struct Ignored(String);

/// Ends the test that calls this, which counts as ignored. The test must call it from its own thread.
///
/// Use this only where a declared need cannot find out: everything that the test has checked so far is forgotten.
pub fn ignore(reason: impl Into<String>) -> ! {
    panic::resume_unwind(Box::new(Ignored(reason.into())))
}

thread_local! {
    /// What the test that runs on this thread has printed, and the message of its panic.
    static NOTES: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Prints a line that is shown if the test fails, or with `--show-output`; takes what `println!` takes.
#[macro_export]
macro_rules! note {
    ($($text:tt)*) => { $crate::add_note(format!($($text)*)) };
}

/// Implements [`note!`].
#[doc(hidden)]
pub fn add_note(mut line: String) {
    line.push('\n');
    let of_a_test =
        NOTES.with_borrow_mut(|notes| notes.as_mut().map(|notes| notes.push_str(&line)).is_some());
    if !of_a_test {
        // Another thread, whose test is not known. Nobody reads it where standard error is closed.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Keeps the messages of panics with the notes of their test, as the built-in harness does.
fn keep_panic_messages() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if NOTES.with_borrow(Option::is_none) {
            return default(info);
        }
        add_note(info.to_string());
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            add_note(own_frames(&backtrace.to_string()));
        }
    }));
}

/// Returns the lines of a backtrace that show this workspace: each has a function, then its place below `./`.
fn own_frames(backtrace: &str) -> String {
    let lines: Vec<_> = backtrace.lines().collect();
    let is_own = |place: &str| place.trim_start().starts_with("at ./") && place.contains(".rs:");
    let own = lines.windows(2).filter(|pair| is_own(pair[1]));
    own.flatten().map(|line| line.to_string() + "\n").collect()
}

/// Runs the tests of this program that the command line selects.
pub fn run() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let threads = || std::env::var("RUST_TEST_THREADS").ok()?.parse().ok();
    arguments.test_threads = arguments.test_threads.or_else(threads);
    signals::restore_defaults_in_children();
    keep_panic_messages();
    let mut tests: Vec<_> = inventory::iter::<Test>().collect();
    tests.sort_by_key(|test| test.name());
    let show_output = arguments.show_output || arguments.nocapture;
    let trial = |test: &'static Test| Trial::ignorable_test(test.name(), move || test.run(show_output));
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect()).exit_code()
}
