//! A program that copies files with the library: it shows progress, cancels a copy, and tells errors apart. The library
//! itself prints nothing.
//!
//! ```sh
//! cargo run -p duocopy --no-default-features --example embed
//! ```

use duocopy::{Aftermath, Error, ErrorKind, Event, Outcome, Request, Stop, run, second_process};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // This program is also its own second process. In that role, this call makes the whole half of the copy.
    if second_process(&Stop::new()) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (source, copy) = (folder.path().join("source"), folder.path().join("copy"));
    std::fs::write(&source, vec![7; 64 << 20])?;

    copy_with_progress(&source, &copy)?;
    cancel_a_copy(&source, &copy)?;
    tell_errors_apart(folder.path());
    Ok(())
}

/// Copies a file. The callback runs on another thread, about ten times in a second.
fn copy_with_progress(source: &Path, copy: &Path) -> Result<(), Error> {
    let request = Request::both(source, copy);
    let mut reports = 0;
    let mut observer = |event| {
        if let Event::Progress(progress) = event {
            reports += 1;
            println!("{} of 64 MiB are written", progress.written >> 20);
        }
    };
    let outcome = run(&request, &mut observer, &Stop::new())?;
    if let Outcome::Complete { bytes, checksum, .. } = outcome {
        println!("copied {bytes} bytes with {reports} reports of progress; checksum {checksum:x?}");
    }
    Ok(())
}

/// Stops a slow copy at the first report of progress; any other thread could do it. The destination stays what it was.
fn cancel_a_copy(source: &Path, copy: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let before = std::fs::read(copy)?;
    let mut request = Request::both(source, copy);
    request.rate_limit = Some(1 << 20);
    let stop = Stop::new();
    let mut observer = |event| {
        if matches!(event, Event::Progress(_)) {
            stop.request();
        }
    };
    let cancelled = run(&request, &mut observer, &stop);
    let error = cancelled.expect_err("64 MiB take a minute at this rate");
    assert_eq!((error.kind, error.aftermath), (ErrorKind::Interrupted, Aftermath::Unchanged));
    assert_eq!(std::fs::read(copy)?, before);
    println!("cancelled a copy; the destination is unchanged");
    Ok(())
}

/// Makes copies that must fail, and decides by the kind of the error what a user could do.
fn tell_errors_apart(folder: &Path) {
    for (source, copy) in [("missing", "copy"), ("source", "missing/copy"), ("source", "source")] {
        let request = Request::both(folder.join(source), folder.join(copy));
        let error = run(&request, &mut |_| {}, &Stop::new()).expect_err("it cannot be copied");
        let advice = match error.kind {
            ErrorKind::Source => "choose another file to read",
            ErrorKind::Destination => "choose another place to write to",
            ErrorKind::SameFile => "nothing to do",
            _ => "ask somebody",
        };
        println!("{source} -> {copy}: {advice} ({error})");
    }
}
