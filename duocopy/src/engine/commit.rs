//! From the last byte to the verdict.

use super::feed::Feed;
use super::half::{Half, watched};
use crate::api::{Aftermath, Error, ErrorKind, Event, Fsync, Outcome, Stats, Step, Verify, Warning};
use crate::dest::{SourceMetadata, Staged};
use crate::digest::{Kind, Value};
use crate::record::ResumePoint;
use crate::session::{Consumer, Halt, Trust, wire};
use std::time::Instant;

/// A copy that has arrived completely, and whose checksum agrees with the Reader's.
#[derive(Debug)]
pub struct Arrived {
    pub whole: ResumePoint,
    pub digest: Value,
    pub metadata: SourceMetadata,
    pub stats: Option<Stats>,
    /// The number of bytes that were resumed from an earlier copy.
    pub resumed: u64,
    /// True if an earlier Writer had committed the copy already.
    pub committed: bool,
    /// True if the copy goes to a stream output, which cannot be rolled back.
    pub is_stream: bool,
}

impl Arrived {
    /// Returns the error of a checksum that differs between the two processes, or after reading the copy back
    /// (`reread`).
    pub fn mismatch(&self, reread: bool, half: &Half) -> Error {
        let kind = ErrorKind::Mismatch { reread, resumed: self.resumed };
        let aftermath = match (self.committed, self.is_stream) {
            (true, _) => Aftermath::Changed,
            (_, true) => Aftermath::Incomplete,
            _ => Aftermath::Unchanged,
        };
        Error { path: half.destination.map(Into::into), aftermath, ..kind.into() }
    }
}

/// Flushes the copy, reads it back if that is requested, and commits it.
pub fn commit<'a, T: Trust>(
    consumer: &mut Consumer<T>,
    staged: Box<dyn Staged<'a> + 'a>,
    mut arrived: Arrived,
    half: &Half,
    feed: &Feed,
) -> Result<Outcome, Halt> {
    let (durable, digest) = (half.request.fsync == Fsync::End, Kind::of(half.request));
    let rereads = half.request.verify == Verify::Reread;
    let flushes = durable || rereads;
    if flushes {
        feed.send(Event::Step(Step::Flushing));
    }
    let begun = Instant::now();
    let (mut ready, mut prepared) = staged.prepare(arrived.whole, &arrived.metadata, flushes)?;
    if let Some(stats) = &mut arrived.stats {
        stats.flushing = flushes.then(|| begun.elapsed());
    }
    if rereads {
        feed.send(Event::Step(Step::Rereading));
        let begun = Instant::now();
        let (there, from_medium) = watched(|| consumer.check(), |must_end| ready.reread(digest, must_end))?;
        if there != arrived.digest {
            return Err(arrived.mismatch(true, half).into());
        }
        if let Some(stats) = &mut arrived.stats {
            stats.rereading = Some(begun.elapsed());
        }
        if !from_medium {
            feed.warn([Warning::RereadCached]);
        }
    }
    half.stop_if_requested(consumer)?;
    let committing = consumer.commit()?;
    let committed = ready.commit().and_then(|(committed, warnings)| {
        // The destination has changed, even if its name cannot be flushed.
        feed.warn(warnings);
        feed.warn(std::mem::take(&mut prepared.warnings));
        if durable {
            committed.sync_name()?;
        }
        Ok(committed)
    });
    let committed = match committed {
        Ok(committed) => committed,
        Err(error) => {
            committing.abort(&wire::encode(&error, half.meeting.is_pair()));
            return Err(error.into());
        }
    };
    // Sent even if nothing was lost: it replaces the remark of a dead Writer.
    committing.remark(&wire::remark(&prepared.not_preserved));
    // The destination is the copy now, even if somebody has written over the verdict meanwhile.
    if let Err(error) = committing.complete() {
        let what = error.to_string();
        feed.warn([Warning::TooLate(Box::new(ErrorKind::Pipe { what }.into()))]);
    }
    committed.tidy();
    if let Some(stats) = arrived.stats {
        feed.send(Event::Stats(stats));
    }
    Ok(Outcome::Complete {
        bytes: arrived.whole.position,
        checksum: digest.checksum(&arrived.digest),
        not_preserved: prepared.not_preserved,
    })
}
