//! Inspecting pipes without joining them.

use crate::convert::Name;
use crate::errors::{class, join_error, side};
use blockpipe::{JoinError, Phase, Pipe, Snapshot};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::PathBuf;

/// Converts a snapshot into its Python class.
pub fn snapshot<'py>(py: Python<'py>, seen: &Snapshot) -> PyResult<Bound<'py, PyAny>> {
    let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
    let phase = match seen.phase {
        Phase::Opening => "opening",
        Phase::Alone => "alone",
        Phase::Moving => "moving",
        Phase::Finishing => "finishing",
        Phase::Committing => "committing",
        Phase::Over => "over",
    };
    let fields = PyDict::new(py);
    fields.set_item("name", bytes(&seen.name))?;
    fields.set_item("tag", bytes(&seen.tag))?;
    fields.set_item("generation", seen.generation)?;
    fields.set_item("phase", phase)?;
    fields.set_item("producer", seen.producer)?;
    fields.set_item("producer_alive", seen.producer_alive)?;
    fields.set_item("consumer", seen.consumer)?;
    fields.set_item("users", (seen.users[0], seen.users[1]))?;
    fields.set_item("block_size", seen.geometry.map(blockpipe::Geometry::block_size))?;
    fields.set_item("blocks", seen.geometry.map(blockpipe::Geometry::blocks))?;
    fields.set_item("sent", seen.sent)?;
    fields.set_item("released", seen.released)?;
    fields.set_item("waiting_blocks", seen.waiting_blocks)?;
    fields.set_item("asleep", seen.asleep.map(side))?;
    fields.set_item("waits", seen.waits.map(|(waiting, time)| (side(waiting), time.as_secs_f64())))?;
    fields.set_item("waited", (seen.waited[0].as_secs_f64(), seen.waited[1].as_secs_f64()))?;
    fields.set_item("producer_hello", seen.producer_hello.as_deref().map(bytes))?;
    fields.set_item("consumer_hello", seen.consumer_hello.as_deref().map(bytes))?;
    fields.set_item("trailer", seen.trailer.as_ref().map(|trailer| bytes(trailer)))?;
    class(py, "Snapshot")?.call((), Some(&fields))
}

/// Converts a list of results, with an exception for each pipe that cannot be read.
fn list(
    py: Python<'_>,
    pipes: Result<Vec<Result<Snapshot, JoinError>>, JoinError>,
) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let pipes = pipes.map_err(|error| join_error(py, error))?;
    let convert = |pipe: Result<Snapshot, JoinError>| match pipe {
        Ok(seen) => snapshot(py, &seen),
        Err(error) => Ok(join_error(py, error).into_value(py).into_bound(py).into_any()),
    };
    pipes.into_iter().map(convert).collect()
}

/// Returns the state of the pipe with this name, or None if there is none. Never waits.
#[pyfunction]
#[pyo3(signature = (name, *, directory = None))]
pub fn inspect(py: Python<'_>, name: Name, directory: Option<PathBuf>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let mut pipe = Pipe::named(name);
    if let Some(directory) = directory {
        pipe = pipe.in_directory(directory);
    }
    let seen = py.detach(|| pipe.inspect()).map_err(|error| join_error(py, error))?;
    seen.map(|seen| snapshot(py, &seen)).transpose()
}

/// Lists all pipes of this user, or those in a directory. Never waits.
#[pyfunction]
#[pyo3(signature = (*, directory = None))]
pub fn pipes(py: Python<'_>, directory: Option<PathBuf>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let directory = directory.as_ref().map(|path| path.as_os_str());
    list(py, py.detach(|| blockpipe::pipes(directory)))
}

/// Removes the pipes that killed pairs left, and returns them.
#[pyfunction]
#[pyo3(signature = (*, directory = None))]
pub fn remove_dead(py: Python<'_>, directory: Option<PathBuf>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let directory = directory.as_ref().map(|path| path.as_os_str());
    list(py, py.detach(|| blockpipe::remove_dead(directory)))
}
