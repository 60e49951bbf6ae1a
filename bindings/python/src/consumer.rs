//! The end that drains blocks.

use crate::committing::Committing;
use crate::convert::{self, Name, deadline};
use crate::end::{Call, End, lock};
use crate::errors::{end_of_stream, timed_out};
use crate::filled::{FilledBlock, Shared};
use crate::joining::{Options, join};
use blockpipe::{Geometry, PipeError, Reason, Side};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// The successful answer to a request for a block.
enum Next {
    Block(blockpipe::FilledBlock),
    EndOfStream,
}

/// The end that receives filled blocks and releases them.
#[pyclass(frozen, module = "blockpipe")]
pub struct Consumer {
    end: Arc<End<blockpipe::Consumer>>,
    geometry: Geometry,
    predecessor: Option<Vec<u8>>,
    peer_hello: Vec<u8>,
    /// The block of the current iteration of a `for` loop.
    current: Mutex<Option<Arc<Shared>>>,
}

/// Returns the next block, or the end of the stream, if it has arrived. Does not wait.
fn try_next(end: &mut blockpipe::Consumer) -> Result<Option<Next>, PipeError> {
    let block = end.try_filled_block()?;
    Ok(block_or_end(end, block))
}

fn block_or_end(end: &blockpipe::Consumer, block: Option<blockpipe::FilledBlock>) -> Option<Next> {
    block.map(Next::Block).or_else(|| end.is_at_end().then_some(Next::EndOfStream))
}

impl Consumer {
    fn block_object(&self, block: blockpipe::FilledBlock) -> FilledBlock {
        FilledBlock::new(&self.end, block)
    }

    /// Waits for the next block. Returns `None` at the end of the stream.
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<FilledBlock>> {
        let deadline = deadline(timeout)?;
        let mut next = self.end.with(py, Call::Instant, try_next)?;
        if next.is_none() {
            next = self.end.wait_until(py, deadline, |end, left| {
                let block = match left {
                    None => end.filled_block()?,
                    Some(left) => end.filled_block_timeout(left)?,
                };
                Ok(block_or_end(end, block))
            })?;
        }
        match next {
            Some(Next::Block(block)) => Ok(Some(self.block_object(block))),
            Some(Next::EndOfStream) => Ok(None),
            None => Err(timed_out(py, "timed out waiting for a filled block")),
        }
    }

    /// Releases the block of the current iteration of a `for` loop, or lets it be released once its last view is gone.
    fn end_iteration(&self) {
        let current = lock(&self.current).take();
        if let Some(block) = current
            && !block.release_when_unused()
        {
            self.end.note_in_use(&block);
        }
    }

    /// Releases the blocks that still have views, if this is the end of the stream: their memory cannot change any more.
    fn release_in_use(&self, py: Python<'_>) -> PyResult<()> {
        self.end.ensure_of_this_process(py)?;
        self.end_iteration();
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
            // The caller asked for this, so it is no error.
            PipeError::Aborted { by: Side::Consumer, .. } => Ok(()),
            error => Err(error),
        })
    }
}

#[pymethods]
impl Consumer {
    #[new]
    #[pyo3(signature = (name, *, tag = &[] as &[u8], directory = None, connect_timeout = None, replace_within = None, cancel_event = None))]
    fn new(
        py: Python<'_>,
        name: Name,
        tag: &[u8],
        directory: Option<PathBuf>,
        connect_timeout: Option<f64>,
        replace_within: Option<f64>,
        cancel_event: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let pipe =
            Options { name, tag, directory, connect_timeout, replace_within, cancel_event }.pipe(py)?;
        let end = join(py, || pipe.join_as_consumer())?;
        Ok(Self {
            geometry: end.geometry(),
            predecessor: end.predecessor().map(Into::into),
            peer_hello: end.peer_hello().into(),
            current: Mutex::default(),
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

    /// True if the dead predecessor was committing: its result may be final already.
    #[getter]
    fn predecessor_was_committing(&self, py: Python<'_>) -> PyResult<bool> {
        self.end.with(py, Call::Instant, |end| Ok(end.predecessor_was_committing()))
    }

    /// The hello of the producer.
    #[getter]
    fn peer_hello(&self) -> &[u8] {
        &self.peer_hello
    }

    /// The process id of the producer's process, as it reported it; None while there is none.
    #[getter]
    fn peer(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        self.end.peer(py)
    }

    /// The user id of the producer's process, as the kernel reports it; None if the container does not know the user.
    #[getter]
    fn peer_user(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        self.end.with(py, Call::Slow, |end| end.peer_user())
    }

    /// Declares what this end works on, and where the stream should begin. Returns where it does begin.
    #[pyo3(signature = (hello = &[] as &[u8], at = &[] as &[u8]))]
    fn begin<'py>(&self, py: Python<'py>, hello: &[u8], at: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let at = convert::resume_point(at)?;
        let point = self.end.with(py, Call::Slow, |end| end.begin(hello, at))?;
        Ok(PyBytes::new(py, &point))
    }

    /// Returns the next filled block, waiting until the producer sends one. Raises `EndOfStream` after the last one.
    #[pyo3(signature = (timeout = None))]
    fn block(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<FilledBlock> {
        self.next(py, timeout)?.ok_or_else(|| end_of_stream(py))
    }

    /// Returns a filled block, or None if there is none now. Raises `EndOfStream` after the last one.
    fn try_block(&self, py: Python<'_>) -> PyResult<Option<FilledBlock>> {
        match self.end.with(py, Call::Instant, try_next)? {
            Some(Next::Block(block)) => Ok(Some(self.block_object(block))),
            Some(Next::EndOfStream) => Err(end_of_stream(py)),
            None => Ok(None),
        }
    }

    /// Releases all filled blocks except for the newest one, and returns their number.
    fn skip_to_latest(&self, py: Python<'_>) -> PyResult<u64> {
        self.end.ensure_of_this_process(py)?;
        self.end_iteration();
        self.end.with(py, Call::Slow, blockpipe::Consumer::skip_to_latest)
    }

    /// Releases all filled blocks, and returns their number. The next block is sent after this call.
    fn skip_all(&self, py: Python<'_>) -> PyResult<u64> {
        self.end.ensure_of_this_process(py)?;
        self.end_iteration();
        self.end.with(py, Call::Slow, blockpipe::Consumer::skip_all)
    }

    /// True if the last block has been handed out, and the producer has closed the stream.
    #[getter]
    fn at_end(&self, py: Python<'_>) -> PyResult<bool> {
        self.end.with(py, Call::Instant, |end| Ok(end.is_at_end()))
    }

    /// The 64 bytes that the producer passed to `close`, padded with zeros, or None before the end of the stream.
    #[getter]
    fn trailer<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let trailer = self.end.with(py, Call::Instant, |end| Ok(end.trailer().copied()))?;
        Ok(trailer.map(|trailer| PyBytes::new(py, &trailer)))
    }

    /// Waits for the end of the stream, and declares that everything has been processed: both ends are complete.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.release_in_use(py)?;
        self.end.with(py, Call::Slow, blockpipe::Consumer::finish)
    }

    /// Announces that the result is about to become final. Use it in a `with` statement.
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
        let current = lock(&self.current).take();
        if let Some(block) = current {
            block.put_back_when_unused();
        }
        self.end.detach(py)
    }

    /// Ends the wait of another thread, or the next wait if there is none now, with `Canceled`.
    fn cancel(&self) {
        self.end.cancel();
    }

    /// Raises the error that ended the pipe, if there is one. For programs that wait for something else.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        self.end.with(py, Call::Slow, |end| end.check())
    }

    /// Returns the state of the pipe. Never waits.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.end.snapshot(py)
    }

    /// Returns a descriptor that is readable while `try_block` may find something.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.end.fileno(py, blockpipe::Consumer::readiness)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Releases the previous block, and waits for the next one.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, FilledBlock>>> {
        self.end.ensure_of_this_process(py)?;
        self.end_iteration();
        let Some(block) = self.next(py, None)? else { return Ok(None) };
        let shared = Arc::clone(block.shared());
        *lock(&self.current) = Some(shared);
        Bound::new(py, block).map(Some)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Finishes at the end of the stream, and aborts otherwise. The end is over afterwards in either case.
    fn __exit__(
        &self,
        py: Python<'_>,
        class: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if !class.is_none() {
            // The caller gets the exception of the `with` block, and not the error that aborting the pipe returns.
            return convert::ignore_pipe_errors(py, self.abort_with(py, &convert::reason(error)));
        }
        let at_end = self.at_end(py).unwrap_or(false);
        if !at_end {
            let reason = Reason::new(1, "the consumer left before the end of the stream");
            return convert::ignore_over(py, self.abort_with(py, &reason));
        }
        convert::ignore_over(py, self.finish(py)).inspect_err(|error| {
            let _ = self.abort_with(py, &convert::reason(error.value(py)));
        })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.end.is_of_this_process() {
            drop(lock(&self.current).take());
        }
        // Views from before the end of the stream need the memory, so the end is dropped together with the last of them.
        if !self.end.has_views.load(Ordering::Relaxed) {
            self.end.give_up();
        }
    }
}
