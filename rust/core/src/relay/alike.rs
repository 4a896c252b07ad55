//! The fast way for other blocks than lone chunks (see `decisions`): those like an earlier one but for some strings
//! and numbers.
//!
//! Most events of a stream are that. So a block that was looked at is kept as a template, with the places of
//! its scalars and of its splices, and the next block is first compared with it, as it stands in the chunk, for
//! a tenth of what parsing costs. Where they differ, the template must have a string or a number that begins
//! behind what was compared; the block must have a valid one in its place; behind both, comparing goes on.
//!
//! Why the result is what the slow way would give. Up to the scalar both are equal, so lines, payload and JSON
//! are in the same state. The scalar is read as the reader of JSON reads it, which takes no byte that
//! could end a line, so behind it the states are equal again. When the template is used up, the block has ended: its
//! payload is valid where the template's is, with the same keys and kinds of values in the same order, only
//! moved. Rules look at nothing else (see `rules`). Bytes that are no UTF-8 may stand inside a string: they
//! are U+FFFD to the slow way, and no ASCII byte is ever part of one.

use std::iter;

use super::lines::{Splice, Treatment, ends_with_blank_line};
use crate::json::scan::{self, common_prefix};
use crate::json::{Kind, MAX_GAPS, MAX_TEMPLATES, Value};

/// Larger blocks are rare, and would weigh on a connection that stays open for hours.
const MAX_BLOCK: usize = 2 * 1024;

/// A string or a number. A block is small, and so is this.
#[derive(Clone, Copy, Debug)]
struct Scalar {
    start: u16,
    end: u16,
    kind: Kind,
}

#[derive(Debug, Default)]
struct Template {
    block: Vec<u8>,
    /// Strings and numbers, in order.
    scalars: Vec<Scalar>,
    /// None if such an event is dropped.
    splices: Option<Vec<Splice>>,
    /// The scalars that differed in the last block, which are likely to differ again.
    varied: Vec<usize>,
}

/// Knows the last few shapes of blocks.
#[derive(Debug, Default)]
pub(super) struct Templates {
    known: Vec<Template>,
    /// The template that fitted last, or was made last.
    last: usize,
    /// Where the template's scalars end that the block has another text for, and how far what stands behind
    /// has moved.
    gaps: Vec<(usize, isize)>,
}

impl Templates {
    /// Finds out whether the chunk begins with a block like a known one: its length, and what to do with it.
    pub fn fit(&mut self, chunk: &[u8], limit: usize) -> Option<(usize, Treatment)> {
        if chunk.is_empty() {
            // It would be like any block so far, and what the next one is like forgotten.
            return None;
        }
        // The last one first, then the newest.
        let others = (0..self.known.len()).rev().filter(|&at| at != self.last);
        for at in iter::once(self.last).chain(others) {
            let Some(template) = self.known.get_mut(at) else { break };
            if let Some(len) =
                template.fit_again(chunk, &mut self.gaps).or_else(|| template.fit(chunk, &mut self.gaps))
            {
                self.last = at;
                let treatment = Treatment::of(template.splices.as_deref());
                return (len <= limit).then_some((len, treatment));
            }
        }
        None
    }

    /// Writes the block that fitted last with its splices.
    pub fn write(&self, block: &[u8], out: &mut Vec<u8>) {
        let splices = self.known.get(self.last).and_then(|template| template.splices.as_deref());
        let mut gaps = self.gaps.iter().peekable();
        let mut moved = 0;
        let mut place = |place: usize| {
            while let Some(&(_, by)) = gaps.next_if(|&&(end, _)| end <= place) {
                moved = by;
            }
            place.saturating_add_signed(moved)
        };
        let mut at = 0;
        for splice in splices.unwrap_or_default() {
            let (start, end) = (place(splice.start), place(splice.end));
            out.extend_from_slice(&block[at..start]);
            out.extend_from_slice(&splice.with);
            at = end;
        }
        out.extend_from_slice(&block[at..]);
    }

    /// Keeps a block for comparison. Its payload is all of it from `start` on up to the end of the line;
    /// `fixed` are values whose text is looked at.
    pub fn learn(
        &mut self,
        block: &[u8],
        start: usize,
        payload: Value<'_>,
        fixed: &[usize],
        splices: Option<Vec<Splice>>,
    ) {
        // An LF behind a CR would belong to it.
        let has_ended = ends_with_blank_line(block) && block.ends_with(b"\n");
        if block.len() > MAX_BLOCK || !has_ended {
            return;
        }
        let at = if self.known.len() < MAX_TEMPLATES {
            self.known.push(Template::default());
            self.known.len() - 1
        } else {
            (self.last + 1) % MAX_TEMPLATES
        };
        self.last = at;
        let template = &mut self.known[at];
        template.block.clear();
        template.block.extend_from_slice(block);
        let varies = |value: &Value<'_>| !fixed.contains(&value.start());
        let scalar = |value: Value<'_>| Scalar::new(start + value.start(), start + value.end(), value.kind());
        template.scalars.clear();
        template.scalars.reserve(payload.descendants().size_hint().0);
        template.scalars.extend(payload.descendants().filter(varies).filter_map(scalar));
        template.splices = splices;
        template.varied.clear();
    }
}

impl Template {
    /// The length of the block, if it differs in no other scalars than the last one: one comparison between
    /// two of them, where `fit` has to find out where they are.
    fn fit_again(&self, new: &[u8], gaps: &mut Vec<(usize, isize)>) -> Option<usize> {
        gaps.clear();
        let (mut in_old, mut in_new) = (0, 0);
        for &number in &self.varied {
            let scalar = self.scalars.get(number)?;
            let from = in_new + (scalar.start() - in_old);
            if self.block[in_old..scalar.start()] != *new.get(in_new..from)? {
                return None;
            }
            in_new = from + scalar.len_in(&new[from..])?;
            in_old = scalar.end();
            gaps.push((in_old, in_new.cast_signed() - in_old.cast_signed()));
        }
        let rest = &self.block[in_old..];
        new[in_new..].starts_with(rest).then_some(in_new + rest.len())
    }

    /// The length of the block, if it is like the template.
    fn fit(&mut self, new: &[u8], gaps: &mut Vec<(usize, isize)>) -> Option<usize> {
        gaps.clear();
        self.varied.clear();
        let old = &*self.block;
        let (mut in_old, mut in_new, mut next) = (0, 0, 0);
        loop {
            let equal = common_prefix(&old[in_old..], &new[in_new..]);
            let at = in_old + equal;
            if at == old.len() {
                return Some(in_new + equal);
            }
            let behind = self.scalars[next..].partition_point(|scalar| scalar.start() <= at);
            let number = next + behind.checked_sub(1)?;
            let scalar = self.scalars[number];
            if !scalar.kind.may_differ_at(at, scalar.start(), scalar.end()) || gaps.len() == MAX_GAPS {
                return None;
            }
            let from = in_new + (scalar.start() - in_old);
            in_new = from + scalar.len_in(&new[from..])?;
            in_old = scalar.end();
            gaps.push((in_old, in_new.cast_signed() - in_old.cast_signed()));
            self.varied.push(number);
            next = number + 1;
        }
    }
}

impl Scalar {
    fn new(start: usize, end: usize, kind: Kind) -> Option<Self> {
        let is_scalar = matches!(kind, Kind::String | Kind::Number);
        is_scalar.then_some(Self { start: start.try_into().ok()?, end: end.try_into().ok()?, kind })
    }

    fn start(self) -> usize {
        self.start.into()
    }

    fn end(self) -> usize {
        self.end.into()
    }

    /// The length of the scalar of the same kind at the beginning of a text, if there is one.
    fn len_in(self, text: &[u8]) -> Option<usize> {
        if self.kind == Kind::String {
            let content = usize::from(text.first() == Some(&b'"'));
            (content == 1).then(|| scan::string(text, content).ok()).flatten().map(|string| string.close + 1)
        } else {
            scan::number(text, 0).ok()
        }
    }
}
