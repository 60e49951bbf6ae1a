//! The second half of a copy: opens the destination and nothing else, and touches nothing before the Reader has its source.

use crate::cache::CacheUse;
use crate::copy::{Job, PRIVATE, Stop, Summary, check_partner, other_check, say_stats, view};
use crate::digest::{Digest, Kind, Value};
use crate::exit::{self, Failure};
use crate::journal::Durable;
use crate::metadata::FromSource;
use crate::options::{Direct, Fsync, Verify};
use crate::output::{Outlet, Output, allow, out_already};
use crate::plan::show_job;
use crate::progress::{Progress, Role};
use crate::record::{SourceRecord, TargetRecord};
use crate::sandbox;
use crate::sink::Sink;
use crate::source::LONGEST_HOLE;
use crate::stats::Meter;
use blockpipe::{Consumer, FilledBlock, PipeError, Reason, ResumePoint, Side};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The whole of it, to the verdict.
pub fn write(mut consumer: Consumer, job: &Job, progress: &mut Progress) -> Result<Summary, Failure> {
    progress.detail(&format!("this is the Writer; the pipe is {}", job.show_name()));
    let mut kept = 0;
    let copied = match open_output(&consumer, job, progress) {
        Err(stop) => Err(stop),
        Ok(mut sink) => {
            let mut reached = Durable::default();
            let copied = receive_file(&mut consumer, &mut *sink, &mut reached, job, progress);
            match &copied {
                Err(stop) if stop.by_a_death() => kept = sink.keep(None),
                // Who stops a copy that went on must not lose what was there before.
                Err(stop) if sink.begins().position > 0 && stop.by_an_interrupt() => {
                    kept = sink.keep(None);
                }
                Err(stop) if job.options.partial && stop.leaves_something_good() => {
                    kept = sink.keep(Some(reached));
                }
                Err(_) => sink.discard(),
                Ok(_) => {}
            }
            copied
        }
    };
    let result = copied.map_err(|stop| match stop {
        Stop::Own(failure) => match consumer.abort(&job.reason(&failure)) {
            PipeError::Aborted { by: Side::Producer, reason } => job.told(Role::Reader, &reason, kept),
            _ => failure,
        },
        Stop::Aside(failure) => failure,
        Stop::Pipe(error) => job.explain(error, Role::Writer, &consumer.monitor().snapshot(), kept),
    });
    progress.finish();
    result
}

/// Where to write to: a new file, what an interrupted copy left, what a dead Writer had, or an outlet.
fn open_output(consumer: &Consumer, job: &Job, progress: &Progress) -> Result<Box<dyn Output>, Stop> {
    check_partner(Role::Reader, consumer.peer_user(), job, progress)?;
    let (source, destination) = (SourceRecord::unpack(consumer.origin()), job.paths.destination());
    let other_check = (source.checked_by != job.options.digest()).then(|| other_check(destination));
    if let Some(dead) = consumer.predecessor() {
        if let Some(failure) = other_check {
            return Err(Stop::Aside(failure));
        }
        progress.note("this Writer takes the place of one that died");
        if TargetRecord::unpack(dead).outlet {
            job.outlet.set(true);
            return Err(out_already(destination).into());
        }
        let (committing, dead) = (consumer.predecessor_was_committing(), TargetRecord::unpack(dead));
        let Job { permission, options, .. } = job;
        let sink = Sink::take_over(destination, *permission, options.sparse, &source, &dead, committing)?;
        return Ok(Box::new(sink));
    }
    if let Some(failure) = other_check {
        return Err(failure.into());
    }
    // Who comes first is chance, and must decide nothing.
    if source.wish != 0 && source.wish != job.permission.wish() {
        let what = "the other process was started with another --update, --no-clobber or --backup";
        return Err(Failure::refused(destination, what, "start both with the same ones").into());
    }
    if job.role.is_some() && Outlet::is_at(destination) {
        allow(destination, job.permission, source.length)?;
        return open_outlet(consumer, job);
    }
    let resume = job.options.fsync == Fsync::End && !job.options.no_resume && !source.stream;
    Ok(Box::new(Sink::open(destination, job.permission, job.options.sparse, &source, resume)?))
}

/// Standard output or a device; or a named pipe, as soon as somebody reads it.
#[expect(clippy::disallowed_methods, reason = "who opens a named pipe rings no bell")]
fn open_outlet(consumer: &Consumer, job: &Job) -> Result<Box<dyn Output>, Stop> {
    let (begun, path) = (Instant::now(), job.paths.destination());
    job.outlet.set(true);
    loop {
        if let Some(outlet) = Outlet::open(path, job.permission, job.options.verify == Verify::Reread)? {
            return Ok(Box::new(outlet));
        }
        consumer.check()?;
        if begun.elapsed() > job.options.wait.unwrap_or(Duration::MAX) {
            return Err(Failure::nobody_opens(path, "reading").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Takes what comes to the file. `reached` is how far that got, whatever the result.
fn receive_file(
    consumer: &mut Consumer,
    sink: &mut dyn Output,
    reached: &mut Durable,
    job: &Job,
    progress: &mut Progress,
) -> Result<Summary, Stop> {
    sandbox::confine_the_writer(sink.directory(), job, progress);
    for note in sink.notes() {
        progress.note(note);
    }
    let Durable { position, sum } = sink.begins();
    if position > 0 {
        let again = if job.options.digest() == Kind::Blake3 {
            ", only read again for BLAKE3"
        } else {
            " (and are not read again: --verify=reread does that)"
        };
        let note =
            format!("going on with an interrupted copy: {position} bytes need not be copied again{again}");
        progress.note(&note);
    }
    // Stored before the first write: whoever finds us dead can tell by it what became of the destination.
    let preserve = job.options.preserves();
    let attributes = FromSource::wants_attributes(&preserve);
    let target = TargetRecord { attributes, ..sink.record() };
    let ResumePoint { position, sum } = consumer.begin(&target.pack(), ResumePoint { position, sum })?;
    *reached = Durable { position, sum };
    let source = SourceRecord::unpack(consumer.origin());
    if !sink.can_have(position) || sink.is_placed() && position < source.length {
        return Err(sink.lost().into());
    }
    progress.begins(Role::Writer, source.known_length(), &show_job(&job.name));
    let told = (source.known_length(), String::new(), job.replacement_message(Role::Reader));
    progress.start(told, job.signals.clone(), view(consumer.monitor(), Role::Writer));

    let (durable, kind) = (job.options.fsync == Fsync::End, job.options.digest());
    sink.forget_behind(position)?;
    let mut digest = sink.digest(kind, *reached)?;
    let usage = CacheUse {
        flushes: durable || job.options.verify == Verify::Reread,
        ..job.options.cache(Direct::Destination)
    };
    for note in sink.pass_the_cache(position, usage) {
        progress.note(&note);
    }
    if durable && !source.stream {
        sink.start_checkpoints()?;
    }
    let monitor = consumer.monitor();
    let mut meter = Meter::start(Role::Writer, consumer.geometry().blocks(), monitor.snapshot().waited);
    let (mut private, mut from_source) = (job.private_copy(), FromSource::new(&preserve));
    while let Some(block) = consumer.filled_block()? {
        if job.options.stats {
            // One of them is this one.
            meter.see(monitor.snapshot().waiting_blocks);
        }
        if block.is_out_of_band() {
            take_aside(&block, &mut from_source, job)?;
            block.release(reached.sum);
            continue;
        }
        // One of the two is 0.
        let position = block.offset() + block.hole() + block.len() as u64;
        sink.allow(position)?;
        if let Some(own) = &mut private {
            for at in (0..block.len()).step_by(PRIVATE) {
                own.resize(PRIVATE.min(block.len() - at));
                block.copy_to(at, own);
                digest.update(own);
                put(own, block.offset() + at as u64, sink, consumer)?;
            }
        } else {
            put(&block, block.offset(), sink, consumer)?;
            // Writing has brought it into this processor's cache (docs/benchmarks.md).
            digest.update(&block);
        }
        put_zeros(&block, &mut digest, sink, consumer, job)?;
        *reached = Durable { position, sum: digest.sum() };
        block.release(reached.sum);
        sink.reached(*reached)?;
    }
    let (bytes, value) = (reached.position, digest.value());
    if consumer.trailer().is_none_or(|closing| (closing.length, closing.digest) != (bytes, value)) {
        return Err(job.mismatch("what arrived is not what was read (checksum or length)", sink).into());
    }
    let stats = meter.conclude(bytes - position, monitor.snapshot().waited);
    let arrived = Arrived { whole: *reached, digest: value, from_source, stats };
    put_in_its_place(consumer, sink, arrived, job, progress)
}

/// Everything that came, compared already.
struct Arrived<'a> {
    whole: Durable,
    digest: Value,
    from_source: FromSource<'a>,
    stats: Vec<String>,
}

/// The rest, to the verdict.
fn put_in_its_place(
    consumer: &mut Consumer,
    sink: &mut dyn Output,
    arrived: Arrived,
    job: &Job,
    progress: &Progress,
) -> Result<Summary, Stop> {
    let Arrived { whole, digest, from_source, mut stats } = arrived;
    let (durable, kind) = (job.options.fsync == Fsync::End, job.options.digest());
    let again = job.options.verify == Verify::Reread;
    if durable || again {
        progress.step("copied, flushing to the disk");
    }
    let flushing = Instant::now();
    let lost = sink.prepare(whole, &from_source, durable || again)?;
    if durable || again {
        stats.push(format!("Writer: flushing the rest took {:.3} s", flushing.elapsed().as_secs_f64()));
    }
    if again {
        progress.step("flushed, reading it again");
        let reading = Instant::now();
        let (there, past_the_cache) = sink.read_again(kind)?;
        if there != digest {
            return Err(job
                .mismatch("what was read back from the disk is not what was written", sink)
                .into());
        }
        stats.push(format!("Writer: reading it again took {:.3} s", reading.elapsed().as_secs_f64()));
        if !past_the_cache {
            progress.note("read back through the page cache: this file system has no reads past it");
        }
    }
    stop_if_asked(consumer, job)?;
    let committing = consumer.commit()?;
    if let Err(failure) = sink.replace() {
        committing.abort(&job.reason(&failure));
        return Err(failure.into());
    }
    if durable && let Err(failure) = sink.sync_name() {
        committing.abort(&job.reason(&failure));
        return Err(failure.into());
    }
    // Also if there is none: what a dead Writer remarked counts no more.
    let code = if lost.of_source.is_some() { exit::NOT_KEPT } else { exit::COMPLETE };
    committing.remark(&Reason::new(code.into(), lost.of_source.clone().unwrap_or_default()));
    committing.complete()?;
    sink.tidy();
    say_stats(&stats, job, progress);
    for note in lost.notes {
        progress.note(&note);
    }
    let not_kept = lost.of_source.map(|lost| job.not_kept(&lost));
    Ok(Summary { bytes: whole.position, kind, digest, not_kept })
}

/// What is said about the source.
fn take_aside(block: &FilledBlock<'_>, from_source: &mut FromSource, job: &Job) -> Result<(), Stop> {
    if FromSource::may_take(block.len()) {
        let mut bytes = vec![0; block.len()];
        block.copy_to(0, &mut bytes);
        if from_source.take(&bytes) {
            return Ok(());
        }
    }
    let what = "the Reader sends more about its source than there can be";
    Err(Failure::refused(job.paths.destination(), what, "look who it is, or copy without --preserve").into())
}

/// Writes these bytes. Nothing may be written for some time where somebody else has to make room.
fn put(bytes: &[u8], offset: u64, sink: &mut dyn Output, consumer: &Consumer) -> Result<(), Stop> {
    let (mut written, mut looked) = (0, Instant::now());
    while written < bytes.len() {
        written += sink.write(offset + written as u64, &bytes[written..])?;
        if written < bytes.len() {
            look(&mut looked, consumer)?;
        }
    }
    Ok(())
}

/// The same for the zeros of a hole, which may be as long as the Reader says.
fn put_zeros(
    block: &FilledBlock<'_>,
    digest: &mut Digest,
    sink: &mut dyn Output,
    consumer: &Consumer,
    job: &Job,
) -> Result<(), Stop> {
    let (mut written, mut computed, mut looked) = (0, 0, Instant::now());
    while computed < block.hole() {
        stop_if_asked(consumer, job)?;
        // BLAKE3 takes seconds for so many; for the other one their number does not matter.
        let some = block.hole() - computed;
        let some = if job.options.digest() == Kind::Blake3 { some.min(LONGEST_HOLE) } else { some };
        digest.update_zeros(some);
        computed += some;
    }
    while written < block.hole() {
        stop_if_asked(consumer, job)?;
        written += sink.write_zeros(block.offset() + written, block.hole() - written)?;
        if written < block.hole() {
            look(&mut looked, consumer)?;
        }
    }
    Ok(())
}

/// Whether this can go on, asked now and then.
fn look(looked: &mut Instant, consumer: &Consumer) -> Result<(), Stop> {
    if looked.elapsed() >= Duration::from_millis(50) {
        consumer.check()?;
        *looked = Instant::now();
    }
    Ok(())
}

/// An error if somebody wants this to stop. Once the copy may be in its place it is too late.
fn stop_if_asked(consumer: &Consumer, job: &Job) -> Result<(), Stop> {
    if !job.signals.stop.load(Ordering::Relaxed) || consumer.predecessor_was_committing() {
        return Ok(());
    }
    consumer.abort(&Reason::new(exit::PARTNER.into(), "was interrupted"));
    Err(PipeError::Interrupted.into())
}
