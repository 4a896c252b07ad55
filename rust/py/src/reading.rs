//! The loop over the chunks of a chat stream, for `ChatParser` and `ChatAccumulator`: what the core finds, as typed
//! objects.
//!
//! After an exception it goes on where it was (`backlog`). The objects of a network chunk share copies of its parts, so
//! that what is kept of them holds no more of it than a few KiB.

use deltawire_core::LimitExceeded;
use deltawire_core::json::{Alike, Fit, Kind, Value};
use deltawire_core::stream::{ChatReader, Chunk, ChunkParser, Lone, Malformed, Step};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::backlog::{Backlog, Failure};
use crate::borrow;
use crate::class::CHUNK;
use crate::errors::Refused;
use crate::found::{self, Found};
use crate::make::{Json, Text};
use crate::orjson;
use crate::parameters;
use crate::shape::{Filled, Shapes, Templates};

/// So many chunks that a call has given are room that is kept for the next call.
const KEPT_CAPACITY: usize = 64;

/// So many bytes of a chunk of the stream are kept as one, for the objects of all chat chunks in them: a copy for each of
/// these takes longer, and one that is kept for long is not to hold much more than itself.
const PIECE: usize = 4096;

/// A core object that takes a chunk of the stream apart step by step.
pub trait Steps: Templates {
    fn begin(&mut self, chunk: &[u8]);
    fn take_lone<'c>(&mut self, rest: &mut &'c [u8]) -> Option<Lone<'c>>;
    /// To be called with what was taken.
    fn add_lone(&mut self, lone: &Lone<'_>) -> Result<(), LimitExceeded>;
    fn next_step<'p, 'c: 'p>(&'p mut self, rest: &mut &'c [u8]) -> Result<Option<Step<'p>>, LimitExceeded>;
    /// A lone chunk as a value, where it is like no earlier one.
    fn value<'a>(&'a self, lone: &Lone<'a>) -> Option<Value<'a>>;
}

impl Steps for ChunkParser {
    fn begin(&mut self, chunk: &[u8]) {
        self.begin(chunk);
    }

    #[inline]
    fn take_lone<'c>(&mut self, rest: &mut &'c [u8]) -> Option<Lone<'c>> {
        self.next_lone(rest)
    }

    #[inline]
    fn add_lone(&mut self, _: &Lone<'_>) -> Result<(), LimitExceeded> {
        Ok(())
    }

    fn next_step<'p, 'c: 'p>(&'p mut self, rest: &mut &'c [u8]) -> Result<Option<Step<'p>>, LimitExceeded> {
        self.next_step(rest)
    }

    fn value<'a>(&'a self, lone: &Lone<'a>) -> Option<Value<'a>> {
        self.value(lone)
    }
}

impl Templates for ChunkParser {
    #[inline]
    fn alike<'a>(&'a self, lone: &Lone<'a>) -> Option<Alike<'a>> {
        self.alike(lone)
    }

    fn template(&mut self, fit: Fit) -> Option<Value<'_>> {
        self.template(fit)
    }
}

impl Steps for ChatReader {
    fn begin(&mut self, chunk: &[u8]) {
        self.begin(chunk);
    }

    #[inline]
    fn take_lone<'c>(&mut self, rest: &mut &'c [u8]) -> Option<Lone<'c>> {
        self.take_lone(rest)
    }

    #[inline]
    fn add_lone(&mut self, lone: &Lone<'_>) -> Result<(), LimitExceeded> {
        self.add_lone(lone)
    }

    fn next_step<'p, 'c: 'p>(&'p mut self, rest: &mut &'c [u8]) -> Result<Option<Step<'p>>, LimitExceeded> {
        self.next_step(rest)
    }

    fn value<'a>(&'a self, lone: &Lone<'a>) -> Option<Value<'a>> {
        self.chunks().value(lone)
    }
}

impl Templates for ChatReader {
    #[inline]
    fn alike<'a>(&'a self, lone: &Lone<'a>) -> Option<Alike<'a>> {
        self.chunks().alike(lone)
    }

    fn template(&mut self, fit: Fit) -> Option<Value<'_>> {
        self.template(fit)
    }
}

/// The loop over the chunks of the stream.
pub struct Reading {
    backlog: Backlog,
    chunks: ChatChunks,
}

impl Reading {
    pub fn new(errors: &str) -> PyResult<Self> {
        let skip = parameters::skips(errors)?;
        let chunks = ChatChunks { skip, shapes: Shapes::default(), found: Vec::new() };
        Ok(Self { backlog: Backlog::default(), chunks })
    }

    /// Whether broken events are passed over, so that nothing ever waits.
    pub fn skips(&self) -> bool {
        self.chunks.skip
    }

    pub fn reset(&mut self) {
        self.backlog.clear();
        self.chunks.shapes.clear();
        self.chunks.found.clear();
    }

    /// Reads what waits, then the chunk. The chat chunks, if they are `wanted`, wait in turn to be taken.
    pub fn read(&mut self, core: &mut impl Steps, chunk: Bound<'_, PyBytes>, wanted: bool) -> PyResult<()> {
        let py = chunk.py();
        let Self { backlog, chunks } = self;
        // It looks for a stream that is none. Where a chunk waits, an event came, so it may be ahead of that.
        core.begin(chunk.as_bytes());
        let read = backlog.read(chunk, |chunk, rest| chunks.read(core, chunk, rest, wanted));
        read.map_err(|failure| failure.raise(py, || chunks.take(py)))
    }

    /// A chat chunk that the core gave at the end, as an object.
    pub fn last<'py>(&mut self, py: Python<'py>, chunk: &Chunk<'_>) -> PyResult<Bound<'py, PyAny>> {
        let json = PyBytes::new(py, chunk.text.as_bytes());
        self.chunks.shapes.object(&CHUNK, Some(chunk.value), Text::new(Json::all(&json)))
    }

    /// The chat chunks that were read, as objects.
    pub fn take<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.chunks.take(py)
    }

    /// The same, without a list where there is one.
    pub fn take_found<'py>(&mut self, py: Python<'py>) -> PyResult<Found<'py>> {
        let found = &mut self.chunks.found;
        match found.len() {
            0 => Ok(Found::Nothing),
            1 => Ok(found.pop().map_or(Found::Nothing, |one| Found::One(one.into_bound(py)))),
            _ => self.take(py).map(Found::Many),
        }
    }
}

/// The chat chunks that are read, as objects.
struct ChatChunks {
    skip: bool,
    shapes: Shapes,
    /// Those of the call at hand.
    found: Vec<Py<PyAny>>,
}

impl ChatChunks {
    fn take<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let found = found::list(py, &mut self.found)?;
        if self.found.capacity() > KEPT_CAPACITY {
            self.found = Vec::new();
        }
        Ok(found)
    }

    /// Reads what is left of a chunk of the stream.
    fn read<'c>(
        &mut self,
        core: &mut impl Steps,
        chunk: &'c Bound<'_, PyBytes>,
        rest: &mut &'c [u8],
        wanted: bool,
    ) -> Result<(), Failure> {
        let py = chunk.py();
        let mut pieces = Pieces::of(chunk);
        loop {
            while let Some(lone) = core.take_lone(rest) {
                core.add_lone(&lone)?;
                if wanted {
                    let object = self.object(&mut pieces, core, &lone)?;
                    self.found.push(object);
                }
                if rest.is_empty() {
                    // A lone chunk leaves nothing behind that waits; nearly every call ends here.
                    return Ok(());
                }
            }
            match core.next_step(rest)? {
                Some(Step::Chunk(chunk)) if wanted && chunk.value.kind() == Kind::Object => {
                    let json = PyBytes::new(py, chunk.text.as_bytes());
                    let is_text = chunk.data == chunk.text.as_bytes();
                    // Without the white space around the object, which is in the text of no other one either.
                    let sent = (!is_text).then(|| PyBytes::new(py, chunk.data.trim_ascii()));
                    let text = Text { sent: sent.as_ref(), ..Text::new(Json::all(&json)) };
                    self.found.push(self.shapes.object(&CHUNK, Some(chunk.value), text)?.unbind());
                }
                Some(Step::Malformed(malformed)) if !self.skip => return Err(refuse(py, malformed)),
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    /// A lone chunk as an object.
    fn object(
        &mut self,
        pieces: &mut Pieces<'_, '_>,
        core: &mut impl Steps,
        lone: &Lone<'_>,
    ) -> PyResult<Py<PyAny>> {
        self.shapes.learn(pieces.chunk.py(), core, lone, Some(&CHUNK))?;
        let json = pieces.json(lone.event.data);
        let made = if let Some(alike) = core.alike(lone) {
            self.shapes.make(&Filled { json, alike })?
        } else {
            self.shapes.object(&CHUNK, core.value(lone), Text::new(json))?
        };
        Ok(made.unbind())
    }
}

/// Why a payload is no JSON, in orjson's words.
#[cold]
fn refuse(py: Python<'_>, malformed: Malformed<'_>) -> Failure {
    let Malformed { data, number, offset, .. } = malformed;
    let cause = orjson::loads(py).and_then(|loads| loads.call1((PyBytes::new(py, data),))).err();
    Failure::Malformed { refused: Refused::new(Some((number, offset)), data), cause }
}

/// A chunk of the stream, in the pieces that are kept for the objects made of it.
struct Pieces<'a, 'py> {
    chunk: &'a Bound<'py, PyBytes>,
    /// The last one.
    piece: Bound<'py, PyBytes>,
    /// Where in the chunk it begins. Nothing else is found in one that begins nowhere.
    start: usize,
}

const NOWHERE: usize = usize::MAX;

impl<'a, 'py> Pieces<'a, 'py> {
    fn of(chunk: &'a Bound<'py, PyBytes>) -> Self {
        Self { chunk, piece: chunk.clone(), start: NOWHERE }
    }

    /// The data of an event.
    #[inline]
    fn json(&mut self, data: &[u8]) -> Json<'_, 'py> {
        let place = borrow::place(data, self.chunk);
        let at = place.and_then(|at| at.checked_sub(self.start));
        // What is large was cut for data that is, and is not kept for what is not.
        let len = self.piece.as_bytes().len();
        let at = at.filter(|at| at + data.len() <= len && len <= data.len() + PIECE);
        let Some(at) = at else { return self.cut(data, place) };
        Json { bytes: &self.piece, at }
    }

    /// A new piece, for the data at a place of the chunk.
    #[inline(never)]
    fn cut(&mut self, data: &[u8], place: Option<usize>) -> Json<'_, 'py> {
        let all = self.chunk.as_bytes();
        // Bytes of a class of the user's may be more than bytes.
        let is_one = all.len() <= data.len() + PIECE && self.chunk.is_exact_instance_of::<PyBytes>();
        let at = match place {
            Some(at) if is_one => {
                (self.start, self.piece) = (0, self.chunk.clone());
                at
            }
            Some(at) => {
                let end = all.len().min(at + PIECE.max(data.len()));
                (self.start, self.piece) = (at, PyBytes::new(self.chunk.py(), &all[at..end]));
                0
            }
            None => {
                (self.start, self.piece) = (NOWHERE, PyBytes::new(self.chunk.py(), data));
                0
            }
        };
        Json { bytes: &self.piece, at }
    }
}
