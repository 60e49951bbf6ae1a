//! The end that fills blocks.

use crate::convert::{self, Name, deadline};
use crate::empty::EmptyBlock;
use crate::end::{Call, End};
use crate::errors::{pipe_error, timed_out};
use crate::joining::{Options, join};
use blockpipe::{Geometry, PipeError, Reason, Side};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::Arc;

/// The end that fills blocks and sends them.
#[pyclass(frozen, module = "blockpipe")]
pub struct Producer {
    end: Arc<End<blockpipe::Producer>>,
    geometry: Geometry,
    predecessor: Option<Vec<u8>>,
}

impl Producer {
    fn block_object(&self, block: blockpipe::EmptyBlock) -> EmptyBlock {
        EmptyBlock::new(&self.end, block)
    }

    fn abort_with(&self, py: Python<'_>, reason: &Reason) -> PyResult<()> {
        self.end.with(py, Call::Slow, |end| match end.abort(reason) {
            // The caller asked for this, so it is no error.
            Err(PipeError::Aborted { by: Side::Producer, .. }) => Ok(()),
            verdict => verdict,
        })
    }
}

#[pymethods]
impl Producer {
    #[new]
    #[pyo3(signature = (name, *, block_size = None, blocks = None, hello = &[] as &[u8], tag = &[] as &[u8], directory = None,
        connect_timeout = None, replace_within = None, cancel_event = None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        py: Python<'_>,
        name: Name,
        block_size: Option<usize>,
        blocks: Option<usize>,
        hello: &[u8],
        tag: &[u8],
        directory: Option<PathBuf>,
        connect_timeout: Option<f64>,
        replace_within: Option<f64>,
        cancel_event: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let pipe =
            Options { name, tag, directory, connect_timeout, replace_within, cancel_event }.pipe(py)?;
        let mut end = join(py, || pipe.join_as_producer())?;
        let default = end.geometry().unwrap_or_default();
        let geometry =
            Geometry::new(block_size.unwrap_or(default.block_size()), blocks.unwrap_or(default.blocks()));
        let ready = py.detach(|| {
            end.ready(geometry, hello).inspect_err(|error| {
                // A waiting consumer should learn why there is no producer. But if this one replaces a dead producer,
                // the consumer can wait for another replacement.
                if end.predecessor().is_none() {
                    let _ = end.abort(&Reason::new(1, error.to_string()));
                }
            })
        });
        ready.map_err(|error| pipe_error(py, error))?;
        let predecessor = end.predecessor().map(Into::into);
        let (canceller, monitor) = (end.canceller(), end.monitor());
        let end = Arc::new(End::new(end, canceller, monitor));
        Ok(Self { end, geometry, predecessor })
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

    /// The hello of the dead producer that this one replaces, or None.
    #[getter]
    fn predecessor(&self) -> Option<&[u8]> {
        self.predecessor.as_deref()
    }

    /// The hello of the consumer, or None before it has begun.
    #[getter]
    fn peer_hello<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let hello = self.end.with(py, Call::Instant, |end| end.peer_hello())?;
        Ok(hello.map(|hello| PyBytes::new(py, &hello)))
    }

    /// The process id of the consumer's process, as it reported it; None while there is none.
    #[getter]
    fn peer(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        self.end.peer(py)
    }

    /// The user id of the consumer's process, as the kernel reports it; None if the container does not know the user.
    #[getter]
    fn peer_user(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        self.end.with(py, Call::Slow, |end| end.peer_user())
    }

    /// Waits until a consumer has begun, and returns the resume point where the stream begins.
    fn start<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let point = self.end.wait(py, blockpipe::Producer::start)?;
        Ok(PyBytes::new(py, &point))
    }

    /// Returns the next empty block, waiting until the consumer releases one.
    #[pyo3(signature = (timeout = None))]
    fn block(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<EmptyBlock> {
        if let Some(block) = self.try_block(py)? {
            return Ok(block);
        }
        let deadline = deadline(timeout)?;
        let block = self.end.wait_until(py, deadline, |end, left| match left {
            None => end.empty_block().map(Some),
            Some(left) => end.empty_block_timeout(left),
        })?;
        let block = block.ok_or_else(|| timed_out(py, "timed out waiting for an empty block"))?;
        Ok(self.block_object(block))
    }

    /// Returns an empty block, or None if there is none now.
    fn try_block(&self, py: Python<'_>) -> PyResult<Option<EmptyBlock>> {
        let block = self.end.with(py, Call::Instant, blockpipe::Producer::try_empty_block)?;
        Ok(block.map(|block| self.block_object(block)))
    }

    /// Ends the stream and waits for the consumer's verdict.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.end.wait(py, blockpipe::Producer::finish)
    }

    /// Finishes with a trailer of at most 64 bytes, which the consumer gets at the end of the stream.
    #[pyo3(signature = (trailer = &[] as &[u8]))]
    fn close(&self, py: Python<'_>, trailer: &[u8]) -> PyResult<()> {
        self.end.wait(py, |end| end.close(trailer))
    }

    /// Aborts the pipe with a reason that the consumer receives.
    #[pyo3(signature = (text, code = 1))]
    fn abort(&self, py: Python<'_>, text: &str, code: u32) -> PyResult<()> {
        self.abort_with(py, &Reason::new(code, text))
    }

    /// Leaves the pipe without a verdict, so that another process can take this end.
    fn detach(&self, py: Python<'_>) -> PyResult<()> {
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
        self.end.fileno(py, blockpipe::Producer::readiness)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Finishes, or aborts after an exception. The end is over afterwards in either case.
    fn __exit__(
        &self,
        py: Python<'_>,
        class: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if class.is_none() {
            return convert::ignore_over(py, self.finish(py)).inspect_err(|error| {
                let _ = self.abort_with(py, &convert::reason(error.value(py)));
            });
        }
        // The caller gets the exception of the `with` block, and not the error that aborting the pipe returns.
        convert::ignore_pipe_errors(py, self.abort_with(py, &convert::reason(error)))
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.end.give_up();
    }
}
