//! The JSON texts of events for readers who decode them by other means, ahead of those means where they can be.

use crate::LimitExceeded;
use crate::json::{Alike, Fit, Read, Reader, Value};
use crate::sse::EventParser;
use crate::stream::Lone;
use crate::stream::data::{Data, DataParser};

/// A [`DataParser`] that knows texts like earlier ones.
#[derive(Debug)]
pub struct ValueParser {
    data: DataParser,
    /// None if the reader has no use for likeness.
    reader: Option<Box<Reader>>,
}

impl ValueParser {
    /// A parser of a new stream. `compares`: whether texts are to be compared with earlier ones at all.
    #[must_use]
    pub fn new(max_event_size: usize, sentinel: Option<&str>, compares: bool) -> Self {
        Self { data: DataParser::new(max_event_size, sentinel), reader: compares.then(Box::default) }
    }

    /// Takes the next event off `rest`, if its data is a JSON object like an earlier one, and the event is a block of
    /// one `data` line, whole in what was fed. Where this gives None, no more has been taken than by
    /// [`ChunkParser::next_lone`](crate::stream::ChunkParser::next_lone), and [`next_data`](Self::next_data) tells what
    /// comes.
    #[inline]
    pub fn next_like<'c>(&mut self, rest: &mut &'c [u8]) -> Option<Lone<'c>> {
        let reader = self.reader.as_mut()?;
        let start = self.data.peek_object(rest)?;
        let events = self.data.events();
        let fit = reader.fit(&rest[start..]).and_then(|fit| {
            let block_len = events.block_len(rest, start, fit.len)?;
            Some((fit, block_len))
        });
        let (fit, block_len) = if let Some(fit) = fit {
            fit
        } else {
            let len = EventParser::data_len(rest, start)?;
            let block_len = events.block_len(rest, start, len)?;
            let text = std::str::from_utf8(&rest[start..start + len]).ok()?;
            (reader.fit_or_remember(text)?, block_len)
        };
        let event = self.data.take_object(rest, start, fit.len, block_len);
        Some(Lone { read: Read::Like(fit), text: None, event })
    }

    /// What such a text has in common with an earlier one.
    #[inline]
    #[must_use]
    pub fn alike<'a>(&'a self, lone: &Lone<'a>) -> Option<Alike<'a>> {
        let Read::Like(fit) = lone.read else { return None };
        Some(self.reader.as_ref()?.alike(fit, lone.event.data))
    }

    /// The text of which a template was made, as a value. None if no texts are compared.
    pub fn template(&mut self, fit: Fit) -> Option<Value<'_>> {
        let reader = self.reader.as_mut()?;
        reader.unpack(fit);
        Some(reader.template(fit))
    }

    /// As [`DataParser::next_data`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn next_data<'p, 'c: 'p>(
        &'p mut self,
        rest: &mut &'c [u8],
    ) -> Result<Option<Data<'p>>, LimitExceeded> {
        self.data.next_data(rest)
    }

    /// As [`DataParser::close`].
    pub fn close(&mut self) -> Option<&[u8]> {
        self.data.close()
    }

    /// As [`DataParser::take_incomplete`].
    pub fn take_incomplete(&mut self) {
        self.data.take_incomplete();
    }

    /// Begins anew, with the same limit and sentinel.
    pub fn reset(&mut self) {
        self.data.reset();
        self.reader = self.reader.is_some().then(Box::default);
    }

    /// The parser below, for its counters and the sentinel.
    #[must_use]
    pub fn data(&self) -> &DataParser {
        &self.data
    }
}
