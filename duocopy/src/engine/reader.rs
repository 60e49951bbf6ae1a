//! The Reader: opens only the source.

use super::feed::Feed;
use super::half::{Half, PRIVATE_COPY, watched};
use super::pace::Pace;
use super::second::{Started, Watched};
use super::stats::Meter;
use super::verdict::Outlook;
use crate::api::{Error, ErrorKind, Event, Outcome, Parties, Role, SharedOption, Stats, Step, Warning};
use crate::attributes;
use crate::cache::{CacheUse, Pages};
use crate::digest::{Digest, Kind};
use crate::record::{ResumePoint, SourceRecord, TargetRecord};
use crate::session::{
    self, Frame, Geometry, Halt, Hello, Layout, MIN_BLOCK_SIZE, Producer, Trust, choose_layout, pack_point,
    pack_trailer, unpack_trailer, wire,
};
use crate::source::{self, Piece, Reading, Source};
use crate::sys::{DirectoryRight, PrivateDirectory, SandboxPolicy};
use std::path::Path;
use std::time::{Duration, Instant};

/// Reads the source to its end, and waits for the verdict. Opens the source unless it is open already.
pub fn read<T: Trust>(
    mut producer: Producer<T>,
    source: &mut Option<Box<dyn Source>>,
    half: &Half,
    feed: &mut Feed,
) -> Result<Outcome, Error> {
    feed.send(Event::Joined { role: Role::Reader, pipe: half.meeting.place.name.clone() });
    // Opening the source may take any time, and no event would be delivered meanwhile.
    feed.pause();
    let (mut second, mut outlook) = (None, Outlook::default());
    let opened = source.take().map_or_else(|| open(half), Ok);
    let sent = opened.and_then(|opened| {
        send(&mut producer, &mut **source.insert(opened), &mut second, &mut outlook, half, feed)
    });
    let result = sent.or_else(|halt| explain(halt, &producer, outlook, half, feed));
    // Events are delivered only after the peer knows the result, because an observer may block.
    feed.pause();
    match second {
        Some(second) => second.conclude(result, half.stop),
        None => result,
    }
}

/// Converts the end of this half into a result: an error, or an outcome if the copy is complete despite a late failure.
pub fn explain<T: Trust>(
    end: Halt,
    producer: &Producer<T>,
    outlook: Outlook,
    half: &Half,
    feed: &Feed,
) -> Result<Outcome, Error> {
    let there = producer.monitor().snapshot();
    match end {
        Halt::Detach(error) => Err(error),
        Halt::Pipe(error) => Err(half.explain(Role::Reader, error, &there, outlook)),
        Halt::Own(error) => {
            if let Some(first) = half.abort_as_reader(producer, error.clone()) {
                Err(first)
            } else {
                feed.warn([Warning::TooLate(Box::new(error))]);
                let (bytes, digest) = there.trailer.as_ref().map(unpack_trailer).unwrap_or_default();
                let checksum = Kind::of(half.request).checksum(&digest);
                Ok(Outcome::Complete { bytes, checksum, not_preserved: Vec::new() })
            }
        }
    }
}

fn open(half: &Half) -> Result<Box<dyn Source>, Halt> {
    Ok(source::open(source_of(half), Reading::of(half.request), half.stop)?)
}

fn source_of<'a>(half: &Half<'a>) -> &'a Path {
    half.source.expect("a process that may read knows the source")
}

/// Sends the whole source, and waits for the verdict. `second` becomes the second process, if this one starts it.
pub fn send<T: Trust>(
    producer: &mut Producer<T>,
    source: &mut dyn Source,
    second: &mut Option<Watched>,
    outlook: &mut Outlook,
    half: &Half,
    feed: &mut Feed,
) -> Result<Outcome, Halt> {
    let request = half.request;
    if let Some(before) = producer.predecessor() {
        take_over(source.record(), &SourceRecord::unpack(before), half)?;
        feed.send(Event::Replaced { role: Role::Reader });
    }
    let length = source.record().known_length();
    let layout = layout_for(source, half, feed);
    let starts_second = matches!(request.parties, Parties::Both { .. });
    let started = starts_second.then(|| Started::start(request, &half.meeting.place)).transpose()?;
    if let Some(started) = started {
        confine(producer, half, feed);
        *second = Some(started.watch(&half.peer_ended, feed.sender())?);
    }
    session::offer(producer, &layout, &Hello::new(*source.record(), request))?;
    let pipe = half.meeting.place.name.clone();
    feed.send(Event::Started { role: Role::Reader, pipe, length });
    feed.send(Event::Waiting { missing: Role::Writer, refusal: None });
    show_progress(producer, half, feed);

    let at = session::start(producer)?;
    half.has_begun.set(true);
    if !starts_second {
        // Not before, because a process that waits makes its pipe again if somebody removes it.
        feed.pause();
        confine(producer, half, feed);
        show_progress(producer, half, feed);
    }
    half.check_peer(Role::Writer, || producer.peer_user(), feed)?;
    while !source.settle() {
        producer.check()?;
    }
    let trusts_sum = half.meeting.is_private();
    let mut digest = watched(|| producer.check(), |must_end| source.resume(at, trusts_sum, must_end))?;
    let usage = CacheUse { direct: request.direct_source, drops: request.drop_cache, flushes: false };
    feed.warn(source.use_cache(usage));
    let (bytes, stats) = send_content(source, producer, &mut digest, at.position, half)?;
    let target = producer.peer_hello()?.map(|target| TargetRecord::unpack(&target));
    if target.is_some_and(|target| target.wants_attributes) {
        send_attributes(source, producer, &point(bytes, &digest))?;
    }
    let digest = digest.value();
    if source.is_suspect(bytes)? {
        feed.send(Event::Step(Step::Comparing));
        watched(|| producer.check(), |must_end| source.compare(bytes, &digest, must_end))?;
    }
    feed.warn(source.finish());
    // On a terminal, an interrupt may look like the end of the input.
    producer.check()?;
    if let Some(before) = producer.monitor().snapshot().trailer
        && unpack_trailer(&before) != (bytes, digest)
    {
        // An earlier Reader, or a process that pretends to be one, has ended the stream with other bytes than these.
        return Err(Error::at(ErrorKind::SourceDiffers, source_of(half)).into());
    }
    half.check_peer_again(|| producer.peer_user())?;
    outlook.sent = Some((bytes, digest));
    producer.close(&pack_trailer(bytes, &digest))?;
    if let Some(stats) = stats {
        feed.send(Event::Stats(stats));
    }
    let checksum = Kind::of(request).checksum(&digest);
    Ok(Outcome::Complete { bytes, checksum, not_preserved: wire::losses_of(&producer.remark()) })
}

fn show_progress<T: Trust>(producer: &Producer<T>, half: &Half, feed: &mut Feed) {
    let may_share = !matches!(half.request.parties, Parties::Both { .. });
    feed.start(session::progress(producer.monitor(), Role::Reader, may_share));
}

/// Gives up all rights that the Reader does not need once its source is open.
fn confine<T: Trust>(producer: &Producer<T>, half: &Half, feed: &Feed) {
    let policy = SandboxPolicy {
        pipe: producer.directory().map(|directory| (directory, half.rights_at_the_pipe())),
        pipe_parent: half.private.map(PrivateDirectory::parent),
        // If the Writer dies while it commits, this process checks what became of the destination.
        destination: half.observed().map(|it| (it.directory(), vec![DirectoryRight::ReadFiles])),
        changeable: None,
    };
    half.confine(&policy, feed);
}

/// Checks that this process can continue the copy of a dead Reader.
fn take_over(source: &SourceRecord, before: &SourceRecord, half: &Half) -> Result<(), Halt> {
    let path = source_of(half);
    if before.digest != source.digest {
        let error = Error::at(ErrorKind::OptionsDiffer(SharedOption::Checksum), path);
        return Err(Halt::Detach(error));
    }
    Ok(source::check_continues(path, source, before)?)
}

/// Divides the memory into blocks for this source, and reports how.
fn layout_for(source: &dyn Source, half: &Half, feed: &Feed) -> Layout {
    let request = half.request;
    let (length, supply) = (source.record().known_length(), source.supply(request.direct_source));
    let layout = choose_layout(length, supply, request.block_size, request.buffer_size);
    feed.warn(layout.adjusted.map(|(blocks, block_size)| Warning::LayoutAdjusted { blocks, block_size }));
    let Layout { blocks, block_size, reason, .. } = layout;
    feed.send(Event::Layout { length, blocks, block_size, reason });
    layout
}

/// Sends everything from `begins` to the end of the source. Returns the length of the source, and the statistics if
/// they are requested.
fn send_content<T: Trust>(
    source: &mut dyn Source,
    producer: &mut Producer<T>,
    digest: &mut Digest,
    begins: u64,
    half: &Half,
) -> Result<(u64, Option<Stats>), Halt> {
    let (request, monitor) = (half.request, producer.monitor());
    let (mut bytes, length) = (begins, source.record().known_length());
    let mut meter = request.stats.then(|| {
        let now = monitor.snapshot();
        // A replacement finds the blocks of the dead one.
        Meter::start(Role::Reader, now.geometry.map_or(1, Geometry::blocks), now.waited)
    });
    let mut pace = request.rate_limit.map(Pace::new);
    let (begun, mut private) = (Instant::now(), None);
    loop {
        let mut block = producer.empty_block()?;
        if let Some(meter) = &mut meter {
            meter.count(monitor.waiting_blocks());
        }
        let room = pace.as_ref().map_or(block.capacity(), |pace| pace.at_once(block.capacity()));
        let memory = if let Some(bytes) = block.trusted_mut() {
            &mut bytes[..room]
        } else {
            let own = private.get_or_insert_with(|| Pages::new(PRIVATE_COPY));
            own.resize(room.min(PRIVATE_COPY));
            &mut own[..]
        };
        match source.next(memory)? {
            Piece::Bytes(0) => break,
            Piece::NotYet => {
                producer.check()?;
                if source.is_unopened() && begun.elapsed() > request.connect_timeout.unwrap_or(Duration::MAX)
                {
                    return Err(Error::at(ErrorKind::FifoNotOpened, source_of(half)).into());
                }
            }
            Piece::Bytes(filled) => {
                digest.update(&memory[..filled]);
                if let Some(own) = &private {
                    block.copy_from(0, &own[..filled]);
                }
                bytes += filled as u64;
                if length.is_some_and(|length| bytes > length) {
                    // The source grows, perhaps as fast as it is read: the loop would not end.
                    break;
                }
                producer.send_with(block, filled, &point(bytes, digest))?;
                if let Some(pace) = &mut pace {
                    let mut wait = || pace.spend(filled);
                    match &mut meter {
                        Some(meter) => meter.hold_back(wait),
                        None => wait(),
                    }
                }
            }
            Piece::Zeros(zeros) => {
                digest.update_zeros(zeros);
                bytes += zeros;
                Frame::Zeros(zeros).put(&mut block);
                producer.send_with(block, 0, &point(bytes, digest))?;
            }
        }
    }
    Ok((bytes, meter.map(|meter| meter.conclude(bytes - begins, monitor.snapshot().waited))))
}

/// Returns the point from which a replacement of this process has to resume.
fn point(position: u64, digest: &Digest) -> session::PipePoint {
    pack_point(ResumePoint { position, sum: digest.resume_state() })
}

/// Sends the attributes after the last byte. If the Writer dies, its replacement receives the pieces that were not
/// released.
fn send_attributes<T: Trust>(
    source: &dyn Source,
    producer: &mut Producer<T>,
    at: &session::PipePoint,
) -> Result<(), Halt> {
    let packed = attributes::pack(&source.attributes()?);
    for piece in attributes::pieces(&packed, MIN_BLOCK_SIZE) {
        let mut block = producer.empty_block()?;
        block.copy_from(0, &piece);
        Frame::Attributes.put(&mut block);
        producer.send_with(block, piece.len(), at)?;
    }
    Ok(())
}
