//! The two halves of a copy. Only this file knows that there is another process, and which.
//!
//! Reader and Writer are the program's words; in the library they hold the producer and the consumer.

use crate::args::{Fsync, Options};
use crate::digest::Digest;
use crate::exit::{self, Failure, show};
use crate::os::{self, Signals};
use crate::partner::Partner;
use crate::plan::{self, Paths};
use crate::progress::{Progress, Role, View};
use crate::record::{SourceRecord, TargetRecord};
use crate::sink::Sink;
use crate::source::Source;
use crate::verdict::{no_shared_memory, reason};
use blockpipe::{Consumer, End, Geometry, Monitor, Pipe, PipeError, Producer, Reason, Side};
use std::sync::atomic::Ordering;

/// One copy as this process sees it.
#[derive(Debug)]
pub struct Job<'a> {
    pub paths: &'a Paths,
    /// Where the two meet.
    pub name: Vec<u8>,
    /// Whether this process starts the other one.
    pub starts_partner: bool,
    pub options: &'a Options,
    pub signals: &'a Signals,
}

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub bytes: u64,
    pub sum: u64,
}

/// Why a half stops: for a reason of its own, or because the pipe says so.
enum Stop {
    Own(Failure),
    Pipe(PipeError),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Own(failure)
    }
}

impl From<PipeError> for Stop {
    fn from(error: PipeError) -> Self {
        Self::Pipe(error)
    }
}

/// Takes the role that is free, and does it.
pub fn run(job: &Job, progress: &mut Progress) -> Result<Summary, Failure> {
    let interrupted = Reason::new(exit::PARTNER.into(), "was interrupted");
    let mut pipe =
        Pipe::named(&job.name).job(job.paths.job()).interrupt(job.signals.stop.clone(), interrupted);
    if let Some(wait) = job.options.wait {
        pipe = pipe.patience(wait);
    }
    match pipe.join() {
        Ok(End::Producer(producer)) => read(producer, job, progress),
        Ok(End::Consumer(consumer)) => write(consumer, job, progress),
        Err(error) => Err(job.explain_refusal(error)),
    }
}

/// The Reader: opens the source and nothing else.
fn read(mut producer: Producer, job: &Job, progress: &mut Progress) -> Result<Summary, Failure> {
    progress.detail(&format!("this is the Reader; the pipe is {}", job.show_name()));
    let mut partner = None;
    let copied = send_file(&mut producer, &mut partner, job, progress);
    let result = copied.map_err(|stop| match stop {
        Stop::Own(failure) => match producer.abort(&reason(&failure)) {
            Err(PipeError::Aborted { by: Side::Consumer, reason }) => job.told(Role::Writer, &reason),
            _ => failure,
        },
        Stop::Pipe(error) => job.explain(error, Role::Reader, &producer.monitor().snapshot()),
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
    let mut source = Source::open(&job.paths.source)?;
    let length = source.record().length;
    let cut = plan::cut(length, job.options.block_size, job.options.buffer_size);
    if let Some(note) = &cut.note {
        progress.note(note);
    }
    progress.detail(&format!("{length} bytes, {} blocks of {} bytes", cut.blocks, cut.block_size));
    if job.starts_partner {
        *partner = Some(Partner::start(job.paths, &job.name, job.options, job.signals)?);
    }
    producer.ready(Geometry::new(cut.block_size, cut.blocks), &source.record().pack()).map_err(no_memory)?;
    progress.start(length, job.lonely_message(), job.signals.clone(), view(producer.monitor(), Role::Reader));

    let (mut digest, mut bytes) = (Digest::new(), 0);
    loop {
        let mut block = producer.empty_block()?;
        let filled = source.fill(&mut block)?;
        if filled == 0 {
            break;
        }
        digest.update(&block[..filled]);
        bytes += filled as u64;
        if bytes > length {
            // It grows, perhaps as fast as it is read: this would not end.
            break;
        }
        block.send(filled, digest.value());
    }
    source.check_unchanged(bytes)?;
    producer.close(digest.value())?;
    Ok(Summary { bytes, sum: digest.value() })
}

/// The Writer: opens the destination and nothing else, and touches nothing before the Reader has its source.
fn write(mut consumer: Consumer, job: &Job, progress: &mut Progress) -> Result<Summary, Failure> {
    progress.detail(&format!("this is the Writer; the pipe is {}", job.show_name()));
    let source = SourceRecord::unpack(consumer.origin());
    let sink = Sink::create(&job.paths.destination, &source);
    let copied = match sink {
        Err(failure) => Err(Stop::Own(failure)),
        Ok(mut sink) => {
            let copied = receive_file(&mut consumer, &mut sink, source.length, job, progress);
            if copied.is_err() {
                sink.discard();
            }
            copied
        }
    };
    let result = copied.map_err(|stop| match stop {
        Stop::Own(failure) => match consumer.abort(&reason(&failure)) {
            PipeError::Aborted { by: Side::Producer, reason } => job.told(Role::Reader, &reason),
            _ => failure,
        },
        Stop::Pipe(error) => job.explain(error, Role::Writer, &consumer.monitor().snapshot()),
    });
    progress.finish();
    result
}

fn receive_file(
    consumer: &mut Consumer,
    sink: &mut Sink,
    expected: u64,
    job: &Job,
    progress: &mut Progress,
) -> Result<Summary, Stop> {
    for note in sink.notes() {
        progress.note(note);
    }
    // Stored before the first write: whoever finds us dead can tell by it what became of the destination.
    consumer.begin(&TargetRecord { file: sink.id(), born: sink.born(), terminal: os::terminal() }.pack())?;
    progress.start(expected, String::new(), job.signals.clone(), view(consumer.monitor(), Role::Writer));

    let (mut digest, mut bytes) = (Digest::new(), 0);
    while let Some(block) = consumer.filled_block()? {
        digest.update(&block);
        sink.write(block.offset(), &block)?;
        bytes += block.len() as u64;
        block.done(digest.value());
    }
    let sum = digest.value();
    if consumer.closing().is_none_or(|closing| (closing.length, closing.sum) != (bytes, sum)) {
        let what = format!(
            "{}: what arrived is not what was read (checksum or length); check this machine's memory, then copy again",
            show(&job.paths.destination)
        );
        return Err(Failure::new(exit::MISMATCH, what).into());
    }
    let durable = job.options.fsync == Fsync::End;
    if durable {
        progress.step("copied, flushing to the disk");
    }
    let note = sink.prepare(bytes, durable)?;
    if job.signals.stop.load(Ordering::Relaxed) {
        consumer.abort(&Reason::new(exit::PARTNER.into(), "was interrupted"));
        return Err(PipeError::Interrupted.into());
    }

    let committing = consumer.commit()?;
    if let Err(failure) = sink.replace() {
        committing.abort(&reason(&failure));
        return Err(failure.into());
    }
    if durable && let Err(failure) = sink.sync_name() {
        committing.abort(&reason(&failure));
        return Err(failure.into());
    }
    committing.complete()?;
    if let Some(note) = note {
        progress.note(&note);
    }
    Ok(Summary { bytes, sum })
}

fn no_memory(error: PipeError) -> Stop {
    match error {
        PipeError::Io { doing, source } => Stop::Own(no_shared_memory(&doing, &source)),
        other => Stop::Pipe(other),
    }
}

/// Translates the library's view into the program's.
fn view(monitor: Monitor, own: Role) -> impl FnMut() -> View + Send + 'static {
    let terminal = os::terminal();
    move || {
        let now = monitor.snapshot();
        let blocks = now.geometry.map_or(1, Geometry::blocks) as u64;
        let theirs = now.target.map_or(0, |target| TargetRecord::unpack(&target).terminal);
        View {
            partner: now.consumer.is_some(),
            read: now.sent,
            written: now.done,
            buffer: now.waiting_blocks.min(blocks) * 100 / blocks,
            asleep: now.asleep.map(|side| match side {
                Side::Producer => Role::Reader,
                Side::Consumer => Role::Writer,
            }),
            drawn_by_partner: own == Role::Reader && terminal != 0 && theirs == terminal,
        }
    }
}
