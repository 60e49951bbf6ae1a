//! The second process of `duocopy cp`: it gets its request as one JSON document on standard input, and returns events
//! and its result as lines of JSON on standard output. The errors that it cannot report go to the shared standard
//! error.

use super::feed::FeedSender;
use super::half::POLL;
use crate::api::{Aftermath, Error, ErrorKind, Event, Outcome, Request, Stop};
use crate::session::Place;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// The only argument of a second process. It cannot be meant as a file, because a copy needs two.
pub const ARGUMENT: &str = "--second-process";

/// How much longer to wait for the second process once this one was asked to stop.
const SECOND_PROCESS_LIMIT: Duration = Duration::from_secs(2);

/// The exit code of a dynamic loader that cannot load the program.
const NOT_STARTED: i32 = 127;

/// Returns whether a process with these arguments was started as a second process.
pub fn is_second(arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.skip(1).eq([ARGUMENT])
}

fn check_is_first(arguments: impl Iterator<Item = OsString>) -> Result<(), Error> {
    if is_second(arguments) {
        let forgotten = "this process is a second process itself, and has not called second_process";
        return Err(failed(io::Error::other(forgotten)));
    }
    Ok(())
}

/// The request of a copy and its pipe, as the first process sends them to the second one.
#[derive(Serialize, Deserialize)]
pub struct Task {
    pub request: Request,
    pub pipe: Place,
}

/// A line from the second process.
#[derive(Serialize, Deserialize)]
pub enum Line {
    Event(Event),
    End(Result<Outcome, Error>),
}

/// A second process that was started, but is not watched yet.
#[derive(Debug)]
pub struct Started(Child);

/// A second process whose end a thread waits for, and reports here with the result of that process.
#[derive(Debug)]
pub struct Watched(Receiver<Option<Result<Outcome, Error>>>);

impl Started {
    /// Starts the second process of this request, which is to meet this one at this pipe.
    ///
    /// A second process starts no other one. A program that forgets to call [`second_process`](crate::second_process)
    /// would otherwise start itself without end.
    pub fn start(request: &Request, pipe: &Place) -> Result<Self, Error> {
        check_is_first(std::env::args_os())?;
        let program = request.second_process.as_ref().map_or_else(own_program, |it| Ok(Command::new(it)));
        let mut child = program
            .map_err(failed)?
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        // If this process is gone before the second one arrives, the second one must not wait for another.
        let request = Request { connect_timeout: Some(Duration::ZERO), ..request.clone() };
        let task = Task { request, pipe: pipe.clone() };
        let task = serde_json::to_vec(&task).expect("plain data has a JSON form");
        if let Some(mut input) = child.stdin.take() {
            // If the process has died already, the thread that watches it will notice.
            let _ = input.write_all(&task);
        }
        Ok(Self(child))
    }

    /// Starts a thread that passes on the events of the second process, and sets `ended` once it ends.
    pub fn watch(mut self, ended: &Arc<AtomicBool>, feed: FeedSender) -> Result<Watched, Error> {
        let ended = Arc::clone(ended);
        let (sender, watched) = mpsc::channel();
        let watch = move || {
            let mut end = None;
            let output = self.0.stdout.take().map(BufReader::new);
            for line in output.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(Line::Event(event)) => feed.send(event),
                    Ok(Line::End(result)) => end = Some(result),
                    // A second process is of the same version, so this line is not from one.
                    Err(_) => break,
                }
            }
            let status = self.0.wait();
            if end.is_none() && status.is_ok_and(|status| status.code() == Some(NOT_STARTED)) {
                end = Some(Err(failed(io::Error::other("it could not be loaded"))));
            }
            // Stops every wait for this peer. A verdict that was reached before still counts.
            ended.store(true, Ordering::Relaxed);
            let _ = sender.send(end);
        };
        std::thread::Builder::new().spawn(watch).map_err(failed)?;
        Ok(Watched(watched))
    }
}

/// Returns the command that starts the program of this process again.
///
/// Without `/proc` the system may not know the program, and `argv[0]` has to tell. If the user has started the dynamic
/// loader with the program as its argument, the loader is what the system knows.
fn own_program() -> io::Result<Command> {
    let called = std::env::args_os().next().filter(|name| !name.is_empty());
    match (std::env::current_exe(), called) {
        (Ok(program), Some(called)) if is_loader(&program) => {
            let mut command = Command::new(program);
            command.arg(called);
            Ok(command)
        }
        (Ok(program), _) => Ok(Command::new(program)),
        (Err(_), Some(called)) => Ok(Command::new(called)),
        (Err(error), None) => Err(error),
    }
}

/// Returns whether this is a dynamic loader, such as `ld-linux-x86-64.so.2`, and not a program.
fn is_loader(program: &Path) -> bool {
    let name = program.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    name.ends_with(".so") || name.contains(".so.")
}

impl Watched {
    /// Waits for the end of the second process, but not for long once this process was asked to stop. If the second
    /// process knows better why the copy failed, its error is returned. Only the second process knows how much an
    /// interrupted copy keeps.
    pub fn conclude(self, own: Result<Outcome, Error>, stop: &Stop) -> Result<Outcome, Error> {
        let mut left = SECOND_PROCESS_LIMIT;
        let theirs = loop {
            match self.0.recv_timeout(POLL) {
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                ended => break ended.ok().flatten(),
            }
            if stop.is_requested() {
                left = left.saturating_sub(POLL);
            }
        };
        match (own, theirs) {
            (Err(own), Some(Err(theirs))) if knows_only_the_end(&own.kind) => Err(theirs),
            (Err(own), Some(Err(Error { aftermath: aftermath @ Aftermath::Kept { .. }, .. })))
                if own.kind == ErrorKind::Interrupted =>
            {
                Err(Error { aftermath, ..own })
            }
            (own, _) => own,
        }
    }
}

fn knows_only_the_end(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::PeerDied | ErrorKind::PeerInterrupted | ErrorKind::SecondProcessEnded)
}

fn failed(error: io::Error) -> Error {
    Error { cause: Some(error.into()), ..ErrorKind::SecondProcess.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn every_byte_of_a_path_reaches_the_second_process() {
        use std::os::unix::ffi::OsStringExt;
        let odd = std::ffi::OsString::from_vec((1..=255).filter(|byte| *byte != b'/').collect());
        let request = Request::both(&odd, "b");
        let pipe = Place { name: vec![0, 255], private: Some(odd.clone().into()) };
        let task = serde_json::to_vec(&Task { request: request.clone(), pipe: pipe.clone() }).unwrap();
        let read: Task = serde_json::from_slice(&task).unwrap();
        assert_eq!((read.request, read.pipe), (request, pipe));
        let line = serde_json::to_vec(&Line::End(Err(Error::at(ErrorKind::SameFile, odd.as_ref())))).unwrap();
        let Line::End(Err(error)) = serde_json::from_slice(&line).unwrap() else { panic!("another line") };
        assert_eq!(error.path.as_deref(), Some(odd.as_ref()));
    }

    #[test]
    fn a_second_process_starts_no_other() {
        let check = |words: &[&str]| check_is_first(words.iter().map(OsString::from));
        assert_eq!(check(&["program", ARGUMENT]).unwrap_err().kind, ErrorKind::SecondProcess);
        for first in [&["program"][..], &["program", "x", ARGUMENT], &["program", ARGUMENT, "x"]] {
            assert_eq!(check(first), Ok(()), "{first:?}");
        }
    }

    #[test]
    fn a_loader_is_told_from_a_program() {
        for loader in [
            "ld-linux-x86-64.so.2",
            "ld64.so.1",
            "ld-2.31.so",
            "ld-musl-x86_64.so.1",
            "libc.so",
            "ld-elf.so.1",
        ] {
            assert!(is_loader(&Path::new("/lib").join(loader)), "{loader}");
        }
        for program in ["/usr/bin/duocopy", "/a.so.1/duocopy", "duocopy.sort", "/"] {
            assert!(!is_loader(Path::new(program)), "{program}");
        }
    }

    /// A second process that has ended with this result.
    fn watched(theirs: Option<Result<Outcome, Error>>) -> Watched {
        let (sender, watched) = mpsc::channel();
        sender.send(theirs).unwrap();
        Watched(watched)
    }

    #[test]
    fn an_interrupted_copy_tells_how_much_the_second_process_keeps() {
        let kept = Aftermath::Kept { bytes: 7 };
        let theirs = Error { aftermath: kept.clone(), ..ErrorKind::PeerInterrupted.into() };
        let own = Error { aftermath: Aftermath::Unchanged, ..ErrorKind::Interrupted.into() };
        let error = watched(Some(Err(theirs))).conclude(Err(own), &Stop::new()).unwrap_err();
        assert_eq!((error.kind, error.aftermath), (ErrorKind::Interrupted, kept));
    }

    #[test]
    fn the_second_process_explains_what_the_first_one_only_notices() {
        let conclude = |own: ErrorKind, theirs: Option<ErrorKind>| {
            let theirs = theirs.map(|kind| Err(kind.into()));
            watched(theirs).conclude(Err(own.into()), &Stop::new()).unwrap_err().kind
        };
        let full = || ErrorKind::Destination;
        assert_eq!(conclude(ErrorKind::SecondProcessEnded, Some(full())), full());
        assert_eq!(conclude(ErrorKind::PeerDied, None), ErrorKind::PeerDied);
        assert_eq!(conclude(ErrorKind::Source, Some(full())), ErrorKind::Source);
        assert_eq!(conclude(ErrorKind::Interrupted, Some(full())), ErrorKind::Interrupted);
    }
}
