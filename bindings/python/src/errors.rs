//! Conversion of the library's errors into exceptions. The classes are written in Python (`_types.py`).

use crate::observe::snapshot;
use blockpipe::{JoinError, PipeError, Side, Snapshot};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;
use std::io;

/// Returns a class of `_types.py`.
pub fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static TYPES: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = TYPES.get_or_try_init(py, || py.import("blockpipe._types").map(Bound::unbind))?;
    module.bind(py).getattr(name)
}

/// Creates an exception of this class.
fn exception<'py>(py: Python<'py>, name: &str, args: impl pyo3::call::PyCallArgs<'py>) -> PyErr {
    class(py, name).and_then(|class| class.call1(args)).map_or_else(|error| error, PyErr::from_value)
}

pub fn misuse(py: Python<'_>, text: &str) -> PyErr {
    exception(py, "Misuse", (text,))
}

pub fn timed_out(py: Python<'_>, text: &str) -> PyErr {
    exception(py, "TimedOut", (text,))
}

pub fn end_of_stream(py: Python<'_>) -> PyErr {
    exception(py, "EndOfStream", ("the producer has sent everything",))
}

pub fn side(side: Side) -> &'static str {
    match side {
        Side::Producer => "producer",
        Side::Consumer => "consumer",
    }
}

fn system_failure(py: Python<'_>, doing: &str, source: &io::Error) -> PyErr {
    match source.raw_os_error() {
        // Python prints the number before the text.
        Some(number) => exception(py, "SystemFailure", (number, format!("{doing}: {source}"))),
        None => exception(py, "SystemFailure", (format!("{doing}: {source}"),)),
    }
}

pub fn pipe_error(py: Python<'_>, error: PipeError) -> PyErr {
    let name = match &error {
        PipeError::Aborted { by, reason } => {
            return exception(py, "Aborted", (&reason.message, reason.code, side(*by)));
        }
        PipeError::Io { doing, source } | PipeError::CallFailed { doing, source } => {
            return system_failure(py, doing, source);
        }
        PipeError::PeerDied => "PeerDied",
        PipeError::DiedCommitting => "DiedCommitting",
        PipeError::NoPeer => "NoPeer",
        PipeError::Corrupt(_) => "Corrupt",
        PipeError::Misuse(_) => "Misuse",
        PipeError::OtherGeometry(_) => "OtherGeometry",
        PipeError::Canceled => "Canceled",
        PipeError::Forked => "Forked",
        PipeError::Over => "Over",
        _ => "Error",
    };
    exception(py, name, (error.to_string(),))
}

pub fn join_error(py: Python<'_>, error: JoinError) -> PyErr {
    let with = |name, seen: &Snapshot| {
        let error = exception(py, name, (error.to_string(),));
        match snapshot(py, seen).and_then(|seen| error.value(py).setattr("snapshot", seen)) {
            Ok(()) => error,
            Err(other) => other,
        }
    };
    let name = match &error {
        JoinError::TooManyInstances(seen) => return with("TooManyInstances", seen),
        JoinError::OtherTag(seen) => return with("OtherTag", seen),
        JoinError::AwaitsReplacement(seen) => return with("AwaitsReplacement", seen),
        JoinError::OtherVersion { ours, theirs } => {
            let text = format!(
                "{error}: both processes need a blockpipe with the same protocol (blockpipe.protocol_version)"
            );
            return exception(py, "OtherVersion", (text, *ours, *theirs));
        }
        JoinError::Aborted(reason) => {
            return exception(py, "Aborted", (&reason.message, reason.code, side(Side::Producer)));
        }
        JoinError::Io { doing, source } => return system_failure(py, doing, source),
        JoinError::Foreign { .. } => "Foreign",
        JoinError::Leaving(_) | JoinError::Busy => "Busy",
        JoinError::NoPeer => "NoPeer",
        JoinError::Corrupt(_) => "Corrupt",
        JoinError::Canceled => "Canceled",
        _ => "Error",
    };
    exception(py, name, (error.to_string(),))
}
