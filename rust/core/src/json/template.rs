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
//! them counts is told later, for all texts alike. A text with an escape in a key is no template, nor is
//! one with a line end: among the bytes of events, that would be the end of a line. The bytes of a text need not be known to be
//! UTF-8: those of a template are, gaps begin and end with ASCII, and what is in a gap is checked.
//!
//! A few templates are kept, for the few shapes that a stream mixes (text, tool call, reasoning); none outlives
//! its reader, and none is larger than `MAX_TEXT`.

use std::borrow::Cow;

use memchr::memchr2;

use super::document::{Document, Invalid, Moved, Packed, position};
use super::scan::{self, common_prefix, common_suffix};
use super::value::{Kind, Value};

/// Larger texts are parsed: they are rare, and would weigh on a connection that stays open for hours.
const MAX_TEXT: usize = 2 * 1024;

/// Text, a fragment of a tool call, reasoning.
pub const MAX_TEMPLATES: usize = 3;

/// More differences than these cost more than a parse does.
const MAX_GAPS: usize = 8;

/// Up to this size the memory for a text that is no template is kept for the next one.
const KEPT_CAPACITY: usize = 2 * 1024;

/// A scalar of a template that changes from text to text.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    node: u32,
    /// For a string, behind its opening quote.
    start: u32,
    /// For a string, in front of its closing quote.
    end: u32,
    is_string: bool,
}

/// What a text has in a gap.
#[derive(Clone, Copy, Debug, Default)]
struct Filled {
    start: u32,
    end: u32,
    escaped: bool,
}

#[derive(Debug, Default)]
struct Template {
    text: Box<str>,
    values: Packed,
    gaps: Box<[Gap]>,
    /// Another one for each text that became a template.
    number: u32,
    serial: u32,
}

/// A text fits a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Where the template is kept: a number below [`MAX_TEMPLATES`].
    pub slot: usize,
    /// The number of the template: no other one of the reader has or had the same.
    pub template: u32,
    /// Another one for each set of gaps that any template has had.
    pub serial: u32,
    /// The length of the text.
    pub len: usize,
}

/// How far a text is the same as every text of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The number of the template.
    pub template: u32,
    /// So many bytes, from the beginning.
    pub len: usize,
}

/// How a text was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// It is like an earlier one: [`Reader::alike`] tells how, and [`Reader::expand`] makes it a document.
    Like(Fit),
    /// It was parsed: [`Reader::document`] has its values.
    Parsed,
}

/// Reads texts, by templates where they fit.
#[derive(Debug, Default)]
pub struct Reader {
    templates: Vec<Template>,
    /// The template that was used last: it comes first.
    last: Option<usize>,
    /// The last text was of that template, or became it.
    is_template: bool,
    /// What the last text that fitted has in the gaps of its template.
    filled: [Filled; MAX_GAPS],
    serial: u32,
    /// Texts that are no templates, and those that fit one, once they are asked for.
    document: Document,
    /// How far the text that was parsed last is the same as those of a template.
    shared: Option<Shared>,
    /// A text that fitted no template, until another one is like it.
    candidate: String,
}

impl Reader {
    /// Finds the template that the text fits with which some bytes begin. What follows the text is for the
    /// caller to judge; the text is a whole JSON object.
    #[inline]
    pub fn fit(&mut self, bytes: &[u8]) -> Option<Fit> {
        let last = self.last?;
        match self.templates.get(last)?.fit(bytes, &mut self.filled) {
            Some(len) => Some(self.fitted(last, len)),
            None => self.fit_another(bytes),
        }
    }

    /// The same with the templates that were not used last.
    #[inline(never)]
    fn fit_another(&mut self, bytes: &[u8]) -> Option<Fit> {
        let last = self.last;
        (0..self.templates.len()).filter(|&slot| Some(slot) != last).find_map(|slot| {
            let len = self.templates[slot].fit(bytes, &mut self.filled)?;
            Some(self.fitted(slot, len))
        })
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// As for [`Document::read`].
    pub fn read(&mut self, text: &str) -> Result<Read, Invalid> {
        if text.len() <= MAX_TEXT
            && let Some(fit) = self.fit(text.as_bytes()).filter(|fit| fit.len == text.len())
        {
            return Ok(Read::Like(fit));
        }
        self.read_unlike(text)
    }

    /// Reads a text that is known to [fit](Self::fit) no template as it is.
    ///
    /// # Errors
    ///
    /// As for [`Document::read`].
    pub fn read_unlike(&mut self, text: &str) -> Result<Read, Invalid> {
        match self.fit_newly(text) {
            Some(fit) => Ok(Read::Like(fit)),
            None => self.parse(text).map(|()| Read::Parsed),
        }
    }

    /// The same for readers who parse by other means: None leaves it to them, and costs next to nothing. A text
    /// becomes a template only once another one looks like it.
    /// The text is known to fit no template as it is.
    pub fn fit_or_remember(&mut self, text: &str) -> Option<Fit> {
        let fit = self.fit_newly(text);
        if fit.is_some() || text.len() > MAX_TEXT || !text.starts_with('{') {
            return fit;
        }
        let other = std::mem::take(&mut self.candidate);
        // Of an object with a key twice, readers who parse by other means may keep what is not in its values.
        if looks_like(text, &other)
            && self.document.read(&other).is_ok()
            && !(self.document.has_duplicates || self.document.has_escaped_keys)
        {
            self.learn(&other);
            // It is not used again before the next text is learned.
            self.document.shrink();
            let fit = self.fit_newly(text);
            if fit.is_some() {
                return fit;
            }
        }
        self.is_template = false;
        self.candidate = other;
        self.candidate.clear();
        self.candidate.push_str(text);
        None
    }

    /// What the text that fits has in common with its template.
    #[must_use]
    pub fn alike<'a>(&'a self, fit: Fit, text: &'a [u8]) -> Alike<'a> {
        Alike { fit, template: &self.templates[fit.slot], filled: &self.filled, text }
    }

    /// The number of the template that the text that was read last is of, or became.
    #[must_use]
    pub fn template_number(&self) -> Option<u32> {
        let slot = self.last.filter(|_| self.is_template)?;
        Some(self.templates[slot].number)
    }

    /// How far the text that was parsed last is the same as every text of the template before it. None where there is
    /// no template, or a key stands twice.
    #[must_use]
    pub fn shared(&self) -> Option<Shared> {
        self.shared
    }

    /// Makes a document of the text that fits.
    pub fn expand(&mut self, fit: Fit) {
        self.unpack(fit);
        let filled = self.templates[fit.slot].gaps.iter().zip(&self.filled);
        self.document.has_escapes |= filled.clone().any(|(_, filled)| filled.escaped);
        self.document.shift(&filled.map(|(gap, filled)| {
            let quote = u32::from(gap.is_string);
            Moved { node: gap.node, old_end: gap.end + quote, new_end: filled.end + quote }
        }));
    }

    /// Makes a document of the template's own text, for [`template`](Self::template).
    pub fn unpack(&mut self, fit: Fit) {
        self.document.unpack(&self.templates[fit.slot].values);
    }

    /// The template's own text as a value, once it is unpacked. What stands outside the gaps is the same in each
    /// text that fits.
    #[must_use]
    pub fn template(&self, fit: Fit) -> Value<'_> {
        self.document.root(&self.templates[fit.slot].text)
    }

    /// The values of the text that was parsed, expanded or unpacked last.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Parses a text that fits no template, and makes it one if it may be.
    fn parse(&mut self, text: &str) -> Result<(), Invalid> {
        self.is_template = false;
        self.shared = None;
        if self.document.capacity() > KEPT_CAPACITY {
            self.document.shrink();
        }
        if text.len() > MAX_TEXT {
            return self.document.read(text);
        }
        match self.last.map(|slot| &self.templates[slot]) {
            Some(like) => {
                let shared = common_prefix(like.text.as_bytes(), text.as_bytes());
                self.document.unpack(&like.values);
                let had_duplicates = self.document.has_duplicates;
                self.document.read_on(text, shared)?;
                if !(had_duplicates || self.document.has_duplicates) {
                    // What is in a gap may have been another text since.
                    let len = like.gaps.first().map_or(shared, |gap| shared.min(gap.start as usize));
                    self.shared = Some(Shared { template: like.number, len });
                }
            }
            None => self.document.read(text)?,
        }
        let is_line = memchr2(b'\n', b'\r', text.as_bytes()).is_none();
        if text.starts_with('{') && is_line && !self.document.has_escaped_keys {
            self.learn(text);
        }
        Ok(())
    }

    /// Makes a template of the text that was parsed.
    fn learn(&mut self, text: &str) {
        let slot = if self.templates.len() < MAX_TEMPLATES {
            self.templates.push(Template::default());
            self.templates.len() - 1
        } else {
            // Whichever is not in use: a stream that changes its shape all the time has no use for any.
            self.last.map_or(0, |last| (last + 1) % MAX_TEMPLATES)
        };
        self.serial += 1;
        self.templates[slot] = Template {
            text: text.into(),
            values: self.document.pack(),
            gaps: Box::default(),
            number: self.serial,
            serial: self.serial,
        };
        self.last = Some(slot);
        self.is_template = true;
    }

    /// Finds a template that the text fits if it has more gaps.
    fn fit_newly(&mut self, text: &str) -> Option<Fit> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let last = self.last;
        // The last one first, then the newest.
        let order =
            || last.into_iter().chain((0..self.templates.len()).rev().filter(move |&it| Some(it) != last));
        let (slot, gaps) =
            order().find_map(|slot| Some((slot, self.templates[slot].gaps_for(text.as_bytes())?)))?;
        let template = &mut self.templates[slot];
        template.gaps = gaps;
        self.serial += 1;
        template.serial = self.serial;
        // It fits by the same rules as any other text, now that the gaps are known.
        template.fit(text.as_bytes(), &mut self.filled).filter(|&len| len == text.len())?;
        Some(self.fitted(slot, text.len()))
    }

    #[inline]
    fn fitted(&mut self, slot: usize, len: usize) -> Fit {
        self.last = Some(slot);
        self.is_template = true;
        let Template { number, serial, .. } = self.templates[slot];
        Fit { slot, template: number, serial, len }
    }
}

impl Template {
    /// The length of the text with which some bytes begin, if it fits.
    #[inline]
    fn fit(&self, bytes: &[u8], filled: &mut [Filled; MAX_GAPS]) -> Option<usize> {
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
                (at, escaped) = scan::string(bytes, at).ok()?;
                if !scan::is_ascii(bytes, start, at) && std::str::from_utf8(&bytes[start..at]).is_err() {
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

    /// The gaps that it takes for a text to fit, if it differs in scalars alone.
    fn gaps_for(&self, new: &[u8]) -> Option<Box<[Gap]>> {
        let old = self.text.as_bytes();
        let mut known = self.gaps.iter().peekable();
        let (mut gaps, mut count) = ([Gap::default(); MAX_GAPS], 0);
        let (mut from, mut at) = (0, 0);
        loop {
            let end = known.peek().map_or(old.len(), |gap| gap.start as usize);
            let equal = common_prefix(&old[from..end], new.get(at..)?);
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
                scan::string(new, at).ok()?.0
            } else {
                scan::number(new, at).ok()?
            };
            known.next_if(|known| known.node == gap.node);
            gaps[count] = gap;
            count += 1;
            from = gap.end as usize;
        }
    }

    /// The scalar in which, or right behind which, a place of the text is. A string has the place between its
    /// quotes or at the closing one; a number also at the byte behind it, where it might go on.
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

/// What stands in a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// The text of a string, decoded.
    String(Cow<'a, str>),
    /// A number, as it was sent.
    Number(&'a str),
}

/// A text that fits a template, by what it has in the gaps.
#[derive(Clone, Copy, Debug)]
pub struct Alike<'a> {
    fit: Fit,
    template: &'a Template,
    filled: &'a [Filled; MAX_GAPS],
    text: &'a [u8],
}

impl<'a> Alike<'a> {
    /// The fit.
    #[must_use]
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        &self.text[..self.fit.len]
    }

    /// The values that change, as numbers of nodes, in order.
    #[must_use]
    pub fn gaps(&self) -> impl ExactSizeIterator<Item = usize> + use<'a> {
        self.template.gaps.iter().map(|gap| gap.node as usize)
    }

    /// Whether a value changes and no other one does.
    #[inline]
    #[must_use]
    pub fn is_only_gap(&self, node: usize) -> bool {
        matches!(*self.template.gaps, [gap] if gap.node as usize == node)
    }

    /// The text of a string in a gap, decoded. The gap is given by its place among the gaps.
    #[inline]
    #[must_use]
    pub fn string(&self, gap: usize) -> Option<Cow<'a, str>> {
        let Filled { start, end, escaped } = *self.filled.get(gap)?;
        let text = std::str::from_utf8(&self.text[start as usize..end as usize]).ok()?;
        Some(if escaped { Cow::Owned(scan::unescape(text)) } else { Cow::Borrowed(text) })
    }

    /// The bytes in a gap; of a string, between its quotes.
    #[inline]
    #[must_use]
    pub fn raw(&self, gap: usize) -> &'a [u8] {
        let Filled { start, end, .. } = self.filled[gap];
        &self.text[start as usize..end as usize]
    }

    /// The bytes that the template has in a gap.
    #[must_use]
    pub fn template_raw(&self, gap: usize) -> &'a [u8] {
        let Gap { start, end, .. } = self.template.gaps[gap];
        &self.template.text.as_bytes()[start as usize..end as usize]
    }

    /// The text of a string in no gap, decoded. The string is given by its place among the values.
    #[must_use]
    pub fn fixed_string(&self, node: usize) -> Option<Cow<'a, str>> {
        let text = self.template.values.string(node, &self.template.text)?;
        Some(if text.contains('\\') { Cow::Owned(scan::unescape(text)) } else { Cow::Borrowed(text) })
    }

    /// What stands in a gap: the decoded text of a string, or a number as it was sent.
    #[inline]
    #[must_use]
    pub fn scalar(&self, gap: usize) -> Option<Scalar<'a>> {
        if self.template.gaps.get(gap)?.is_string {
            return self.string(gap).map(Scalar::String);
        }
        let Filled { start, end, .. } = self.filled[gap];
        std::str::from_utf8(&self.text[start as usize..end as usize]).ok().map(Scalar::Number)
    }

    /// Where a place of the template's text, which is in no gap, is in this text.
    #[must_use]
    pub fn moved(&self, place: usize) -> usize {
        let gaps = self.template.gaps.iter().zip(self.filled);
        let before = gaps.take_while(|(gap, _)| gap.end as usize <= place).last();
        before.map_or(place, |(gap, filled)| place - gap.end as usize + filled.end as usize)
    }
}

/// Whether two texts differ in so little that it may be scalars alone.
fn looks_like(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let before = common_prefix(one, other);
    let behind = common_suffix(one, other);
    (before + behind) * 4 > one.len().max(other.len()) * 3
}
