//! What each half still needs when it has opened its own file, and gives up all else.

use crate::copy::Job;
use crate::place::Place;
use crate::progress::Progress;
use crate::sys::{self, Directory, SandboxGap, SandboxPolicy, Unconfined};

/// For the Reader. It opens nothing any more; if it knows the destination it may have to look what became of it.
pub fn confine_the_reader(job: &Job, progress: &Progress) {
    // If that cannot be found now, it is not looked at later.
    let place = job.paths.both().and_then(|(_, destination)| Place::find(destination, true).ok());
    confine(
        job,
        progress,
        SandboxPolicy {
            readable_dir: place.as_ref().map(|place| &place.directory),
            ..SandboxPolicy::default()
        },
    );
}

/// For the Writer, which writes in the destination's directory, or to nothing but what is open.
pub fn confine_the_writer(writes: Option<&Directory>, job: &Job, progress: &Progress) {
    confine(job, progress, SandboxPolicy { writable_dir: writes, ..SandboxPolicy::default() });
}

fn confine(job: &Job, progress: &Progress, mut policy: SandboxPolicy) {
    if job.options.no_sandbox {
        return;
    }
    policy.pipe_dir = job.pipe_directory();
    for Unconfined { gap, reason } in sys::confine(&policy) {
        let missing = match gap {
            SandboxGap::Paths => format!("it can still open other files ({reason})"),
            SandboxGap::SystemCalls => format!("it can still make other system calls ({reason})"),
        };
        progress.note(&format!("this half is not confined: {missing}; it goes on without (--no-sandbox)"));
    }
}
