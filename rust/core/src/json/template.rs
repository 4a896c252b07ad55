//! Ahead of the parser: reading a text by what it has in common with one that was read before.
//!
//! The chunks of a stream are nearly equal: on recorded streams 87 % of all bytes stand in the chunk before. So a
//! text that was parsed is kept as a template: its bytes, its values, and its *gaps*, the scalars that have been
//! seen to change. The next text fits if it has the same bytes around each gap and, in it, one scalar of the same
//! kind. That takes a comparison of memory and a look at the few bytes of the gaps, no parse. Where a text
//! differs from the template elsewhere, but in scalars alone, these become gaps as well. No list of field names
//! is involved: whatever varies may vary. Any other text is parsed and becomes a template in its turn.
//!
//! Why the result is what a full parse would give. Let two texts be equal up to a scalar that begins at `s` in
//! both. A JSON parser reads from left to right and keeps nothing but the containers that are open, so at `s` it
//! is in the same state in both. The scalar of the new text is read by the rules of the parser (`scan`), from `s`
//! on: it is valid, and it ends where it would end in a full parse. It is of the same kind as the old one, so the
//! states behind both are equal again, and the argument goes on from there. What lies between gaps is equal byte
//! for byte, so it has the same values in the same order, only moved. A difference anywhere else (in a key, in
//! the structure, in a literal) is no fit. Duplicate keys need no exception: values are places here, and which of
//! them counts is told later, for all texts alike. A text with an escape in a key is no template, nor is one with a
//! line end: among the bytes of events, that would be the end of a line. The bytes of a text need not be known to be
//! UTF-8: those of a template are, gaps begin and end with ASCII, and what is in a gap is checked.

use super::document::{Packed, position};
use super::scan::{self, common_prefix};
use super::value::Kind;

/// More differences than these cost more than a parse does.
pub(crate) const MAX_GAPS: usize = 8;

/// A scalar of a template that changes from text to text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gap {
    pub node: u32,
    /// For a string, behind its opening quote.
    pub start: u32,
    /// For a string, in front of its closing quote.
    pub end: u32,
    pub is_string: bool,
}

/// What a text has in a gap.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filled {
    pub start: u32,
    pub end: u32,
    pub escaped: bool,
}

#[derive(Debug, Default)]
pub(super) struct Template {
    pub text: Box<str>,
    pub values: Packed,
    pub gaps: Box<[Gap]>,
    /// Another one for each text that became a template.
    pub number: u32,
    pub serial: u32,
}

impl Template {
    /// The length of the text with which some bytes begin, if it fits.
    #[inline]
    pub fn fit(&self, bytes: &[u8], filled: &mut [Filled; MAX_GAPS]) -> Option<usize> {
        let text = self.text.as_bytes();
        let (mut from, mut at) = (0, 0);
        for (gap, filled) in self.gaps.iter().zip(filled) {
            let fixed = &text[from..gap.start as usize];
            if !bytes.get(at..)?.starts_with(fixed) {
                return None;
            }
            at += fixed.len();
            let start = at;
            let mut escaped = false;
            if gap.is_string {
                let string = scan::string(bytes, at).ok()?;
                (at, escaped) = (string.close, string.escaped);
                if !string.ascii && std::str::from_utf8(&bytes[start..at]).is_err() {
                    return None;
                }
            } else {
                at = scan::number(bytes, at).ok()?;
            }
            *filled = Filled { start: position(start), end: position(at), escaped };
            from = gap.end as usize;
        }
        let fixed = &text[from..];
        (bytes.len() - at >= fixed.len() && bytes[at..].starts_with(fixed)).then(|| at + fixed.len())
    }

    /// How many bytes at the beginning a text has in common with all texts that fit.
    pub fn shared(&self, text: &[u8]) -> usize {
        let end = self.gaps.first().map_or(self.text.len(), |gap| gap.start as usize);
        common_prefix(&self.text.as_bytes()[..end], text)
    }

    /// The gaps that it takes for a text to fit, if it differs in scalars alone. What they have in common at the
    /// beginning is known: `shared`.
    pub fn gaps_for(&self, new: &[u8], shared: usize) -> Option<Box<[Gap]>> {
        let old = self.text.as_bytes();
        let mut shared = Some(shared);
        let mut known = self.gaps.iter().peekable();
        let (mut gaps, mut count) = ([Gap::default(); MAX_GAPS], 0);
        let (mut from, mut at) = (0, 0);
        loop {
            let end = known.peek().map_or(old.len(), |gap| gap.start as usize);
            let equal = match shared.take() {
                Some(shared) => shared,
                None => common_prefix(&old[from..end], new.get(at..)?),
            };
            let gap = if from + equal < end {
                self.gap_at(from + equal)?
            } else if let Some(&&gap) = known.peek() {
                gap
            } else {
                return (at + equal == new.len()).then(|| gaps[..count].into());
            };
            let start = gap.start as usize;
            if start < from || count == MAX_GAPS {
                // A number has grown into what was behind it.
                return None;
            }
            at += start - from;
            at = if gap.is_string {
                // The place may lie behind an escape of which one half is shared.
                scan::string(new, at).ok()?.close
            } else {
                scan::number(new, at).ok()?
            };
            known.next_if(|known| known.node == gap.node);
            gaps[count] = gap;
            count += 1;
            from = gap.end as usize;
        }
    }

    /// The scalar in which another text may differ for the first time at a place.
    fn gap_at(&self, at: usize) -> Option<Gap> {
        let (node, kind, start, end) = self.values.scalar_at(at, self.text.as_bytes())?;
        let is_string = kind == Kind::String;
        let quote = usize::from(is_string);
        Some(Gap {
            node: position(node),
            start: position(start + quote),
            end: position(end - quote),
            is_string,
        })
    }
}
