//! Text that comes in small pieces.
//!
//! Each piece was checked to be UTF-8 when it was read, so a [`Text`] only copies it, and looks at the whole once it
//! is asked for: checking a word again costs as much as all else that is done with it.

use std::borrow::Cow;

use crate::json::Value;

/// The room for the first words.
const FIRST_ROOM: usize = 64;

/// A text as far as it has come.
#[derive(Clone, Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Appends a piece, which is UTF-8; returns how many more bytes are held.
    #[inline]
    pub(super) fn push(&mut self, piece: &[u8]) -> isize {
        if self.0.capacity() == 0 && !piece.is_empty() {
            self.0.reserve(FIRST_ROOM);
        }
        self.0.extend_from_slice(piece);
        piece.len().cast_signed()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing came but empty pieces.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The same for a text that is read as it grows.
#[inline]
pub(super) fn append(held: &mut String, piece: &str) -> isize {
    if held.capacity() == 0 && !piece.is_empty() {
        held.reserve(FIRST_ROOM);
    }
    held.push_str(piece);
    piece.len().cast_signed()
}

/// What a text says, if it says anything: some send the word null for nothing.
#[inline]
pub(crate) fn said(value: Value<'_>) -> Option<Cow<'_, str>> {
    value.as_nonblank().filter(|text| text != "null")
}

/// A word that in nearly all messages is one of a few, which take no memory.
pub type Word = Cow<'static, str>;

/// Keeps a word.
pub(super) fn word(text: &str) -> Word {
    Cow::Borrowed(match text {
        "assistant" => "assistant",
        "function" => "function",
        "length" => "length",
        "stop" => "stop",
        "tool_calls" => "tool_calls",
        other => return Cow::Owned(other.into()),
    })
}
