//! Joining a pipe.

use crate::convert::{Name, duration};
use crate::end::{event_ends_wait, signals_end_wait, take_raised};
use crate::errors::join_error;
use blockpipe::{JoinError, Pipe};
use pyo3::prelude::*;
use std::path::PathBuf;

/// The options of both ends, as Python passes them.
pub struct Options<'a> {
    pub name: Name,
    pub tag: &'a [u8],
    pub directory: Option<PathBuf>,
    pub connect_timeout: Option<f64>,
    pub replace_within: Option<f64>,
    pub cancel_event: Option<Py<PyAny>>,
}

impl Options<'_> {
    pub fn pipe(self, py: Python<'_>) -> PyResult<Pipe> {
        let event = self.cancel_event;
        // Without this check, an object that is not an event would look like a failed wait.
        if let Some(event) = &event {
            event.call_method0(py, "is_set")?;
        }
        let ends_wait = move || signals_end_wait() || event.as_ref().is_some_and(event_ends_wait);
        let mut pipe = Pipe::named(self.name).tag(self.tag).cancel_when(ends_wait);
        if let Some(directory) = self.directory {
            pipe = pipe.in_directory(directory);
        }
        if let Some(time) = duration(self.connect_timeout)? {
            pipe = pipe.connect_timeout(time);
        }
        if let Some(seconds) = self.replace_within {
            // A time that is too long for the clock must still allow a replacement.
            pipe = pipe.replace_within(duration(Some(seconds))?.unwrap_or(std::time::Duration::MAX));
        }
        Ok(pipe)
    }
}

/// Joins without the interpreter's lock.
pub fn join<T: Send>(py: Python<'_>, join: impl FnOnce() -> Result<T, JoinError> + Send) -> PyResult<T> {
    py.detach(join).map_err(|error| match take_raised() {
        Some(raised) => raised,
        None => join_error(py, error),
    })
}
