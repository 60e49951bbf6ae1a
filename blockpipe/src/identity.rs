//! Identifies the peer's user, and checks that the process that was identified first is still the peer.

use crate::end::{ARRIVAL_LIMIT, Attached};
use crate::error::PipeError;
use crate::sys::{self, Side};
use std::time::{Duration, Instant};

impl Attached {
    /// Returns the user id of the peer's process, as the kernel knows it; `None` where users have no numbers, or if the
    /// user has none in this process's user namespace.
    ///
    /// The first process that is identified is the peer. Seat and card are two locks, and anybody who can open the pipe
    /// can take the seat of a dead process: only the lock of that very card shows that the peer lives.
    pub(crate) fn peer_user(&self) -> Result<Option<u32>, PipeError> {
        self.conclude(self.identify_peer())
    }

    fn identify_peer(&self) -> Result<Option<u32>, PipeError> {
        let identifying = || PipeError::call("identifying the peer's user");
        let mut known = self.card.borrow_mut();
        if let Some(card) = &*known {
            if card.is_held().map_err(identifying())? {
                return Ok(card.user);
            }
            // A user without a number cannot be told apart from others, so no process replaces one.
            if self.options().replace_within.is_none() || card.user.is_none() {
                return Err(self.verdict().and_then(Result::err).unwrap_or(PipeError::PeerDied));
            }
        }
        let mut deadline = Instant::now() + ARRIVAL_LIMIT;
        loop {
            match self.seats.peer_card(self.side.other(), self.generation) {
                Ok(card) => {
                    // Two users without a number may differ, so a replacement without one is refused.
                    if known.is_some() && card.user.is_none() {
                        return Err(PipeError::PeerDied);
                    }
                    return Ok(known.insert(card).user);
                }
                Err(error) if Instant::now() > deadline => return Err(identifying()(error)),
                Err(_) => {}
            }
            self.abort_if_interrupted()?;
            // A replacement may be taking a dead peer's seat right now.
            if !self.is_peer_alive()? {
                self.await_peer_to_identify()?;
                deadline = Instant::now() + ARRIVAL_LIMIT;
            }
            sys::pause(Duration::from_millis(1));
        }
    }

    /// Returns an error if no peer can come to the free seat any more.
    fn await_peer_to_identify(&self) -> Result<(), PipeError> {
        if let Some(verdict) = self.verdict() {
            return Err(verdict.err().unwrap_or(PipeError::PeerDied));
        }
        // A consumer is let in only after a producer.
        if self.side == Side::Producer && !self.has_begun() {
            return Err(PipeError::Misuse("there is no consumer yet"));
        }
        let since = self.alone_since.get().unwrap_or_else(Instant::now);
        self.alone_since.set(Some(since));
        if self.waits_for_peer(since.elapsed(), true)? || !self.give_up_on_peer(|| false)? {
            return Ok(());
        }
        Err(PipeError::PeerDied)
    }
}
