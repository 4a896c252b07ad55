//! Fields that nobody interprets, as raw JSON.
//!
//! The rule, wherever they stand: the last value that is not null counts. Nothing is added up or merged,
//! because nobody knows how. `obfuscation` is left out: it is padding against observers of packet sizes.

use crate::json::Value;

/// Raw JSON values by key, in the order in which the keys first came.
#[derive(Clone, Debug, Default)]
pub struct Extras(Vec<(Box<str>, Box<str>)>);

impl Extras {
    /// Takes a field of a chunk; returns how many more bytes are held.
    pub fn set(&mut self, key: &str, value: Value<'_>) -> usize {
        if value.is_null() || key == "obfuscation" {
            return 0;
        }
        let raw = value.raw();
        match self.0.iter_mut().find(|(known, _)| **known == *key) {
            Some((_, held)) if **held == *raw => 0,
            Some((_, held)) => {
                let more = raw.len().saturating_sub(held.len());
                *held = raw.into();
                more
            }
            None => {
                self.0.push((key.into(), raw.into()));
                key.len() + raw.len()
            }
        }
    }

    /// The fields and their raw JSON.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, raw)| (&**key, &**raw))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A list of raw JSON values that grows by the items of the chunks.
#[derive(Clone, Debug, Default)]
pub struct RawList {
    items: String,
}

impl RawList {
    /// Appends an item; returns how many more bytes are held.
    pub fn push(&mut self, item: Value<'_>) -> usize {
        let before = self.items.len();
        if before > 0 {
            self.items.push(',');
        }
        self.items.push_str(item.raw());
        self.items.len() - before
    }

    /// Appends the items of an array; returns how many more bytes are held.
    pub fn extend(&mut self, array: Value<'_>) -> usize {
        array.items().map(|item| self.push(item)).sum()
    }

    /// The list as raw JSON; None if no item came.
    #[must_use]
    pub fn to_raw(&self) -> Option<String> {
        (!self.items.is_empty()).then(|| format!("[{}]", self.items))
    }
}
