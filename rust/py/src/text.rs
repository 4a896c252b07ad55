//! Strings that are likely to be asked for again.

use pyo3::prelude::*;
use pyo3::types::PyString;

pub use crate::raw::text;

/// A str that is likely to be asked for again, such as an event type or ID: the last one is given out again
/// while the bytes are the same. A long one is not kept: it would weigh on the parser.
pub struct Recent {
    bytes: Vec<u8>,
    text: Py<PyString>,
}

impl Recent {
    const LONGEST: usize = 64;

    pub fn new(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        Ok(Self { bytes: bytes.to_vec(), text: text(py, bytes)?.unbind() })
    }

    pub fn get(&mut self, py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyString>> {
        // Nearly all streams have no IDs. Comparing two empty slices is slow: there is nothing behind their
        // pointers, and a vectorised memcmp faults over that.
        let both_empty = self.bytes.is_empty() && bytes.is_empty();
        if !both_empty && self.bytes != bytes {
            if bytes.len() > Self::LONGEST {
                return Ok(text(py, bytes)?.unbind());
            }
            *self = Self::new(py, bytes)?;
        }
        Ok(self.text.clone_ref(py))
    }
}
