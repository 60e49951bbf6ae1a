//! The Writer: opens only the destination, and changes nothing before the Reader has opened the source.

use super::commit::{Arrived, commit};
use super::feed::Feed;
use super::half::{Half, POLL, PRIVATE_COPY, watched};
use super::stats::Meter;
use super::verdict::Outlook;
use crate::api::{
    Error, ErrorKind, Event, Fsync, Outcome, Parties, Request, Role, SharedOption, SourceLinks, Stats, Verify,
};
use crate::attributes::Received;
use crate::cache::{CacheUse, Pages};
use crate::dest::{self, AtomicFile, Destination, Policy, SourceMetadata, Staged, StreamOutput, WritePlan};
use crate::digest::{Digest, Kind};
use crate::record::{ResumePoint, TargetRecord};
use crate::session::{
    self, Consumer, FilledBlock, Frame, Halt, Hello, Trust, advance, pack_point, unpack_trailer,
};
use crate::sys::SandboxPolicy;
use std::path::Path;
use std::time::{Duration, Instant};

/// Writes the blocks to the destination, and decides the verdict.
pub fn write<T: Trust>(mut consumer: Consumer<T>, half: &Half, feed: &mut Feed) -> Result<Outcome, Error> {
    feed.send(Event::Joined { role: Role::Writer, pipe: half.meeting.place.name.clone() });
    // Opening a named pipe waits until another program reads it, and no event would be delivered meanwhile.
    feed.pause();
    let mut outlook = Outlook::default();
    half.has_begun.set(true);
    let written = open(&consumer, half, feed, &mut outlook)
        .and_then(|mut destination| fill(&mut consumer, &mut *destination, &mut outlook, half, feed));
    let result = written.map_err(|halt| explain(halt, &consumer, outlook, half));
    feed.pause();
    result
}

/// Converts the end of this half into an error.
pub fn explain<T: Trust>(end: Halt, consumer: &Consumer<T>, outlook: Outlook, half: &Half) -> Error {
    match end {
        Halt::Own(error) => half.abort_as_writer(consumer, error, outlook),
        Halt::Detach(error) => error,
        Halt::Pipe(error) => half.explain(Role::Writer, error, &consumer.monitor().snapshot(), outlook),
    }
}

/// Fills and commits the destination. If the copy fails, keeps or discards what was written.
pub fn fill<T: Trust>(
    consumer: &mut Consumer<T>,
    destination: &mut dyn Destination,
    outlook: &mut Outlook,
    half: &Half,
    feed: &mut Feed,
) -> Result<Outcome, Halt> {
    let mut reached = ResumePoint::default();
    let resumed = destination.resume_point().position > 0;
    let written = receive(consumer, destination, &mut reached, half, feed);
    if let Err(halt) = &written {
        outlook.kept = match remains(halt, resumed, half.request.keep_partial) {
            Remains::OnDisk => destination.keep(None),
            Remains::Everything => destination.keep(Some(reached)),
            Remains::Nothing => {
                destination.discard();
                0
            }
        };
    }
    written
}

/// The part that a failed copy leaves for the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remains {
    Nothing,
    /// Everything that the journal records as on the disk.
    OnDisk,
    /// Everything that was written, after one more flush.
    Everything,
}

/// Decides what a failed copy leaves. `resumed`: it continued an earlier one.
fn remains(halt: &Halt, resumed: bool, keep_partial: bool) -> Remains {
    match halt {
        _ if halt.is_by_death() => Remains::OnDisk,
        // Interrupting a resumed copy must not lose the part that it resumed.
        _ if resumed && halt.is_by_interrupt() => Remains::OnDisk,
        _ if keep_partial && halt.leaves_good_bytes() => Remains::Everything,
        _ => Remains::Nothing,
    }
}

/// Opens the destination: a new file, the file of an interrupted copy or of a dead Writer, or a stream output.
fn open<T: Trust>(
    consumer: &Consumer<T>,
    half: &Half,
    feed: &Feed,
    outlook: &mut Outlook,
) -> Result<Box<dyn Destination>, Halt> {
    let party = half.check_peer(Role::Reader, || consumer.peer_user(), feed)?;
    let (request, path) = (half.request, destination_of(half));
    let policy = Policy { party, ..Policy::of(request, half.stop) };
    let hello = Hello::unpack(consumer.peer_hello());
    let difference = hello.difference(request);
    let differs = |option| Error::at(ErrorKind::OptionsDiffer(option), path);
    if hello.source.is_link && !may_make_link(request) {
        // Otherwise the peer, or anybody who can write to the memory, could decide where a name of this user leads.
        return Err(Error::at(ErrorKind::SourceIsLink, path).into());
    }
    if let Some(dead) = consumer.predecessor() {
        if difference == Some(SharedOption::Checksum) {
            return Err(Halt::Detach(differs(SharedOption::Checksum)));
        }
        feed.send(Event::Replaced { role: Role::Writer });
        let dead = TargetRecord::unpack(dead);
        if dead.is_stream {
            outlook.is_stream = true;
            return Err(Error::at(ErrorKind::OutputNotResumable, path).into());
        }
        let committing = consumer.predecessor_was_committing();
        return Ok(Box::new(AtomicFile::take_over(path, &policy, &hello.source, &dead, committing)?));
    }
    if let Some(option) = difference {
        return Err(differs(option).into());
    }
    if request.is_half() && dest::is_stream(path) {
        outlook.is_stream = true;
        policy.check_limit(path, hello.source.stat.length)?;
        return open_stream(consumer, half, &policy);
    }
    let resume = request.resumes() && !hello.source.is_stream;
    Ok(dest::open(path, &policy, &hello.source, resume)?)
}

/// Returns whether this Writer may create a symbolic link, whatever a Reader sends.
fn may_make_link(request: &Request) -> bool {
    request.source_links == SourceLinks::Copy && matches!(request.parties, Parties::Both { .. })
}

/// Opens standard output, a device, or a named pipe once another program reads it.
#[expect(clippy::disallowed_methods, reason = "nothing wakes this process when a named pipe is opened")]
fn open_stream<T: Trust>(
    consumer: &Consumer<T>,
    half: &Half,
    policy: &Policy,
) -> Result<Box<dyn Destination>, Halt> {
    let (begun, request, path) = (Instant::now(), half.request, destination_of(half));
    loop {
        let rereads = request.verify == Verify::Reread;
        if let Some(output) = StreamOutput::open(path, policy, rereads)? {
            return Ok(Box::new(output));
        }
        consumer.check()?;
        if begun.elapsed() > request.connect_timeout.unwrap_or(Duration::MAX) {
            return Err(Error::at(ErrorKind::FifoNotOpened, path).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn destination_of<'a>(half: &Half<'a>) -> &'a Path {
    half.destination.expect("a process that may write knows the destination")
}

/// Gives up all rights that the Writer does not need once its destination is open.
fn confine<T: Trust>(consumer: &Consumer<T>, destination: &dyn Destination, half: &Half, feed: &Feed) {
    let access = destination.access();
    let policy = SandboxPolicy {
        pipe: consumer.directory().map(|directory| (directory, half.rights_at_the_pipe())),
        pipe_parent: None,
        changeable: access.as_ref().map(|access| access.file),
        destination: access.map(|access| (access.directory, access.rights)),
    };
    half.confine(&policy, feed);
}

/// Writes all blocks, and commits. `reached` is the last point that was written, even if this fails.
fn receive<T: Trust>(
    consumer: &mut Consumer<T>,
    destination: &mut dyn Destination,
    reached: &mut ResumePoint,
    half: &Half,
    feed: &mut Feed,
) -> Result<Outcome, Halt> {
    let (request, digest) = (half.request, Kind::of(half.request));
    let source = Hello::unpack(consumer.peer_hello()).source;
    if !(source.is_link && may_make_link(request)) {
        // A link is created only once its text has arrived, and a confined process may not create one.
        confine(consumer, destination, half, feed);
    }
    feed.warn(destination.take_warnings());
    let (begins, committed) = (destination.resume_point(), destination.already_committed());
    if begins.position > 0 {
        feed.send(Event::Resumed {
            position: begins.position,
            rereads: match digest {
                Kind::Blake3 => true,
                Kind::Crc64 => !half.meeting.is_private(),
                Kind::Nothing => false,
            },
        });
    }
    // Sent before the first write, so that a process that finds this one dead can tell the state of the destination.
    let record = TargetRecord { wants_attributes: request.preserves_attributes(), ..destination.record() };
    let is_stream = record.is_stream;
    *reached = session::begin(consumer, &record, begins)?;
    let durable = request.fsync == Fsync::End;
    let cache = CacheUse {
        direct: request.direct_destination,
        drops: request.drop_cache,
        flushes: durable || request.verify == Verify::Reread,
    };
    let plan = WritePlan { digest, cache };
    feed.send(Event::Started {
        role: Role::Writer,
        pipe: half.meeting.place.name.clone(),
        length: source.known_length(),
    });
    feed.start(session::progress(consumer.monitor(), Role::Writer, false));
    let at = *reached;
    let (mut staged, mut digest, warnings) =
        watched(|| consumer.check(), move |must_end| destination.stage(at, plan, must_end))?;
    feed.warn(warnings);
    let mut metadata = SourceMetadata::new(&request.preserve);
    let stats = receive_content(consumer, &mut *staged, &mut digest, reached, &mut metadata, half)?;
    let digest = digest.value();
    half.check_peer_again(|| consumer.peer_user())?;
    let trailer = consumer.trailer().map(unpack_trailer);
    let (whole, resumed) = (*reached, begins.position);
    let arrived = Arrived { whole, digest, metadata, stats, resumed, committed, is_stream };
    if trailer != Some((reached.position, digest)) {
        return Err(arrived.mismatch(false, half).into());
    }
    commit(consumer, staged, arrived, half, feed)
}

/// Writes all blocks. Returns the statistics if they are requested.
fn receive_content<T: Trust>(
    consumer: &mut Consumer<T>,
    staged: &mut dyn Staged<'_>,
    digest: &mut Digest,
    reached: &mut ResumePoint,
    metadata: &mut SourceMetadata,
    half: &Half,
) -> Result<Option<Stats>, Halt> {
    let (monitor, begins) = (consumer.monitor(), reached.position);
    let mut meter = half
        .request
        .stats
        .then(|| Meter::start(Role::Writer, consumer.geometry().blocks(), monitor.snapshot().waited));
    let mut private = None;
    while let Some(block) = consumer.filled_block()? {
        if let Some(meter) = &mut meter {
            // This block is counted as filled, too.
            meter.count(monitor.waiting_blocks());
        }
        let zeros = match Frame::of(&block)? {
            Frame::Attributes => {
                take_attributes(&block, metadata, half)?;
                consumer.release_with(block, &pack_point(*reached))?;
                continue;
            }
            Frame::Zeros(zeros) => zeros,
            Frame::Data => 0,
        };
        let begin = reached.position;
        // One of the two is 0.
        let end = advance(begin, zeros + block.length() as u64)?;
        staged.check_limit(end)?;
        if let Some(bytes) = block.trusted() {
            put(bytes, begin, staged, consumer)?;
            // Writing has brought the bytes into this processor's cache (docs/benchmarks.md).
            digest.update(bytes);
        } else {
            let own = private.get_or_insert_with(|| Pages::new(PRIVATE_COPY));
            for at in (0..block.length()).step_by(PRIVATE_COPY) {
                own.resize(PRIVATE_COPY.min(block.length() - at));
                block.copy_to(at, own);
                digest.update(own);
                put(own, begin + at as u64, staged, consumer)?;
            }
        }
        put_zeros(zeros, begin, digest, staged, consumer, half)?;
        *reached = ResumePoint { position: end, sum: digest.resume_state() };
        consumer.release_with(block, &pack_point(*reached))?;
        staged.reached(*reached)?;
    }
    let bytes = reached.position - begins;
    Ok(meter.map(|meter| meter.conclude(bytes, monitor.snapshot().waited)))
}

fn take_attributes<T: Trust>(
    block: &FilledBlock<T>,
    metadata: &mut SourceMetadata,
    half: &Half,
) -> Result<(), Halt> {
    if Received::accepts(block.length()) && metadata.add_attributes(&block.to_vec()) {
        return Ok(());
    }
    Err(Error::at(ErrorKind::TooManyAttributes, destination_of(half)).into())
}

/// Writes these bytes. If another program has to make room first, that may take any time.
fn put<T: Trust>(
    bytes: &[u8],
    offset: u64,
    staged: &mut dyn Staged<'_>,
    consumer: &Consumer<T>,
) -> Result<(), Halt> {
    let (mut written, mut checked) = (0, Instant::now());
    while written < bytes.len() {
        written += staged.write(offset + written as u64, &bytes[written..])?;
        if written < bytes.len() {
            check_now_and_then(&mut checked, consumer)?;
        }
    }
    Ok(())
}

/// Writes the zeros of a hole, whose length is what the Reader claims.
fn put_zeros<T: Trust>(
    zeros: u64,
    offset: u64,
    digest: &mut Digest,
    staged: &mut dyn Staged<'_>,
    consumer: &Consumer<T>,
    half: &Half,
) -> Result<(), Halt> {
    let (mut written, mut computed, mut checked) = (0, 0, Instant::now());
    let longest = Kind::of(half.request).longest_zeros();
    while computed < zeros {
        half.stop_if_requested(consumer)?;
        let some = longest.min(zeros - computed);
        digest.update_zeros(some);
        computed += some;
    }
    while written < zeros {
        half.stop_if_requested(consumer)?;
        written += staged.write_zeros(offset + written, zeros - written)?;
        if written < zeros {
            check_now_and_then(&mut checked, consumer)?;
        }
    }
    Ok(())
}

fn check_now_and_then<T: Trust>(checked: &mut Instant, consumer: &Consumer<T>) -> Result<(), Halt> {
    if checked.elapsed() >= POLL {
        consumer.check()?;
        *checked = Instant::now();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Remains::{Everything, Nothing, OnDisk};
    use super::*;
    use crate::session::PipeError;

    #[test]
    fn what_remains_depends_on_who_ended_the_copy() {
        let died = || Halt::Pipe(PipeError::PeerDied);
        let interrupted = || Halt::Pipe(PipeError::Interrupted);
        let full = || Halt::Own(ErrorKind::Destination.into());
        let mismatch = || Halt::Own(ErrorKind::Mismatch { reread: false, resumed: 0 }.into());
        // The halt; what remains of a new copy, of a resumed one, and of both with `keep_partial`.
        for (halt, expected) in [
            (died(), [OnDisk, OnDisk, OnDisk, OnDisk]),
            (interrupted(), [Nothing, OnDisk, Everything, OnDisk]),
            (full(), [Nothing, Nothing, Everything, Everything]),
            (mismatch(), [Nothing, Nothing, Nothing, Nothing]),
        ] {
            let decided = [(false, false), (true, false), (false, true), (true, true)]
                .map(|(resumed, keep)| remains(&halt, resumed, keep));
            assert_eq!(decided, expected, "{halt:?}");
        }
    }
}
