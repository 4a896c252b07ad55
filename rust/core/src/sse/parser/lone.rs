//! The commonest block, one `data` line and a blank line, ahead of the parser: for a reader who knows where the data
//! ends without a search for the end of its line.
//!
//! Nothing of such a block is held, and none of it can set a type, an ID or a reconnection time. Where a block may be
//! anything else, or is not whole in what was fed, it is left to the parser, and nothing is taken but what is no part of
//! it: the LF of a line end whose CR was the last byte before.

use memchr::memchr2;

use super::{BOM, CR, EventParser, LF, Line};

/// The event of a block that is nothing but one `data` line: of the type "message", and under the last event ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataEvent<'c> {
    /// As for [`Event`], like the others.
    pub data: &'c [u8],
    /// Which event of the stream it is.
    pub number: u64,
    /// Where in the stream it begins.
    pub offset: u64,
}

impl EventParser {
    /// Where the data of an event begins whose block is nothing but one `data` line, if `rest` may begin with such
    /// a block: for a reader who knows where the data ends without looking for the end of its line. Nothing is taken
    /// but the LF of a line end whose CR came before.
    #[inline]
    pub fn peek_data(&mut self, rest: &mut &[u8]) -> Option<usize> {
        if !self.at_block {
            self.at_block = self.reaches_block(rest);
        }
        if self.at_block { Self::data_start(rest) } else { None }
    }

    /// The same behind a block that has been taken as [`take_data`](Self::take_data) does.
    #[inline]
    #[must_use]
    pub fn data_start(rest: &[u8]) -> Option<usize> {
        let value = rest.strip_prefix(b"data:")?;
        Some(5 + usize::from(value.first() == Some(&b' ')))
    }

    /// Whether a block begins here. The LF of a line end whose CR came before is taken.
    #[inline(never)]
    fn reaches_block(&mut self, rest: &mut &[u8]) -> bool {
        if self.dispatched {
            self.begin_block();
        }
        if self.bom == 0 && rest.first().is_some_and(|first| *first != BOM[0]) {
            self.bom = BOM.len();
        }
        let fresh = self.bom == BOM.len()
            && matches!(self.line, Line::Start)
            && self.block_offset.is_none()
            && self.stray.is_none()
            && self.exceeded.is_none();
        if fresh && self.skip_lf && !rest.is_empty() {
            self.skip_lf = false;
            if rest[0] == LF {
                self.pass(rest, 1);
            }
        }
        fresh && !self.skip_lf
    }

    /// The length of the data that begins as [`peek_data`](Self::peek_data) told, if its line has ended.
    #[inline]
    #[must_use]
    pub fn data_len(rest: &[u8], start: usize) -> Option<usize> {
        memchr2(LF, CR, rest.get(start..)?)
    }

    /// The length of the whole block whose data begins as [`peek_data`](Self::peek_data) told, and has a length
    /// that the reader knows, without a line end in it. None if something else than a blank line comes behind it,
    /// or it is over the limit: then it is for [`next_event`](Self::next_event).
    #[inline]
    #[must_use]
    pub fn block_len(&self, rest: &[u8], start: usize, len: usize) -> Option<usize> {
        let end = match rest.get(start + len..)? {
            [LF, LF, ..] => 2,
            [CR, LF, CR, LF, ..] => 4,
            _ => return None,
        };
        (len <= self.max_event_size).then_some(start + len + end)
    }

    /// Takes the block of which `block_len` has told the length.
    #[inline]
    pub fn take_data<'c>(
        &mut self,
        rest: &mut &'c [u8],
        start: usize,
        len: usize,
        block_len: usize,
    ) -> DataEvent<'c> {
        let (data, offset) = (&rest[start..start + len], self.bytes);
        self.pass_data(rest, block_len, 1);
        // It could have a type, an ID and a reconnection time only by other lines.
        DataEvent { data, number: self.events, offset }
    }

    /// The same for who has no use for the events: so many, by the length of all their blocks.
    #[inline]
    pub fn pass_data(&mut self, rest: &mut &[u8], len: usize, events: u64) {
        self.pass(rest, len);
        self.recognised |= events > 0;
        self.events += events;
    }
}
