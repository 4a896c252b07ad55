//! Bytes of a stream as Python strings. The one file with `unsafe`.
//!
//! Nearly all data of a chat stream is ASCII. `PyString::new` takes a `&str`, so it is validated once here and
//! scanned again by CPython to find its width; making an ASCII str directly needs one scan and one copy. On
//! the cassettes that takes two fifths off `EventParser` (`make targets`).

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Decodes UTF-8; an invalid sequence becomes U+FFFD, as the Encoding standard's "UTF-8 decode" has it.
pub fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    if bytes.is_ascii() { ascii(py, bytes) } else { decode(py, bytes) }
}

/// CPython's decoder replaces what Rust's and the standard's do: maximal subparts of a sequence.
fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: the pointer and length are those of a slice, the name of the error handler is a C string; the
    // result is a new reference to a str, or null with an exception set, which is taken over either way.
    unsafe {
        let len = bytes.len().cast_signed();
        let object = ffi::PyUnicode_DecodeUTF8(bytes.as_ptr().cast(), len, c"replace".as_ptr());
        Ok(Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked())
    }
}

/// A new str of bytes that are known to be ASCII.
fn ascii<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    debug_assert!(bytes.is_ascii());
    let len = bytes.len().cast_signed();
    // SAFETY:
    // - `PyUnicode_New` returns a new reference to a str, or null with an exception set, which
    //   `from_owned_ptr_or_err` takes over either way.
    // - With a maximum character of 127 the str is compact ASCII: `PyUnicode_DATA` points at room for `len`
    //   bytes and a terminator that is already there. For `len` 0 it is the shared empty str, and nothing is
    //   written.
    // - Nobody else has seen the str yet, so writing into it is allowed; `bytes` cannot overlap it.
    // - The caller has checked that all bytes are ASCII, as the str's header claims.
    unsafe {
        let object = ffi::PyUnicode_New(len, 127);
        let string = Bound::from_owned_ptr_or_err(py, object)?;
        ffi::PyUnicode_DATA(object).cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        Ok(string.cast_into_unchecked())
    }
}

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
