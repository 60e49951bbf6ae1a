//! The end of a stream as the consumer sees it: announcing that the result becomes final, and saying that it is.

use crate::block::{Trust, UntrustedPeer};
use crate::consumer::Consumer;
use crate::error::PipeError;
use crate::reason::Reason;
use crate::ring::Stage;
use crate::sys::Side;

impl<T: Trust> Consumer<T> {
    /// Declares that everything is dealt with: both sides end *complete*. Where the result becomes final in a step of its
    /// own (a rename, a reply), use [`commit`](Self::commit). Example: [receiving](#receiving).
    ///
    /// A caller that knows where the stream ends need not look for the [end](Self::is_at_end): this waits until the
    /// producer has closed the stream.
    ///
    /// # Errors
    /// As [`filled_block`](Self::filled_block), [`commit`](Self::commit) and [`Committing::complete`].
    /// [`PipeError::Misuse`] while a block is held, and if there is another one: the next call hands it out.
    pub fn finish(&mut self) -> Result<(), PipeError> {
        self.end.ensure_open()?;
        // The end of the stream might never come while a block is held.
        if !self.holds_blocks() && self.filled_block()?.is_some() {
            return Err(PipeError::Misuse("cannot finish: there is another block"));
        }
        self.commit()?.complete()
    }

    /// Announces that the result is about to become final (a rename, a reply). After this the producer can no longer
    /// abort, and only [`Committing::complete`] or [`Committing::abort`] end the pipe. Does not block.
    /// Example: [making the result final](#making-the-result-final).
    ///
    /// # Errors
    /// [`PipeError::Aborted`] if the producer aborted first, [`PipeError::Misuse`] before the last block has been
    /// released.
    pub fn commit(&mut self) -> Result<Committing<'_, T>, PipeError> {
        self.end.ensure_open()?;
        if self.holds_blocks() || !self.is_at_end() {
            return Err(PipeError::Misuse("cannot commit: there are blocks left to drain"));
        }
        if !self.is_committing() && self.end.advance(Stage::Undecided, Stage::Committing).is_err() {
            let verdict =
                self.end.verdict().unwrap_or(Err(PipeError::Corrupt("another process is committing")));
            self.end.conclude(verdict)?;
            return self.end.conclude(Err(PipeError::Corrupt("complete without the consumer")));
        }
        self.end.may_become_final.set(true);
        Ok(Committing { consumer: self })
    }
}

/// A consumer whose result is becoming final: the producer can only wait for its verdict now.
///
/// If the consumer is dropped or killed at this point, the producer gets [`PipeError::DiedCommitting`] and has to inspect
/// the result itself, unless a replacement comes. Dropping only this value decides nothing: another
/// [`commit`](Consumer::commit) returns it again.
#[derive(Debug)]
#[must_use = "the producer waits for `complete` or `abort`"]
pub struct Committing<'a, T: Trust = UntrustedPeer> {
    consumer: &'a mut Consumer<T>,
}

impl<T: Trust> Committing<'_, T> {
    /// Leaves a remark that the producer should read although everything is complete
    /// ([`Producer::remark`](crate::Producer::remark)). Example: [`Producer`](crate::Producer#ending-with-a-trailer).
    /// Does nothing in a forked child.
    pub fn remark(&self, remark: &Reason) {
        if self.consumer.end.is_of_this_process() {
            self.consumer.end.shared.set_reason(Side::Consumer, remark);
        }
    }

    /// Declares the result final: both sides end *complete*. Does not block.
    /// Example: [`Consumer`](Consumer#making-the-result-final).
    ///
    /// # Errors
    /// [`PipeError::Corrupt`] if another process has changed the verdict.
    pub fn complete(self) -> Result<(), PipeError> {
        let end = &self.consumer.end;
        end.ensure_open()?;
        let moved = end.advance(Stage::Committing, Stage::Complete);
        end.conclude(moved.map_err(|_| PipeError::Corrupt("the verdict changed while committing")))?;
        end.leave();
        Ok(())
    }

    /// Aborts because the result could not be made final: both sides end with this reason. Does not block.
    /// Example: [`Consumer`](Consumer#making-the-result-final).
    pub fn abort(self, reason: &Reason) -> PipeError {
        self.consumer.end_by_abort(Stage::Committing, reason)
    }
}
