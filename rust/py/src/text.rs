//! Strings that are likely to be asked for again.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::mark::Mark;
use crate::raw::{self, text};

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

    fn find<'py>(&self, py: Python<'py>, mark: Mark, bytes: &[u8]) -> Option<Bound<'py, PyString>> {
        let kept = self.0[Self::place(mark)].as_ref()?.bind(py);
        let kept_bytes = raw::ascii_bytes(kept)?;
        mark.is_of(bytes, Mark::of(kept_bytes), kept_bytes).then(|| kept.clone())
    }

    /// Keeps a string, unless it is none to be kept: a long one is seldom the same twice, and would weigh on the parser;
    /// what is not ASCII cannot be found by its bytes.
    fn keep(&mut self, mark: Mark, bytes: &[u8], text: &Bound<'_, PyString>) {
        if bytes.len() <= LONGEST && bytes.is_ascii() {
            self.0[Self::place(mark)] = Some(text.clone().unbind());
        }
    }

    #[inline]
    fn place(mark: Mark) -> usize {
        (mark.hash(0) >> 48) as usize % PLACES
    }
}

impl Strings {
    pub fn get<'py>(&mut self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        let mark = Mark::of(bytes);
        if let Some(kept) = self.find(py, mark, bytes) {
            return Ok(kept);
        }
        let made = text(py, bytes)?;
        self.keep(mark, bytes, &made);
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
    let bytes = name.as_bytes();
    let mark = Mark::of(bytes);
    if let Some(kept) = KEYS.with_borrow(|keys| keys.find(py, mark, bytes)) {
        return Ok(kept);
    }
    let made = text(py, bytes)?;
    KEYS.with_borrow_mut(|keys| keys.keep(mark, bytes, &made));
    Ok(made)
}
