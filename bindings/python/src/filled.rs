//! A block that a consumer has received.

use crate::convert::resume_point;
use crate::empty::fill;
use crate::end::{Call, End, Settle, lock};
use crate::errors::misuse;
use blockpipe::FilledBlock as Block;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ffi::c_int;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

impl Settle for blockpipe::Consumer {
    type Block = Block;
    type InUse = Shared;

    fn settle(&mut self, block: Block) {
        // If this fails, the pipe has ended, and the producer does not need the block any more.
        let _ = self.release(block);
    }
}

impl End<blockpipe::Consumer> {
    /// Notes a block that the program released but still uses.
    pub fn note_in_use(&self, block: &Arc<Shared>) {
        let mut in_use = lock(&self.in_use);
        in_use.retain(|block| block.strong_count() > 0);
        in_use.push(Arc::downgrade(block));
    }

    /// Takes all blocks noted by `note_in_use`, at the end of the stream.
    pub fn take_in_use(&self) -> Vec<Block> {
        let in_use = std::mem::take(&mut *lock(&self.in_use));
        in_use.iter().filter_map(|block| block.upgrade()?.take_in_use()).collect()
    }
}

/// The action once there are no more views of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Keep,
    Release,
    PutBack,
}

struct State {
    /// `None` once the block has been released or put back.
    block: Option<Block>,
    views: usize,
    afterwards: Afterwards,
}

/// A block that the consumer's `for` loop and the Python object share.
pub struct Shared {
    end: Arc<End<blockpipe::Consumer>>,
    // Never held while another thread could run Python code, so it is unlocked whenever the process forks.
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn take(&self, state: &mut State) -> Option<Block> {
        let block = state.block.take()?;
        self.end.held.fetch_sub(1, Ordering::Relaxed);
        Some(block)
    }

    /// Releases or puts back the block now, or once there are no more views of it. Returns whether that is done.
    fn settle(&self, afterwards: Afterwards) -> bool {
        let mut state = self.state();
        if state.afterwards == Afterwards::Keep {
            state.afterwards = afterwards;
        }
        let (is_unused, afterwards) = (state.views == 0, state.afterwards);
        let block = if is_unused { self.take(&mut state) } else { None };
        drop(state);
        // Dropping a block puts it back.
        if let (Some(block), Afterwards::Release) = (block, afterwards) {
            self.end.settle_soon(block);
        }
        is_unused
    }

    /// Releases the block as soon as there are no views of it.
    pub fn release_when_unused(&self) -> bool {
        self.settle(Afterwards::Release)
    }

    /// Puts the block back, so that it is handed out again, as soon as there are no views of it.
    pub fn put_back_when_unused(&self) -> bool {
        self.settle(Afterwards::PutBack)
    }

    /// Takes a block that the program released but still uses, at the end of the stream. Its views can stay, because
    /// nothing will be written to it any more.
    pub fn take_in_use(&self) -> Option<Block> {
        let mut state = self.state();
        if state.afterwards == Afterwards::Release { self.take(&mut state) } else { None }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut state = self.state();
        let block = self.take(&mut state);
        drop(state);
        drop(block);
    }
}

/// A read-only piece of shared memory with what the producer has sent.
#[pyclass(frozen, module = "blockpipe")]
pub struct FilledBlock {
    shared: Arc<Shared>,
    number: u64,
    length: usize,
    header: blockpipe::BlockHeader,
}

impl FilledBlock {
    pub fn new(end: &Arc<End<blockpipe::Consumer>>, block: Block) -> Self {
        end.held.fetch_add(1, Ordering::Relaxed);
        let (number, length, header) = (block.number(), block.length(), *block.header());
        let state = State { block: Some(block), views: 0, afterwards: Afterwards::Keep };
        let shared = Arc::new(Shared { end: Arc::clone(end), state: Mutex::new(state) });
        Self { shared, number, length, header }
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

#[pymethods]
impl FilledBlock {
    /// The number of the block in the stream; the first one is 0.
    #[getter]
    fn number(&self) -> u64 {
        self.number
    }

    /// The header that the producer gave the block: 40 bytes.
    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.header)
    }

    /// Releases the block to the producer.
    #[pyo3(signature = (*, resume_point = None))]
    fn release(&self, py: Python<'_>, resume_point: Option<&[u8]>) -> PyResult<()> {
        let end = &self.shared.end;
        end.ensure_of_this_process(py)?;
        let point = resume_point.map(self::resume_point).transpose()?;
        let mut state = self.shared.state();
        if state.views > 0 {
            return Err(PyBufferError::new_err(
                "cannot release the block: views of it exist (a memoryview or an array)",
            ));
        }
        let mut block = self.shared.take(&mut state);
        drop(state);
        if block.is_none() {
            return Err(misuse(py, "the block has been released already"));
        }
        end.with(py, Call::Instant, |end| match (block.take(), &point) {
            (Some(block), Some(point)) => end.release_with(block, point),
            (Some(block), None) => end.release(block),
            (None, _) => Ok(()),
        })
    }

    fn __len__(&self) -> usize {
        self.length
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Releases the block, or puts it back after an exception, as soon as there are no views of it.
    fn __exit__(
        slf: &Bound<'_, Self>,
        class: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) {
        let shared = &slf.get().shared;
        if class.is_none() {
            if !shared.release_when_unused() {
                shared.end.note_in_use(shared);
            }
        } else {
            shared.put_back_when_unused();
        }
    }

    fn __repr__(&self) -> String {
        let state = if self.shared.state().block.is_some() { "" } else { ", released" };
        format!("<blockpipe.FilledBlock {}: {} bytes{state}>", self.number, self.length)
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let block = slf.get();
        block.shared.end.ensure_of_this_process(slf.py())?;
        let mut state = block.shared.state();
        let Some(start) = state.block.as_ref().map(Block::as_ptr) else {
            return Err(PyBufferError::new_err("the block has been released"));
        };
        // SAFETY: Python passes a view to be filled. These bytes are mapped as long as the block is held, or the end
        // exists, to which this object holds a reference: while there is a view, the block is released only at the end
        // of the stream, and then the end is kept (`End::has_views`). Nobody writes to them through this view, which is
        // read-only; the peer can change them, which Python's buffers allow: they are raw memory.
        unsafe { fill(&slf, view, start.cast_mut(), block.length, 1, flags)? };
        state.views += 1;
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        let mut state = self.shared.state();
        state.views -= 1;
        let afterwards = state.afterwards;
        drop(state);
        if afterwards != Afterwards::Keep {
            self.shared.settle(afterwards);
        }
    }
}
