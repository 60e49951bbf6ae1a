//! Windows: a pipe is a handful of named kernel objects, which go with their last handle.
//!
//! All names begin with `Local\blockpipe-<user's SID>-<key>-`, and what follows says what kind of object it is, so
//! that objects of different kinds never meet. (`<side>` is `producer` or `consumer`.)
//!
//! | name | object | what for |
//! |---|---|---|
//! | `gate` | mutex | one process at a time looks and sits down |
//! | `<side>-seat` | mutex | the seat. Only takers wait for it, under the gate |
//! | `<side>-alive` | mutex | held together with the seat. The partner sleeps on it, and so takes it for a moment |
//! | `<side>-here` | event | open as long as any thread of the holder's process may run |
//! | `<side>-bell-<generation>` | event | wakes that side; resets itself |
//! | `root` | section | one word: which header counts |
//! | `header-<number>` | section | the header that the root's word names |
//! | `blocks-<generation>` | section | descriptors and blocks |
//!
//! **Mutexes belong to threads**, and an end may move from thread to thread. So each taken seat has a thread of its
//! own that does nothing else; when the process dies, however it does, the kernel gives up both mutexes for it.
//! The gate is locked and unlocked within one call of the library, by the calling thread.
//!
//! **A dying process** loses its threads one by one, and one of them may still be inside a system call (a rename,
//! say) when the seat's thread is gone. Its handles are closed when the last thread is: `<side>-here` tells that.

#[path = "windows/memory.rs"]
mod memory;
#[path = "windows/objects.rs"]
mod objects;

pub(crate) use memory::Segment;

use super::{OpenError, Side, pause};
use memory::Access;
use objects::{Failed, Names, Owned};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{WAIT_ABANDONED_0, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{SetEvent, WaitForMultipleObjects};

/// Same number as in `layout.rs`, on purpose not imported: a port is written without knowing what lies above.
const HEADER_LENGTH: u64 = 4096;
/// How long what will be free in a moment may take to be so: an `alive` mutex that wakes its partner, and the memory of
/// a process that is dead already.
const BRIEF_WAIT: Duration = Duration::from_millis(50);

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Producer => "producer",
        Side::Consumer => "consumer",
    }
}

#[derive(Debug)]
pub(crate) struct Seats {
    names: Names,
    gate: OwnedHandle,
    chairs: [Arc<Chair>; 2],
    root: Segment,
    /// Which header this is about, and what keeps it there: the one that counted at the first look.
    header: OnceLock<(u64, Segment)>,
    taken: Mutex<[Option<Sitting>; 2]>,
}

/// What belongs to one seat, whoever holds it.
#[derive(Debug)]
struct Chair {
    names: Names,
    side: Side,
    seat: OwnedHandle,
    alive: OwnedHandle,
}

/// A seat that this process holds, and the thread that holds it.
#[derive(Debug)]
struct Sitting {
    stay: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Seats {
    /// Nothing here outlives its processes, so that nobody has to clear away what is left.
    pub(crate) fn open(place: Option<&OsStr>, key: u128) -> Result<(Self, bool), OpenError> {
        if let Some(place) = place {
            return Err(unsupported(&format!("meeting in {}", place.to_string_lossy())));
        }
        let names = Names::of(key).map_err(|error| error.about("this user's identity"))?;
        let chair = |side| -> Result<Arc<Chair>, OpenError> {
            let (names, word) = (names.clone(), side_name(side));
            let mutex = |what: &str| names.mutex(what).map_err(|error| error.about(&names.full(what)));
            let (seat, alive) = (mutex(&format!("{word}-seat"))?, mutex(&format!("{word}-alive"))?);
            Ok(Arc::new(Chair { names, side, seat, alive }))
        };
        let open =
            |what: &str, result: Result<_, Failed>| result.map_err(|error| error.about(&names.full(what)));
        let seats = Self {
            gate: open("gate", names.mutex("gate"))?,
            chairs: [chair(Side::Producer)?, chair(Side::Consumer)?],
            root: Segment::named(&names, "root", HEADER_LENGTH, Access::OpenOrCreate)
                .map_err(|error| error.about(&names.full("root")))?
                .0,
            names,
            header: OnceLock::new(),
            taken: Mutex::default(),
        };
        Ok((seats, false))
    }

    pub(crate) fn existing(place: Option<&OsStr>, key: u128) -> Result<Option<Self>, OpenError> {
        // What is opened here goes again with its last handle.
        let (seats, _) = Self::open(place, key)?;
        let used = seats.root_word().load(Ordering::Acquire) != 0;
        Ok(used.then_some(seats))
    }

    pub(crate) fn keys(_place: Option<&OsStr>) -> Result<Vec<u128>, OpenError> {
        Err(unsupported("listing the pipes"))
    }

    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "elsewhere others may come than this user"
    )]
    pub(crate) fn publish_user(&self, _side: Side, _generation: u64) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as in `introduce`")]
    pub(crate) fn user(&self, _side: Side, _generation: u64) -> io::Result<Option<u32>> {
        Ok(None)
    }

    pub(crate) fn location(&self) -> &str {
        self.names.prefix()
    }

    pub(crate) fn lock_gate(&self, until: Instant) -> io::Result<bool> {
        objects::own(&self.gate, until.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn unlock_gate(&self) -> io::Result<()> {
        objects::disown(&self.gate)
    }

    pub(crate) fn is_current(&self) -> io::Result<bool> {
        if let Some((header, _)) = self.header.get() {
            return Ok(*header == self.root_word().load(Ordering::Acquire));
        }
        let (number, segment, existed) = self.find_header()?;
        // A seat without its header: a dying process' handles are closed one by one. In a moment it will be gone.
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
        let chair = &self.chairs[seat as usize];
        Ok(objects::is_owned(&chair.seat)? || self.names.exists(&chair.here())?)
    }

    pub(crate) fn take(&self, seat: Side) -> io::Result<bool> {
        let (answer, taken) = mpsc::channel();
        let (stay, leave) = mpsc::channel();
        let chair = Arc::clone(&self.chairs[seat as usize]);
        let thread = std::thread::Builder::new()
            .name(format!("blockpipe {} seat", side_name(seat)))
            .spawn(move || chair.hold(&answer, &leave))?;
        let sitting = Sitting { stay: Some(stay), thread: Some(thread) };
        let taken = taken.recv().unwrap_or_else(|_| Err(io::Error::other("the seat's thread ended")));
        if let Ok(true) = taken {
            self.taken()[seat as usize] = Some(sitting);
        }
        taken
    }

    #[expect(clippy::unnecessary_wraps, reason = "other systems ask the kernel here")]
    pub(crate) fn release(&self, seat: Side) -> io::Result<()> {
        // Not inside the lock: the thread's end is waited for.
        let sitting = self.taken()[seat as usize].take();
        drop(sitting);
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "other systems ask the kernel here")]
    pub(crate) fn unlink(&self) -> io::Result<()> {
        // Names of kernel objects cannot be taken away, but the root can name another header. Zero names none.
        let next = self.root_word().load(Ordering::Relaxed).wrapping_add(1);
        self.root_word().store(next.max(1), Ordering::Release);
        Ok(())
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
        // A producer that died before it was ready may have made it, too, and its handles are closed one by one.
        let until = Instant::now() + BRIEF_WAIT;
        loop {
            match Segment::named(&self.names, &blocks(generation), length, Access::Create) {
                Err(Failed::System(error))
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

    /// Nobody can cut a section short.
    pub(crate) fn header_copy(&self) -> io::Result<Segment> {
        self.header()
    }

    /// The header that counts now, and whether it was there before.
    fn find_header(&self) -> io::Result<(u64, Segment, bool)> {
        let mut number = self.root_word().load(Ordering::Acquire);
        if number == 0 {
            // A new root. Somebody may still look at a header of an earlier one, so it must not start at 1 again.
            number = getrandom::u64().map_err(io::Error::other)?.max(1);
            self.root_word().store(number, Ordering::Release);
        }
        let (segment, existed) =
            Segment::named(&self.names, &header(number), HEADER_LENGTH, Access::OpenOrCreate)?;
        Ok((number, segment, existed))
    }

    fn root_word(&self) -> &AtomicU64 {
        // SAFETY: the root is mapped page-aligned and a whole page long for as long as `self` lives, and whatever
        // bytes are there are a number; every process touches this word by atomics only.
        unsafe { self.root.address().cast().as_ref() }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, [Option<Sitting>; 2]> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kernel objects are in none.
pub(crate) fn directory(_place: Option<&OsStr>) -> Option<OsString> {
    None
}

fn unsupported(doing: &str) -> OpenError {
    let source = io::Error::new(io::ErrorKind::Unsupported, "this system has no such thing");
    OpenError::Io { doing: doing.into(), source }
}

fn header(number: u64) -> String {
    format!("header-{number:016x}")
}

fn blocks(generation: u64) -> String {
    format!("blocks-{generation:016x}")
}

impl Chair {
    fn here(&self) -> String {
        format!("{}-here", side_name(self.side))
    }

    /// The life of a seat's thread: takes the seat, says whether it has it, and holds it until `leave` is hung up.
    fn hold(&self, answer: &Sender<io::Result<bool>>, leave: &Receiver<()>) {
        match self.take_seat() {
            Ok(Some(held)) => {
                let _ = answer.send(Ok(true));
                let _ = leave.recv();
                // `alive` last: whoever it wakes finds a seat that is really free.
                drop(held);
            }
            Ok(None) => drop(answer.send(Ok(false))),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    /// The three things that make a held seat, in the order in which they are to be dropped.
    fn take_seat(&self) -> io::Result<Option<(OwnedHandle, Owned<'_>, Owned<'_>)>> {
        let Some(seat) = Owned::take(&self.seat, Duration::ZERO)? else { return Ok(None) };
        let Some(alive) = Owned::take(&self.alive, BRIEF_WAIT)? else { return Ok(None) };
        // Somebody looks whether it is there, or a process is not quite dead yet: in a moment it will be free.
        let Some(here) = self.names.new_event(&self.here())? else { return Ok(None) };
        Ok(Some((here, seat, alive)))
    }
}

impl Drop for Sitting {
    fn drop(&mut self) {
        self.stay = None;
        if let Some(thread) = self.thread.take() {
            // Given back means given back; a thread that panicked has given it back, too.
            let _ = thread.join();
        }
    }
}

/// An event for the sleeper, and its partner's life: both wake it.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: OwnedHandle,
    peer_alive: OwnedHandle,
}

impl Bell {
    pub(crate) fn open(seats: &Seats, generation: u64, sleeper: Side) -> io::Result<Self> {
        let names = &seats.names;
        let partner = match sleeper {
            Side::Producer => Side::Consumer,
            Side::Consumer => Side::Producer,
        };
        Ok(Self {
            rung: names.event(&format!("{}-bell-{generation:016x}", side_name(sleeper)))?,
            peer_alive: names.mutex(&format!("{}-alive", side_name(partner)))?,
        })
    }

    pub(crate) fn sleep(&self, _word: &AtomicU32, limit: Duration) {
        // Nobody there: then only the bell can wake, or this would be a loop without sleep.
        let count = if objects::is_owned(&self.peer_alive).unwrap_or(false) { 2 } else { 1 };
        let handles = [self.rung.as_raw_handle(), self.peer_alive.as_raw_handle()];
        // SAFETY: both handles are open as long as `self` lives, and `count` is at most their number.
        let woken_by =
            unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, objects::milliseconds(limit)) };
        // Every other outcome (rung, time over) means the same: look again.
        if woken_by == WAIT_OBJECT_0 + 1 || woken_by == WAIT_ABANDONED_0 + 1 {
            // Waiting has taken it, and the next one to take the partner's seat needs it.
            let _ = objects::disown(&self.peer_alive);
        }
    }

    pub(crate) fn ring(&self, _word: &AtomicU32) {
        // SAFETY: the event is open as long as `self` lives.
        let _ = unsafe { SetEvent(self.rung.as_raw_handle()) };
    }
}
