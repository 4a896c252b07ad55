//! What is made by CPython's own means, because it pays: strings, objects with plain slots, and `__anext__`. The one
//! room with `unsafe`: this file and those below it.
//!
//! **Strings.** Nearly all data of a chat stream is ASCII. `PyString::new` takes a `&str`, so it is validated once
//! here and scanned again by CPython to find its width; making an ASCII str directly needs one scan and one copy.
//! On the cassettes that takes two fifths off `EventParser`.
//!
//! **Records.** The objects of a chunk, with plain slots. See [`records`].
//!
//! **Items.** See [`items`].
//!
//! The functions that are `extern "C"` are for CPython to call, each by the slot that it stands in: with an object of
//! that class, live, or at its end where it deallocates; attached to the interpreter. Where one calls another, it does
//! so with the object that it was called with.

mod anext;
mod awaiting;
pub mod items;
mod pull;
mod ready;
mod records;
mod slots;
mod spare;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

pub use records::{Made, Model, NewRecord, Origin, RecordClass, origin, record_class};

/// Decodes UTF-8; an invalid sequence becomes U+FFFD, as the Encoding standard's "UTF-8 decode" has it.
#[inline]
pub fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    if bytes.is_ascii() {
        // SAFETY: by the check.
        unsafe { ascii(py, bytes) }
    } else {
        decode(py, bytes)
    }
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

/// A new str of ASCII. As a function of its own it is made where `text` is called; else it takes a call for each str.
///
/// # Safety
///
/// The bytes are ASCII.
#[inline]
unsafe fn ascii<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let len = bytes.len().cast_signed();
    // SAFETY:
    // - `PyUnicode_New` returns a new reference to a str, or null with an exception set, which
    //   `from_owned_ptr_or_err` takes over either way.
    // - With a maximum character of 127 the str is compact ASCII: `PyUnicode_DATA` points at room for `len`
    //   bytes and a terminator that is already there. For `len` 0 it is the shared empty str, and nothing is
    //   written.
    // - Nobody else has seen the str yet, so writing into it is allowed; `bytes` cannot overlap it.
    // - All bytes are ASCII, as the str's header claims and the caller says.
    unsafe {
        let object = ffi::PyUnicode_New(len, 127);
        let string = Bound::from_owned_ptr_or_err(py, object)?;
        ffi::PyUnicode_DATA(object).cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        Ok(string.cast_into_unchecked())
    }
}

/// The bytes of a str, if it is ASCII.
#[inline]
pub fn ascii_bytes<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a [u8]> {
    let text = text.as_ptr();
    // SAFETY: `text` is a live str; a compact one of ASCII has as many bytes as characters behind its header, and they
    // do not change.
    unsafe {
        if ffi::PyUnicode_IS_COMPACT_ASCII(text) == 0 {
            return None;
        }
        let len = ffi::PyUnicode_GET_LENGTH(text).cast_unsigned();
        Some(std::slice::from_raw_parts(ffi::PyUnicode_DATA(text).cast::<u8>(), len))
    }
}
