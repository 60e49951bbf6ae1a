//! The second process of `duocopy cp`: started here, watched, and asked last.

use crate::exit::{FAILED, Failure, NOT_KEPT, PARTNER};
use crate::options::Options;
use crate::os::Signals;
use crate::plan::Paths;
use crate::progress::Progress;
use std::ffi::OsString;
use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// A running partner.
#[derive(Debug)]
pub enum Partner {
    Started(Child),
    /// A thread waits for its end.
    Watched(JoinHandle<io::Result<Output>>),
    Lost,
}

impl Partner {
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
        Ok(Self::Started(child))
    }

    /// Begins to wait for its end.
    pub fn watch(&mut self, signals: &Signals) -> Result<(), Failure> {
        let Self::Started(child) = std::mem::replace(self, Self::Lost) else { return Ok(()) };
        let stop = signals.stop.clone();
        let watch = move || {
            let output = child.wait_with_output();
            // Without a partner there is nothing to wait for. If there is a verdict already, that counts.
            stop.store(true, Ordering::Relaxed);
            output
        };
        *self = Self::Watched(std::thread::Builder::new().spawn(watch).map_err(|error| failed(&error))?);
        Ok(())
    }

    /// Waits for its end. What it had to say is shown if this side knows less.
    pub fn conclude<T>(self, result: Result<T, Failure>, progress: &Progress) -> Result<T, Failure> {
        let output = match self {
            Self::Started(child) => child.wait_with_output().ok(),
            Self::Watched(thread) => thread.join().ok().and_then(Result::ok),
            Self::Lost => None,
        };
        let Some(output) = output else { return result };
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim_end().trim_start_matches("duocopy: ");
        match result {
            // What is missing is known here, too.
            Ok(done) if output.status.code() == Some(i32::from(NOT_KEPT)) => Ok(done),
            Ok(done) => {
                if !said.is_empty() {
                    progress.note(said);
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

fn failed(error: &io::Error) -> Failure {
    Failure::new(
        FAILED,
        format!("starting the second process: {error}; start it by hand: see duocopy --help"),
    )
}
