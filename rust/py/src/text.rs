//! Strings that are likely to be asked for again.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::raw;
pub use crate::raw::text;

/// Longer strings are made anew each time.
const LONGEST: usize = 64;

/// A str that is likely to be asked for again, such as an event type or ID: the last one is given out again
/// while the bytes are the same. A long one is not kept: it would weigh on the parser.
pub struct Recent {
    bytes: Vec<u8>,
    text: Py<PyString>,
}

impl Recent {
    pub fn new(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        Ok(Self { bytes: bytes.to_vec(), text: text(py, bytes)?.unbind() })
    }

    pub fn get(&mut self, py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyString>> {
        // Nearly all streams have no IDs. Comparing two empty slices is slow: there is nothing behind their
        // pointers, and a vectorised memcmp faults over that.
        let both_empty = self.bytes.is_empty() && bytes.is_empty();
        if !both_empty && self.bytes != bytes {
            if bytes.len() > LONGEST {
                return Ok(text(py, bytes)?.unbind());
            }
            *self = Self::new(py, bytes)?;
        }
        Ok(self.text.clone_ref(py))
    }
}

/// Short strings that were made last. Each has one place that it may be in, by its bytes, and stays there until another
/// one takes it.
pub struct Kept<const PLACES: usize>([Option<Py<PyString>>; PLACES]);

/// Strings that the chunks of a stream have in common, such as ids and names of models.
pub type Strings = Kept<24>;

impl<const PLACES: usize> Kept<PLACES> {
    const fn new() -> Self {
        Self([const { None }; PLACES])
    }

    fn find<'py>(&self, py: Python<'py>, place: usize, bytes: &[u8]) -> Option<Bound<'py, PyString>> {
        let kept = self.0[place % PLACES].as_ref()?.bind(py);
        raw::is_ascii_text(kept, bytes).then(|| kept.clone())
    }

    fn keep(&mut self, place: usize, text: &Bound<'_, PyString>) {
        self.0[place % PLACES] = Some(text.clone().unbind());
    }
}

impl Strings {
    pub fn get<'py>(&mut self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        let Some(place) = place(bytes) else { return text(py, bytes) };
        if let Some(kept) = self.find(py, place, bytes) {
            return Ok(kept);
        }
        let made = text(py, bytes)?;
        self.keep(place, &made);
        Ok(made)
    }
}

impl<const PLACES: usize> Default for Kept<PLACES> {
    fn default() -> Self {
        Self::new()
    }
}

thread_local! {
    static KEYS: RefCell<Kept<512>> = const { RefCell::new(Kept::new()) };
}

/// A key of an object: the streams of a process have the same few. It is not interned, since Python 3.12 keeps for good
/// what is, and who sends a stream may make up keys.
pub fn key<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyString>> {
    let Some(place) = place(name.as_bytes()) else { return text(py, name.as_bytes()) };
    if let Some(kept) = KEYS.with_borrow(|keys| keys.find(py, place, name.as_bytes())) {
        return Ok(kept);
    }
    let made = text(py, name.as_bytes())?;
    KEYS.with_borrow_mut(|keys| keys.keep(place, &made));
    Ok(made)
}

/// The place of a string, by its length and its last bytes: names and ids differ most there. None if it is not to be
/// kept: a longer one is seldom the same twice, and would weigh on the parser; what is not ASCII would be held twice,
/// since a str keeps the UTF-8 that it was asked for.
fn place(bytes: &[u8]) -> Option<usize> {
    if bytes.len() > LONGEST || !bytes.is_ascii() {
        return None;
    }
    let last = match bytes.last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => bytes.iter().fold(0, |last, &byte| last << 8 | u64::from(byte)),
    };
    // The multiplier spreads neighbours (Fibonacci hashing): its upper bits depend on all bytes.
    let hash = (last ^ (bytes.len() as u64) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Some((hash >> 48) as usize)
}
