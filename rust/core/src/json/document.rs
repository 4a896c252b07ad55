//! A JSON text as a flat list of its values, in the order in which they stand.
//!
//! Plan. One pass over the text by jiter, with a stack of our own instead of recursion: a text may be nested
//! as deep as orjson allows, and a hostile one costs no call stack. Each value takes one node of 24 bytes;
//! nothing is decoded and nothing else is allocated, and a document is used again for the next text. A node
//! knows where the value behind its own ends, so a value that nobody asks for is passed over in one step.
//!
//! What is valid is what orjson takes: beyond the grammar, no lone surrogate in an escape (jiter's rule too),
//! no number beyond a double, no more than 1,024 levels. Of a key that stands twice, the last value counts.

use std::collections::HashSet;

use jiter::{Jiter, JiterError, Peek};
use memchr::memchr;

use super::value::{Kind, Value};

/// The keys of objects up to this size are compared with each other, those of larger ones go into a set.
const COMPARED: usize = 32;

/// orjson's limit.
const MAX_DEPTH: usize = 1024;

/// The text is no JSON document that orjson would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

impl From<JiterError> for Invalid {
    fn from(_: JiterError) -> Self {
        Self
    }
}

/// A part of the text. Texts are shorter than 4 GiB, as events are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The key, without its quotes; nothing for items of an array and the root.
    pub key: Span,
    pub value: Span,
    /// The node behind this value and all that is in it.
    pub next: u32,
}

/// A scalar that has another text now: its node, where it ended, and where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub node: u32,
    pub old_end: u32,
    pub new_end: u32,
}

/// The values of one JSON text.
#[derive(Debug, Default)]
pub struct Document {
    pub(super) nodes: Vec<Node>,
    /// The containers that are open, as node numbers.
    open: Vec<u32>,
    /// Whether a backslash stands anywhere in the text.
    pub(super) has_escapes: bool,
    /// Whether an object has a key twice. Hardly any text does, so it is found out once.
    pub(super) has_duplicates: bool,
}

impl Document {
    /// Reads a text. What the document held before is gone, also where the text is invalid.
    ///
    /// # Errors
    ///
    /// orjson would not take the text, or it is as long as 4 GiB.
    pub fn read(&mut self, text: &str) -> Result<(), Invalid> {
        self.nodes.clear();
        self.open.clear();
        if u32::try_from(text.len()).is_err() {
            return Err(Invalid);
        }
        self.has_escapes = memchr(b'\\', text.as_bytes()).is_some();
        self.has_duplicates = false;
        self.fill(text)?;
        self.has_duplicates = self.finds_duplicates(text);
        Ok(())
    }

    /// The outermost value of the text that was read last.
    #[must_use]
    pub fn root<'d>(&'d self, text: &'d str) -> Value<'d> {
        Value::node(self, text, 0)
    }

    /// How many bytes of memory it keeps for the next text.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.open.capacity() * size_of::<u32>()
    }

    /// Gives back the memory that it keeps.
    pub fn shrink(&mut self) {
        *self = Self::default();
    }

    /// Takes over the values of another document.
    pub(super) fn copy_from(&mut self, other: &Self) {
        // As much memory as it takes, and no more: it is kept as long as the stream lasts.
        self.nodes = other.nodes.as_slice().into();
        self.has_escapes = other.has_escapes;
        self.has_duplicates = other.has_duplicates;
    }

    fn finds_duplicates(&self, text: &str) -> bool {
        (0..self.nodes.len()).map(|number| Value::node(self, text, number)).any(|object| {
            let count = object.all_members().count();
            if count <= COMPARED {
                let members = || object.all_members().map(|(key, _)| key);
                return members().enumerate().any(|(n, key)| members().take(n).any(|other| other == key));
            }
            let mut keys = HashSet::with_capacity(count);
            object.all_members().any(|(key, _)| !keys.insert(key))
        })
    }

    /// The scalar in which, or right behind which, a place of the text is: its node and its span. A string has
    /// the place between its quotes or at the closing one; a number also at the byte behind it, where it might
    /// go on.
    pub(super) fn scalar_at(&self, at: usize, text: &[u8]) -> Option<(usize, usize, usize)> {
        let number = self.nodes.partition_point(|node| node.value.start as usize <= at).checked_sub(1)?;
        let Span { start, end } = self.nodes[number].value;
        let (start, end) = (start as usize, end as usize);
        let inside = match self.kind_at(number, text) {
            Kind::String => start < at && at < end,
            Kind::Number => at <= end,
            _ => false,
        };
        inside.then_some((number, start, end))
    }

    /// The kind of a node's value.
    pub(super) fn kind_at(&self, number: usize, text: &[u8]) -> Kind {
        Kind::of(text[self.nodes[number].value.start as usize])
    }

    /// Moves the values by what some of them have grown. The gaps are in order.
    pub(super) fn shift(&mut self, gaps: &[Gap]) {
        let Some(&first) = gaps.iter().find(|gap| gap.old_end != gap.new_end) else { return };
        let moved = |place: u32| {
            let gap = gaps.iter().rev().find(|gap| gap.old_end <= place);
            gap.map_or(place, |gap| place - gap.old_end + gap.new_end)
        };
        let (before, behind) = self.nodes.split_at_mut(first.node as usize);
        // Of what begins before the first gap, only the containers around it reach behind it.
        for node in before.iter_mut().filter(|node| node.value.end > first.old_end) {
            node.value.end = moved(node.value.end);
        }
        for node in behind {
            node.key = Span { start: moved(node.key.start), end: moved(node.key.end) };
            node.value = Span { start: moved(node.value.start), end: moved(node.value.end) };
        }
    }

    fn fill(&mut self, text: &str) -> Result<(), Invalid> {
        let mut json = Jiter::new(text.as_bytes());
        let mut key = Span::default();
        let mut peek = json.peek()?;
        loop {
            let number = self.nodes.len();
            let start = position(json.current_index());
            self.nodes.push(Node { key, value: Span { start, end: start }, next: 0 });
            if matches!(peek, Peek::Array | Peek::Object) && self.open.len() == MAX_DEPTH {
                return Err(Invalid);
            }
            let first = match peek {
                Peek::Array => json.known_array()?.map(|peek| (Span::default(), peek)),
                Peek::Object => match json.next_object_bytes()?.map(|key| span(text, key)) {
                    Some(key) => Some((key, json.peek()?)),
                    None => None,
                },
                _ => {
                    scalar(&mut json, peek)?;
                    None
                }
            };
            if let Some((first_key, first_peek)) = first {
                self.open.push(position(number));
                (key, peek) = (first_key, first_peek);
                continue;
            }
            self.end(number, json.current_index());
            match self.step(text, &mut json)? {
                Some(next) => (key, peek) = next,
                None => return Ok(json.finish()?),
            }
        }
    }

    /// Goes on to the next value, out of the containers that end before it. None at the end of the root.
    fn step(&mut self, text: &str, json: &mut Jiter<'_>) -> Result<Option<(Span, Peek)>, Invalid> {
        while let Some(&container) = self.open.last() {
            let container = container as usize;
            let start = self.nodes[container].value.start as usize;
            if text.as_bytes()[start] == b'{' {
                if let Some(key) = json.next_key_bytes()?.map(|key| span(text, key)) {
                    return Ok(Some((key, json.peek()?)));
                }
            } else if let Some(peek) = json.array_step()? {
                return Ok(Some((Span::default(), peek)));
            }
            self.end(container, json.current_index());
            self.open.pop();
        }
        Ok(None)
    }

    fn end(&mut self, number: usize, index: usize) {
        let next = position(self.nodes.len());
        let node = &mut self.nodes[number];
        node.value.end = position(index);
        node.next = next;
    }
}

pub(super) fn scalar(json: &mut Jiter<'_>, peek: Peek) -> Result<(), Invalid> {
    match peek {
        Peek::Null => json.known_null()?,
        Peek::True | Peek::False => drop(json.known_bool(peek)?),
        Peek::String => drop(json.known_bytes()?),
        _ => {
            let number = json.known_number_bytes(peek)?;
            // Most numbers are short integers; only these can be beyond a double.
            if number.len() > 300 || number.iter().any(|byte| matches!(byte, b'e' | b'E')) {
                let number = std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok());
                return number.filter(|number| number.is_finite()).map(drop).ok_or(Invalid);
            }
        }
    }
    Ok(())
}

/// `read` has made sure that every position fits.
#[expect(clippy::cast_possible_truncation, reason = "texts are shorter than 4 GiB")]
pub(super) fn position(index: usize) -> u32 {
    index as u32
}

/// Where a part of the text stands in it.
fn span(text: &str, part: &[u8]) -> Span {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    Span { start: position(start), end: position(start + part.len()) }
}
