//! Fields that nobody interprets, as raw JSON.
//!
//! The rule, wherever they stand: the last value that is not null counts. Nothing is added up or merged,
//! because nobody knows how. `obfuscation` is left out: it is padding against observers of packet sizes.

use std::collections::HashMap;

use crate::chat::places::LOOKED_THROUGH;
use crate::json::Value;

/// Raw JSON values by key, in the order in which the keys first came.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    fields: Vec<Field>,
    /// Where a key is, once there are too many to look through. Not as [`Places`](super::places::Places), which would
    /// hold each key a second time from the first on.
    #[expect(clippy::box_collection, reason = "hardly ever there, so no more than a place")]
    places: Option<Box<HashMap<Box<str>, usize>>>,
}

#[derive(Clone, Debug)]
struct Field {
    /// The key and, right behind it, the raw value: one allocation.
    text: Box<str>,
    key: usize,
}

impl Field {
    fn new(key: &str, raw: &str) -> Self {
        Self { text: [key, raw].concat().into(), key: key.len() }
    }

    fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.key)
    }
}

impl Extras {
    /// Takes a field of a chunk; returns by how many bytes what is held has grown.
    pub fn set(&mut self, key: &str, value: Value<'_>) -> isize {
        if value.is_null() || key == "obfuscation" {
            return 0;
        }
        let raw = value.raw();
        if let Some(at) = self.place(key) {
            return self.replace(at, raw);
        }
        if self.fields.len() >= LOOKED_THROUGH {
            let keys = self.fields.iter().map(|field| field.parts().0.into());
            let places = self.places.get_or_insert_with(|| Box::new(keys.zip(0..).collect()));
            places.insert(key.into(), self.fields.len());
        }
        self.fields.push(Field::new(key, raw));
        (key.len() + raw.len()).cast_signed()
    }

    /// Takes another value of the field at a place; returns by how many bytes what is held has grown.
    pub(super) fn replace(&mut self, at: usize, raw: &str) -> isize {
        let (key, held) = self.fields[at].parts();
        let growth = raw.len().cast_signed() - held.len().cast_signed();
        if *held != *raw {
            self.fields[at] = Field::new(key, raw);
        }
        growth
    }

    /// Whether a field has come.
    pub(super) fn has(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// Where a field is.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        match &self.places {
            None => self.iter().position(|(known, _)| *known == *key),
            Some(places) => places.get(key).copied(),
        }
    }

    /// The fields and their raw JSON.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(Field::parts)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// A list of raw JSON values that grows by the items of the chunks.
#[derive(Clone, Debug, Default)]
pub struct RawList {
    items: String,
}

impl RawList {
    /// Appends an item; returns how many more bytes are held.
    pub fn push(&mut self, item: Value<'_>) -> isize {
        let before = self.items.len();
        if before > 0 {
            self.items.push(',');
        }
        self.items.push_str(item.raw());
        (self.items.len() - before).cast_signed()
    }

    /// Appends the items of an array, and nothing of what is none; returns how many more bytes are held.
    pub fn extend(&mut self, array: Value<'_>) -> isize {
        array.items().map(|item| self.push(item)).sum()
    }

    /// The list as raw JSON; None if no item came.
    #[must_use]
    pub fn to_raw(&self) -> Option<String> {
        (!self.items.is_empty()).then(|| format!("[{}]", self.items))
    }
}
