//! Reading texts one after the other, by templates where they fit: `template` tells why that gives what a parser would.
//!
//! A few templates are kept, for the few shapes that a stream mixes (text, tool call, reasoning); none outlives its
//! reader, and none is larger than `MAX_TEXT`. A text is compared with the last one first. Where it fits none, it is
//! parsed from where it differs from that one, and becomes a template in its turn. Who reads one text after the other of
//! the same template has it at hand ([`Last`]), or what stands around its only gap ([`Around`]).

use std::borrow::Cow;
use std::mem;

use memchr::memchr2;

use super::alike::{Alike, unescaped};
use super::document::{Document, Invalid, Moved};
use super::scan::{self, Quoted, common_prefix, common_suffix};
use super::template::{Filled, Gap, MAX_GAPS, Template};
use super::value::Value;

/// Larger texts are parsed: they are rare, and would weigh on a connection that stays open for hours.
const MAX_TEXT: usize = 2 * 1024;

/// Text, a fragment of a tool call, reasoning.
pub const MAX_TEMPLATES: usize = 3;

/// Up to this size the memory for a text that is no template is kept for the next one.
const KEPT_CAPACITY: usize = 2 * 1024;

/// A text fits a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Where the template is kept: a number below [`MAX_TEMPLATES`].
    pub slot: usize,
    /// The number of the template: no other one of the reader has or had the same.
    pub template: u32,
    /// Changes with the template and with its set of gaps, for who keeps something made of both.
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

/// The template of a reader that was used last.
#[derive(Debug)]
pub struct Last<'r> {
    slot: usize,
    template: &'r Template,
    is_template: &'r mut bool,
    unfit: &'r mut bool,
    filled: &'r mut [Filled; MAX_GAPS],
}

impl Last<'_> {
    /// What the text with which some bytes begin has in common with the template, if it fits.
    #[inline]
    pub fn fit<'a>(&'a mut self, bytes: &'a [u8]) -> Option<Alike<'a>> {
        let len = self.template.fit(bytes, self.filled);
        *self.unfit = len.is_none();
        let len = len?;
        *self.is_template = true;
        let Template { number, serial, .. } = *self.template;
        let fit = Fit { slot: self.slot, template: number, serial, len };
        Some(Alike { fit, template: self.template, filled: self.filled, text: bytes })
    }
}

/// What stands around the only value of a template that changes, a string.
#[derive(Debug)]
pub struct Around<'r> {
    before: &'r [u8],
    behind: &'r [u8],
    /// Where the string ends in the template's text.
    end: usize,
    is_template: &'r mut bool,
}

impl Around<'_> {
    /// The string, decoded, of the text with which some bytes begin, if it fits the template; and the length of the
    /// text. The string is UTF-8, as has been checked.
    #[expect(clippy::inline_always, reason = "it is the loop of its callers, of which there are two")]
    #[inline(always)]
    pub fn string<'a>(&mut self, bytes: &'a [u8]) -> Option<(Cow<'a, [u8]>, usize)> {
        let rest = bytes.strip_prefix(self.before)?;
        let Quoted { close, escaped, ascii } = scan::string(rest, 0).ok()?;
        let (string, rest) = rest.split_at(close);
        if !rest.starts_with(self.behind) || !(ascii || std::str::from_utf8(string).is_ok()) {
            return None;
        }
        *self.is_template = true;
        let string = if escaped { unescaped(string)? } else { Cow::Borrowed(string) };
        Some((string, self.before.len() + close + self.behind.len()))
    }

    /// What the string has made of a text of this length, which begins at `start`.
    #[inline]
    pub fn stretch(&self, start: usize, len: usize) -> Stretch {
        Stretch { start, old_end: self.end, new_end: start + len - self.behind.len() }
    }
}

/// A text, as it stands among other bytes, beside its template, of which one string has become longer or shorter.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    start: usize,
    old_end: usize,
    new_end: usize,
}

impl Stretch {
    /// Where a place of the template's text, which is not in the string, is now.
    #[inline]
    #[must_use]
    pub fn moved(&self, place: usize) -> usize {
        if place < self.old_end { self.start + place } else { place - self.old_end + self.new_end }
    }
}

/// Reads texts, by templates where they fit.
#[derive(Debug, Default)]
pub struct Reader {
    templates: [Template; MAX_TEMPLATES],
    /// How many of them there are.
    known: usize,
    /// The template that was used last: it comes first.
    last: Option<usize>,
    /// The last text was of that template, or became it.
    is_template: bool,
    /// [`Last`] has told of the next text that it is not of that template.
    unfit: bool,
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
        if !mem::take(&mut self.unfit)
            && let Some(len) = self.templates.get(last)?.fit(bytes, &mut self.filled)
        {
            return Some(self.fitted(last, len));
        }
        self.fit_another(bytes)
    }

    /// The same with the templates that were not used last.
    #[inline(never)]
    fn fit_another(&mut self, bytes: &[u8]) -> Option<Fit> {
        let last = self.last;
        (0..self.known).filter(|&slot| Some(slot) != last).find_map(|slot| {
            let len = self.templates[slot].fit(bytes, &mut self.filled)?;
            Some(self.fitted(slot, len))
        })
    }

    /// The template that was used last, if there is one, to read one text after the other by it alone.
    pub fn last(&mut self) -> Option<Last<'_>> {
        let Self { templates, last, is_template, unfit, filled, .. } = self;
        let slot = (*last)?;
        Some(Last { slot, template: templates.get(slot)?, is_template, unfit, filled })
    }

    /// What stands around a string of the template that was used last, if that is this one, and nothing but the string
    /// changes. The string is given by its place among the values.
    pub fn around(&mut self, template: u32, node: usize) -> Option<Around<'_>> {
        let Self { templates, last, is_template, .. } = self;
        let Template { number, text, gaps, .. } = templates.get((*last)?)?;
        let [Gap { node: gap, start, end, is_string: true }] = **gaps else { return None };
        if *number != template || gap as usize != node {
            return None;
        }
        let (before, behind) = (text.get(..start as usize)?, text.get(end as usize..)?);
        let (before, behind, end) = (before.as_bytes(), behind.as_bytes(), end as usize);
        Some(Around { before, behind, end, is_template })
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
        self.read_unlike(text, memchr2(b'\n', b'\r', text.as_bytes()).is_none())
    }

    /// Reads a line that is known to [fit](Self::fit) no template as it is.
    ///
    /// # Errors
    ///
    /// As for [`Document::read`].
    pub fn read_line(&mut self, line: &str) -> Result<Read, Invalid> {
        self.read_unlike(line, true)
    }

    fn read_unlike(&mut self, text: &str, is_line: bool) -> Result<Read, Invalid> {
        let shared = self.shared_with_last(text);
        match self.fit_newly(text, shared) {
            Some(fit) => Ok(Read::Like(fit)),
            None => self.parse(text, is_line, shared).map(|()| Read::Parsed),
        }
    }

    /// The same for readers who parse by other means: None leaves it to them, and costs next to nothing. A text
    /// becomes a template only once another one looks like it.
    /// The text is known to fit no template as it is.
    pub fn fit_or_remember(&mut self, text: &str) -> Option<Fit> {
        let fit = self.fit_newly(text, self.shared_with_last(text));
        if fit.is_some() || text.len() > MAX_TEXT || !text.starts_with('{') {
            return fit;
        }
        let other = mem::take(&mut self.candidate);
        // Of an object with a key twice, readers who parse by other means may keep what is not in its values.
        if looks_like(text, &other)
            && self.document.read(&other).is_ok()
            && !(self.document.has_duplicates || self.document.has_escaped_keys)
        {
            self.learn(&other);
            // It is not used again before the next text is learned.
            self.document.shrink();
            let fit = self.fit_newly(text, self.shared_with_last(text));
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

    /// How many bytes at the beginning a text has in common with all texts of the template that was used last.
    fn shared_with_last(&self, text: &str) -> usize {
        self.last.map_or(0, |slot| self.templates[slot].shared(text.as_bytes()))
    }

    /// Parses a text that fits no template, and makes it one if it may be.
    fn parse(&mut self, text: &str, is_line: bool, shared: usize) -> Result<(), Invalid> {
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
                self.document.read_on(text, &like.values, shared)?;
                if !(like.values.has_duplicates || self.document.has_duplicates) {
                    self.shared = Some(Shared { template: like.number, len: shared });
                }
            }
            None => self.document.read(text)?,
        }
        if text.starts_with('{') && is_line && !self.document.has_escaped_keys {
            self.learn(text);
        }
        Ok(())
    }

    /// Makes a template of the text that was parsed.
    fn learn(&mut self, text: &str) {
        let slot = if self.known < MAX_TEMPLATES {
            self.known += 1;
            self.known - 1
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

    /// Finds a template that the text fits if it has more gaps. What it has in common with the last one at the
    /// beginning is known: `shared`.
    fn fit_newly(&mut self, text: &str, shared: usize) -> Option<Fit> {
        if text.len() > MAX_TEXT {
            return None;
        }
        // The last one first, then the newest.
        let last = self.last?;
        let new = text.as_bytes();
        let gaps_of_another = |slot| {
            let template: &Template = &self.templates[slot];
            Some((slot, template.gaps_for(new, template.shared(new))?))
        };
        let (slot, gaps) = match self.templates[last].gaps_for(new, shared) {
            Some(gaps) => (last, gaps),
            None => (0..self.known).rev().filter(|&slot| slot != last).find_map(gaps_of_another)?,
        };
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

/// Whether two texts differ in so little that it may be scalars alone.
fn looks_like(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let before = common_prefix(one, other);
    let behind = common_suffix(one, other);
    (before + behind) * 4 > one.len().max(other.len()) * 3
}
