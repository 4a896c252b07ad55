//! A value of a document: what kind it is, what is in it, and its text decoded when asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use memchr::memchr;

use super::document::{Document, Node, Span};
use super::scan;

/// The six kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, whole or not.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    #[inline]
    pub(super) fn of(first: u8) -> Self {
        match first {
            b'n' => Self::Null,
            b't' | b'f' => Self::Bool,
            b'"' => Self::String,
            b'[' => Self::Array,
            b'{' => Self::Object,
            _ => Self::Number,
        }
    }

    /// Whether two texts that differ in scalars alone may do so at a place for the first time, where one of them has a
    /// value of this kind: in a string between its quotes or at the closing one; in a number also right behind it, where
    /// it may go on.
    pub(crate) fn may_differ_at(self, at: usize, start: usize, end: usize) -> bool {
        match self {
            Self::String => start < at && at < end,
            Self::Number => start <= at && at <= end,
            _ => false,
        }
    }
}

/// The values right inside a container.
struct Children<'d> {
    next: Value<'d>,
    end: usize,
}

impl<'d> Iterator for Children<'d> {
    type Item = Value<'d>;

    #[inline]
    fn next(&mut self) -> Option<Value<'d>> {
        let child = self.next;
        if child.number >= self.end {
            return None;
        }
        self.next.number = child.entry().next as usize;
        Some(child)
    }
}

/// The members of an object that count.
pub struct Members<'d> {
    all: Children<'d>,
    /// Which of each key counts, once it is known, in an object that may have one twice.
    #[expect(clippy::box_collection, reason = "hardly ever there, so no more than a place")]
    last: Option<Box<HashMap<&'d str, usize>>>,
}

impl<'d> Iterator for Members<'d> {
    type Item = (&'d str, Value<'d>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let value = self.all.next()?;
        if value.document.has_odd_keys() {
            return self.next_that_counts(value);
        }
        Some((value.plain_key(), value))
    }
}

impl<'d> Members<'d> {
    /// The first member from this one on that counts.
    #[cold]
    fn next_that_counts(&mut self, mut value: Value<'d>) -> Option<(&'d str, Value<'d>)> {
        while value.document.has_duplicates && !self.counts(value.key(), value) {
            value = self.all.next()?;
        }
        Some((value.key(), value))
    }

    /// Whether a member counts. It is asked of each, from the first on.
    fn counts(&mut self, key: &'d str, value: Value<'d>) -> bool {
        let last = self.last.get_or_insert_with(|| {
            let behind = Children { next: value, end: self.all.end };
            Box::new(behind.map(|value| (value.key(), value.number)).collect())
        });
        last.get(key) == Some(&value.number)
    }
}

/// A value, as a place in a document.
#[derive(Clone, Copy, Debug)]
pub struct Value<'d> {
    document: &'d Document,
    text: &'d str,
    number: usize,
}

impl<'d> Value<'d> {
    pub(super) fn node(document: &'d Document, text: &'d str, number: usize) -> Self {
        Self { document, text, number }
    }

    #[inline]
    fn entry(self) -> &'d Node {
        &self.document.nodes[self.number]
    }

    /// The value as it stands in the text.
    #[must_use]
    pub fn raw(self) -> &'d str {
        let span = self.entry().value;
        &self.text[span.start as usize..span.end as usize]
    }

    /// Which value of the document it is.
    #[must_use]
    pub fn node_number(self) -> usize {
        self.number
    }

    /// Whether a value of the document is it, or in it.
    #[must_use]
    pub fn holds(self, node_number: usize) -> bool {
        (self.number..self.entry().next as usize).contains(&node_number)
    }

    /// Where in the text it begins, in bytes.
    #[must_use]
    pub fn start(self) -> usize {
        self.entry().value.start as usize
    }

    /// Where in the text it ends, in bytes.
    #[must_use]
    pub fn end(self) -> usize {
        self.entry().value.end as usize
    }

    /// What kind of value it is: its first byte tells.
    #[inline]
    #[must_use]
    pub fn kind(self) -> Kind {
        Kind::of(self.text.as_bytes()[self.entry().value.start as usize])
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The members of an object with their keys decoded, in order; nothing for other kinds. Of a key that
    /// stands more than once, only the last.
    #[inline]
    #[must_use]
    pub fn members(self) -> Members<'d> {
        Members { all: self.children(Kind::Object), last: None }
    }

    /// The same from the first one on that does not end in front of a place of the text.
    #[inline]
    #[must_use]
    pub fn members_behind(self, place: usize) -> Members<'d> {
        let mut all = self.children(Kind::Object);
        while all.next.number < all.end && all.next.end() < place {
            all.next.number = all.next.entry().next as usize;
        }
        Members { all, last: None }
    }

    /// The member that counts of an object in which a value of the document is, by its number.
    #[must_use]
    pub fn member_holding(self, node_number: usize) -> Option<(&'d str, Value<'d>)> {
        if self.document.has_duplicates {
            return self.members().find(|(_, member)| member.holds(node_number));
        }
        let member = self.children(Kind::Object).find(|member| member.holds(node_number))?;
        Some((member.key(), member))
    }

    /// The members of an object, those that do not count included.
    #[inline]
    pub(super) fn all_members(self) -> impl Iterator<Item = (&'d str, Value<'d>)> {
        self.children(Kind::Object).map(|value| (value.key(), value))
    }

    #[inline]
    fn key(self) -> &'d str {
        if self.document.has_escaped_keys
            && let Some(key) = self.document.decoded_key(self.number)
        {
            return key;
        }
        self.plain_key()
    }

    /// The key as it stands in the text, where none has an escape.
    #[inline]
    fn plain_key(self) -> &'d str {
        let key = self.entry().key;
        self.text.get(key.start as usize..key.end as usize).unwrap_or_default()
    }

    /// The members of an object in the order in which they stand, those that do not count included: for who
    /// edits the text. Of each its key, decoded, the place where it begins, which is its key's, and its value.
    pub fn entries(self) -> impl Iterator<Item = (&'d str, usize, Value<'d>)> {
        self.all_members().map(|(key, value)| (key, value.entry().key.start as usize - 1, value))
    }

    /// The value and all that is in it, in the order in which they begin.
    pub fn descendants(self) -> impl Iterator<Item = Value<'d>> {
        (self.number..self.entry().next as usize).map(move |number| Self { number, ..self })
    }

    /// The items of an array, in order; nothing for other kinds.
    #[inline]
    pub fn items(self) -> impl Iterator<Item = Value<'d>> {
        self.children(Kind::Array)
    }

    #[inline]
    fn children(self, kind: Kind) -> Children<'d> {
        let end = if self.kind() == kind { self.entry().next as usize } else { 0 };
        Children { next: Value { number: self.number + 1, ..self }, end }
    }

    /// The value of a key, if it is an object that has it.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'d>> {
        self.children(Kind::Object).filter(|member| member.has_key(key)).last()
    }

    #[inline]
    fn has_key(self, key: &str) -> bool {
        let span = self.entry().key;
        // Most keys have another length.
        self.document.has_escaped_keys && self.key() == key
            || (span.end - span.start) as usize == key.len() && self.key() == key
    }

    /// The text of a string, decoded.
    #[inline]
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        let Span { start, end } = self.entry().value;
        let (start, end) = (start as usize, end as usize);
        if self.text.as_bytes().get(start) != Some(&b'"') {
            return None;
        }
        Some(self.unescape(self.text.get(start + 1..end - 1)?))
    }

    /// Decodes what stands between the quotes of a string. Most texts have no escape anywhere.
    #[inline]
    fn unescape(self, text: &'d str) -> Cow<'d, str> {
        if self.document.has_escapes && memchr(b'\\', text.as_bytes()).is_some() {
            Cow::Owned(scan::unescape(text))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// The text of a string that is more than white space.
    #[inline]
    #[must_use]
    pub fn as_nonblank(self) -> Option<Cow<'d, str>> {
        // A letter in front, as nearly all have, tells without a look at the rest.
        self.as_str().filter(|text| {
            text.as_bytes().first().is_some_and(u8::is_ascii_graphic) || !text.trim().is_empty()
        })
    }

    /// Whether it is a string of nothing but white space.
    #[must_use]
    pub fn is_blank(self) -> bool {
        self.kind() == Kind::String && self.as_nonblank().is_none()
    }

    /// A whole number that is not negative, also where it was sent as a string of digits.
    #[must_use]
    pub fn as_index(self) -> Option<u64> {
        match self.kind() {
            Kind::Number => match self.raw().as_bytes() {
                // Nearly all are that.
                [digit @ b'0'..=b'9'] => Some(u64::from(digit - b'0')),
                _ => self.raw().parse().ok(),
            },
            Kind::String => {
                let text = self.as_str()?;
                text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
            }
            _ => None,
        }
    }

    /// Whether it says anything: neither null, false, zero nor empty.
    #[must_use]
    pub fn is_truthy(self) -> bool {
        match self.kind() {
            Kind::Null => false,
            Kind::Bool => self.raw() == "true",
            Kind::Number => !is_zero(self.raw()),
            Kind::String => self.raw().len() > 2,
            kind => self.children(kind).next().is_some(),
        }
    }
}

/// Whether a number, as it was sent, is zero.
#[must_use]
pub fn is_zero(number: &str) -> bool {
    // Nearly all numbers are whole, and short.
    let is_whole = number.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole { number == "0" } else { number.parse::<f64>() == Ok(0.0) }
}

/// A valid JSON text without the white space between its tokens.
#[must_use]
pub fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    text.chars()
        .filter(|&c| {
            if in_string {
                in_string = escaped || c != '"';
                escaped = !escaped && c == '\\';
                return true;
            }
            in_string = c == '"';
            !matches!(c, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}

/// Writes a JSON string. Of what must be escaped, the two common ones are short.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            byte @ (b'"' | b'\\') => out.extend(['\\', char::from(byte)]),
            b'\n' => out.push_str("\\n"),
            control => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}
