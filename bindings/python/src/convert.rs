//! Conversions of arguments from Python.

use crate::errors::class;
use blockpipe::{Reason, ResumePoint};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// The name of a pipe.
#[derive(FromPyObject)]
pub enum Name {
    Text(String),
    Bytes(Vec<u8>),
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Converts a time in seconds. Returns `None`, which means no limit, if it is longer than a clock can count.
pub fn duration(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    match seconds {
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => {
            Err(PyValueError::new_err("a time must not be negative"))
        }
        Some(seconds) => Ok(Duration::try_from_secs_f64(seconds).ok()),
        None => Ok(None),
    }
}

/// Converts a timeout in seconds into the time at which it expires.
pub fn deadline(seconds: Option<f64>) -> PyResult<Option<Instant>> {
    Ok(duration(seconds)?.and_then(|time| Instant::now().checked_add(time)))
}

/// Converts bytes into a resume point, padded with zeros.
pub fn resume_point(bytes: &[u8]) -> PyResult<ResumePoint> {
    let mut point = ResumePoint::from([0; _]);
    let most = point.len();
    let Some(used) = point.get_mut(..bytes.len()) else {
        return Err(PyValueError::new_err(format!("a resume point has at most {most} bytes")));
    };
    used.copy_from_slice(bytes);
    Ok(point)
}

/// Converts the exception that ended a `with` block into a reason for the peer.
pub fn reason(exception: &Bound<'_, PyAny>) -> Reason {
    let class = exception.get_type().name().map_or_else(|_| "an exception".into(), |name| name.to_string());
    let text = exception.str().map(|text| text.to_string()).unwrap_or_default();
    let message = if text.is_empty() { class } else { format!("{class}: {text}") };
    Reason::new(1, message)
}

/// Ignores the error that the end was over already.
pub fn ignore_over(py: Python<'_>, result: PyResult<()>) -> PyResult<()> {
    ignore(py, result, "Over")
}

/// Ignores errors of this package, but no others, which a signal handler may have raised.
pub fn ignore_pipe_errors(py: Python<'_>, result: PyResult<()>) -> PyResult<()> {
    ignore(py, result, "Error")
}

fn ignore(py: Python<'_>, result: PyResult<()>, name: &str) -> PyResult<()> {
    let Err(error) = result else { return Ok(()) };
    if error.matches(py, class(py, name)?)? { Ok(()) } else { Err(error) }
}
