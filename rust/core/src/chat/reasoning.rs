//! Reasoning text, and `reasoning_details`: blocks that are sent in fragments and have to be sent back whole.
//!
//! Providers send reasoning as `reasoning`, as `reasoning_content`, as the text of `reasoning_details`, as
//! "thinking" parts of a content list, and some of them twice in one chunk. Text under a second name that is
//! equal to the first counts once; details count as text only where the chunk has no plain text.
//!
//! Details with one type and index are one block. Of its fields, `text` and `summary` grow by each fragment;
//! of the others the last value that is not null counts, so a signature that comes alone at the end is kept.

use crate::chat::places::Places;
use crate::chat::plan::{Growth, Target};
use crate::chat::{Extras, Text};
use crate::json::{Kind, Value};

/// One block of `reasoning_details`.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    kind: Box<str>,
    index: Option<u64>,
    /// All other fields, `type` and `index` included as they were sent.
    pub fields: Extras,
    /// The text so far, if any came.
    pub text: Option<String>,
    /// The summary so far, if any came.
    pub summary: Option<String>,
}

/// The reasoning of one message.
#[derive(Clone, Debug, Default)]
pub struct Reasoning {
    /// The text so far, if any came.
    pub text: Option<Text>,
    /// The blocks so far, in the order in which they first came.
    pub details: Vec<Detail>,
    /// The place of a block by its type and index.
    places: Places<(Box<str>, Option<u64>)>,
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
        // Fragments follow their block, so the newest is nearly always the one.
        let newest = self.details.last().filter(|block| *block.kind == *kind && block.index == index);
        let at = match newest {
            Some(_) => self.details.len() - 1,
            None => self.place(&kind, index),
        };
        let block = &mut self.details[at];
        for (key, value) in fragment.members() {
            let grows = match key {
                "text" => &mut block.text,
                "summary" => &mut block.summary,
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

    /// The block of a type and index, made new if need be.
    fn place(&mut self, kind: &str, index: Option<u64>) -> usize {
        let key = (kind.into(), index);
        if let Some(at) = self.places.get(&key) {
            return at;
        }
        let at = self.details.len();
        self.details.push(Detail { kind: kind.into(), index, ..Detail::default() });
        self.places.set(key, at);
        at
    }
}
