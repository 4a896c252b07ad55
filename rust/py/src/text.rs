//! Bytes of a stream as Python strings.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// Decodes UTF-8; an invalid sequence becomes U+FFFD, as the Encoding standard's "UTF-8 decode" has it.
pub fn text<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    PyString::new(py, &String::from_utf8_lossy(bytes))
}

/// A str that is likely to be asked for again, such as an event type or ID: the last one is given out again
/// while the bytes are the same.
pub struct Recent {
    bytes: Vec<u8>,
    text: Py<PyString>,
}

impl Recent {
    pub fn new(py: Python<'_>, bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), text: text(py, bytes).unbind() }
    }

    pub fn get(&mut self, py: Python<'_>, bytes: &[u8]) -> Py<PyString> {
        if self.bytes != bytes {
            *self = Self::new(py, bytes);
        }
        self.text.clone_ref(py)
    }
}
