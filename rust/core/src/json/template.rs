//! Ahead of the parser: reading a text by what it has in common with one that was read before.
//!
//! The chunks of a stream are nearly equal: on recorded streams 87 % of all bytes stand in the chunk before.
//! Comparing costs a tenth of parsing. So a text that was parsed is kept with its values, and the next text is
//! first compared with it: where they differ, the old text must have a scalar, and the new text a scalar of
//! the same kind in its place; behind both, comparing goes on. At the end all places are moved by what the
//! scalars have grown. No list of field names is involved: whatever varies may vary.
//!
//! Why the result is what a full parse would give. Let the two texts be equal up to a place inside a scalar of
//! the old one, which begins at `s`. A JSON parser reads from left to right and keeps nothing but the
//! containers that are open, so at `s` it is in the same state in both. The scalar of the new text is read by
//! the parser itself, from `s` on: it is valid, and it ends where it would end in a full parse. It is of the
//! same kind as the old one, so the states behind both are equal again, and the argument goes on from there.
//! What lies between gaps is equal byte for byte, so it has the same values in the same order, only moved. A
//! difference anywhere else (in a key, in the structure, in a literal) ends the attempt, and nothing has
//! changed. Duplicate and escaped keys need no exception: values are places here, and which of them counts is
//! told later, for all texts alike.
//!
//! A few templates are kept, for the few shapes that a stream mixes (text, tool call, reasoning); none outlives
//! its parser, and none is larger than `MAX_TEXT`.

use jiter::Jiter;
use memchr::memchr;

use super::document::{Document, Gap, Invalid, position, scalar};
use super::value::Kind;

/// Larger texts are parsed: they are rare, and would weigh on a connection that stays open for hours.
const MAX_TEXT: usize = 2 * 1024;

/// Text, a fragment of a tool call, reasoning.
const MAX_TEMPLATES: usize = 3;

/// More differences than these cost more than a parse does.
const MAX_GAPS: usize = 8;

/// Up to this size the memory for a text that is no template is kept for the next one.
const KEPT_CAPACITY: usize = 2 * 1024;

/// A text with its values.
#[derive(Debug, Default)]
struct Template {
    text: String,
    document: Document,
}

/// Reads texts, by templates where they fit.
#[derive(Debug, Default)]
pub struct Reader {
    templates: Vec<Template>,
    /// The template that the last text was read by or into; None if it was parsed by itself.
    current: Option<usize>,
    /// For texts that are no templates.
    large: Document,
    gaps: Vec<Gap>,
    changed: Vec<u32>,
    /// The last text was like the one before it, but for the values in `changed`.
    repeats: bool,
}

impl Reader {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// As for [`Document::read`].
    pub fn read(&mut self, text: &str) -> Result<(), Invalid> {
        let last = self.current.take();
        self.repeats = false;
        if self.large.capacity() > KEPT_CAPACITY {
            self.large.shrink();
        }
        if text.len() > MAX_TEXT {
            return self.large.read(text);
        }
        // The last one first, then the newest.
        let order = last.into_iter().chain((0..self.templates.len()).rev().filter(|&at| Some(at) != last));
        for at in order {
            if self.templates[at].fit(text, &mut self.gaps) {
                self.changed.clear();
                self.changed.extend(self.gaps.iter().map(|gap| gap.node));
                self.repeats = last == Some(at);
                self.current = Some(at);
                return Ok(());
            }
        }
        self.learn(text, last)
    }

    /// The values of the text that was read last.
    #[must_use]
    pub fn document(&self) -> &Document {
        self.current.map_or(&self.large, |at| &self.templates[at].document)
    }

    /// If the last text differs from the one before it in values alone: which ones, in order.
    #[must_use]
    pub fn changed(&self) -> Option<&[u32]> {
        self.repeats.then_some(&self.changed)
    }

    fn learn(&mut self, text: &str, last: Option<usize>) -> Result<(), Invalid> {
        self.large.read(text)?;
        let at = if self.templates.len() < MAX_TEMPLATES {
            self.templates.push(Template::default());
            self.templates.len() - 1
        } else {
            // Whichever is not in use: a stream that changes its shape all the time has no use for any.
            last.map_or(0, |last| (last + 1) % MAX_TEMPLATES)
        };
        let template = &mut self.templates[at];
        template.text.clear();
        template.text.push_str(text);
        template.document.copy_from(&self.large);
        self.current = Some(at);
        Ok(())
    }
}

impl Template {
    /// Takes over a text, if it differs in scalars alone. Else nothing changes.
    fn fit(&mut self, text: &str, gaps: &mut Vec<Gap>) -> bool {
        gaps.clear();
        let (old, new) = (self.text.as_bytes(), text.as_bytes());
        let (mut from_old, mut from_new) = (0, 0);
        let mut escapes = false;
        loop {
            let equal = common_prefix(&old[from_old..], &new[from_new..]);
            let at = from_old + equal;
            if at == old.len() && from_new + equal == new.len() {
                break;
            }
            let Some((node, start, end)) = self.document.scalar_at(at, self.text.as_bytes()) else {
                return false;
            };
            if start < from_old {
                // The scalar before has grown into what was behind it.
                return false;
            }
            let start = from_new + (start - from_old);
            let Some(len) = scalar_len(&new[start..], self.document.kind_at(node, old)) else { return false };
            escapes |= memchr(b'\\', &new[start..start + len]).is_some();
            if gaps.len() == MAX_GAPS {
                return false;
            }
            gaps.push(Gap { node: position(node), old_end: position(end), new_end: position(start + len) });
            (from_old, from_new) = (end, start + len);
        }
        self.document.has_escapes |= escapes;
        self.document.shift(gaps);
        self.text.clear();
        self.text.push_str(text);
        true
    }
}

/// The length of the scalar at the beginning of a text, if there is a valid one of this kind.
fn scalar_len(text: &[u8], kind: Kind) -> Option<usize> {
    let mut json = Jiter::new(text);
    let peek = json.peek().ok()?;
    let same = match kind {
        Kind::String => text[0] == b'"',
        Kind::Number => peek.is_num() && (text[0] == b'-' || text[0].is_ascii_digit()),
        _ => false,
    };
    (same && scalar(&mut json, peek).is_ok()).then(|| json.current_index())
}

/// How many bytes two texts have in common at the beginning.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.as_chunks::<32>().0.iter().zip(other.as_chunks::<32>().0);
    let equal = blocks.take_while(|(one, other)| one == other).count() * 32;
    equal + one[equal..].iter().zip(&other[equal..]).take_while(|(one, other)| one == other).count()
}
