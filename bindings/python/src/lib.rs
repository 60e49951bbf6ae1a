//! `blockpipe` for Python. `python/blockpipe/__init__.pyi` and README.md document the classes.

mod committing;
mod consumer;
mod convert;
mod empty;
mod end;
mod errors;
mod filled;
mod joining;
mod observe;
mod producer;

/// The part of the package `blockpipe` that is written in Rust.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use super::{
        committing::Committing,
        consumer::Consumer,
        empty::EmptyBlock,
        filled::FilledBlock,
        observe::{inspect, pipes, remove_dead},
        producer::Producer,
    };
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("protocol_version", blockpipe::PROTOCOL_VERSION)
    }
}
