//! Arrival: the first process under a name gets the producer, the second the consumer, a third is turned away. Or each
//! gets the end that it asks for, whoever comes first.
//!
//! The steps and their order are those of `docs/protocol.md`. Everything under the gate is a handful of
//! memory accesses; everything slow happens behind READY.

use crate::consumer::Consumer;
use crate::end::{ARRIVAL_LIMIT, Attached, Interrupt, Wishes};
use crate::error::{JoinError, PipeError, Reason};
use crate::layout::{self, Header, MAGIC, OPENING, OVER, READY, VERSION, fingerprint};
use crate::memory::Shared;
use crate::monitor::{Phase, Snapshot};
use crate::overview;
use crate::producer::Producer;
use crate::sync::{Ordering, step};
use crate::sys::{self, OpenError, Seats, Side};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The end that a process got by arriving.
#[derive(Debug)]
pub enum End {
    /// First under this name, or nobody but a consumer was there.
    Producer(Producer),
    /// The producer was there, and is ready.
    Consumer(Consumer),
}

/// A name under which two processes on one machine meet: of one user, or of all who can enter a
/// [directory](Self::in_directory).
///
/// The name may have any length and any bytes. It is not a secret: whoever runs as the same user can join.
#[derive(Clone, Debug)]
pub struct Pipe {
    name: Vec<u8>,
    place: Option<OsString>,
    tag: Vec<u8>,
    wishes: Wishes,
}

/// What one attempt to arrive led to.
enum Arrival {
    /// A seat, and whether somebody had it before in this pairing.
    Seated(Box<Attached>, Turn),
    /// The file was nobody's any more, or vanished: start again at once.
    Again,
    /// A pair is ending: look again a little later, until the time is up.
    Leaving(Box<Snapshot>),
}

/// Whether a seat is taken for the first time in a pairing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Replacement,
}

enum Waited {
    Ready,
    ProducerGone,
}

/// The end that a process asks for; `None`: whichever is free.
type Wish = Option<Side>;

impl Pipe {
    /// The pipe of this name.
    pub fn named(name: impl AsRef<[u8]>) -> Self {
        Self { name: name.as_ref().into(), place: None, tag: Vec::new(), wishes: Wishes::default() }
    }

    /// The two meet in this directory, and not in the one that is this user's alone: two users, or two containers that
    /// both see it. It must be there, in memory if the blocks are to be fast (a tmpfs), and open to those who may come,
    /// but not to everybody: a group's, with the set-group-ID bit (mode 2770), so that what one makes the other may open.
    ///
    /// Whoever can enter it can read and change whatever passes between any two there, and can bring down both of them
    /// (by cutting their memory short: a bus error). Who the partner is, as far as the kernel knows, tells
    /// [`Producer::peer_user`](crate::Producer::peer_user) and [`Consumer::peer_user`](crate::Consumer::peer_user).
    ///
    /// Not on Windows: joining fails there.
    #[must_use]
    pub fn in_directory(mut self, directory: impl AsRef<OsStr>) -> Self {
        self.place = Some(directory.as_ref().into());
        self
    }

    /// What the two processes are going to do, as bytes: both must say the same (length and hash are compared).
    /// Without it, the job is empty.
    #[must_use]
    pub fn tag(mut self, tag: impl AsRef<[u8]>) -> Self {
        self.tag = tag.as_ref().into();
        self
    }

    /// How long a process waits for somebody to take the other end before it gives up: a producer with
    /// [`PipeError::NoPeer`], a consumer that came first with [`JoinError::NoPeer`]. Counted while nobody is
    /// there. Without it: for ever.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.wishes.connect_timeout = Some(time);
        self
    }

    /// Keeps the place and the blocks for so long when the partner has died, and lets another process that says
    /// this too take the dead one's place: the stream goes on behind the last block that was sent, or given back.
    ///
    /// Who says this may come to an end that had a holder before: see
    /// [`Producer::predecessor`](crate::Producer::predecessor) and
    /// [`Consumer::predecessor`](crate::Consumer::predecessor). Without it a death ends the pipe, and nobody
    /// joins a pairing that has begun.
    #[must_use]
    pub fn replace_within(mut self, time: Duration) -> Self {
        self.wishes.replace_within = Some(time);
        self
    }

    /// Ends every wait within 50 ms after `flag` becomes true (a signal handler may set it): the pipe is aborted with
    /// `reason`, which the peer receives, and the call returns [`PipeError::Interrupted`].
    ///
    /// May be called several times: each flag interrupts with its own reason. If several are set, the first one given
    /// counts.
    #[must_use]
    pub fn interrupt(mut self, flag: Arc<AtomicBool>, reason: Reason) -> Self {
        self.wishes.interrupts.push(Interrupt { flag, reason });
        self
    }

    /// Takes one of the two ends: the producer for the first process, the consumer for the second. Where only a
    /// consumer waits ([`join_as_consumer`](Self::join_as_consumer)), it takes the producer's.
    ///
    /// A third process gets [`JoinError::TooManyInstances`] at once; a pair that is just leaving is waited for,
    /// up to half a second. Blocks further only as a consumer: until the producer is ready, however long that
    /// takes, or says why not. If the producer dies before it is ready, this starts over, and may return the
    /// producer's end.
    ///
    /// # Errors
    /// See [`JoinError`]. Nothing is changed for those who were there before, and nothing is left behind.
    pub fn join(&self) -> Result<End, JoinError> {
        self.join_as(None)
    }

    /// Takes the producer's end, whether a consumer has come before or comes later.
    ///
    /// If somebody has it, this fails with [`JoinError::TooManyInstances`] at once. A pair that is just leaving is waited
    /// for, up to half a second; nobody else is.
    ///
    /// # Errors
    /// See [`JoinError`]. Nothing is changed for those who were there before, and nothing is left behind.
    pub fn join_as_producer(&self) -> Result<Producer, JoinError> {
        match self.join_as(Some(Side::Producer))? {
            End::Producer(producer) => Ok(producer),
            End::Consumer(_) => unreachable!("only the producer's end was asked for"),
        }
    }

    /// Takes the consumer's end, whether a producer has come before or comes later.
    ///
    /// If somebody has it, this fails with [`JoinError::TooManyInstances`] at once. Blocks until a producer has come and
    /// is ready: for ever, or, while there is none, for [`connect_timeout`](Self::connect_timeout). If the producer dies before it is
    /// ready, this end waits for another. (It keeps its seat meanwhile. Only where memory goes with its last holder,
    /// and a producer dies just after it was ready, the seat is free for a moment, and somebody else may get it.)
    ///
    /// Killed while it waits, it leaves nothing that the next ones would notice.
    ///
    /// # Errors
    /// See [`JoinError`]; [`JoinError::NoPeer`] when the patience is over. Nothing is changed for those who were
    /// there before, and nothing is left behind.
    pub fn join_as_consumer(&self) -> Result<Consumer, JoinError> {
        match self.join_as(Some(Side::Consumer))? {
            End::Consumer(consumer) => Ok(consumer),
            End::Producer(_) => unreachable!("only the consumer's end was asked for"),
        }
    }

    fn join_as(&self, wish: Wish) -> Result<End, JoinError> {
        let key = fingerprint(&self.name);
        loop {
            let (attached, turn) = self.arrive(key, wish)?;
            let header = attached.shared.header();
            let before = match attached.side {
                Side::Producer => &header.origin,
                Side::Consumer => &header.target,
            };
            let predecessor = (turn == Turn::Replacement).then(|| layout::load_identity(before));
            if attached.side == Side::Producer {
                return Ok(End::Producer(Producer::new(attached, predecessor)));
            }
            match attached.conclude(wait_for_ready(&attached, wish)) {
                Ok(Waited::ProducerGone) => {}
                Ok(Waited::Ready) => {
                    let opened = attached.conclude(attached.open_region()).map_err(refusal)?;
                    if let Some(region) = opened {
                        return Ok(End::Consumer(Consumer::new(attached, region, predecessor)));
                    }
                    attached.conclude(wait_for_the_seat(&attached)).map_err(refusal)?;
                }
                Err(error) => return Err(refusal(error)),
            }
        }
    }

    /// Looks until a seat is taken or refused, at most half a second.
    fn arrive(&self, key: u128, wish: Wish) -> Result<(Attached, Turn), JoinError> {
        let deadline = Instant::now() + ARRIVAL_LIMIT;
        loop {
            let (seats, new) = Seats::open(self.place(), key)?;
            let seats = Arc::new(seats);
            if new {
                // To which perhaps nobody ever comes again. What cannot be had at once is left to the next one.
                let _ = overview::sweep(self.place(), Some(key), Duration::ZERO);
            }
            if !seats.lock_gate(deadline).map_err(io("locking the gate"))? {
                return Err(JoinError::Busy);
            }
            step();
            let arrival = self.look_and_sit_down(&seats, wish);
            step();
            seats.unlock_gate().map_err(io("unlocking the gate"))?;
            match arrival? {
                Arrival::Seated(attached, turn) => return Ok((*attached, turn)),
                Arrival::Again if Instant::now() < deadline => {}
                Arrival::Again => return Err(JoinError::Busy),
                Arrival::Leaving(_) if Instant::now() < deadline => sys::pause(Duration::from_millis(1)),
                Arrival::Leaving(snapshot) => return Err(JoinError::Leaving(snapshot)),
            }
        }
    }

    /// Under the gate. Seats are taken only here: what is free stays free, what is held may be old news.
    fn look_and_sit_down(&self, seats: &Arc<Seats>, wish: Wish) -> Result<Arrival, JoinError> {
        if !seats.current().map_err(io("looking at the pipe"))? {
            return Ok(Arrival::Again);
        }
        let held = |side| seats.held(side).map_err(io("looking at the seats"));
        let (producer, consumer) = (held(Side::Producer)?, held(Side::Consumer)?);
        let shared = match Shared::map(seats) {
            Ok(shared) => shared,
            Err(error) => {
                if !producer && !consumer {
                    // No space even for a header: the empty file must not stay. If it does, it is as after a kill.
                    let _ = seats.forget();
                }
                return Err(io("reserving the header in shared memory")(error));
            }
        };
        let header = shared.header();
        let magic = header.magic.load(Ordering::Relaxed);
        if magic != 0 && magic != MAGIC {
            return Err(JoinError::Foreign { path: seats.where_it_is().into(), what: "not a pipe" });
        }
        let theirs = header.version.load(Ordering::Relaxed);
        if (producer || consumer) && theirs != VERSION {
            return Err(JoinError::OtherVersion { ours: VERSION, theirs });
        }
        let snapshot = || Box::new(Snapshot::take(&shared, producer, consumer).with_users(&shared, seats));
        match (producer, consumer) {
            (false, false) if magic == 0 => {
                self.make_header(header)?;
                // The header first: a process killed in between must not leave a taken seat over an old header.
                self.sit_down(seats, shared, wish.unwrap_or(Side::Producer), Turn::First)
            }
            (false, false) => {
                // A file serves one pairing: nothing old can ever be taken for new, and nothing mapped shrinks.
                seats.forget().map_err(io("removing what a killed process left"))?;
                Ok(Arrival::Again)
            }
            (true, true) => {
                let snapshot = snapshot();
                if snapshot.phase == Phase::Over {
                    Ok(Arrival::Leaving(snapshot))
                } else {
                    Err(JoinError::TooManyInstances(snapshot))
                }
            }
            _ => {
                let (there, admits, free) = if producer {
                    (Side::Producer, &header.ring.producer.admits, Side::Consumer)
                } else {
                    (Side::Consumer, &header.ring.consumer.admits, Side::Producer)
                };
                let state = header.state.load(Ordering::Acquire);
                let begun = state == READY && header.ring.consumer.begun.load(Ordering::Acquire) != 0;
                // For the first one at the other end, or for one in a dead one's place. A consumer whose producer died
                // after READY and before it began waits for nobody: it will find that out.
                let waits =
                    if begun { admits.load(Ordering::Relaxed) == 1 } else { producer || state == OPENING };
                let snapshot = snapshot();
                if snapshot.phase == Phase::Over || !waits {
                    return Ok(Arrival::Leaving(snapshot));
                }
                if wish == Some(there) {
                    return Err(JoinError::TooManyInstances(snapshot));
                }
                if begun && self.admits() == 0 {
                    return Ok(Arrival::Leaving(snapshot));
                }
                if !self.same_job(header) {
                    return Err(JoinError::OtherTag(snapshot));
                }
                // The seat is free, so whoever had begun in it is dead.
                let turn = if begun { Turn::Replacement } else { Turn::First };
                self.sit_down(seats, shared, free, turn)
            }
        }
    }

    fn sit_down(
        &self,
        seats: &Arc<Seats>,
        shared: Shared,
        side: Side,
        turn: Turn,
    ) -> Result<Arrival, JoinError> {
        let header = shared.header();
        let (id, admits) = match side {
            Side::Producer => (&header.producer_pid, &header.ring.producer.admits),
            Side::Consumer => (&header.consumer_pid, &header.ring.consumer.admits),
        };
        id.store(std::process::id(), Ordering::Relaxed);
        // Before the seat: afterwards a dead one's word would be taken for ours.
        admits.store(self.admits(), Ordering::Relaxed);
        header.waits_since[side as usize].store(0, Ordering::Relaxed);
        let attached = Attached::new(Arc::clone(seats), shared, side, self.wishes.clone())
            .map_err(io("opening the bells"))?;
        seats.introduce(side, attached.generation).map_err(io("saying who this is"))?;
        step();
        if !attached.has_its_memory() {
            return Ok(Arrival::Leaving(Box::new(Snapshot::take(&attached.shared, false, false))));
        }
        if !seats.take(side).map_err(io("taking a seat"))? {
            return Ok(Arrival::Again);
        }
        Ok(Arrival::Seated(Box::new(attached), turn))
    }

    /// Fills the zeros of a file that nobody has used yet. Its first word says that from here on it is used.
    fn make_header(&self, header: &Header) -> Result<(), JoinError> {
        header.magic.store(MAGIC, Ordering::Release);
        step();
        let random =
            getrandom::u64().map_err(|error| io("drawing a random number")(std::io::Error::other(error)))?;
        // 56 bits, because the verdict's word carries it beside the stage; never 0.
        let generation = (random >> 8).max(1);
        header.version.store(VERSION, Ordering::Relaxed);
        header.generation.store(generation, Ordering::Relaxed);
        header.name.set(&self.name);
        header.job.set(&self.tag);
        let (length, hash) = job_identity(&self.tag);
        header.job_length.store(length, Ordering::Relaxed);
        header.job_hash.iter().zip(hash).for_each(|(to, from)| to.store(from, Ordering::Relaxed));
        header.ring.begin(generation);
        step();
        header.state.store(OPENING, Ordering::Release);
        step();
        Ok(())
    }

    /// Where the pipe is a file, if it is one: for a process that gives up its rights once it has joined, and still
    /// needs to read and remove files there. `None` on Windows.
    pub fn directory(&self) -> Option<OsString> {
        sys::directory(self.place())
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(crate) fn place(&self) -> Option<&OsStr> {
        self.place.as_deref()
    }

    /// 1 if this process takes part in replacing a dead one.
    fn admits(&self) -> u32 {
        self.wishes.replace_within.is_some().into()
    }

    fn same_job(&self, header: &Header) -> bool {
        let hash = header.job_hash.each_ref().map(|word| word.load(Ordering::Relaxed));
        (header.job_length.load(Ordering::Relaxed), hash) == job_identity(&self.tag)
    }
}

fn wait_for_ready(attached: &Attached, wish: Wish) -> Result<Waited, PipeError> {
    let look = || match attached.verdict() {
        Some(Ok(())) => Some(Err(PipeError::Corrupt("complete before it began"))),
        Some(Err(error)) => Some(Err(error)),
        None => match attached.shared.header().state.load(Ordering::Acquire) {
            READY => Some(Ok(Waited::Ready)),
            // Opening: nobody has come yet, or is not ready. Over: a verdict comes, or the producer's seat will be free.
            OPENING | OVER => attached.not_yet(),
            _ => Some(Err(PipeError::Corrupt("the state is none that exists"))),
        },
    };
    attached.wait(look, |alone| match wish {
        // Who asked for this end keeps it for the next producer.
        Some(_) if attached.patient(alone, false) || !attached.let_go()? => Ok(None),
        Some(_) => Err(PipeError::NoPeer),
        // Who did not may be the next producer.
        None => Ok(attached.let_go()?.then_some(Waited::ProducerGone)),
    })
}

/// Where memory goes with its last holder, it went with a producer that was killed just after READY. Then it is as if
/// that had happened before.
fn wait_for_the_seat(attached: &Attached) -> Result<(), PipeError> {
    let verdict = || Some(attached.verdict()?.and(Err(PipeError::Corrupt("complete before it began"))));
    attached.wait(verdict, |_| Ok(attached.let_go()?.then_some(())))
}

fn job_identity(job: &[u8]) -> (u64, [u64; 2]) {
    let hash = fingerprint(job);
    (job.len() as u64, [(hash >> 64) as u64, hash as u64])
}

pub(crate) fn io(doing: &str) -> impl Fn(std::io::Error) -> JoinError {
    move |source| JoinError::Io { doing: doing.into(), source }
}

impl From<OpenError> for JoinError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Foreign { path, what } => Self::Foreign { path, what },
            OpenError::Io { doing, source } => Self::Io { doing, source },
        }
    }
}

/// What a consumer that was never ready tells its caller.
fn refusal(error: PipeError) -> JoinError {
    match error {
        PipeError::Aborted { reason, .. } => JoinError::Aborted(reason),
        PipeError::Interrupted => JoinError::Interrupted,
        PipeError::NoPeer => JoinError::NoPeer,
        PipeError::Io { doing, source } => JoinError::Io { doing, source },
        PipeError::Corrupt(what) => JoinError::Corrupt(what),
        other => unreachable!("a consumer that waits for READY does not meet: {other}"),
    }
}
