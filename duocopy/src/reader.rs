//! The first half of a copy: opens the source and nothing else.

use crate::copy::{Job, PRIVATE, Stop, Summary, check_partner, other_check, say_stats, view};
use crate::exit::{self, Failure};
use crate::metadata;
use crate::options::{Direct, Options};
use crate::pace::Pace;
use crate::partner::{Partner, Started};
use crate::plan::{self, Cut, Supply, show_job};
use crate::progress::{Progress, Role};
use crate::record::{SourceRecord, TargetRecord};
use crate::sandbox;
use crate::source::{Piece, Source};
use crate::stats::Meter;
use crate::verdict::no_shared_memory;
use blockpipe::{Geometry, PipeError, Producer, ResumePoint, Side};
use std::time::{Duration, Instant};

/// The whole of it, to the verdict.
pub fn read(mut producer: Producer, job: &Job, progress: &mut Progress) -> Result<Summary, Failure> {
    progress.detail(&format!("this is the Reader; the pipe is {}", job.show_name()));
    let mut partner = None;
    let copied = send_file(&mut producer, &mut partner, job, progress);
    job.learn(&producer.monitor().snapshot());
    let result = copied.or_else(|stop| match stop {
        Stop::Own(failure) => match producer.abort(&job.reason(&failure)) {
            Err(PipeError::Aborted { by: Side::Consumer, reason }) => Err(job.told(Role::Writer, &reason, 0)),
            // Too late: the Writer had everything from the Reader before this one.
            Ok(()) if let Some(closing) = producer.monitor().snapshot().trailer => {
                progress.note(&failure.message);
                let (bytes, digest) = (closing.length, closing.digest);
                Ok(Summary { bytes, kind: job.options.digest(), digest, not_kept: None })
            }
            _ => Err(failure),
        },
        Stop::Aside(failure) => Err(failure),
        Stop::Pipe(error) => Err(job.explain(error, Role::Reader, &producer.monitor().snapshot(), 0)),
    });
    // After the partner was told: a screen that nobody reads can block for ever.
    progress.finish();
    match partner {
        Some(partner) => partner.conclude(result, progress),
        None => result,
    }
}

fn send_file(
    producer: &mut Producer,
    partner: &mut Option<Partner>,
    job: &Job,
    progress: &mut Progress,
) -> Result<Summary, Stop> {
    let mut source = Source::open(job.paths.source(), job.options.digest(), job.role.is_some())?;
    if let Some(before) = producer.predecessor() {
        let before = SourceRecord::unpack(before);
        if before.checked_by != job.options.digest() {
            return Err(Stop::Aside(other_check(job.paths.source())));
        }
        source.check_same_version(&before)?;
        progress.note("this Reader takes the place of one that died");
    }
    let (length, cut) = (source.record().known_length(), cut(&source, job.options, progress));
    let start = || Started::start(job.paths, &job.name, job.options);
    let started = job.starts_partner.then(start).transpose()?;
    sandbox::confine_the_reader(job, progress);
    if let Some(started) = started {
        *partner = Some(started.watch(job.signals)?);
    }
    let wish = if job.paths.both().is_some() { job.permission.wish() } else { 0 };
    let record = SourceRecord { wish, ..*source.record() };
    producer.ready(Geometry::new(cut.block_size, cut.blocks), &record.pack()).map_err(no_memory)?;
    progress.begins(Role::Reader, length, &show_job(&job.name));
    let told = (length, job.lonely_message(Role::Writer), job.replacement_message(Role::Writer));
    progress.start(told, job.signals.clone(), view(producer.monitor(), Role::Reader));

    let ResumePoint { position: mut bytes, sum } = producer.start()?;
    check_partner(Role::Writer, producer.peer_user(), job, progress)?;
    let mut digest = source.start_at(bytes, sum)?;
    for note in source.pass_the_cache(job.options.cache(Direct::Source)) {
        progress.note(&note);
    }
    let (begins, monitor) = (bytes, producer.monitor());
    // Who replaces a dead one finds its blocks.
    let now = monitor.snapshot();
    let blocks = now.geometry.map_or(cut.blocks, Geometry::blocks);
    let mut meter = Meter::start(Role::Reader, blocks, now.waited);
    let mut pace = job.options.bwlimit.map(Pace::new);
    let (begun, mut private) = (Instant::now(), job.private_copy());
    loop {
        let mut block = producer.empty_block()?;
        if job.options.stats {
            meter.see(monitor.snapshot().waiting_blocks);
        }
        let room = pace.as_ref().map_or(block.len(), |pace| pace.at_once(block.len()));
        let piece = match &mut private {
            Some(own) => {
                own.resize(room.min(PRIVATE));
                source.next(own)?
            }
            None => source.next(&mut block[..room])?,
        };
        match piece {
            Piece::Bytes(0) => break,
            Piece::NotYet => {
                producer.check()?;
                let alone = || begun.elapsed() > job.options.wait.unwrap_or(Duration::MAX);
                if source.is_unopened() && alone() {
                    return Err(source.unopened().into());
                }
            }
            Piece::Bytes(filled) => {
                digest.update(&private.as_deref().unwrap_or(&block)[..filled]);
                if let Some(own) = &private {
                    block.copy_from(&own[..filled]);
                }
                bytes += filled as u64;
                if length.is_some_and(|length| bytes > length) {
                    // It grows, perhaps as fast as it is read: this would not end.
                    break;
                }
                block.send(filled, digest.sum());
                if let Some(pace) = &mut pace {
                    meter.hold_back(|| pace.spend(filled));
                }
            }
            Piece::Zeros(zeros) => {
                digest.update_zeros(zeros);
                bytes += zeros;
                block.send_hole(zeros, digest.sum());
            }
        }
    }
    let stats = meter.conclude(bytes - begins, monitor.snapshot().waited);
    let target = monitor.snapshot().target.map(|target| TargetRecord::unpack(&target));
    if target.is_some_and(|target| target.attributes) {
        send_attributes(&source.attributes()?, producer, digest.sum())?;
    }
    source.check_unchanged(bytes)?;
    if let Some(note) = source.leave_the_cache() {
        progress.note(&note);
    }
    // An interrupt may look like the end of what somebody types.
    producer.check()?;
    let digest = digest.value();
    producer.close(&digest)?;
    say_stats(&stats, job, progress);
    let remark = producer.remark();
    let lost = (remark.code == u32::from(exit::NOT_KEPT)).then(|| exit::printable(&remark.message));
    let not_kept = lost.map(|lost| job.not_kept(&lost));
    Ok(Summary { bytes, kind: job.options.digest(), digest, not_kept })
}

/// How to cut the memory for this source; says what was chosen.
fn cut(source: &Source, options: &Options, progress: &Progress) -> Cut {
    let length = source.record().known_length();
    let supply = match source.supply() {
        Supply::Memory if options.cache(Direct::Source).direct && !source.is_memory() => Supply::Device,
        supply => supply,
    };
    let cut = plan::cut(length, supply, options.block_size, options.buffer_size);
    if let Some(note) = &cut.note {
        progress.note(note);
    }
    let bytes = length.map_or("bytes until it ends".into(), |length| format!("{length} bytes"));
    let s = if cut.blocks == 1 { "" } else { "s" };
    progress.detail(&format!("{bytes}, {} block{s} of {} bytes: {}", cut.blocks, cut.block_size, cut.why));
    cut
}

/// Behind the last byte: a replacement of the Writer gets those that the dead one had not given back.
fn send_attributes(packed: &[u8], producer: &Producer, sum: u64) -> Result<(), Stop> {
    for piece in metadata::pieces(packed, Geometry::MIN_BLOCK_SIZE) {
        let mut block = producer.empty_block()?;
        block.copy_from(&piece);
        block.send_out_of_band(piece.len(), sum);
    }
    Ok(())
}

fn no_memory(error: PipeError) -> Stop {
    match error {
        PipeError::Io { doing, source } => Stop::Own(no_shared_memory(&doing, &source)),
        other => Stop::Pipe(other),
    }
}
