//! The second process of `duocopy cp`: started here, watched, and asked last.

use crate::exit::{FAILED, Failure, NOT_KEPT, PARTNER};
use crate::options::Options;
use crate::plan::Paths;
use crate::progress::Progress;
use crate::sys::Signals;
use std::ffi::OsString;
use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// A partner that nobody waits for yet.
#[derive(Debug)]
pub struct Started(Child);

/// A running partner. A thread waits for its end.
#[derive(Debug)]
pub struct Partner(JoinHandle<io::Result<Output>>);

impl Started {
    /// Starts the same program with the same paths under this name.
    pub fn start(paths: &Paths, name: &[u8], options: &Options) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe().map_err(|error| failed(&error))?);
        let (source, destination) = (paths.source(), paths.destination());
        // If this process is gone before the child arrives, the child is first, and must not wait for anybody.
        // The name is appended already, if it had to be.
        command.args(["--progress=never", "--wait=0s", "--no-target-directory"]);
        // They meet where nobody else comes.
        command.env_remove("DUOCOPY_DIR");
        command.args(options.for_the_partner(false));
        if options.stats {
            command.arg("--stats");
        }
        let name = OsString::from(String::from_utf8_lossy(name).into_owned());
        command.arg("--").arg(source).arg(destination).arg(name);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        Ok(Self(child))
    }

    /// Begins to wait for its end.
    pub fn watch(self, signals: &Signals) -> Result<Partner, Failure> {
        let stop = signals.stop.clone();
        let watch = move || {
            let output = self.0.wait_with_output();
            // Without a partner there is nothing to wait for. If there is a verdict already, that counts.
            stop.store(true, Ordering::Relaxed);
            output
        };
        Ok(Partner(std::thread::Builder::new().spawn(watch).map_err(|error| failed(&error))?))
    }
}

impl Partner {
    /// Waits for its end. What it had to say is shown if this side knows less.
    pub fn conclude<T>(self, result: Result<T, Failure>, progress: &Progress) -> Result<T, Failure> {
        let Ok(Ok(output)) = self.0.join() else { return result };
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim_end().trim_start_matches("duocopy: ");
        match result {
            Ok(done) => {
                // What is missing is known here, too.
                let known = output.status.code() == Some(i32::from(NOT_KEPT));
                for line in said.split("\nduocopy: ").filter(|line| !line.is_empty()) {
                    if line.starts_with(STATS) {
                        progress.stats(line);
                    } else if !known {
                        progress.note(line);
                    }
                }
                Ok(done)
            }
            // A child that was stopped or killed by a signal says no more than is known here.
            Err(failure)
                if failure.code == PARTNER
                    && !said.is_empty()
                    && output.status.code().is_some_and(|code| code < 128) =>
            {
                Err(Failure::new(PARTNER, format!("{}: {said}", failure.message)))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// With this begins what the Writer says for `--stats`, and nothing else.
const STATS: &str = "Writer: ";

fn failed(error: &io::Error) -> Failure {
    Failure::new(
        FAILED,
        format!("starting the second process: {error}; start it by hand: see duocopy --help"),
    )
}
