//! Joining a pipe: the first process under a name gets the producer, the second the consumer, a third is refused. Or
//! each gets the end that it requests, in any order.
//!
//! The steps and their order are those of `docs/protocol.md`. What happens under the gate is a handful of memory
//! accesses; everything slow happens before READY and outside the gate.

use crate::block::{Trust, TrustedPeer, UntrustedPeer};
use crate::consumer::Consumer;
use crate::end::{ARRIVAL_LIMIT, Attached, Interrupt, Options, ShouldCancel};
use crate::error::{JoinError, PipeError};
use crate::layout::{Geometry, Header, MAGIC, OPENING, READY, VERSION, fingerprint};
use crate::memory::Shared;
use crate::monitor::{Phase, Snapshot};
use crate::overview;
use crate::producer::Producer;
use crate::reason::Reason;
use crate::sync::{Ordering, step};
use crate::sys::{self, Location, Seats, Side};
use crate::wait::{ReadyWait, wait_for_ready, wait_until_vacated};
use std::ffi::{OsStr, OsString};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The end that a process got by joining.
#[derive(Debug)]
pub enum End<T: Trust = UntrustedPeer> {
    /// The process is the first under this name, or only a consumer was there.
    Producer(Producer<T>),
    /// The producer was there, and is ready.
    Consumer(Consumer<T>),
}

/// A name under which two processes on one machine meet. Both belong to one user, or to any of the users who can enter
/// a [directory](Self::in_directory).
///
/// The name may have any length and any bytes. It is not a secret: every process of the same user can join.
#[doc = include_str!("../docs/pipe.md")]
#[derive(Clone, Debug)]
pub struct Pipe<T: Trust = UntrustedPeer> {
    name: Vec<u8>,
    pub(crate) location: Location,
    tag: Vec<u8>,
    options: Options,
    trust: PhantomData<T>,
}

/// The result of one attempt to join.
enum Arrival {
    /// The process has a seat.
    Seated(Box<Attached>, Entry),
    /// The file was left over, or has just disappeared: retry at once.
    Retry,
    /// A pair is ending, or waits for another process: retry a little later, and fail once the time is up.
    Later(JoinError),
}

/// Tells the first holder of a seat in a pairing from a replacement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    First,
    Replacement,
}

impl Pipe {
    /// Creates a description of the pipe with this name. Nothing is opened until a process joins.
    /// Example: [meeting](#meeting).
    pub fn named(name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().into(),
            location: Location::Usual,
            tag: Vec::new(),
            options: Options::default(),
            trust: PhantomData,
        }
    }

    /// Makes blocks usable as slices: they implement `Deref<Target = [u8]>`. Without it they are
    /// [copied in](crate::EmptyBlock::copy_from) and [out](crate::FilledBlock::copy_to), or accessed through raw
    /// pointers. Example: [trusting the peer](#trusting-the-peer).
    ///
    /// # Safety
    /// While a block is lent (from the call that returns it until it is sent, released or dropped), nothing outside this
    /// process writes to its bytes. Correct peers do not. But every process that can open the pipe's file can: by default
    /// the processes of this user, and in a [directory](Self::in_directory) everybody who can enter it. The caller
    /// promises that all of these leave the pipe to its two ends, and that the peer uses this library correctly.
    #[expect(unsafe_code, reason = "a promise of the caller")]
    #[must_use]
    pub unsafe fn trust_peer(self) -> Pipe<TrustedPeer> {
        let Self { name, location, tag, options, trust: _ } = self;
        Pipe { name, location, tag, options, trust: PhantomData }
    }
}

impl<T: Trust> Pipe<T> {
    /// Sets the block size in bytes and the number of blocks (the nearest [`Geometry`]) for a producer that does not call
    /// [`Producer::ready`](crate::Producer::ready). Four blocks of 512 KiB by default, or, for the replacement of a dead
    /// producer, what that one had. Example: [meeting](#meeting).
    #[must_use]
    pub fn blocks(mut self, block_size: usize, blocks: usize) -> Self {
        self.options.geometry = Some(Geometry::new(block_size, blocks));
        self
    }

    /// Lets the two processes meet in this directory instead of the user's private one: two users, or two containers
    /// that both see it.
    ///
    /// The directory must exist, on a file system of this machine, and in memory if the blocks are to be fast (a tmpfs).
    /// Network file systems and FUSE are refused. Those who may write in it can open the files there, and nobody else
    /// can. Give it to a group of the two users, with the set-group-ID bit (mode 2770), or to one user (0700).
    ///
    /// Everybody who can write in it can read and change whatever passes between any pair there, can take the place of
    /// either process, and can crash both (by truncating their memory: a bus error). **In a directory of mode 0777, 1777
    /// or 2777, which is what containers often share, these are all users and containers that can reach it.**
    /// [`Producer::peer_user`](crate::Producer::peer_user) and [`Consumer::peer_user`](crate::Consumer::peer_user) return
    /// the peer's user as far as the kernel knows it.
    ///
    /// With the sticky bit (1777), only its owner and root can remove a file. If both processes of a pair are killed,
    /// another user cannot use the name before the owner of the pipe's file has joined a pipe there, or has removed the
    /// file; the error names it. Nor can a process replace one of another user.
    ///
    /// Not supported on Windows: joining fails there. Example: [sharing a directory](#sharing-a-directory).
    #[must_use]
    pub fn in_directory(mut self, directory: impl AsRef<OsStr>) -> Self {
        self.location = Location::Shared(directory.as_ref().into());
        self
    }

    /// Sets the application's tag: bytes that both ends must match (their length and hash are compared). Empty by
    /// default. Example: [requesting an end](#requesting-an-end).
    #[must_use]
    pub fn tag(mut self, tag: impl AsRef<[u8]>) -> Self {
        self.tag = tag.as_ref().into();
        self
    }

    /// Sets how long this process waits for a peer before it gives up: a producer with [`PipeError::NoPeer`], a
    /// consumer that came first with [`JoinError::NoPeer`]. Only time without a peer counts. Unlimited by default.
    /// Example: [requesting an end](#requesting-an-end).
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.options.connect_timeout = Some(time);
        self
    }

    /// If the peer dies, keeps the seat and the blocks for up to `time` (`Duration::MAX`: for ever), so that a
    /// replacement can join. The stream resumes after the last block that was sent or released. The time starts when a
    /// call of this end notices the death. It does not start again for a replacement that dies before a call has
    /// noticed it.
    ///
    /// Only a process that sets this, too, can be the replacement; others get [`JoinError::AwaitsReplacement`]. It may
    /// then get an end that had a holder before: see [`Producer::predecessor`](crate::Producer::predecessor) and
    /// [`Consumer::predecessor`](crate::Consumer::predecessor). By default a death ends the pipe, and nobody can join a
    /// pairing that has begun. Example: [replacing a dead process](#replacing-a-dead-process).
    #[must_use]
    pub fn replace_within(mut self, time: Duration) -> Self {
        self.options.replace_within = Some(time);
        self
    }

    /// Ends every wait within 50 ms after `flag` becomes true (a signal handler may set it, such as that of
    /// `signal_hook::flag::register`): the pipe is aborted with `reason`, which the peer receives, and the call returns
    /// [`PipeError::Interrupted`], or, if it joins, [`JoinError::Interrupted`]. Calls that do not wait, such as
    /// [`Producer::try_empty_block`](crate::Producer::try_empty_block), check the flag each time. Once the producer has
    /// closed the stream and the consumer commits, it is too late to abort: the producer's wait continues for up to 10
    /// seconds, and then fails with [`PipeError::DiedCommitting`]. Nothing that the peer writes delays any other
    /// interrupt.
    ///
    /// May be called several times: each flag interrupts with its own reason. If several are set, the one given first
    /// counts. Example: [interrupting](#interrupting).
    #[must_use]
    pub fn interrupt(mut self, flag: Arc<AtomicBool>, reason: Reason) -> Self {
        self.options.interrupts.push(Interrupt { flag, reason });
        self
    }

    /// Asks `should_cancel` about every 50 ms of a wait, and whenever a signal has interrupted the wait. If it returns
    /// true, the wait ends with [`PipeError::Canceled`], or [`JoinError::Canceled`], and nothing else has changed.
    ///
    /// It is called on the thread that waits, and may take its time. This is for interpreters, which run the program's
    /// signal handlers only when they are asked to; [`Canceller`](crate::Canceller) is simpler for everybody else.
    #[must_use]
    pub fn cancel_when(mut self, should_cancel: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.options.should_cancel = Some(ShouldCancel(Arc::new(should_cancel)));
        self
    }

    /// Takes one of the two ends: the producer for the first process, the consumer for the second. If only a consumer is
    /// waiting ([`join_as_consumer`](Self::join_as_consumer)), takes the producer.
    ///
    /// A third process gets [`JoinError::TooManyInstances`] at once. If a pair is just leaving, this waits for it, up to
    /// half a second. Otherwise it blocks only as a consumer: until the producer is ready, however long that takes, or
    /// aborts. If the producer dies before it is ready, this restarts, and may return the producer.
    /// Example: [meeting](#meeting).
    ///
    /// # Errors
    /// See [`JoinError`]. Nothing is changed for the processes that were there before, and nothing is left over.
    pub fn join(&self) -> Result<End<T>, JoinError> {
        self.join_as(None)
    }

    /// Takes the producer, whether a consumer has come before or comes later.
    ///
    /// If another process has it, fails with [`JoinError::TooManyInstances`] at once. If a pair is just leaving, waits
    /// for it, up to half a second; it waits for nothing else. Example: [requesting an end](#requesting-an-end).
    ///
    /// # Errors
    /// See [`JoinError`]. Nothing is changed for the processes that were there before, and nothing is left over.
    pub fn join_as_producer(&self) -> Result<Producer<T>, JoinError> {
        match self.join_as(Some(Side::Producer))? {
            End::Producer(producer) => Ok(producer),
            End::Consumer(_) => unreachable!("only the producer was requested"),
        }
    }

    /// Takes the consumer, whether a producer has come before or comes later.
    ///
    /// If another process has it, fails with [`JoinError::TooManyInstances`] at once. Blocks until a producer has come
    /// and is ready. While there is none, waits for up to [`connect_timeout`](Self::connect_timeout). If the producer
    /// dies before it is ready, waits for another. (The consumer keeps its seat meanwhile. Only where memory disappears
    /// with its last holder, and a producer dies just after it was ready, the seat is free for a moment, and another
    /// process may get it.)
    ///
    /// If the process is killed while it waits, the next ones to join notice nothing of it.
    /// Example: [requesting an end](#requesting-an-end).
    ///
    /// # Errors
    /// See [`JoinError`]; [`JoinError::NoPeer`] when the connect timeout is over. Nothing is changed for the processes
    /// that were there before, and nothing is left over.
    pub fn join_as_consumer(&self) -> Result<Consumer<T>, JoinError> {
        match self.join_as(Some(Side::Consumer))? {
            End::Consumer(consumer) => Ok(consumer),
            End::Producer(_) => unreachable!("only the consumer was requested"),
        }
    }

    /// Returns the state of the pipe with this name, or `None` if there is none. Takes no seat and no lock, and never
    /// blocks. The tag is ignored.
    ///
    /// If neither side is alive ([`Snapshot::is_dead`]), a killed pair has left the pipe; the next process to join
    /// removes it. Example: [inspecting](#inspecting).
    ///
    /// # Errors
    /// [`JoinError::Foreign`], [`JoinError::OtherVersion`], [`JoinError::Io`].
    pub fn inspect(&self) -> Result<Option<Snapshot>, JoinError> {
        overview::inspect(&self.location, fingerprint(&self.name))
    }

    /// Returns the path of the directory that holds the pipe's file, for messages. It is looked up again in each call,
    /// and need not exist before a process has joined. `None` on Windows, where a pipe is not a file. For a sandbox,
    /// use the directory that an end has opened ([`Producer::directory`]).
    ///
    /// On Linux it is `/dev/shm/blockpipe-<user id>`. If that is missing and cannot be created, is read-only or belongs
    /// to another user, it is a directory of the same name in `XDG_RUNTIME_DIR`, if that is set and belongs to this user
    /// alone. Example: [sharing a directory](#sharing-a-directory).
    pub fn directory(&self) -> Option<OsString> {
        sys::directory(&self.location)
    }

    /// Joins as the requested side, or as whichever is free.
    fn join_as(&self, requested: Option<Side>) -> Result<End<T>, JoinError> {
        let (key, begun) = (fingerprint(&self.name), Instant::now());
        loop {
            let (attached, entry) = self.arrive(key, requested)?;
            let header = attached.shared.header();
            let before = match attached.side {
                Side::Producer => &header.producer_hello,
                Side::Consumer => &header.consumer_hello,
            };
            let predecessor = (entry == Entry::Replacement).then(|| before.get());
            if attached.side == Side::Producer {
                return Ok(End::Producer(Producer::new(attached, predecessor)));
            }
            match attached.conclude(wait_for_ready(&attached, requested)) {
                Ok(ReadyWait::ProducerGone) => {}
                Ok(ReadyWait::Ready) => {
                    let opened =
                        attached.conclude(attached.open_region()).map_err(JoinError::before_ready)?;
                    if let Some(region) = opened {
                        return Ok(End::Consumer(Consumer::new(attached, region, predecessor)));
                    }
                    attached.conclude(wait_until_vacated(&attached)).map_err(JoinError::before_ready)?;
                }
                // Somebody has removed the pipe while this end was alone: it is made anew.
                Err(PipeError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    let mut pipe = self.clone();
                    let limit = &mut pipe.options.connect_timeout;
                    *limit = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
                    return pipe.join_as(requested);
                }
                Err(error) => {
                    if matches!(error, PipeError::Canceled) {
                        // Without a producer, nobody else would remove the pipe.
                        let _ = attached.vacate();
                    }
                    return Err(JoinError::before_ready(error));
                }
            }
        }
    }

    /// Retries until a seat is taken or refused, for half a second at most.
    fn arrive(&self, key: u128, requested: Option<Side>) -> Result<(Attached, Entry), JoinError> {
        let deadline = Instant::now() + ARRIVAL_LIMIT;
        loop {
            let (seats, new) = Seats::open(&self.location, key)?;
            let seats = Arc::new(seats);
            let locked = seats.lock_gate(deadline).inspect_err(|_| {
                if new {
                    // Where files cannot be locked, no other process can have joined here, and none would remove the
                    // file.
                    let _ = seats.unlink();
                }
            });
            if !locked.map_err(JoinError::io("locking the gate"))? {
                return Err(JoinError::Busy);
            }
            step();
            let arrival = self.try_arrive(&seats, requested);
            step();
            seats.unlock_gate().map_err(JoinError::io("unlocking the gate"))?;
            match arrival? {
                Arrival::Seated(attached, entry) => {
                    if new {
                        overview::sweep_briefly(&self.location, key);
                    }
                    return Ok((*attached, entry));
                }
                Arrival::Retry if Instant::now() < deadline => {}
                Arrival::Retry => return Err(JoinError::Busy),
                Arrival::Later(_) if self.options.should_cancel() => return Err(JoinError::Canceled),
                Arrival::Later(_) if Instant::now() < deadline => sys::pause(Duration::from_millis(1)),
                Arrival::Later(error) => return Err(error),
            }
        }
    }

    /// Makes one attempt, under the gate. Seats are taken only here: a free seat stays free while we hold the gate; a
    /// held one may be released at any moment.
    fn try_arrive(&self, seats: &Arc<Seats>, requested: Option<Side>) -> Result<Arrival, JoinError> {
        if !seats.is_current().map_err(JoinError::io("checking the pipe's name"))? {
            return Ok(Arrival::Retry);
        }
        let held = |side| seats.is_held(side).map_err(JoinError::io("checking the seats"));
        let (producer, consumer) = (held(Side::Producer)?, held(Side::Consumer)?);
        let shared = match Shared::map(seats) {
            Ok(shared) => shared,
            Err(error) => {
                if !producer && !consumer {
                    // There is no space even for a header: the empty file must not stay. If removing it fails, it is
                    // like the leftover of a kill.
                    let _ = seats.unlink();
                }
                return Err(JoinError::io("reserving the header in shared memory")(error));
            }
        };
        let header = shared.header();
        let magic = header.magic.load(Ordering::Relaxed);
        if magic != 0 && magic != MAGIC {
            return Err(JoinError::Foreign { path: seats.location().into(), what: "not a pipe" });
        }
        let theirs = header.version.load(Ordering::Relaxed);
        if (producer || consumer) && theirs != VERSION {
            return Err(JoinError::OtherVersion { ours: VERSION, theirs });
        }
        let snapshot = || Box::new(Snapshot::take(&shared, producer, consumer).with_users(&shared, seats));
        match (producer, consumer) {
            (false, false) if magic == 0 => {
                // The header first: a process killed in between must not leave a taken seat over an old header.
                let side = requested.unwrap_or(Side::Producer);
                let arrival =
                    self.init_header(header).and_then(|()| self.take_seat(seats, shared, side, Entry::First));
                if arrival.is_err() {
                    // Nobody has a seat, and nobody waits for this pipe, so nobody else would remove it.
                    let _ = seats.unlink();
                }
                arrival
            }
            (false, false) => {
                // A file serves one pairing, so that nothing old can be mistaken for new, and no mapping ever shrinks.
                seats.unlink().map_err(JoinError::io("removing the pipe of a killed pair"))?;
                Ok(Arrival::Retry)
            }
            (true, true) => {
                let snapshot = snapshot();
                if snapshot.phase == Phase::Over {
                    Ok(Arrival::Later(JoinError::Leaving(snapshot)))
                } else {
                    Err(JoinError::TooManyInstances(snapshot))
                }
            }
            _ => {
                let (held, allows_replacement, free) = if producer {
                    (Side::Producer, &header.ring.producer.allows_replacement, Side::Consumer)
                } else {
                    (Side::Consumer, &header.ring.consumer.allows_replacement, Side::Producer)
                };
                let state = header.state.load(Ordering::Acquire);
                let begun = state == READY && header.ring.consumer.begun.load(Ordering::Acquire) != 0;
                // Whether the holder waits for a first peer, or for the replacement of a dead one. A consumer whose
                // producer died after READY, and which has not begun, waits for nobody: it will notice the death.
                let waits = if begun {
                    allows_replacement.load(Ordering::Relaxed) == 1
                } else {
                    producer || state == OPENING
                };
                let snapshot = snapshot();
                if snapshot.phase == Phase::Over || !waits {
                    return Ok(Arrival::Later(JoinError::Leaving(snapshot)));
                }
                if requested == Some(held) {
                    return Err(JoinError::TooManyInstances(snapshot));
                }
                if begun && self.allows_replacement() == 0 {
                    return Ok(Arrival::Later(JoinError::AwaitsReplacement(snapshot)));
                }
                if !self.same_tag(header) {
                    return Err(JoinError::OtherTag(snapshot));
                }
                // The seat is free although the stream has begun, so its holder is dead.
                let entry = if begun { Entry::Replacement } else { Entry::First };
                self.take_seat(seats, shared, free, entry)
            }
        }
    }

    fn take_seat(
        &self,
        seats: &Arc<Seats>,
        shared: Shared,
        side: Side,
        entry: Entry,
    ) -> Result<Arrival, JoinError> {
        let header = shared.header();
        let (id, allows_replacement) = match side {
            Side::Producer => (&header.producer_pid, &header.ring.producer.allows_replacement),
            Side::Consumer => (&header.consumer_pid, &header.ring.consumer.allows_replacement),
        };
        id.store(std::process::id(), Ordering::Relaxed);
        // Before the seat is taken: otherwise a newcomer could read the value that a dead holder left.
        allows_replacement.store(self.allows_replacement(), Ordering::Relaxed);
        header.waits_since[side as usize].store(0, Ordering::Relaxed);
        let attached = Attached::new(Arc::clone(seats), shared, side, self.options.clone())
            .map_err(JoinError::io("opening the bells"))?;
        seats.publish_user(side, attached.generation)?;
        step();
        if !attached.secure_region() {
            let snapshot = Box::new(Snapshot::take(&attached.shared, false, false));
            return Ok(Arrival::Later(JoinError::Leaving(snapshot)));
        }
        if !seats.take(side).map_err(JoinError::io("taking a seat"))? {
            return Ok(Arrival::Retry);
        }
        Ok(Arrival::Seated(Box::new(attached), entry))
    }

    /// Fills in the header of a new file. The first word, once stored, marks the file as used.
    fn init_header(&self, header: &Header) -> Result<(), JoinError> {
        header.magic.store(MAGIC, Ordering::Release);
        step();
        let random = getrandom::u64()
            .map_err(|error| JoinError::io("drawing a random number")(std::io::Error::other(error)))?;
        // 56 bits, because the verdict word holds the generation beside the stage; never 0.
        let generation = (random >> 8).max(1);
        header.version.store(VERSION, Ordering::Relaxed);
        header.generation.store(generation, Ordering::Relaxed);
        header.name.set(&self.name);
        header.tag.set(&self.tag);
        let (length, hash) = tag_fingerprint(&self.tag);
        header.tag_length.store(length, Ordering::Relaxed);
        header.tag_hash.iter().zip(hash).for_each(|(to, from)| to.store(from, Ordering::Relaxed));
        header.ring.init_verdict(generation);
        step();
        header.state.store(OPENING, Ordering::Release);
        step();
        Ok(())
    }

    /// 1 if this process takes part in replacing a dead peer, as it is stored in the header.
    fn allows_replacement(&self) -> u32 {
        self.options.replace_within.is_some().into()
    }

    fn same_tag(&self, header: &Header) -> bool {
        let hash = header.tag_hash.each_ref().map(|word| word.load(Ordering::Relaxed));
        (header.tag_length.load(Ordering::Relaxed), hash) == tag_fingerprint(&self.tag)
    }
}

fn tag_fingerprint(tag: &[u8]) -> (u64, [u64; 2]) {
    let hash = fingerprint(tag);
    (tag.len() as u64, [(hash >> 64) as u64, hash as u64])
}
