//! The two halves of a copy. Only this file knows that there is another process, and which.
//!
//! Reader and Writer are the program's words; in the library they hold the producer and the consumer.

use crate::args::{Fsync, Options};
use crate::digest::Digest;
use crate::exit::{self, Failure, show};
use crate::os::{self, Signals};
use crate::partner::Partner;
use crate::plan::{self, Paths, show_job};
use crate::progress::{Progress, Role, View, command_line};
use crate::record::{SourceRecord, TargetRecord};
use crate::sink::{self, Fate, Sink};
use crate::source::Source;
use blockpipe::{
    Consumer, End, Geometry, JoinError, Monitor, Phase, Pipe, PipeError, Producer, Reason, Side, Snapshot,
};
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
    progress.finish();
    let result = copied.map_err(|stop| match stop {
        Stop::Own(failure) => match producer.abort(&reason(&failure)) {
            Err(PipeError::Aborted { by: Side::Consumer, reason }) => told(Role::Writer, &reason),
            _ => failure,
        },
        Stop::Pipe(error) => job.explain(error, Role::Reader, &producer.monitor().snapshot()),
    });
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
    progress.finish();
    copied.map_err(|stop| match stop {
        Stop::Own(failure) => match consumer.abort(&reason(&failure)) {
            PipeError::Aborted { by: Side::Producer, reason } => told(Role::Reader, &reason),
            _ => failure,
        },
        Stop::Pipe(error) => job.explain(error, Role::Writer, &consumer.monitor().snapshot()),
    })
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
    consumer.begin(&TargetRecord { file: sink.id(), terminal: os::terminal() }.pack())?;
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
    sink.prepare(bytes, durable)?;
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
    Ok(Summary { bytes, sum })
}

impl Job<'_> {
    fn show_name(&self) -> String {
        format!("\u{201c}{}\u{201d}", show_job(&self.name))
    }

    /// What a Reader says to whom nobody comes.
    fn lonely_message(&self) -> String {
        let mut words = vec!["duocopy".into()];
        if self.options.fsync == Fsync::None {
            words.push("--fsync=none".into());
        }
        words.push("--".into());
        words.extend([self.paths.source.to_string_lossy(), self.paths.destination.to_string_lossy()]);
        if self.name != self.paths.job() {
            words.push(String::from_utf8_lossy(&self.name));
        }
        if !words[2..].iter().any(|word| word.starts_with('-')) {
            words.retain(|word| word != "--");
        }
        format!(
            "waiting for the second process; start it as the same user:\n  {}",
            command_line(words.into_iter())
        )
    }

    fn explain_refusal(&self, error: JoinError) -> Failure {
        let name = self.show_name();
        match error {
            JoinError::TooManyInstances(there) => Failure::new(
                exit::TOO_MANY,
                format!(
                    "too many instances: the pipe {name} has its Reader (process {}) and its Writer (process {}) already; {}",
                    there.producer,
                    there.consumer.unwrap_or(0),
                    doing(&there)
                ),
            ),
            JoinError::Leaving(there) => Failure::new(
                exit::TOO_MANY,
                format!(
                    "too many instances: an earlier copy under the pipe {name} (processes {} and {}) is still ending; \
                 try again in a moment",
                    there.producer,
                    there.consumer.unwrap_or(0)
                ),
            ),
            JoinError::OtherJob(there) => Failure::new(
                exit::REFUSED,
                format!(
                    "the pipe {name} is in use for another copy:\n  there: {} (process {}, which goes on waiting)\n  here:  {}\n\
                 choose another NAME, or wait for its end",
                    show_job(&there.job),
                    there.producer,
                    show_job(&self.paths.job())
                ),
            ),
            JoinError::OtherVersion { ours, theirs } => Failure::new(
                exit::OTHER_VERSION,
                format!(
                    "the process at the pipe {name} speaks version {theirs} of the protocol, this one version {ours}; \
                 use the same duocopy for both"
                ),
            ),
            JoinError::Foreign { path, what } => Failure::new(
                exit::REFUSED,
                format!(
                    "{}: {what}; it was left alone: look who made it, and remove it if it is not needed",
                    exit::printable(&path)
                ),
            ),
            JoinError::Busy => Failure::new(
                exit::FAILED,
                format!(
                    "the pipe {name}: a process has been arriving or leaving for more than half a second; if it is \
                 stopped, continue or end it, then try again"
                ),
            ),
            JoinError::Aborted(reason) => told(Role::Reader, &reason),
            JoinError::Interrupted => self.interrupted(),
            JoinError::Io { doing, source } => no_shared_memory(&doing, &source),
            other => Failure::new(exit::FAILED, format!("the pipe {name}: {other}")),
        }
    }

    /// How the pipe ended, for the process in this role.
    fn explain(&self, error: PipeError, role: Role, there: &Snapshot) -> Failure {
        let destination = show(&self.paths.destination);
        match error {
            _ if self.signals.number().is_some() && !matches!(error, PipeError::DiedCommitting) => {
                self.interrupted()
            }
            PipeError::Aborted { by: Side::Producer, reason } => told(Role::Reader, &reason),
            PipeError::Aborted { by: Side::Consumer, reason } => told(Role::Writer, &reason),
            PipeError::PartnerDied if role == Role::Writer => Failure::new(
                exit::PARTNER,
                format!(
                    "the Reader (process {}) died; {destination} is unchanged: start both again",
                    there.producer
                ),
            ),
            PipeError::PartnerDied => Failure::new(
                exit::PARTNER,
                format!(
                    "the Writer died; {destination} is unchanged, and a temporary file may be left beside it ({}), \
                 which the next copy removes: start both again",
                    self.paths.destination.file_name().map_or("".into(), |name| {
                        sink::temporary_name(name).to_string_lossy().into_owned()
                    })
                ),
            ),
            PipeError::DiedCommitting => self.look_at_the_destination(there),
            PipeError::NoPartner => Failure::new(
                exit::NO_PARTNER,
                format!(
                    "nobody came to the pipe {} within --wait; start the second process in time",
                    self.show_name()
                ),
            ),
            PipeError::Interrupted => self.interrupted(),
            PipeError::Io { doing, source } => no_shared_memory(&doing, &source),
            other => Failure::new(exit::FAILED, format!("the pipe {}: {other}", self.show_name())),
        }
    }

    /// The Writer died between its last word and the verdict: only the file itself can tell.
    fn look_at_the_destination(&self, there: &Snapshot) -> Failure {
        let path = &self.paths.destination;
        let id = there.target.map(|target| TargetRecord::unpack(&target).file);
        let fate = match id.map_or(Fate::Unknown, |id| sink::fate(path, id)) {
            Fate::Replaced => "is complete, though a power failure now may bring back what was there before",
            Fate::Unchanged => "is unchanged: start both again",
            Fate::Unknown => {
                "may be complete or unchanged, which cannot be told from here: compare it with the source"
            }
        };
        Failure::new(
            exit::PARTNER,
            format!("the Writer died while it put the copy in its place; {} {fate}", show(path)),
        )
    }

    fn interrupted(&self) -> Failure {
        let path = show(&self.paths.destination);
        match self.signals.number() {
            Some(number) => Failure::new(exit::SIGNAL + number, format!("interrupted; {path} is unchanged")),
            // Nobody sent a signal: the partner that this process started has ended.
            None => Failure::new(exit::PARTNER, format!("the second process ended; {path} is unchanged")),
        }
    }
}

/// What the other side is told about our failure, and what we make of theirs.
fn reason(failure: &Failure) -> Reason {
    Reason::new(failure.code.into(), failure.message.clone())
}

fn told(by: Role, reason: &Reason) -> Failure {
    let code = u8::try_from(reason.code).ok().filter(|code| *code != exit::COMPLETE).unwrap_or(exit::FAILED);
    let message = exit::printable(&reason.message);
    if code == exit::PARTNER {
        return Failure::new(code, format!("the {by} {message}; the destination is unchanged"));
    }
    Failure::new(code, format!("the {by} gave up: {message}"))
}

fn no_memory(error: PipeError) -> Stop {
    match error {
        PipeError::Io { doing, source } => Stop::Own(no_shared_memory(&doing, &source)),
        other => Stop::Pipe(other),
    }
}

fn no_shared_memory(doing: &str, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::StorageFull {
        let remedy = "free some of it (df -h /dev/shm, ls -l /dev/shm), or use a smaller --buffer-size";
        return Failure::new(exit::NO_SPACE, format!("{doing}: {error}: shared memory is full; {remedy}"));
    }
    Failure::new(exit::FAILED, format!("{doing}: {error}; look at the rights and the mount of /dev/shm"))
}

fn doing(there: &Snapshot) -> String {
    match there.phase {
        Phase::Opening | Phase::Alone => "they are starting".into(),
        Phase::Moving => format!("{} bytes are read and {} written so far", there.sent, there.done),
        Phase::Finishing | Phase::Committing | Phase::Over => {
            format!("they are finishing: {} bytes are written", there.done)
        }
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
