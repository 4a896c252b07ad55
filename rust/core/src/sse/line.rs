//! What is known of a line that has not ended yet.
//!
//! A line may arrive in any number of pieces. Each byte is looked at once: the first few decide which field
//! it is, the rest goes straight to where the field's value is kept. A line that can no longer become a
//! field is known as such from that byte on, so that it fills no memory.

/// A field that the standard gives a meaning. All others are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Data,
    Event,
    Id,
    Retry,
}

/// Not of the standard: see `EventParser::with_error_field`.
pub(super) const ERROR: &[u8] = b"error";

impl Field {
    const NAMES: [(&'static [u8], Self); 4] =
        [(b"data", Self::Data), (b"event", Self::Event), (b"id", Self::Id), (b"retry", Self::Retry)];

    /// Field names are compared byte by byte: case counts, and so does white space.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, field)| field)
    }
}

/// A field name that is still arriving.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Name {
    bytes: [u8; Self::LONGEST],
    len: u8,
}

impl Name {
    /// The length of "event", "retry" and "error".
    const LONGEST: usize = 5;

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Takes one more byte; false if no field's name begins like that.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        let len = usize::from(self.len);
        if len == Self::LONGEST {
            return false;
        }
        self.bytes[len] = byte;
        self.len += 1;
        let begins = |known: &[u8]| known.starts_with(self.as_bytes());
        begins(ERROR) || Field::NAMES.iter().any(|(known, _)| begins(known))
    }
}

/// The value of a `retry` line: ASCII digits only, read as they arrive. A number beyond `u64` is `u64::MAX`
/// milliseconds, which is as good as never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digits(pub(super) Option<u64>);

impl Digits {
    /// Takes more of the value; false if it is not a number.
    pub(super) fn push(&mut self, piece: &[u8]) -> bool {
        piece.iter().all(|byte| {
            let digit = byte.is_ascii_digit();
            if digit {
                let value = self.0.unwrap_or(0);
                self.0 = Some(value.saturating_mul(10).saturating_add(u64::from(byte - b'0')));
            }
            digit
        })
    }
}

/// How far the current line is understood.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Line {
    /// Nothing of it has come.
    #[default]
    Start,
    /// The beginning of a field's name.
    Name(Name),
    /// In a field's value, past the optional space.
    Value(Field),
    /// Right behind the colon, where one space is not part of the value.
    Colon(Field),
    /// A comment: it begins with a colon.
    Comment,
    /// No field, but a line that is kept: see `EventParser::with_stray_lines`.
    Stray,
    /// No field of the standard, or an `id` or `retry` whose value has turned out to be void.
    Ignored,
}
