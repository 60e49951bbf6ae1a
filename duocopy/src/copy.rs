//! The two halves of a copy. Only this file knows that there is another process, and which.
//!
//! Reader and Writer are the program's words; in the library they hold the producer and the consumer.

use crate::args::{Fsync, Options, Permission, Verify};
use crate::digest::{Kind, Value};
use crate::exit::{self, Failure};
use crate::journal::Durable;
use crate::os::{self, Signals};
use crate::output::{Outlet, Output, allow, out_already};
use crate::pace::Pace;
use crate::partner::Partner;
use crate::peers::Peers;
use crate::plan::{self, Paths};
use crate::progress::{Presence, Progress, Role, View};
use crate::record::{SourceRecord, TargetRecord};
use crate::sandbox;
use crate::sink::Sink;
use crate::source::{Piece, Source};
use crate::stats::Meter;
use crate::verdict::no_shared_memory;
use blockpipe::{
    Consumer, End, FilledBlock, Geometry, Mark, Monitor, Phase, Pipe, PipeError, Producer, Reason, Side,
};
use std::cell::Cell;
use std::ffi::OsString;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// One copy as this process sees it.
#[derive(Debug)]
pub struct Job<'a> {
    pub paths: &'a Paths,
    /// Where the two meet.
    pub name: Vec<u8>,
    /// The role, if this process can have only one.
    pub role: Option<Role>,
    /// Whether this process starts the other one.
    pub starts_partner: bool,
    /// What it may do as the Writer.
    pub permission: Permission,
    /// Whether what is written goes out, and cannot be taken back.
    pub outlet: Cell<bool>,
    /// Who the other process may belong to.
    pub peers: Peers,
    pub options: &'a Options,
    pub signals: &'a Signals,
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub bytes: u64,
    pub kind: Kind,
    pub digest: Value,
    /// What was to be taken over from the source and could not be.
    pub lost: Option<String>,
}

/// Why a half stops: for a reason of its own, or because the pipe says so.
enum Stop {
    Own(Failure),
    /// The same, but the partner goes on waiting: for another one in the place of a dead one.
    Aside(Failure),
    Pipe(PipeError),
}

impl Stop {
    /// Whether the partner died without a word, and this side did nothing wrong.
    fn by_a_death(&self) -> bool {
        matches!(self, Self::Pipe(PipeError::PartnerDied | PipeError::NoPartner))
    }

    /// Whether somebody stopped one of the two.
    fn by_an_interrupt(&self) -> bool {
        match self {
            Self::Pipe(PipeError::Aborted { reason, .. }) => reason.code == u32::from(exit::PARTNER),
            Self::Pipe(error) => matches!(error, PipeError::Interrupted),
            Self::Own(_) | Self::Aside(_) => false,
        }
    }

    /// Whether what was written may be gone on with, if the user wants that.
    fn leaves_something_good(&self) -> bool {
        !matches!(self, Self::Own(failure) if [exit::MISMATCH, exit::SKIPPED].contains(&failure.code))
    }
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

/// What passes through the caches on its way (`docs/benchmarks.md`).
const PRIVATE: usize = 64 << 10;

impl Job<'_> {
    fn pipe(&self) -> Pipe {
        let pipe = Pipe::named(&self.name);
        match &self.options.dir {
            Some(dir) if !self.starts_partner => pipe.in_directory(dir),
            _ => pipe,
        }
    }

    /// Where the pipe is a file, if it is one.
    pub fn pipe_directory(&self) -> Option<OsString> {
        self.pipe().directory()
    }

    /// Where a block's bytes are looked at if others than this user may write to the block meanwhile: what counts in
    /// the checksum is then what was read, or is written.
    fn private_copy(&self) -> Option<Vec<u8>> {
        (self.options.dir.is_some() && !self.starts_partner).then(Vec::new)
    }
}

/// Takes the role that is free, and does it.
pub fn run(job: &Job, progress: &mut Progress) -> Result<Summary, Failure> {
    let interrupted = Reason::new(exit::PARTNER.into(), "was interrupted");
    let mut pipe = job.pipe().job(job.paths.job()).interrupt(job.signals.stop.clone(), interrupted);
    if let Some(wait) = job.options.wait {
        pipe = pipe.patience(wait);
    }
    if let Some(time) = job.options.replace_within {
        pipe = pipe.replace_within(time);
    }
    let joined = match job.role {
        None => pipe.join(),
        Some(Role::Reader) => pipe.join_as_producer().map(End::Producer),
        Some(Role::Writer) => {
            // It may be the first, and is held up until the Reader is ready.
            progress.start(
                (None, job.lonely_message(Role::Reader), String::new()),
                job.signals.clone(),
                || View::NOBODY,
            );
            let joined = pipe.join_as_consumer().map(End::Consumer);
            progress.finish();
            joined
        }
    };
    match joined {
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
    job.learn(&producer.monitor().snapshot());
    let result = copied.or_else(|stop| match stop {
        Stop::Own(failure) => match producer.abort(&job.reason(&failure)) {
            Err(PipeError::Aborted { by: Side::Consumer, reason }) => Err(job.told(Role::Writer, &reason, 0)),
            // Too late: the Writer had everything from the Reader before this one.
            Ok(()) if let Some(closing) = producer.monitor().snapshot().closing => {
                progress.note(&failure.message);
                let (bytes, digest) = (closing.length, closing.digest);
                Ok(Summary { bytes, kind: job.options.digest(), digest, lost: None })
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
    let length = source.record().known_length();
    let cut = plan::cut(length.unwrap_or(u64::MAX), job.options.block_size, job.options.buffer_size);
    if let Some(note) = &cut.note {
        progress.note(note);
    }
    let bytes = length.map_or("bytes until it ends".into(), |length| format!("{length} bytes"));
    progress.detail(&format!("{bytes}, {} blocks of {} bytes", cut.blocks, cut.block_size));
    if job.starts_partner {
        *partner = Some(Partner::start(job.paths, &job.name, job.options)?);
    }
    sandbox::confine_the_reader(job, progress);
    if let Some(partner) = partner {
        partner.watch(job.signals)?;
    }
    producer.ready(Geometry::new(cut.block_size, cut.blocks), &source.record().pack()).map_err(no_memory)?;
    progress.begins(Role::Reader, length, &job.show_name());
    let told = (length, job.lonely_message(Role::Writer), job.replacement_message(Role::Writer));
    progress.start(told, job.signals.clone(), view(producer.monitor(), Role::Reader));

    let Mark { position: mut bytes, sum } = producer.start()?;
    check_partner(Role::Writer, producer.partner()?, job, progress)?;
    let mut digest = source.start_at(bytes, sum)?;
    let (begins, monitor) = (bytes, producer.monitor());
    // Who replaces a dead one finds its blocks.
    let blocks = monitor.snapshot().geometry.map_or(cut.blocks, Geometry::blocks);
    let mut meter = Meter::start(Role::Reader, blocks);
    let mut pace = job.options.bwlimit.map(Pace::new);
    let (begun, mut private) = (Instant::now(), job.private_copy());
    loop {
        let mut block = meter.wait(|| producer.empty_block())?;
        if job.options.stats {
            meter.see(monitor.snapshot().waiting_blocks);
        }
        let room = pace.as_ref().map_or(block.len(), |pace| pace.at_once(block.len()));
        let piece = match &mut private {
            Some(own) => {
                own.resize(room.min(PRIVATE), 0);
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
    let stats = meter.conclude(bytes - begins);
    source.check_unchanged(bytes)?;
    // An interrupt may look like the end of what somebody types.
    producer.check()?;
    let digest = digest.value();
    producer.close(&digest)?;
    say_stats(&stats, job, progress);
    let remark = producer.remark();
    let lost = (remark.code == u32::from(exit::NOT_KEPT)).then(|| exit::printable(&remark.message));
    Ok(Summary { bytes, kind: job.options.digest(), digest, lost })
}

/// The Writer: opens the destination and nothing else, and touches nothing before the Reader has its source.
fn write(mut consumer: Consumer, job: &Job, progress: &mut Progress) -> Result<Summary, Failure> {
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
    check_partner(Role::Reader, consumer.partner()?, job, progress)?;
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

/// Whom this process deals with: said if it is somebody else.
fn check_partner(partner: Role, user: Option<u32>, job: &Job, progress: &Progress) -> Result<(), Stop> {
    if let Some(user) = user.filter(|user| !os::is_own_user(*user)) {
        progress.note(&format!("the {partner} belongs to user {}", os::show_user(user)));
    }
    Ok(job.peers.check(user)?)
}

/// The two processes do not compute the same.
fn other_check(path: &std::path::Path) -> Failure {
    let what = "the other process was started with another --verify or --hash";
    Failure::refused(path, what, "start both with the same ones")
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
    let Mark { position, sum } = consumer.begin(&sink.record().pack(), Mark { position, sum })?;
    *reached = Durable { position, sum };
    let source = SourceRecord::unpack(consumer.origin());
    if !sink.can_have(position) || sink.is_placed() && position < source.length {
        return Err(sink.lost().into());
    }
    progress.begins(Role::Writer, source.known_length(), &job.show_name());
    let told = (source.known_length(), String::new(), job.replacement_message(Role::Reader));
    progress.start(told, job.signals.clone(), view(consumer.monitor(), Role::Writer));

    let (durable, kind) = (job.options.fsync == Fsync::End, job.options.digest());
    sink.forget_behind(position)?;
    let mut digest = sink.digest(kind, *reached)?;
    if durable && !source.stream {
        sink.start_checkpoints()?;
    }
    let (monitor, mut meter) = (consumer.monitor(), Meter::start(Role::Writer, consumer.geometry().blocks()));
    let mut private = job.private_copy();
    while let Some(block) = meter.wait(|| consumer.filled_block())? {
        if job.options.stats {
            // One of them is this one.
            meter.see(monitor.snapshot().waiting_blocks);
        }
        // One of the two is 0.
        let (zeros, position) = (block.hole(), block.offset() + block.hole() + block.len() as u64);
        sink.allow(position)?;
        if let Some(own) = &mut private {
            own.resize(block.len(), 0);
            block.copy_to(own);
        }
        let bytes = private.as_deref().unwrap_or(&block);
        digest.update(bytes);
        digest.update_zeros(zeros);
        put(bytes, &block, sink, consumer, job)?;
        *reached = Durable { position, sum: digest.sum() };
        block.done(reached.sum);
        sink.reached(*reached)?;
    }
    let (bytes, value) = (reached.position, digest.value());
    if consumer.closing().is_none_or(|closing| (closing.length, closing.digest) != (bytes, value)) {
        return Err(job.mismatch("what arrived is not what was read (checksum or length)", sink).into());
    }
    let mut stats = meter.conclude(bytes - position);
    let again = job.options.verify == Verify::Reread;
    if durable || again {
        progress.step("copied, flushing to the disk");
    }
    let flushing = Instant::now();
    let lost = sink.prepare(*reached, &job.options.preserve, durable || again)?;
    if durable || again {
        stats.push(format!("Writer: flushing the rest took {:.3} s", flushing.elapsed().as_secs_f64()));
    }
    if again {
        progress.step("flushed, reading it again");
        let (there, past_the_cache) = sink.read_again(kind)?;
        if there != value {
            return Err(job
                .mismatch("what was read back from the disk is not what was written", sink)
                .into());
        }
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
    if let Some(note) = lost.of_old {
        progress.note(&note);
    }
    Ok(Summary { bytes, kind, digest: value, lost: lost.of_source })
}

/// Writes what was in the block. Nothing may be written for some time where somebody else has to make room.
fn put(
    bytes: &[u8],
    block: &FilledBlock<'_>,
    sink: &mut dyn Output,
    consumer: &Consumer,
    job: &Job,
) -> Result<(), Stop> {
    let (mut written, mut zeros, mut looked) = (0, 0, Instant::now());
    let mut look = || {
        if looked.elapsed() >= Duration::from_millis(50) {
            consumer.check()?;
            looked = Instant::now();
        }
        Ok::<(), Stop>(())
    };
    while written < bytes.len() {
        written += sink.write(block.offset() + written as u64, &bytes[written..])?;
        if written < bytes.len() {
            look()?;
        }
    }
    while zeros < block.hole() {
        stop_if_asked(consumer, job)?;
        zeros += sink.write_zeros(block.offset() + zeros, block.hole() - zeros)?;
        if zeros < block.hole() {
            look()?;
        }
    }
    Ok(())
}

fn say_stats(stats: &[String], job: &Job, progress: &Progress) {
    if job.options.stats {
        for line in stats {
            progress.note(line);
        }
    }
}

/// An error if somebody wants this to stop. Once the copy may be in its place it is too late.
fn stop_if_asked(consumer: &Consumer, job: &Job) -> Result<(), Stop> {
    if !job.signals.stop.load(Ordering::Relaxed) || consumer.predecessor_was_committing() {
        return Ok(());
    }
    consumer.abort(&Reason::new(exit::PARTNER.into(), "was interrupted"));
    Err(PipeError::Interrupted.into())
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
        let lives = match own {
            Role::Reader => now.consumer.is_some(),
            Role::Writer => now.producer_lives,
        };
        let blocks = now.geometry.map_or(1, Geometry::blocks) as u64;
        let theirs = now.target.map_or(0, |target| TargetRecord::unpack(&target).terminal);
        View {
            partner: match now.phase {
                Phase::Over => Presence::Dismissed,
                _ if lives => Presence::Here,
                // The Writer says what it works on as soon as it can; and a Reader was there before it.
                _ if own == Role::Writer || now.target.is_some() => Presence::Died,
                _ => Presence::NotYet,
            },
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
