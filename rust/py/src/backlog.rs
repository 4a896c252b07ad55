//! What a parser has yet to read: where an exception stops it, the next call goes on from there. Nothing is read twice,
//! nothing is lost, and a chunk full of broken events costs no more than its length.

use std::collections::VecDeque;

use deltawire_core::LimitExceeded;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::errors::{self, Refused};

/// Chunks of the stream that wait behind an exception, each with how much of it was read.
#[derive(Default)]
pub struct Backlog(VecDeque<(Py<PyBytes>, usize)>);

impl Backlog {
    /// Reads what waits, then the chunk: `read` is given a chunk, and takes bytes off what is left of it. What is left
    /// behind a failure waits. A chunk that was read to its end does not, so it is not kept: if the core has more to
    /// tell of it, it tells that before it reads another one.
    #[inline]
    pub fn read(
        &mut self,
        chunk: Bound<'_, PyBytes>,
        mut read: impl for<'c> FnMut(&'c Bound<'_, PyBytes>, &mut &'c [u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let py = chunk.py();
        let (mut chunk, mut start) = self.first(chunk);
        loop {
            let bytes = chunk.as_bytes();
            let mut rest = &bytes[start..];
            if let Err(failure) = read(&chunk, &mut rest) {
                let start = bytes.len() - rest.len();
                if matches!(failure, Failure::Exceeded(_)) {
                    // Every further call says so again.
                    self.clear();
                } else if !rest.is_empty() {
                    self.0.push_front((chunk.unbind(), start));
                }
                return Err(failure);
            }
            let Some((next, read)) = self.0.pop_front() else { return Ok(()) };
            (chunk, start) = (next.into_bound(py), read);
        }
    }

    /// What is to be read first, and from where on: a chunk, unless others wait. Then it waits behind them.
    #[inline]
    fn first<'py>(&mut self, chunk: Bound<'py, PyBytes>) -> (Bound<'py, PyBytes>, usize) {
        let Some((first, start)) = self.0.pop_front() else { return (chunk, 0) };
        let py = chunk.py();
        self.0.push_back((chunk.unbind(), 0));
        (first.into_bound(py), start)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Why reading stopped inside a chunk of the stream.
pub enum Failure {
    /// A payload was refused, by the decoder's own exception.
    Malformed {
        refused: Refused,
        cause: Option<PyErr>,
    },
    Exceeded(LimitExceeded),
    /// Anything else that was raised.
    Python(PyErr),
}

impl From<LimitExceeded> for Failure {
    fn from(exceeded: LimitExceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl Failure {
    /// The exception. Those of `deltawire.errors` come with what was complete before them; else that stays for the next
    /// call.
    #[cold]
    pub fn raise<'py>(self, py: Python<'py>, values: impl FnOnce() -> PyResult<Bound<'py, PyList>>) -> PyErr {
        let raised = match self {
            Self::Malformed { refused, cause } => {
                values().map(|values| errors::invalid_json(py, &refused, &values, cause))
            }
            Self::Exceeded(exceeded) => values().map(|values| errors::limit_exceeded(py, exceeded, &values)),
            Self::Python(error) => Ok(error),
        };
        raised.unwrap_or_else(|error| error)
    }
}
