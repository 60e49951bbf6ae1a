//! The second process of `duocopy cp`, as it runs.

use super::run::run_as;
use super::second::{Line, Task, is_second};
use crate::api::{Event, Role, Stop};
use std::io::{self, Read, Write};

/// Acts as the second process of a copy, if this process was started as one
/// ([`Request::second_process`](crate::Request::second_process)). Returns `true` after that copy, or `false` at once.
///
/// A program that requests [`Parties::Both`](crate::Parties::Both) and names no other program as the second process
/// must call this before it does anything else, and end if it returns `true`. It reads standard input to its end, and
/// writes to standard output. In a program that forgets this call, the copy fails with
/// [`ErrorKind::SecondProcessEnded`](crate::ErrorKind::SecondProcessEnded).
#[must_use]
pub fn second_process(stop: &Stop) -> bool {
    if !is_second(std::env::args_os()) {
        return false;
    }
    let mut document = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut document);
    let Some(task) = read.ok().and_then(|_| serde_json::from_slice::<Task>(&document).ok()) else {
        return true;
    };
    let mut observer = |event| {
        // Only the events that the first process does not see itself.
        if matches!(event, Event::Warning(_) | Event::Stats(_) | Event::Resumed { .. } | Event::Step(_)) {
            report(&Line::Event(event));
        }
    };
    let result = run_as(&task.request, Some(Role::Writer), task.pipe, None, &mut observer, stop);
    report(&Line::End(result));
    true
}

fn report(line: &Line) {
    let line = serde_json::to_string(line).expect("plain data has a JSON form");
    let mut output = io::stdout().lock();
    // The first process may be gone.
    let _ = output.write_all(format!("{line}\n").as_bytes()).and_then(|()| output.flush());
}
