//! What is to be changed in the payload of an event, and where: rules in, splices of its text out.
//!
//! A rule looks at keys and at what kind a value is, never at the text of a scalar: so payloads that differ in
//! strings and numbers alone are changed in the same places, which is what `alike` builds on. Keys are compared
//! unescaped, and every duplicate is meant: which of them counts differs between readers.
//!
//! `set` and `remove` go for the fields at the top of any object, whatever its dialect. The usage rule is about
//! chat chunks, which are told by their `choices`, and by having nothing but the fields of such a chunk where
//! they have none: the `usage` of other dialects is part of their protocol.

use super::lines::Splice;
use crate::json::{Kind, Value};

/// The rules of a relay. The default changes nothing.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule")]
pub struct Rules {
    /// Top-level fields, and the JSON text that takes the place of their value.
    pub set: Vec<(Box<str>, Box<str>)>,
    /// Top-level fields that are taken out.
    pub remove: Vec<Box<str>>,
    /// Chunks with nothing but the usage are dropped, and the usage is taken out of others.
    pub drop_usage: bool,
    /// Comments are dropped.
    pub drop_comments: bool,
    /// Tool calls and finish reasons are put into canonical form.
    pub repair: bool,
    /// Only whole events are sent on, and a stream that does not end well ends with an error event.
    pub append_error: bool,
    /// Every event is shown to the caller, who may replace it.
    pub edit: bool,
}

/// The fields of a chunk that has no news but the usage.
const ENVELOPE: [&str; 10] = [
    "id",
    "object",
    "created",
    "model",
    "system_fingerprint",
    "service_tier",
    "provider",
    "obfuscation",
    "usage",
    "choices",
];

/// A member of an object: its key, where it begins, and its value.
pub(super) type Entry<'d> = (&'d str, usize, Value<'d>);

impl Rules {
    /// Whether any of them asks for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { set, remove, drop_usage, drop_comments, repair, append_error, edit } = self;
        let lists = set.is_empty() && remove.is_empty();
        lists && !(*drop_usage || *drop_comments || *repair || *append_error || *edit)
    }

    /// Adds what the rules change in an object; false if its event is to be dropped.
    pub(super) fn apply(&self, object: Value<'_>, splices: &mut Vec<Splice>) -> bool {
        let mut entries: Vec<Entry<'_>> = Vec::with_capacity(16);
        entries.extend(object.entries());
        let drop_usage = self.drop_usage && is_chunk(&entries);
        if drop_usage && is_usage_only(&entries) {
            return false;
        }
        let gone = |key: &str| (drop_usage && key == "usage") || self.remove.iter().any(|it| **it == *key);
        cut(&entries, gone, splices);
        for (key, _, value) in entries.iter().filter(|entry| !gone(entry.0)) {
            if let Some((_, text)) = self.set.iter().find(|(name, _)| **name == **key) {
                let with = text.as_bytes().to_vec();
                splices.push(Splice { start: value.start(), end: value.end(), with });
            } else if drop_usage && *key == "x_groq" {
                cut_usage(*value, splices);
            } else if drop_usage && *key == "choices" {
                value.items().for_each(|choice| cut_usage(choice, splices));
            }
        }
        true
    }
}

fn is_chunk(entries: &[Entry<'_>]) -> bool {
    entries.iter().any(|entry| entry.0 == "choices") || entries.iter().all(is_envelope)
}

/// Whether a field is one that a chunk with nothing but the usage has, too.
fn is_envelope((key, _, value): &Entry<'_>) -> bool {
    ENVELOPE.contains(key) || (*key == "x_groq" && value.get("error").is_none())
}

fn is_usage_only(entries: &[Entry<'_>]) -> bool {
    let says_nothing = |(key, _, value): &Entry<'_>| {
        *key != "choices"
            || (value.items().next().is_none() && matches!(value.kind(), Kind::Null | Kind::Array))
    };
    entries.iter().any(|(key, _, value)| *key == "usage" && value.kind() == Kind::Object)
        && entries.iter().all(|entry| is_envelope(entry) && says_nothing(entry))
}

fn cut_usage(object: Value<'_>, splices: &mut Vec<Splice>) {
    if object.get("usage").is_some() {
        let entries: Vec<_> = object.entries().collect();
        cut(&entries, |key| key == "usage", splices);
    }
}

/// Takes members out of an object, each with one comma and the white space on one side.
pub(super) fn cut(entries: &[Entry<'_>], gone: impl Fn(&str) -> bool, splices: &mut Vec<Splice>) {
    let Some(last_kept) = entries.iter().rposition(|entry| !gone(entry.0)) else {
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            splices.push(Splice::cut(first.1, last.2.end()));
        }
        return;
    };
    for (at, (_, start, value)) in entries.iter().enumerate().filter(|(_, entry)| gone(entry.0)) {
        splices.push(if at < last_kept {
            Splice::cut(*start, entries[at + 1].1)
        } else {
            Splice::cut(entries[at - 1].2.end(), value.end())
        });
    }
}

/// Puts splices in order, without those inside another. What is put in where another begins goes ahead of it.
pub(super) fn in_order(splices: &mut Vec<Splice>) {
    splices.sort_by_key(|splice| (splice.start, splice.start < splice.end, std::cmp::Reverse(splice.end)));
    let mut end = 0;
    splices.retain(|splice| {
        let outside = splice.start >= end;
        end = end.max(splice.end);
        outside
    });
}
