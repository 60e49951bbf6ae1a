//! Windows: a pipe is a handful of named kernel objects, which disappear with their last handle.
//!
//! All names begin with `Local\blockpipe-<user's SID>-<key>-`, and the rest says what kind of object it is, so that
//! objects of different kinds never have the same name. (`<side>` is `producer` or `consumer`.)
//!
//! | name | object | what for |
//! |---|---|---|
//! | `gate` | mutex | one process at a time checks the seats and takes one |
//! | `<side>-seat` | mutex | the seat. Only a process that wants to take it waits for it, under the gate |
//! | `<side>-alive` | mutex | held together with the seat. The peer sleeps on it, and so takes it for a moment when it becomes free |
//! | `<side>-here` | event | open as long as any thread of the holder's process may run |
//! | `<side>-bell-<generation>` | event | wakes that side; resets itself |
//! | `root` | section | one word: the number of the current header |
//! | `header-<number>` | section | the header that the root's word names |
//! | `blocks-<generation>` | section | descriptors and blocks |
//!
//! **Mutexes belong to threads**, and an end may move from thread to thread. So each taken seat has a thread of its own
//! that does nothing else; when the process dies, however it does, the kernel abandons both mutexes for it. The gate is
//! locked and unlocked within one call of the library, by the calling thread.
//!
//! **A dying process** loses its threads one by one, and one of them may still be inside a system call (a rename, say)
//! when the seat's thread is gone. Its handles are closed only when the last thread has ended: `<side>-here` shows
//! that.

mod memory;
mod objects;

pub(crate) use memory::Segment;

use super::contract::{Location, OpenError, Side, pause};
use memory::Access;
use objects::{Names, ObjectError, Owned};
use std::ffi::OsString;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{WAIT_ABANDONED_0, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{SetEvent, WaitForMultipleObjects};

/// The same number as in `layout.rs`, deliberately not imported: a port is written without knowing what lies above.
const HEADER_LENGTH: u64 = 8192;
/// How long to wait for something that is about to become free: an `alive` mutex that wakes the peer, and the memory of
/// a process that is dead already.
const BRIEF_WAIT: Duration = Duration::from_millis(50);

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Producer => "producer",
        Side::Consumer => "consumer",
    }
}

/// An empty card: only processes of this user can open a pipe, so there is nothing to identify.
#[derive(Debug)]
pub(crate) struct Card {
    pub user: Option<u32>,
}

impl Card {
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "on other systems it is a locked file")]
    pub(crate) fn is_held(&self) -> io::Result<bool> {
        Ok(true)
    }
}

#[derive(Debug)]
pub(crate) struct Seats {
    names: Names,
    gate: OwnedHandle,
    seat_objects: [Arc<SeatObjects>; 2],
    root: Segment,
    /// The header that was current at the first check, with its number. Holding it keeps it alive.
    header: OnceLock<(u64, Segment)>,
    taken: Mutex<[Option<HeldSeat>; 2]>,
}

/// The kernel objects of one seat, whoever holds it.
#[derive(Debug)]
struct SeatObjects {
    names: Names,
    side: Side,
    seat: OwnedHandle,
    alive: OwnedHandle,
}

/// A seat that this process holds, and the thread that holds it.
#[derive(Debug)]
struct HeldSeat {
    stay: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Seats {
    /// Opens or creates the objects. They do not outlive their processes, so nothing ever has to be cleaned up.
    pub(crate) fn open(location: &Location, key: u128) -> Result<(Self, bool), OpenError> {
        if let Location::Shared(directory) | Location::Private(directory) = location {
            return Err(unsupported(&format!("meeting in the directory {}", directory.to_string_lossy())));
        }
        let names = Names::of(key).map_err(|error| error.about("this user's identity"))?;
        let objects_of_seat = |side| -> Result<Arc<SeatObjects>, OpenError> {
            let (names, word) = (names.clone(), side_name(side));
            let mutex = |what: &str| names.mutex(what).map_err(|error| error.about(&names.full(what)));
            let (seat, alive) = (mutex(&format!("{word}-seat"))?, mutex(&format!("{word}-alive"))?);
            Ok(Arc::new(SeatObjects { names, side, seat, alive }))
        };
        let open = |what: &str, result: Result<_, ObjectError>| {
            result.map_err(|error| error.about(&names.full(what)))
        };
        let seats = Self {
            gate: open("gate", names.mutex("gate"))?,
            seat_objects: [objects_of_seat(Side::Producer)?, objects_of_seat(Side::Consumer)?],
            root: Segment::named(&names, "root", HEADER_LENGTH, Access::OpenOrCreate)
                .map_err(|error| error.about(&names.full("root")))?
                .0,
            names,
            header: OnceLock::new(),
            taken: Mutex::default(),
        };
        Ok((seats, false))
    }

    pub(crate) fn existing(location: &Location, key: u128) -> Result<Option<Self>, OpenError> {
        // What is opened here disappears again with its last handle.
        let (seats, _) = Self::open(location, key)?;
        let used = seats.root_word().load(Ordering::Acquire) != 0;
        Ok(used.then_some(seats))
    }

    pub(crate) fn keys(_location: &Location) -> Result<Vec<u128>, OpenError> {
        Err(unsupported("listing the pipes"))
    }

    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "on other systems other users may join"
    )]
    pub(crate) fn publish_user(&self, _side: Side, _generation: u64) -> Result<(), OpenError> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as in `publish_user`")]
    pub(crate) fn peer_card(&self, _side: Side, _generation: u64) -> io::Result<Card> {
        Ok(Card { user: None })
    }

    #[expect(clippy::unused_self, reason = "on other systems it is a part of the seats")]
    pub(crate) fn directory(&self) -> Option<Directory<'_>> {
        None
    }

    pub(crate) fn location(&self) -> &str {
        self.names.prefix()
    }

    pub(crate) fn lock_gate(&self, until: Instant) -> io::Result<bool> {
        objects::acquire_mutex(&self.gate, until.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn unlock_gate(&self) -> io::Result<()> {
        objects::release_mutex(&self.gate)
    }

    pub(crate) fn is_current(&self) -> io::Result<bool> {
        if let Some((header, _)) = self.header.get() {
            return Ok(*header == self.root_word().load(Ordering::Acquire));
        }
        let (number, segment, existed) = self.find_header()?;
        // A seat is held but its header is gone: the handles of a dying process are closed one by one. In a moment the
        // seat will be free.
        if !existed && (self.is_held(Side::Producer)? || self.is_held(Side::Consumer)?) {
            return Ok(false);
        }
        let _ = self.header.set((number, segment));
        Ok(true)
    }

    pub(crate) fn is_held(&self, seat: Side) -> io::Result<bool> {
        if self.taken()[seat as usize].is_some() {
            return Ok(false);
        }
        let objects_of_seat = &self.seat_objects[seat as usize];
        Ok(objects::is_owned(&objects_of_seat.seat)? || self.names.exists(&objects_of_seat.here())?)
    }

    pub(crate) fn take(&self, seat: Side) -> io::Result<bool> {
        let (answer, taken) = mpsc::channel();
        let (stay, leave) = mpsc::channel();
        let objects_of_seat = Arc::clone(&self.seat_objects[seat as usize]);
        let thread = std::thread::Builder::new()
            .name(format!("blockpipe {} seat", side_name(seat)))
            .spawn(move || objects_of_seat.hold(&answer, &leave))?;
        let held_seat = HeldSeat { stay: Some(stay), thread: Some(thread) };
        let taken =
            taken.recv().unwrap_or_else(|_| Err(io::Error::other("the thread that holds the seat ended")));
        if let Ok(true) = taken {
            self.taken()[seat as usize] = Some(held_seat);
        }
        taken
    }

    #[expect(clippy::unnecessary_wraps, reason = "other systems make a system call here")]
    pub(crate) fn release(&self, seat: Side) -> io::Result<()> {
        // After the lock is released, because this waits for the thread to end.
        let held_seat = self.taken()[seat as usize].take();
        drop(held_seat);
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "other systems make a system call here")]
    pub(crate) fn unlink(&self) -> io::Result<()> {
        // The names of kernel objects cannot be removed, but the root can name another header. Zero names none.
        let next = self.root_word().load(Ordering::Relaxed).wrapping_add(1);
        self.root_word().store(next.max(1), Ordering::Release);
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "files have owners")]
    pub(crate) fn peer_can_unlink(&self) -> bool {
        true
    }

    pub(crate) fn bell(&self, generation: u64, sleeper: Side) -> io::Result<Bell> {
        Bell::open(&self.names, generation, sleeper)
    }

    pub(crate) fn header(&self) -> io::Result<Segment> {
        let number = match self.header.get() {
            Some((number, _)) => *number,
            None => self.find_header()?.0,
        };
        let (segment, _) = Segment::named(&self.names, &header(number), HEADER_LENGTH, Access::OpenOrCreate)?;
        Ok(segment)
    }

    pub(crate) fn create_region(&self, generation: u64, length: u64) -> io::Result<Segment> {
        // A producer that died before it was ready may have created the region, and its handles are closed one by one.
        let until = Instant::now() + BRIEF_WAIT;
        loop {
            match Segment::named(&self.names, &blocks(generation), length, Access::Create) {
                Err(ObjectError::System(error))
                    if error.kind() == io::ErrorKind::AlreadyExists && Instant::now() < until =>
                {
                    pause(Duration::from_millis(1));
                }
                made => return Ok(made?.0),
            }
        }
    }

    pub(crate) fn open_region(&self, generation: u64, length: u64) -> io::Result<Segment> {
        let (segment, _) = Segment::named(&self.names, &blocks(generation), length, Access::Open)?;
        Ok(segment)
    }

    /// Maps the header itself: nobody can truncate a section.
    pub(crate) fn header_copy(&self) -> io::Result<Segment> {
        self.header()
    }

    /// Returns the current header with its number, and whether it existed before.
    fn find_header(&self) -> io::Result<(u64, Segment, bool)> {
        let mut number = self.root_word().load(Ordering::Acquire);
        if number == 0 {
            // The root is new. Other processes may still see a header of an earlier root, so the numbers must not start
            // at 1 again.
            number = getrandom::u64().map_err(io::Error::other)?.max(1);
            self.root_word().store(number, Ordering::Release);
        }
        let (segment, existed) =
            Segment::named(&self.names, &header(number), HEADER_LENGTH, Access::OpenOrCreate)?;
        Ok((number, segment, existed))
    }

    fn root_word(&self) -> &AtomicU64 {
        // SAFETY: the root is mapped page-aligned and a whole page long for as long as `self` lives, and any bytes are
        // a valid number; every process accesses this word by atomics only.
        unsafe { self.root.address().cast().as_ref() }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, [Option<HeldSeat>; 2]> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directory of a pipe's files, where pipes are files. No value of this type exists on Windows.
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a>(std::convert::Infallible, std::marker::PhantomData<&'a ()>);

/// Returns `None`: kernel objects are in no directory.
pub(crate) fn directory(_location: &Location) -> Option<OsString> {
    None
}

fn unsupported(doing: &str) -> OpenError {
    let source = io::Error::new(io::ErrorKind::Unsupported, "not supported on this system");
    OpenError::Io { doing: doing.into(), source }
}

fn header(number: u64) -> String {
    format!("header-{number:016x}")
}

fn blocks(generation: u64) -> String {
    format!("blocks-{generation:016x}")
}

impl SeatObjects {
    fn here(&self) -> String {
        format!("{}-here", side_name(self.side))
    }

    /// Runs on a seat's thread: takes the seat, reports whether it has it, and holds it until `leave` is hung up.
    fn hold(&self, answer: &Sender<io::Result<bool>>, leave: &Receiver<()>) {
        match self.take_seat() {
            Ok(Some(held)) => {
                let _ = answer.send(Ok(true));
                let _ = leave.recv();
                // `alive` last: the process that it wakes finds a seat that is really free.
                drop(held);
            }
            Ok(None) => drop(answer.send(Ok(false))),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    /// Takes the three objects that make a held seat, in the order in which they have to be dropped.
    fn take_seat(&self) -> io::Result<Option<(OwnedHandle, Owned<'_>, Owned<'_>)>> {
        let Some(seat) = Owned::take(&self.seat, Duration::ZERO)? else { return Ok(None) };
        let Some(alive) = Owned::take(&self.alive, BRIEF_WAIT)? else { return Ok(None) };
        // Another process is checking whether it exists, or a process is not quite dead yet: in a moment it will be
        // free.
        let Some(here) = self.names.new_event(&self.here())? else { return Ok(None) };
        Ok(Some((here, seat, alive)))
    }
}

impl Drop for HeldSeat {
    fn drop(&mut self) {
        self.stay = None;
        if let Some(thread) = self.thread.take() {
            // Once `release` returns, the seat is free; a thread that panicked has released it, too.
            let _ = thread.join();
        }
    }
}

/// An event for the sleeper, and the `alive` mutex of its peer: both wake it.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: OwnedHandle,
    peer_alive: OwnedHandle,
}

impl Bell {
    fn open(names: &Names, generation: u64, sleeper: Side) -> io::Result<Self> {
        Ok(Self {
            rung: names.event(&format!("{}-bell-{generation:016x}", side_name(sleeper)))?,
            peer_alive: names.mutex(&format!("{}-alive", side_name(sleeper.other())))?,
        })
    }

    pub(crate) fn sleep(&self, _word: &AtomicU32, limit: Duration) {
        // Without a peer only the bell can wake; waiting for a free mutex would be a loop without sleep.
        let count = if objects::is_owned(&self.peer_alive).unwrap_or(false) { 2 } else { 1 };
        let handles = [self.rung.as_raw_handle(), self.peer_alive.as_raw_handle()];
        // SAFETY: both handles are open as long as `self` lives, and `count` is at most their number.
        let woken_by =
            unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, objects::milliseconds(limit)) };
        // Every other outcome (woken, timed out) means the same: check again.
        if woken_by == WAIT_OBJECT_0 + 1 || woken_by == WAIT_ABANDONED_0 + 1 {
            // The wait has taken the mutex, and the next process to take the peer's seat needs it.
            let _ = objects::release_mutex(&self.peer_alive);
        }
    }

    pub(crate) fn ring(&self, _word: &AtomicU32) {
        // SAFETY: the event is open as long as `self` lives.
        let _ = unsafe { SetEvent(self.rung.as_raw_handle()) };
    }
}

/// There is no descriptor that `poll` or `epoll` would take, so nobody gets this.
#[cfg(feature = "readiness")]
#[derive(Clone, Debug)]
pub struct Readiness(());

#[cfg(feature = "readiness")]
#[expect(clippy::unused_self, reason = "other systems have a descriptor")]
impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn raise(&self) {}

    pub(crate) fn clear(&self) {}
}
