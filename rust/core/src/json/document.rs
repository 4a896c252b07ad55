//! A JSON text as a flat list of its values, in the order in which they stand.
//!
//! Plan. One pass over the text, with a stack of our own instead of recursion: a text may be nested as deep as
//! orjson allows, and a hostile one costs no call stack. Each value takes one node of 20 bytes; nothing is
//! decoded and nothing else is allocated, and a document is used again for the next text. A node knows where
//! the value behind its own ends, so a value that nobody asks for is passed over in one step.
//!
//! A text that begins like one that was read is not read from its beginning: up to the last value that begins
//! in what they have in common, a parser would be in the same state, so that value is where reading goes on.
//!
//! What is valid is what orjson takes: see `scan`; and no more than 1,024 levels. Of a key that stands twice,
//! the last value counts.

use std::collections::HashSet;

use super::scan::{self, Quoted};
use super::value::{Kind, Value};

/// The keys of objects up to this size are compared with each other, those of larger ones go into a set.
const COMPARED: usize = 32;

/// As many values as most chunks of a chat have, in the room that is made at once.
const USUAL_NODES: usize = 32;

/// As deep as they are, with a tool call.
const USUAL_DEPTH: usize = 8;

/// orjson's limit.
const MAX_DEPTH: usize = 1024;

/// The text is no JSON document that orjson would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

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
pub(super) struct Moved {
    pub node: u32,
    pub old_end: u32,
    pub new_end: u32,
}

/// A container that has not ended yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    node: u32,
    closing: u8,
    /// A bit for each key so far, by a small hash: two of one key have the same.
    keys: u64,
}

/// What is around the outermost value.
const OUTSIDE: Open = Open { node: 0, closing: 0, keys: 0 };

/// The values of one JSON text.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Document {
    pub(super) nodes: Vec<Node>,
    open: Vec<Open>,
    /// Whether a string has an escape.
    pub(super) has_escapes: bool,
    /// Whether a key has.
    pub(super) has_escaped_keys: bool,
    /// What these keys are, by their nodes.
    decoded_keys: Vec<(u32, Box<str>)>,
    /// Whether an object has a key twice. Hardly any text does, so it is found out once.
    pub(super) has_duplicates: bool,
    /// Whether an object may have a key twice.
    suspicious: bool,
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
        self.nodes.reserve(USUAL_NODES);
        self.open.reserve(USUAL_DEPTH);
        self.has_escapes = false;
        self.has_escaped_keys = false;
        self.suspicious = false;
        self.go_on(text, 0)
    }

    /// Reads a text that has its first `shared` bytes in common with the one of which these are the values, and of
    /// which no key has an escape.
    pub(super) fn read_on(&mut self, text: &str, known: &Packed, shared: usize) -> Result<(), Invalid> {
        let begun = known.nodes.partition_point(|node| usize::from(node.value[0]) < shared);
        let Some(from) = begun.checked_sub(1).filter(|&from| from > 0) else { return self.read(text) };
        self.unpack_first(known, from);
        self.open.clear();
        let mut inside = OUTSIDE;
        let mut number = 0;
        while number < from {
            let node = self.nodes[number];
            if inside.is_object() {
                inside.keys |= bit(text.as_bytes(), node.key);
            }
            if node.next as usize > from {
                self.open.push(inside);
                inside = Open::new(number, text.as_bytes()[node.value.start as usize]);
                number += 1;
            } else {
                number = node.next as usize;
            }
        }
        self.open.push(inside);
        // That the old text had escapes is taken for the new one's as well; it is hardly ever asked.
        self.suspicious = self.has_duplicates;
        let Node { key, value, .. } = known.nodes[from].node();
        // No key begins at 0.
        let at = if key.start > 0 { key.start - 1 } else { value.start };
        self.go_on(text, at as usize)
    }

    /// The outermost value of the text that was read last.
    #[must_use]
    pub fn root<'d>(&'d self, text: &'d str) -> Value<'d> {
        Value::node(self, text, 0)
    }

    /// How many bytes of memory it keeps for the next text.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let Self { nodes, open, decoded_keys, .. } = self;
        let keys = decoded_keys.iter().map(|key| size_of_val(key) + key.1.len()).sum::<usize>();
        nodes.capacity() * size_of::<Node>() + open.capacity() * size_of::<Open>() + keys
    }

    /// Gives back the memory that it keeps.
    pub fn shrink(&mut self) {
        *self = Self::default();
    }

    /// Keeps the values in as little memory as may be. The text is shorter than 64 KiB, and no key has an escape.
    pub(super) fn pack(&self) -> Packed {
        let Self { has_escapes, has_duplicates, .. } = *self;
        let nodes = self.nodes.iter().map(PackedNode::of).collect();
        Packed { nodes, has_escapes, has_duplicates }
    }

    /// Takes over values that were kept.
    pub(super) fn unpack(&mut self, packed: &Packed) {
        self.unpack_first(packed, packed.nodes.len());
    }

    /// The same with so many of them.
    fn unpack_first(&mut self, packed: &Packed, count: usize) {
        self.nodes.clear();
        self.nodes.extend(packed.nodes[..count].iter().map(PackedNode::node));
        self.has_escapes = packed.has_escapes;
        self.has_escaped_keys = false;
        self.has_duplicates = packed.has_duplicates;
    }

    /// Whether a key stands twice, or has an escape.
    #[inline]
    pub(super) fn has_odd_keys(&self) -> bool {
        self.has_duplicates | self.has_escaped_keys
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

    /// Moves the values by what some of them have grown. The gaps are in order.
    pub(super) fn shift(&mut self, gaps: &(impl Iterator<Item = Moved> + Clone)) {
        let Some(first) = gaps.clone().find(|gap| gap.old_end != gap.new_end) else { return };
        let moved = |place: u32| {
            let gap = gaps.clone().take_while(|gap| gap.old_end <= place).last();
            gap.map_or(place, |gap| place - gap.old_end + gap.new_end)
        };
        let (before, behind) = self.nodes.split_at_mut(first.node as usize);
        // Of what begins before the first gap, only the containers around it reach behind it.
        for node in before.iter_mut().filter(|node| node.value.end > first.old_end) {
            node.value.end = moved(node.value.end);
        }
        // Nothing changes between a key and its value, and inside a scalar that is no gap.
        let (mut ahead, mut by) = (gaps.clone().peekable(), 0);
        for (node, number) in behind.iter_mut().zip(first.node..) {
            while let Some(gap) = ahead.next_if(|gap| gap.old_end <= node.value.start) {
                by = gap.new_end.wrapping_sub(gap.old_end);
            }
            node.value.end = if node.next != number + 1 {
                moved(node.value.end)
            } else if let Some(gap) = ahead.peek().filter(|gap| gap.node == number) {
                gap.new_end
            } else {
                node.value.end.wrapping_add(by)
            };
            node.value.start = node.value.start.wrapping_add(by);
            if node.key.end > 0 {
                node.key.start = node.key.start.wrapping_add(by);
                node.key.end = node.key.end.wrapping_add(by);
            }
        }
    }

    /// Reads from a place on where a value or its key may begin, inside the containers that are open.
    fn go_on(&mut self, text: &str, at: usize) -> Result<(), Invalid> {
        self.values(text.as_bytes(), at)?;
        if self.has_escaped_keys {
            self.decode_keys(text);
        }
        self.has_duplicates = self.suspicious && self.finds_duplicates(text);
        Ok(())
    }

    fn values(&mut self, text: &[u8], mut at: usize) -> Result<(), Invalid> {
        // The innermost container stands beside the stack.
        let mut inside = self.open.pop().unwrap_or(OUTSIDE);
        loop {
            let mut key = Span::default();
            if inside.is_object() {
                let escaped;
                (key, at, escaped) = scan_key(text, at)?;
                let bit = bit(text, key);
                if escaped || inside.keys & bit != 0 {
                    self.note_key(text, inside.node, key, escaped);
                }
                inside.keys |= bit;
            }
            let number = self.nodes.len();
            let (start, first) = scan::token(text, at)?;
            let mut end = match first {
                b'"' => {
                    let Quoted { close, escaped, .. } = scan::string(text, start + 1)?;
                    self.has_escapes |= escaped;
                    close + 1
                }
                b'{' | b'[' => {
                    if self.open.len() == MAX_DEPTH {
                        return Err(Invalid);
                    }
                    let container = Open::new(number, first);
                    at = start + 1;
                    let (within, next) = scan::token(text, at)?;
                    if next == container.closing {
                        within + 1
                    } else {
                        self.nodes.push(Node::new(key, start, start, 0));
                        self.open.push(inside);
                        inside = container;
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => scan::number(text, start)?,
                _ => scan::literal(text, start)?,
            };
            self.nodes.push(Node::new(key, start, end, number + 1));
            // Out of the containers that end here, up to the next value.
            while text.get(end) != Some(&b',') {
                if inside.closing == OUTSIDE.closing {
                    return if scan::space(text, end) == text.len() { Ok(()) } else { Err(Invalid) };
                }
                let (next, byte) = scan::token(text, end)?;
                end = next;
                if byte == b',' {
                    break;
                }
                if byte != inside.closing {
                    return Err(Invalid);
                }
                end += 1;
                let count = self.nodes.len();
                let node = &mut self.nodes[inside.node as usize];
                node.value.end = position(end);
                node.next = position(count);
                inside = self.open.pop().unwrap_or(OUTSIDE);
            }
            if inside.closing == OUTSIDE.closing {
                return Err(Invalid);
            }
            at = end + 1;
        }
    }

    /// Takes note of a key that has an escape, or the bit of another one.
    #[cold]
    fn note_key(&mut self, text: &[u8], object: u32, key: Span, escaped: bool) {
        self.has_escapes |= escaped;
        self.has_escaped_keys |= escaped;
        self.suspicious |= escaped || self.may_have(text, object, key);
    }

    #[cold]
    fn decode_keys(&mut self, text: &str) {
        let keys = self.nodes.iter().zip(0..).map(|(node, number)| (number, &text[node.key.range()]));
        let keys = keys.filter(|(_, key)| key.contains('\\'));
        self.decoded_keys = keys.map(|(number, key)| (number, scan::unescape(key).into())).collect();
    }

    /// The key of a value, if it has an escape.
    #[cold]
    pub(super) fn decoded_key(&self, number: usize) -> Option<&str> {
        let at = self.decoded_keys.binary_search_by_key(&position(number), |(number, _)| *number).ok()?;
        Some(&self.decoded_keys[at].1)
    }

    /// Whether an object that has not ended yet may have this key already.
    fn may_have(&self, text: &[u8], object: u32, key: Span) -> bool {
        let mut member = object as usize + 1;
        for _ in 0..COMPARED {
            let Some(node) = self.nodes.get(member) else { return false };
            if text[node.key.range()] == text[key.range()] {
                return true;
            }
            member = node.next as usize;
        }
        true
    }
}

/// Reads the key at or behind a place: the key, the place behind its colon, and whether it has an escape.
#[inline]
fn scan_key(text: &[u8], at: usize) -> Result<(Span, usize, bool), Invalid> {
    let quote = scan::expect(text, at, b'"')?;
    let Quoted { close, escaped, .. } = scan::string(text, quote + 1)?;
    let colon = scan::expect(text, close + 1, b':')?;
    Ok((Span { start: position(quote + 1), end: position(close) }, colon + 1, escaped))
}

/// The values of a text, kept for long.
#[derive(Debug, Default)]
pub(super) struct Packed {
    nodes: Box<[PackedNode]>,
    has_escapes: bool,
    pub has_duplicates: bool,
}

/// A [`Node`] of a text that is shorter than 64 KiB.
#[derive(Clone, Copy, Debug)]
struct PackedNode {
    key: [u16; 2],
    value: [u16; 2],
    next: u16,
}

impl PackedNode {
    #[expect(clippy::cast_possible_truncation, reason = "the text is shorter than 64 KiB")]
    fn of(node: &Node) -> Self {
        let pack = |span: Span| [span.start as u16, span.end as u16];
        Self { key: pack(node.key), value: pack(node.value), next: node.next as u16 }
    }

    fn node(&self) -> Node {
        let unpack = |[start, end]: [u16; 2]| Span { start: start.into(), end: end.into() };
        Node { key: unpack(self.key), value: unpack(self.value), next: self.next.into() }
    }
}

impl Packed {
    /// Where a value begins and ends.
    pub(super) fn span(&self, node: usize) -> Option<(usize, usize)> {
        let [start, end] = self.nodes.get(node)?.value;
        Some((start.into(), end.into()))
    }

    /// What stands between the quotes of a string, given by its place among the values.
    pub(super) fn string<'t>(&self, number: usize, text: &'t str) -> Option<&'t str> {
        let [start, end] = self.nodes.get(number)?.value.map(usize::from);
        text.get(start..end)?.strip_prefix('"')?.strip_suffix('"')
    }

    /// The scalar in which another text may differ for the first time at a place: its node, its kind and its span.
    pub(super) fn scalar_at(&self, at: usize, text: &[u8]) -> Option<(usize, Kind, usize, usize)> {
        let number = self.nodes.partition_point(|node| usize::from(node.value[0]) <= at).checked_sub(1)?;
        let [start, end] = self.nodes[number].value.map(usize::from);
        let kind = Kind::of(text[start]);
        kind.may_differ_at(at, start, end).then_some((number, kind, start, end))
    }
}

impl Open {
    fn new(node: usize, opening: u8) -> Self {
        // Both stand two places before their counterparts.
        Self { node: position(node), closing: opening + 2, keys: 0 }
    }

    fn is_object(&self) -> bool {
        self.closing == b'}'
    }
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Node {
    fn new(key: Span, start: usize, end: usize, next: usize) -> Self {
        Self { key, value: Span { start: position(start), end: position(end) }, next: position(next) }
    }
}

/// One of 64 bits for a key.
#[inline]
fn bit(text: &[u8], key: Span) -> u64 {
    // Keys of one object differ in the middle more often than where they begin and end. Of an empty one, that is a quote.
    let middle = usize::midpoint(key.start as usize, key.end as usize);
    let byte = text.get(middle).map_or(0, |&byte| u32::from(byte));
    1_u64.wrapping_shl(byte ^ ((key.end - key.start) * 3))
}

/// `read` has made sure that every position fits.
#[expect(clippy::cast_possible_truncation, reason = "texts are shorter than 4 GiB")]
pub(super) fn position(index: usize) -> u32 {
    index as u32
}
