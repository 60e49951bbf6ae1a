//! What each half still needs when it has opened its own file, and gives up all else.

use crate::copy::Job;
use crate::place::Place;
use crate::progress::Progress;
use crate::sys::{self, Directory, Freedom};

/// For the Reader. It opens nothing any more; if it knows the destination it may have to look what became of it.
pub fn confine_the_reader(job: &Job, progress: &Progress) {
    // If that cannot be found now, it is not looked at later.
    let place = job.paths.both().and_then(|(_, destination)| Place::find(destination, true).ok());
    confine(
        job,
        progress,
        Freedom { looks: place.as_ref().map(|place| &place.directory), ..Freedom::default() },
    );
}

/// For the Writer, which writes in the destination's directory, or to nothing but what is open.
pub fn confine_the_writer(writes: Option<&Directory>, job: &Job, progress: &Progress) {
    confine(job, progress, Freedom { writes, ..Freedom::default() });
}

fn confine(job: &Job, progress: &Progress, mut freedom: Freedom) {
    if job.options.no_sandbox {
        return;
    }
    freedom.pipes = job.pipe_directory();
    for missing in sys::confine(&freedom) {
        progress.note(&format!("this half is not confined: {missing}; it goes on without (--no-sandbox)"));
    }
}
