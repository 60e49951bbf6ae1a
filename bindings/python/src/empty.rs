//! A block that a producer fills.

use crate::convert::resume_point;
use crate::end::{Call, End, Settle, lock};
use crate::errors::misuse;
use blockpipe::EmptyBlock as Block;
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::convert::Infallible;
use std::ffi::c_int;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

impl Settle for blockpipe::Producer {
    // Sending is never delayed, and putting an empty block back does not need the end.
    type Block = Infallible;
    type InUse = Infallible;

    fn settle(&mut self, block: Infallible) {
        match block {}
    }
}

struct State {
    /// `None` once the block has been sent or put back.
    block: Option<Block>,
    header: Vec<u8>,
    views: usize,
    /// True if the block is to be put back once there are no more views of it.
    is_left: bool,
}

impl State {
    fn put_back(&mut self, end: &End<blockpipe::Producer>) {
        if self.block.take().is_some() {
            end.held.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A writable piece of shared memory, which belongs to this process until it is sent.
#[pyclass(frozen, module = "blockpipe")]
pub struct EmptyBlock {
    end: Arc<End<blockpipe::Producer>>,
    // Never held while another thread could run Python code, so it is unlocked whenever the process forks.
    state: Mutex<State>,
    number: u64,
    capacity: usize,
}

impl EmptyBlock {
    pub fn new(end: &Arc<End<blockpipe::Producer>>, block: Block) -> Self {
        end.held.fetch_add(1, Ordering::Relaxed);
        Self {
            end: Arc::clone(end),
            number: block.number(),
            capacity: block.capacity(),
            state: Mutex::new(State { block: Some(block), header: Vec::new(), views: 0, is_left: false }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn take(&self, py: Python<'_>) -> PyResult<Block> {
        let mut state = self.state();
        if state.views > 0 {
            return Err(PyBufferError::new_err(
                "cannot send the block: views of it exist (a memoryview or an array)",
            ));
        }
        let block = state.block.take().ok_or_else(|| gone(py))?;
        self.end.held.fetch_sub(1, Ordering::Relaxed);
        Ok(block)
    }
}

fn gone(py: Python<'_>) -> PyErr {
    misuse(py, "the block has been sent or put back")
}

#[pymethods]
impl EmptyBlock {
    /// The number of the block in the stream; the first one is 0.
    #[getter]
    fn number(&self) -> u64 {
        self.number
    }

    /// The header of the block for the consumer: at most 40 bytes.
    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut header = blockpipe::BlockHeader::from([0; _]);
        let state = self.state();
        header[..state.header.len()].copy_from_slice(&state.header);
        PyBytes::new(py, &header)
    }

    #[setter]
    fn set_header(&self, py: Python<'_>, header: &[u8]) -> PyResult<()> {
        let most = size_of::<blockpipe::BlockHeader>();
        if header.len() > most {
            return Err(PyValueError::new_err(format!("a header has at most {most} bytes")));
        }
        let mut state = self.state();
        state.block.as_mut().ok_or_else(|| gone(py))?.set_header(header);
        state.header = header.into();
        Ok(())
    }

    /// Sends the first `length` bytes to the consumer, or the whole block.
    #[pyo3(signature = (length = None, *, resume_point = None))]
    fn send(&self, py: Python<'_>, length: Option<usize>, resume_point: Option<&[u8]>) -> PyResult<()> {
        self.end.ensure_of_this_process(py)?;
        let length = length.unwrap_or(self.capacity);
        if length > self.capacity {
            return Err(PyValueError::new_err(format!("the block has only {} bytes", self.capacity)));
        }
        let point = resume_point.map(self::resume_point).transpose()?;
        let mut block = Some(self.take(py)?);
        self.end.with(py, Call::Instant, |end| match (block.take(), &point) {
            (Some(block), Some(point)) => end.send_with(block, length, point),
            (Some(block), None) => end.send(block, length),
            (None, _) => Ok(()),
        })
    }

    fn __len__(&self) -> usize {
        self.capacity
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Puts the block back if it was not sent.
    fn __exit__(&self, _class: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {
        let mut state = self.state();
        if state.views > 0 {
            state.is_left = true;
        } else {
            state.put_back(&self.end);
        }
    }

    fn __repr__(&self) -> String {
        let state = if self.state().block.is_some() { "" } else { ", gone" };
        format!("<blockpipe.EmptyBlock {}: {} bytes{state}>", self.number, self.capacity)
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let block = slf.get();
        block.end.ensure_of_this_process(slf.py())?;
        let mut state = block.state();
        let Some(start) = state.block.as_mut().map(Block::as_mut_ptr) else {
            return Err(PyBufferError::new_err("the block has been sent or put back"));
        };
        // SAFETY: Python passes a view to be filled. These bytes are mapped as long as the block is held: it is neither
        // sent nor put back while a view exists, and the view holds a reference to this object. The peer can change the
        // bytes, which Python's buffers allow: they are raw memory.
        unsafe { fill(&slf, view, start, block.capacity, 0, flags)? };
        state.views += 1;
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        let mut state = self.state();
        state.views -= 1;
        if state.views == 0 && state.is_left {
            state.put_back(&self.end);
        }
    }
}

impl Drop for EmptyBlock {
    fn drop(&mut self) {
        let end = Arc::clone(&self.end);
        self.state().put_back(&end);
    }
}

/// Describes `length` bytes at `start` as the buffer of `owner`.
///
/// # Safety
/// `view` may be written to. The bytes stay mapped as long as `owner` exists, or until the view is released.
pub unsafe fn fill<T: pyo3::PyClass>(
    owner: &Bound<'_, T>,
    view: *mut ffi::Py_buffer,
    start: *mut u8,
    length: usize,
    read_only: c_int,
    flags: c_int,
) -> PyResult<()> {
    let length = length.try_into().map_err(|_| PyBufferError::new_err("the block is too long"))?;
    // SAFETY: as the caller promises.
    let result =
        unsafe { ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start.cast(), length, read_only, flags) };
    if result == 0 { Ok(()) } else { Err(PyErr::fetch(owner.py())) }
}
