//! The step in which a consumer makes its result final.

use crate::convert;
use crate::end::{Call, End};
use blockpipe::Reason;
use pyo3::prelude::*;
use std::sync::Arc;

/// A consumer that is making its result final, returned by `Consumer.commit`. The producer can only wait.
#[pyclass(frozen, module = "blockpipe")]
pub struct Committing {
    end: Arc<End<blockpipe::Consumer>>,
}

impl Committing {
    pub fn new(end: &Arc<End<blockpipe::Consumer>>) -> Self {
        Self { end: Arc::clone(end) }
    }

    fn abort_with(&self, py: Python<'_>, reason: &Reason) -> PyResult<()> {
        self.end.with(py, Call::Slow, |end| {
            end.abort(reason);
            Ok(())
        })
    }
}

#[pymethods]
impl Committing {
    /// Declares the result final: both ends are complete.
    fn complete(&self, py: Python<'_>) -> PyResult<()> {
        self.end.with(py, Call::Slow, |end| end.commit()?.complete())
    }

    /// Aborts because the result could not be made final.
    #[pyo3(signature = (text, code = 1))]
    fn abort(&self, py: Python<'_>, text: &str, code: u32) -> PyResult<()> {
        self.abort_with(py, &Reason::new(code, text))
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Completes, or aborts after an exception.
    fn __exit__(
        &self,
        py: Python<'_>,
        class: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if class.is_none() { self.complete(py) } else { self.abort_with(py, &convert::reason(error)) }
    }
}
