//! What a text has in common with the template that it fits, and what it has of its own.

use std::borrow::Cow;

use super::document::position;
use super::reader::Fit;
use super::scan;
use super::template::{Filled, Gap, MAX_GAPS, Template};

/// What stands in a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// The text of a string, decoded: UTF-8, as has been checked.
    String(Cow<'a, [u8]>),
    /// A number, as it was sent.
    Number(&'a str),
}

/// A value of a template that changes.
#[derive(Clone, Copy, Debug)]
pub struct Changing {
    /// The number of its node.
    pub node: usize,
    /// Where it ends in the template's text; a string in front of its closing quote.
    end: u32,
}

/// A place of a template's text outside all gaps, kept as its distance from the gap in front of it, so that it can be
/// found in each text that fits.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    gap: Option<u8>,
    behind: u32,
}

impl Place {
    /// A place of a template with these gaps.
    #[must_use]
    pub fn new(at: usize, gaps: &[Changing]) -> Self {
        let at = position(at);
        let before = gaps.iter().zip(0..).take_while(|(gap, _)| gap.end <= at).last();
        before.map_or(Self { gap: None, behind: at }, |(gap, n)| Self { gap: Some(n), behind: at - gap.end })
    }
}

/// A text that fits a template, by what it has in the gaps.
#[derive(Clone, Copy, Debug)]
pub struct Alike<'a> {
    pub(super) fit: Fit,
    pub(super) template: &'a Template,
    pub(super) filled: &'a [Filled; MAX_GAPS],
    pub(super) text: &'a [u8],
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
        self.changing().map(|gap| gap.node)
    }

    /// The same, each with its place.
    #[must_use]
    pub fn changing(&self) -> impl ExactSizeIterator<Item = Changing> + use<'a> {
        self.template.gaps.iter().map(|gap| Changing { node: gap.node as usize, end: gap.end })
    }

    /// Whether a value changes and no other one does.
    #[inline]
    #[must_use]
    pub fn is_only_gap(&self, node: usize) -> bool {
        matches!(*self.template.gaps, [gap] if gap.node as usize == node)
    }

    /// The text of a string in a gap, decoded: UTF-8, as has been checked. The gap is given by its place among the
    /// gaps.
    #[inline]
    #[must_use]
    pub fn string(&self, gap: usize) -> Option<Cow<'a, [u8]>> {
        let raw = self.raw(gap);
        if self.filled.get(gap)?.escaped { unescaped(raw) } else { Some(Cow::Borrowed(raw)) }
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
    pub fn fixed_string(&self, node: usize) -> Option<Cow<'a, [u8]>> {
        let text = self.template.values.string(node, &self.template.text)?;
        if text.contains('\\') { unescaped(text.as_bytes()) } else { Some(Cow::Borrowed(text.as_bytes())) }
    }

    /// What stands in a gap: the decoded text of a string, or a number as it was sent.
    #[inline]
    #[must_use]
    pub fn scalar(&self, gap: usize) -> Option<Scalar<'a>> {
        if self.template.gaps.get(gap)?.is_string {
            return self.string(gap).map(Scalar::String);
        }
        std::str::from_utf8(self.raw(gap)).ok().map(Scalar::Number)
    }

    /// A value as it stands in this text, whether it changes or not.
    #[must_use]
    pub fn value(&self, node: usize) -> Cow<'a, str> {
        let Some((start, end)) = self.template.values.span(node) else { return Cow::Borrowed("") };
        let bytes = &self.text[self.moved(start)..self.moved(end)];
        // It is UTF-8, which is found out at a fraction of the cost of looking for what is not.
        std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
    }

    /// Where a place of the template is in this text.
    #[inline]
    #[must_use]
    pub fn at(&self, place: Place) -> usize {
        let gap = place.gap.map_or(0, |gap| self.filled[usize::from(gap)].end);
        (gap + place.behind) as usize
    }

    /// Where a place of the template's text, which is in no gap, is in this text.
    #[must_use]
    pub fn moved(&self, place: usize) -> usize {
        let gaps = self.template.gaps.iter().zip(self.filled);
        let before = gaps.take_while(|(gap, _)| gap.end as usize <= place).last();
        before.map_or(place, |(gap, filled)| place - gap.end as usize + filled.end as usize)
    }
}

#[cold]
pub(super) fn unescaped(text: &[u8]) -> Option<Cow<'static, [u8]>> {
    Some(scan::unescape(std::str::from_utf8(text).ok()?).into_bytes().into())
}
