//! A chat stream from its first byte to the verdict on its end.
//!
//! A stream that was cut must never look like one that ended, so the end is told by what came and not by the
//! fact that nothing more does. See [`StreamEnd`] for the order in which the verdicts are tried.

use std::sync::Arc;

use crate::LimitExceeded;
use crate::chat::{Accumulator, Limits, OverLimit, ProviderError};
use crate::json::{Alike, Document, Fit, Stretch, Value};
use crate::sse::DataEvent;
use crate::stream::message::Message;
use crate::stream::{ChunkParser, Lone, Step};

/// How a stream ended: the first of these that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The provider reported an error, in the stream or as a JSON document in its place.
    Error,
    /// The sentinel came.
    Done,
    /// Bytes came, but neither a field nor a comment: an error page.
    NotSse,
    /// The last event is unfinished and no whole JSON object; or the stream stopped between events, with a
    /// choice that has no finish reason.
    Truncated,
    /// Nothing was sent in any event.
    Empty,
    /// There is no sentinel, but every choice has its finish reason.
    Finished,
}

impl StreamEnd {
    /// Whether the message is whole.
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Done | Self::Finished)
    }
}

/// Adds up the chunks of a stream that is pushed into it.
#[derive(Debug)]
pub struct ChatReader {
    chunks: ChunkParser,
    message: Message,
    /// How many chunks came through [`add`](Self::add): to the verdict they are payloads too.
    added: u64,
    end: Option<StreamEnd>,
    exceeded: Option<Box<LimitExceeded>>,
}

impl ChatReader {
    /// A reader of a new stream. `merge_choices` as for [`Accumulator::new`].
    #[must_use]
    pub fn new(max_event_size: usize, limits: Limits, merge_choices: bool) -> Self {
        Self {
            chunks: ChunkParser::new(max_event_size),
            message: Message::Own(Accumulator::new(limits, merge_choices)),
            added: 0,
            end: None,
            exceeded: None,
        }
    }

    /// Adds up the next bytes of the stream.
    ///
    /// # Errors
    ///
    /// An event or the message went over a limit. Every further call says so again.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), LimitExceeded> {
        self.begin(chunk);
        let mut rest = chunk;
        loop {
            let run = self.take_texts(&mut rest, usize::MAX, |_, _| ())
                || self.take_alike(&mut rest, usize::MAX, |_, _| ())?;
            if run && rest.is_empty() {
                return Ok(());
            }
            let lone = self.take_lone(&mut rest);
            if let Some(lone) = &lone {
                self.add_lone(lone)?;
            }
            if lone.is_some() && rest.is_empty() || lone.is_none() && self.next_step(&mut rest)?.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes events off `rest` and adds them up, as long as a text grows by them and nothing else happens: the commonest
    /// case of [`take_alike`](Self::take_alike). `then` is given what the text makes of each chunk, and its block.
    /// Tells whether there was any.
    #[inline]
    pub fn take_texts(
        &mut self,
        rest: &mut &[u8],
        longest: usize,
        mut then: impl FnMut(&Stretch, &[u8]),
    ) -> bool {
        let Self { chunks, message, exceeded, .. } = self;
        if exceeded.is_some() || !message.has_plan() {
            return false;
        }
        let Some(mut growing) = message.own().growing() else { return false };
        chunks.take_strings(rest, growing.by, |text, stretch, block| {
            let taken = block.len() <= longest && growing.push(text);
            if taken {
                then(stretch, block);
            }
            taken
        })
    }

    /// Takes events off `rest` and adds them up, as long as there is a plan for them and their blocks are no longer
    /// than `longest`: the commonest case of [`next_lone`](Self::next_lone). `then` is given each of them, by what it
    /// has in common with an earlier one, and its block. Tells whether there was any.
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed). The event that went over the limit stays on `rest`.
    #[inline]
    pub fn take_alike(
        &mut self,
        rest: &mut &[u8],
        longest: usize,
        mut then: impl FnMut(&Alike<'_>, &[u8]),
    ) -> Result<bool, LimitExceeded> {
        let Self { chunks, message, exceeded, .. } = self;
        if exceeded.is_some() || !message.has_plan() {
            return Ok(false);
        }
        let accumulator = message.own();
        let added = chunks.take_alike(rest, |alike, block| {
            if block.len() > longest {
                return None;
            }
            let added = accumulator.add_alike(alike)?;
            if added.is_ok() {
                then(alike, block);
            }
            Some(added)
        });
        added.map_err(|(over, offset)| remember(exceeded, over, chunks.data().events().events(), offset))
    }

    /// To be called with each chunk of the stream before it is taken apart by [`next_step`](Self::next_step).
    pub fn begin(&mut self, chunk: &[u8]) {
        self.chunks.begin(chunk);
    }

    /// Takes the next event off `rest`, if it is a lone chunk, and adds it up. Where this gives None, no more has been
    /// taken than by [`ChunkParser::next_lone`], and [`next_step`](Self::next_step) tells what comes.
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed).
    #[inline]
    pub fn next_lone<'c>(&mut self, rest: &mut &'c [u8]) -> Result<Option<Lone<'c>>, LimitExceeded> {
        let Some(lone) = self.take_lone(rest) else { return Ok(None) };
        self.add_lone(&lone)?;
        Ok(Some(lone))
    }

    /// The first half of [`next_lone`](Self::next_lone): takes the event.
    #[inline]
    pub fn take_lone<'c>(&mut self, rest: &mut &'c [u8]) -> Option<Lone<'c>> {
        if self.exceeded.is_some() { None } else { self.chunks.next_lone(rest) }
    }

    /// The second half, right behind the first: adds up what was taken.
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed).
    #[inline]
    pub fn add_lone(&mut self, lone: &Lone<'_>) -> Result<(), LimitExceeded> {
        let accumulator = self.message.own();
        let planned = self.chunks.alike(lone).and_then(|alike| accumulator.add_alike(&alike));
        let added = match planned {
            Some(added) => added,
            None => add_in_full(accumulator, &mut self.chunks, lone),
        };
        let DataEvent { number, offset, .. } = lone.event;
        added.map_err(|over| remember(&mut self.exceeded, over, number, offset))
    }

    /// Takes bytes off `rest` until there is a step to tell, and adds it up. None when `rest` is used up.
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed).
    pub fn next_step<'p, 'c: 'p>(
        &'p mut self,
        rest: &mut &'c [u8],
    ) -> Result<Option<Step<'p>>, LimitExceeded> {
        if let Some(exceeded) = self.exceeded.as_deref() {
            return Err(*exceeded);
        }
        let step =
            self.chunks.next_step(rest).inspect_err(|&exceeded| self.exceeded = Some(exceeded.into()))?;
        if let Some(Step::Malformed(malformed)) = step
            && malformed.event == "error"
        {
            let text = String::from_utf8_lossy(malformed.data);
            self.message.own().error.get_or_insert_with(|| ProviderError::of_text(&text).into());
        }
        if let Some(Step::Stray(chunk)) = step
            && let Some(error) = ProviderError::find("", chunk.value)
        {
            self.message.own().error.get_or_insert(error.into());
        }
        if let Some(Step::Chunk(chunk)) = step {
            let added = self.message.own().add(chunk.event, chunk.value);
            added.map_err(|over| remember(&mut self.exceeded, over, chunk.number, chunk.offset))?;
        }
        Ok(step)
    }

    /// Adds a chunk that came by another way, as JSON text. Any other text is passed over.
    ///
    /// # Errors
    ///
    /// The message went over a limit.
    pub fn add(&mut self, text: &str) -> Result<(), LimitExceeded> {
        if let Some(exceeded) = self.exceeded.as_deref() {
            return Err(*exceeded);
        }
        let mut document = Document::default();
        if document.read(text).is_err() {
            return Ok(());
        }
        self.added += 1;
        let added = self.message.own().add("", document.root(text));
        added.map_err(|over| remember(&mut self.exceeded, over, 0, 0))
    }

    /// Marks the end of the stream: takes an unterminated last event if it is whole, and decides the verdict.
    /// Gives the text of the chunk that this completed.
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed).
    pub fn close(&mut self) -> Result<Option<String>, LimitExceeded> {
        if let Some(exceeded) = self.exceeded.as_deref() {
            return Err(*exceeded);
        }
        if self.end.is_some() {
            return Ok(None);
        }
        let mut last = None;
        if let Some(chunk) = self.chunks.close() {
            last = Some(chunk.text.to_owned());
            self.message
                .own()
                .add(chunk.event, chunk.value)
                .map_err(|over| remember(&mut self.exceeded, over, chunk.number, chunk.offset))?;
        }
        if self.message.error.is_none()
            && let Some(line) = self.chunks.close_stray()
        {
            self.message.own().error = ProviderError::find(line.event, line.value).map(Box::new);
        }
        if self.message.error.is_none()
            && let Some(body) = self.chunks.body()
        {
            self.message.own().error = ProviderError::find(body.event, body.value).map(Box::new);
        }
        self.end = Some(self.verdict());
        Ok(last)
    }

    /// How the stream ended; None until the sentinel has come or [`close`](Self::close) was called.
    #[must_use]
    pub fn end(&self) -> Option<StreamEnd> {
        self.end.or_else(|| self.chunks.data().is_done().then(|| self.verdict()))
    }

    /// The limit that was gone over, if one was: no more is added up.
    #[inline]
    #[must_use]
    pub fn exceeded(&self) -> Option<LimitExceeded> {
        self.exceeded.as_deref().copied()
    }

    /// The message as far as it has come.
    #[must_use]
    pub fn message(&self) -> &Accumulator {
        &self.message
    }

    /// The same, to be kept: it stays as it is when more comes.
    #[must_use]
    pub fn shared_message(&mut self) -> Arc<Accumulator> {
        self.message.share()
    }

    /// The parser below, for its counters.
    #[must_use]
    pub fn chunks(&self) -> &ChunkParser {
        &self.chunks
    }

    /// As [`ChunkParser::expand`].
    pub fn expand(&mut self, lone: &Lone<'_>) {
        self.chunks.expand(lone);
    }

    /// As [`ChunkParser::template`].
    pub fn template(&mut self, fit: Fit) -> Option<Value<'_>> {
        self.chunks.template(fit)
    }

    /// The tool calls that are finished and have not been given out by this method before, each as the index
    /// of its choice and its place among the choice's calls. With `final_only`, none before the end.
    pub fn finished_tool_calls(&mut self, final_only: bool) -> Vec<(u64, usize)> {
        let ended = self.end().is_some();
        let mut finished = Vec::new();
        if ended || !final_only {
            let mut document = Document::default();
            for (index, choice) in self.message.own().choices_mut() {
                let reason = choice.finish_reason.is_some();
                let places = choice.tool_calls.finished(ended, reason, &mut document);
                finished.extend(places.into_iter().map(|place| (index, place)));
            }
        }
        finished
    }

    /// Begins anew, with the same limits.
    pub fn reset(&mut self) {
        self.chunks.reset();
        self.message = Message::Own(self.message.renewed());
        self.added = 0;
        self.end = None;
        self.exceeded = None;
    }

    fn verdict(&self) -> StreamEnd {
        let events = self.chunks.data().events();
        if self.message.error.is_some() {
            StreamEnd::Error
        } else if self.chunks.data().is_done() {
            StreamEnd::Done
        } else if events.bytes() > 0 && !events.is_recognised() {
            StreamEnd::NotSse
        } else if events.pending_bytes() > 0 || events.incomplete_data().is_some() {
            StreamEnd::Truncated
        } else if self.chunks.payloads() + self.added == 0 {
            StreamEnd::Empty
        } else if self.message.is_finished() {
            StreamEnd::Finished
        } else {
            StreamEnd::Truncated
        }
    }
}

fn add_in_full(to: &mut Accumulator, chunks: &mut ChunkParser, lone: &Lone<'_>) -> Result<(), OverLimit> {
    chunks.expand(lone);
    let Some(chunk) = chunks.value(lone) else { return Ok(()) };
    to.add_sharing(chunk, chunks.shared(lone))?;
    if let Some(template) = chunks.template_number() {
        to.plan(chunk, template, chunks.alike(lone).as_ref());
    }
    Ok(())
}

fn remember(
    held: &mut Option<Box<LimitExceeded>>,
    over: OverLimit,
    number: u64,
    offset: u64,
) -> LimitExceeded {
    let exceeded = LimitExceeded { limit: over.limit, value: over.value, event_number: number, offset };
    *held = Some(exceeded.into());
    exceeded
}
