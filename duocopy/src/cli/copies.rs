//! Makes the copies of one command one after the other: `cp` takes several sources.

use super::end::{End, conclude};
use super::options::Settings;
use super::progress::Screen;
use super::render::{NOT_PRESERVED, SIGNAL, show_name};
use super::{output, render};
use duocopy::{
    Backup, Destination, Error, ErrorKind, Outcome, Overwrite, Parents, Parties, PlannedDestination, Request,
    Signals, Sparse, Stop,
};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Interval at which a wait for an answer checks for signals.
const POLL: Duration = Duration::from_millis(50);

/// Makes all copies, even if one fails. Returns the exit code of an interrupt, or of the first copy that failed.
pub fn run(requests: Vec<Request>, settings: Settings, signals: &Signals) -> u8 {
    let is_only_one = requests.len() == 1 && !settings.cp.parents;
    let mut copies = Copies { settings, signals, is_only_one, has_no_place: false, written: BTreeMap::new() };
    let mut code = 0;
    for request in requests {
        code = worse(code, copies.copy(Request { umask: duocopy::umask(), ..request }));
        // After an interrupt that came too late for one copy, the next one ends at once.
        if code >= SIGNAL || copies.has_no_place {
            break;
        }
    }
    code
}

/// Returns the exit code that two copies of one command have together.
fn worse(earlier: u8, later: u8) -> u8 {
    let is_failure = |code| code != 0 && code != NOT_PRESERVED;
    match () {
        () if later >= SIGNAL => later,
        () if is_failure(earlier) => earlier,
        () if later == 0 => earlier,
        () => later,
    }
}

struct Copies<'a> {
    settings: Settings,
    signals: &'a Signals,
    /// True if this process makes no other copy after this one.
    is_only_one: bool,
    /// True if the directory to copy to does not exist, so that this is not reported for each source.
    has_no_place: bool,
    /// The destinations so far, each with its source. (A `HashMap` needs random numbers, which a system may refuse.)
    written: BTreeMap<PathBuf, PathBuf>,
}

impl Copies<'_> {
    /// Makes a copy, or reports what it would do. Returns the exit code.
    fn copy(&mut self, request: Request) -> u8 {
        let begun = Instant::now();
        let mut screen = Screen::new(&request, self.settings, self.signals);
        if self.settings.json
            && let Err(error) = duocopy::check_standard_output()
        {
            return output::failed(&error);
        }
        let result = self.attempt(request, &mut screen);
        self.has_no_place = result
            .as_ref()
            .is_err_and(|error| matches!(error.kind, ErrorKind::NoSuchDirectory | ErrorKind::NotADirectory));
        conclude(&mut screen, result, begun, self.signals.number())
    }

    fn attempt(&mut self, mut request: Request, screen: &mut Screen) -> Result<End, Error> {
        let parents = if self.settings.cp.parents { Some(make_parents(&mut request)?) } else { None };
        let mut request = duocopy::resolve(&request)?;
        screen.to.request = request.clone();
        let (Some(source), Some(destination)) = both_paths(&request) else {
            return self.make(&request, screen);
        };
        if self.settings.cp.must_share {
            return Err(Error::at(ErrorKind::CannotReflink, &source));
        }
        if let Some(earlier) = self.written.get(&duocopy::absolute(&destination)) {
            if *earlier == duocopy::absolute(&source) {
                return Ok(End::Copied(Outcome::Skipped { path: destination }));
            }
            if request.backup != Backup::Numbered {
                return Err(Error::at(ErrorKind::DestinationJustWritten, &destination));
            }
        }
        if self.settings.cp.asks && !self.settings.dry_run {
            ask(&mut request, &self.signals.stop())?;
        }
        let mut end = self.make(&request, screen)?;
        if let End::Copied(outcome) = &mut end {
            if let (Some(parents), Outcome::Complete { not_preserved, .. }) = (parents, &mut *outcome) {
                not_preserved.extend(parents.finish(&request.preserve));
            }
            self.name(outcome, &request, (&source, &destination), screen);
        }
        self.written.insert(duocopy::absolute(&destination), duocopy::absolute(&source));
        Ok(end)
    }

    fn make(&self, request: &Request, screen: &mut Screen) -> Result<End, Error> {
        let stop = self.signals.stop();
        if self.settings.dry_run {
            return Ok(End::Planned(duocopy::preflight(request, &stop)?));
        }
        let outcome = if self.is_only_one {
            duocopy::run(request, screen, &stop)
        } else {
            // A sandbox confines its thread for good, and this thread has more copies to make.
            std::thread::scope(|scope| {
                let thread = std::thread::Builder::new()
                    .spawn_scoped(scope, || duocopy::run(request, screen, &stop))
                    .map_err(|error| Error {
                        cause: Some(error.into()),
                        ..ErrorKind::SecondProcess.into()
                    })?;
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        };
        outcome.map(End::Copied)
    }

    /// Writes to standard output what `cp -v` and `cp --debug` write there.
    fn name(
        &self,
        outcome: &Outcome,
        request: &Request,
        (source, destination): (&Path, &Path),
        screen: &mut Screen,
    ) {
        let (cp, quoted) = (self.settings.cp, |path: &Path| format!("'{}'", show_name(path.as_os_str())));
        let mut text = match outcome {
            Outcome::Complete { .. } if cp.names => {
                format!("{} -> {}\n", quoted(source), quoted(destination))
            }
            Outcome::Skipped { .. } if cp.explains => format!("skipped {}\n", quoted(destination)),
            _ => return,
        };
        let has_content = matches!(outcome, Outcome::Complete { .. }) && !request.only_attributes;
        if cp.explains && has_content {
            text += &explanation(request.sparse, cp.must_not_share);
        }
        // Standard output may carry objects for programs.
        if !self.settings.json
            && let Err(error) = output::write(&text)
        {
            screen.unwritten = Some(error);
        }
    }
}

/// Returns how a file was copied, in the words of GNU `cp`.
fn explanation(sparse: Sparse, must_not_share: bool) -> String {
    let offload = if must_not_share || sparse != Sparse::Auto { "avoided" } else { "unsupported" };
    let detection = match sparse {
        Sparse::Never => "no",
        Sparse::Auto if cfg!(windows) => "no",
        Sparse::Always if cfg!(windows) => "zeros",
        Sparse::Auto => "SEEK_HOLE",
        Sparse::Always => "SEEK_HOLE + zeros",
    };
    format!("copy offload: {offload}, reflink: no, sparse detection: {detection}\n")
}

fn both_paths(request: &Request) -> (Option<PathBuf>, Option<PathBuf>) {
    match &request.parties {
        Parties::Both { source, destination } => (Some(source.clone()), Some(destination.path().into())),
        _ => (None, None),
    }
}

/// Creates the directories of the source's path, and makes the file in them the destination.
fn make_parents(request: &mut Request) -> Result<Parents, Error> {
    let umask = request.umask;
    let Parties::Both { source, destination } = &mut request.parties else {
        unreachable!("only `cp` has --parents");
    };
    let parents = Parents::make(source, destination.path(), umask)?;
    *destination = Destination::File(parents.destination().into());
    Ok(parents)
}

/// Asks whether to replace the destination, if the copy would do that.
fn ask(request: &mut Request, stop: &Stop) -> Result<(), Error> {
    match duocopy::preflight(request, stop)?.destination {
        Some(PlannedDestination::Replace { path, .. }) => {
            let _ = write!(io::stderr(), "duocopy: replace {}? ", render::show(&path));
            match answer(stop)? {
                Some(line) if line.trim_start().starts_with(['y', 'Y']) => Ok(()),
                _ => Err(Error::at(ErrorKind::Declined, &path)),
            }
        }
        Some(PlannedDestination::Create { .. }) => {
            // The user has not agreed to replace a file that appears after the question.
            request.overwrite = Overwrite::Refuse;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Reads a line from standard input; `None` if there is none. A signal ends the wait for it.
fn answer(stop: &Stop) -> Result<Option<String>, Error> {
    let (sender, receiver) = mpsc::channel();
    // No signal ends a read, so it gets a thread of its own. After an interrupt it ends with the process.
    let read = move || {
        let mut line = String::new();
        let _ = sender.send(io::stdin().read_line(&mut line).is_ok().then_some(line));
    };
    let started = std::thread::Builder::new().spawn(read);
    started.map_err(|error| Error { cause: Some(error.into()), ..ErrorKind::SecondProcess.into() })?;
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(line) => return Ok(line),
            Err(_) if stop.is_requested() => return Err(ErrorKind::Interrupted.into()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_decides_on_the_exit_code() {
        let all = |codes: &[u8]| codes.iter().fold(0, |code, next| worse(code, *next));
        assert_eq!([all(&[0, 0]), all(&[0, 5, 0, 6]), all(&[3, 0]), all(&[0, 3])], [0, 5, 3, 3]);
        assert_eq!([all(&[3, 12]), all(&[12, 3]), all(&[5, 130])], [12, 12, 130]);
    }
}
