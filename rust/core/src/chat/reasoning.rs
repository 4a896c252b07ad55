//! Reasoning text, and `reasoning_details`: blocks that are sent in fragments and have to be sent back whole.
//!
//! Providers send reasoning as `reasoning`, as `reasoning_content` or `reasoning_text`, as the text of
//! `reasoning_details`, as "thinking" parts of a content list, and some of them twice in one chunk. Text under a second
//! name that is equal to the first counts once; details count as text only where the chunk has no plain text.
//!
//! Details of one type and index are one block. Without an index the id tells: a known id leads to its block; a new one
//! goes to the newest block of the type if that has none, else begins a block; without an id the newest block of the
//! type goes on. Of the fields of a block, `text` and `summary` grow by each fragment; of the others the last value
//! counts that says anything, so a signature that comes alone at the end is kept.

use crate::chat::places::Places;
use crate::chat::plan::{Growth, Target};
use crate::chat::{Extras, Text};
use crate::json::{Kind, Value};

/// One block of `reasoning_details`.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    kind: Box<str>,
    index: Option<u64>,
    /// Where there is no index.
    id: Option<Box<str>>,
    /// All other fields, `type` and `index` included as they were sent.
    pub fields: Extras,
    /// The text so far, if any came.
    pub text: Option<String>,
    /// The summary so far, if any came.
    pub summary: Option<String>,
}

/// A type, an index and an id.
type BlockKey = (Box<str>, Option<u64>, Option<Box<str>>);

/// The reasoning of one message.
#[derive(Clone, Debug, Default)]
pub struct Reasoning {
    /// The text so far, if any came.
    pub text: Option<Text>,
    /// The blocks so far, in the order in which they first came.
    pub details: Vec<Detail>,
    /// The place of a block by its type, and its index or its id; the newest one of a type by nothing else.
    places: Places<BlockKey>,
}

impl Reasoning {
    /// Appends plain text; returns how many more bytes are held.
    pub(super) fn push(&mut self, text: &[u8]) -> isize {
        self.text.get_or_insert_default().push(text)
    }

    /// Takes the three fields of a delta, and notes what they make grow; returns how many more bytes are held.
    pub(super) fn add(
        &mut self,
        reasoning: Option<Value<'_>>,
        reasoning_content: Option<Value<'_>>,
        details: Option<Value<'_>>,
        growth: &mut Growth,
    ) -> isize {
        let mut more = 0;
        for text in reasoning.into_iter().chain(reasoning_content) {
            if text.kind() == Kind::String {
                growth.text(text, Target::Reasoning);
            }
        }
        let first = reasoning.and_then(Value::as_str).filter(|text| !text.is_empty());
        let second = reasoning_content.and_then(Value::as_str).filter(|text| !text.is_empty());
        let second = second.filter(|second| first.as_ref() != Some(second));
        let plain = first.is_some() || second.is_some();
        for text in first.iter().chain(&second) {
            more += self.push(text.as_bytes());
        }
        for fragment in details.into_iter().flat_map(Value::items) {
            growth.other();
            more += self.add_detail(fragment, plain);
        }
        more
    }

    fn add_detail(&mut self, fragment: Value<'_>, plain: bool) -> isize {
        if fragment.kind() != Kind::Object {
            return 0;
        }
        let kind = fragment.get("type").and_then(Value::as_str).unwrap_or_default();
        let index = fragment.get("index").and_then(Value::as_index);
        let mut more = 0;
        let mut texts = String::new();
        let id = fragment.get("id").filter(|_| index.is_none()).and_then(Value::as_nonblank);
        // Fragments follow their block, so the newest is nearly always the one.
        let newest = self.details.last().filter(|block| {
            let same_id = id.is_none() || block.id.as_deref() == id.as_deref();
            *block.kind == *kind && block.index == index && same_id
        });
        let at = match newest {
            Some(_) => self.details.len() - 1,
            None => self.place(&kind, index, id.as_deref()),
        };
        let block = &mut self.details[at];
        for (key, value) in fragment.members() {
            let grows = match key {
                "text" => &mut block.text,
                "summary" => &mut block.summary,
                // Some send each field each time, and what it is only once.
                _ if value.is_blank() && block.fields.has(key) => continue,
                _ => {
                    more += block.fields.set(key, value);
                    continue;
                }
            };
            if let Some(text) = value.as_str() {
                grows.get_or_insert_default().push_str(&text);
                more += text.len().cast_signed();
                texts.push_str(&text);
            }
        }
        if !plain && !texts.is_empty() {
            more += self.push(texts.as_bytes());
        }
        more
    }

    /// The block that a fragment belongs to, made new if need be.
    fn place(&mut self, kind: &str, index: Option<u64>, id: Option<&str>) -> usize {
        let key = |id: Option<&str>| (kind.into(), index, id.map(Into::into));
        if let Some(at) = self.places.get(&key(id)) {
            return at;
        }
        let newest = self.places.get(&key(None)).filter(|&at| self.details[at].id.is_none());
        let at = newest.unwrap_or(self.details.len());
        if newest.is_none() {
            self.details.push(Detail { kind: kind.into(), index, ..Detail::default() });
            self.places.set(key(None), at);
        }
        if id.is_some() {
            self.details[at].id = id.map(Into::into);
            self.places.set(key(id), at);
        }
        at
    }
}
