//! The end that drains blocks.

use crate::committing::Committing;
use crate::convert::{self, Name, deadline};
use crate::end::{Call, End};
use crate::errors::{end_of_stream, misuse, timed_out};
use crate::filled::{FilledBlock, Shared};
use crate::joining::{Options, join};
use crate::observe::snapshot;
use blockpipe::{Geometry, Readiness, Reason};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// What a request for a block has found.
enum Found {
    Block(blockpipe::FilledBlock),
    Nothing,
    End,
}

/// The end that receives filled blocks and releases them.
#[pyclass(frozen, module = "blockpipe")]
pub struct Consumer {
    end: Arc<End<blockpipe::Consumer>>,
    geometry: Geometry,
    predecessor: Option<Vec<u8>>,
    peer_hello: Vec<u8>,
    /// The block of a `for` loop's current round.
    current: Mutex<Option<Arc<Shared>>>,
    readiness: OnceLock<Readiness>,
}

/// Asks without waiting.
fn look(end: &mut blockpipe::Consumer) -> Result<Found, blockpipe::PipeError> {
    let block = end.try_filled_block()?;
    Ok(found(end, block))
}

fn found(end: &blockpipe::Consumer, block: Option<blockpipe::FilledBlock>) -> Found {
    match block {
        Some(block) => Found::Block(block),
        None if end.is_at_end() => Found::End,
        None => Found::Nothing,
    }
}

impl Consumer {
    fn block_object(&self, block: blockpipe::FilledBlock) -> FilledBlock {
        FilledBlock::new(&self.end, block)
    }

    /// Waits for the next block. `None` at the end of the stream.
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<FilledBlock>> {
        let deadline = deadline(timeout)?;
        let mut found_now = self.end.with(py, Call::Instant, look)?;
        if let Found::Nothing = found_now {
            found_now = self.end.wait(py, |end| match deadline {
                None => {
                    let block = end.filled_block()?;
                    Ok(found(end, block))
                }
                Some(deadline) => loop {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let block = end.filled_block_timeout(left)?;
                    if block.is_some() || end.is_at_end() || left.is_zero() {
                        break Ok(found(end, block));
                    }
                },
            })?;
        }
        match found_now {
            Found::Block(block) => Ok(Some(self.block_object(block))),
            Found::End => Ok(None),
            Found::Nothing => Err(timed_out(py, "timed out waiting for a filled block")),
        }
    }

    /// Ends the current round of a `for` loop: releases its block, if necessary when its last view goes.
    fn end_round(&self) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(block) = current
            && !block.release_when_unused()
        {
            self.end.note_in_use(&block);
        }
    }

    /// Releases blocks of which views are left, if this is the end of the stream: they stay as they are.
    fn release_in_use(&self, py: Python<'_>) -> PyResult<()> {
        self.end.ensure_of_this_process(py)?;
        self.end_round();
        if self.at_end(py)? {
            for block in self.end.take_in_use() {
                self.end.has_views.store(true, Ordering::Relaxed);
                self.end.settle_soon(block);
            }
        }
        Ok(())
    }

    fn abort_with(&self, py: Python<'_>, reason: &Reason) -> PyResult<()> {
        self.end.with(py, Call::Slow, |end| match end.abort(reason) {
            // It is the caller who aborted.
            blockpipe::PipeError::Aborted { by: blockpipe::Side::Consumer, .. } => Ok(()),
            error => Err(error),
        })
    }
}

#[pymethods]
impl Consumer {
    #[new]
    #[pyo3(signature = (name, *, tag = &[] as &[u8], directory = None, connect_timeout = None, replace_within = None))]
    fn new(
        py: Python<'_>,
        name: Name,
        tag: &[u8],
        directory: Option<PathBuf>,
        connect_timeout: Option<f64>,
        replace_within: Option<f64>,
    ) -> PyResult<Self> {
        let pipe = Options { name, tag, directory, connect_timeout, replace_within }.pipe()?;
        let end = join(py, || pipe.join_as_consumer())?;
        Ok(Self {
            geometry: end.geometry(),
            predecessor: end.predecessor().map(Into::into),
            peer_hello: end.peer_hello().into(),
            current: Mutex::default(),
            readiness: OnceLock::new(),
            end: {
                let (canceller, monitor) = (end.canceller(), end.monitor());
                Arc::new(End::new(end, canceller, monitor))
            },
        })
    }

    /// The number of bytes in a block.
    #[getter]
    fn block_size(&self) -> usize {
        self.geometry.block_size()
    }

    /// The number of blocks.
    #[getter]
    fn blocks(&self) -> usize {
        self.geometry.blocks()
    }

    /// The hello of the dead consumer that this one replaces, or None.
    #[getter]
    fn predecessor(&self) -> Option<&[u8]> {
        self.predecessor.as_deref()
    }

    /// Whether the dead predecessor was committing: its result may be final already.
    #[getter]
    fn predecessor_was_committing(&self, py: Python<'_>) -> PyResult<bool> {
        self.end.with(py, Call::Instant, |end| Ok(end.predecessor_was_committing()))
    }

    /// The hello of the producer.
    #[getter]
    fn peer_hello(&self) -> &[u8] {
        &self.peer_hello
    }

    /// The user id of the producer's process, as the kernel knows it; None if there is no producer.
    #[getter]
    fn peer_user(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        self.end.with(py, Call::Slow, |end| end.peer_user())
    }

    /// Tells the producer what this end works on, and where the stream should begin. Returns where it does begin.
    #[pyo3(signature = (hello = &[] as &[u8], at = &[] as &[u8]))]
    fn begin<'py>(&self, py: Python<'py>, hello: &[u8], at: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let at = convert::resume_point(at)?;
        let point = self.end.with(py, Call::Slow, |end| end.begin(hello, at))?;
        Ok(PyBytes::new(py, &point))
    }

    /// Returns the next filled block; waits for it. Raises `EndOfStream` after the last one.
    #[pyo3(signature = (timeout = None))]
    fn block(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<FilledBlock> {
        self.next(py, timeout)?.ok_or_else(|| end_of_stream(py))
    }

    /// Returns a filled block, or None if there is none now. Raises `EndOfStream` after the last one.
    fn try_block(&self, py: Python<'_>) -> PyResult<Option<FilledBlock>> {
        match self.end.with(py, Call::Instant, look)? {
            Found::Block(block) => Ok(Some(self.block_object(block))),
            Found::Nothing => Ok(None),
            Found::End => Err(end_of_stream(py)),
        }
    }

    /// Releases all blocks that are filled now but the newest one, and returns their number.
    fn skip_to_latest(&self, py: Python<'_>) -> PyResult<u64> {
        self.end.ensure_of_this_process(py)?;
        self.end_round();
        self.end.with(py, Call::Slow, blockpipe::Consumer::skip_to_latest)
    }

    /// Whether the last block has been handed out, and the producer has closed the stream.
    #[getter]
    fn at_end(&self, py: Python<'_>) -> PyResult<bool> {
        self.end.with(py, Call::Instant, |end| Ok(end.is_at_end()))
    }

    /// What the producer passed to `close`, followed by zeros: 64 bytes, or None before the end of the stream.
    #[getter]
    fn trailer<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let trailer = self.end.with(py, Call::Instant, |end| Ok(end.trailer().copied()))?;
        Ok(trailer.map(|trailer| PyBytes::new(py, &trailer)))
    }

    /// Waits for the end of the stream, and declares that everything is dealt with: both sides end complete.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.release_in_use(py)?;
        self.end.with(py, Call::Slow, blockpipe::Consumer::finish)
    }

    /// Announces that the result is about to become final. To be used with `with`.
    fn commit(&self, py: Python<'_>) -> PyResult<Committing> {
        self.release_in_use(py)?;
        self.end.with(py, Call::Slow, |end| end.commit().map(drop))?;
        Ok(Committing::new(&self.end))
    }

    /// Aborts the pipe with a reason that the producer receives.
    #[pyo3(signature = (text, code = 1))]
    fn abort(&self, py: Python<'_>, text: &str, code: u32) -> PyResult<()> {
        self.abort_with(py, &Reason::new(code, text))
    }

    /// Leaves the pipe without a verdict, so that another process can take this end.
    fn detach(&self, py: Python<'_>) -> PyResult<()> {
        self.end.ensure_of_this_process(py)?;
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(block) = current {
            block.put_back_when_unused();
        }
        if self.end.held.load(Ordering::Relaxed) > 0 || self.end.has_views.load(Ordering::Relaxed) {
            return Err(misuse(py, "cannot leave: a block is held"));
        }
        self.end.with(py, Call::Slow, |_| Ok(()))?;
        self.end.give_up();
        Ok(())
    }

    /// Ends the wait that another thread is in, or the next one, with `Canceled`.
    fn cancel(&self) {
        self.end.cancel();
    }

    /// Raises the error that has ended the pipe, if one has. For programs that wait for something else.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.end.with(py, Call::Slow, |end| end.check())
    }

    /// Returns the state of the pipe. Never waits.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.end.ensure_of_this_process(py)?;
        snapshot(py, &self.end.monitor().snapshot())
    }

    /// Returns a descriptor that is readable while `try_block` may find something.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        if self.readiness.get().is_none() {
            let readiness = self.end.with(py, Call::Slow, blockpipe::Consumer::readiness)?;
            let _ = self.readiness.set(readiness);
        }
        Ok(self.readiness.get().map_or(-1, AsRawFd::as_raw_fd))
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Ends the previous round, and waits for the next block.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, FilledBlock>>> {
        self.end.ensure_of_this_process(py)?;
        self.end_round();
        let Some(block) = self.next(py, None)? else { return Ok(None) };
        let shared = Arc::clone(block.shared());
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(shared);
        Bound::new(py, block).map(Some)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Finishes at the end of the stream, and aborts otherwise. Afterwards the end is over in any case.
    fn __exit__(
        &self,
        py: Python<'_>,
        class: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if !class.is_none() {
            // The exception of the block counts, and not what the peer makes of it.
            return convert::unless_error_of_pipe(py, self.abort_with(py, &convert::reason(error)));
        }
        let at_end = self.at_end(py).unwrap_or(false);
        if !at_end {
            let reason = Reason::new(1, "the consumer left before the end of the stream");
            return convert::unless_over(py, self.abort_with(py, &reason));
        }
        let finished = convert::unless_over(py, self.finish(py));
        if let Err(error) = &finished {
            let _ = self.abort_with(py, &convert::reason(error.value(py)));
        }
        finished
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.end.is_of_this_process() {
            drop(self.current.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        // Views that were left at the end of the stream need the memory; the end goes with them.
        if !self.end.has_views.load(Ordering::Relaxed) {
            self.end.give_up();
        }
    }
}
