//! Passes a chat stream on, byte for byte, while it is observed; and changes what rules ask for, nothing else.
//!
//! [`Relay`] is a [`ChatReader`] beside an editor. Without rules there is no editor: what came is what is sent
//! on, at the reader's cost. With rules an event waits for its end; its block is cut out (`blocks`), its data
//! found (`lines`), and the rules tell which spans of it to replace (`rules`, `repair`); all other bytes are
//! those that came. An event like an earlier one is not read for that (`decisions`, `alike`). `ending` knows
//! what is written behind a stream that did not end well, [`Sent`] where a comment may be put in between.
//!
//! Nothing that comes makes a relay fail. Over a limit of the observation it goes on without it; an event over
//! `max_event_size` is sent on in pieces, as it comes, with no rule applied.

mod alike;
mod blocks;
mod decisions;
mod editor;
mod ending;
mod events;
mod lines;
mod repair;
mod rules;
mod sent;

pub use lines::ends_with_blank_line;
pub use rules::Rules;
pub use sent::Sent;

use editor::Editor;

use crate::LimitExceeded;
use crate::chat::{Accumulator, Limits, ProviderError};
use crate::json::{Alike, Stretch};
use crate::sse::Event;
use crate::stream::{ChatReader, Lone, StreamEnd};

/// What the caller makes of an event that it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It stays as it is.
    Keep,
    /// It is not sent on.
    Drop,
    /// These bytes are sent on in its place, with their line ends.
    Replace(Vec<u8>),
}

/// A reader that stops at a limit, and keeps which it was.
#[derive(Debug)]
struct Observer {
    reader: ChatReader,
}

impl Observer {
    fn feed(&mut self, chunk: &[u8]) {
        if !self.is_over() && !chunk.is_empty() {
            let _ = self.reader.feed(chunk);
        }
    }

    /// Takes the next event off `rest` and observes it, if it is a lone chunk.
    fn next_lone<'c>(&mut self, rest: &mut &'c [u8]) -> Option<Lone<'c>> {
        // Other bytes in front of the first event are to be fed, since it may be no event stream at all.
        let is_stream = self.reader.chunks().data().events().is_recognised() || rest.starts_with(b"data:");
        if self.is_over() || !is_stream {
            return None;
        }
        let before = *rest;
        self.reader.next_lone(rest).unwrap_or_else(|_| {
            *rest = before;
            None
        })
    }

    /// Takes events off `rest` and observes them, as [`ChatReader::take_alike`] does.
    fn take_alike(&mut self, rest: &mut &[u8], longest: usize, then: impl FnMut(&Alike<'_>, &[u8])) {
        let _ = self.reader.take_alike(rest, longest, then);
    }

    /// The same, as [`ChatReader::take_texts`] does.
    fn take_texts(&mut self, rest: &mut &[u8], longest: usize, then: impl FnMut(&Stretch, &[u8])) {
        self.reader.take_texts(rest, longest, then);
    }

    fn close(&mut self) -> Option<StreamEnd> {
        let _ = self.reader.close();
        self.reader.end()
    }

    fn is_over(&self) -> bool {
        self.reader.exceeded().is_some()
    }

    fn message(&self) -> &Accumulator {
        self.reader.message()
    }

    fn error(&self) -> Option<&ProviderError> {
        self.message().error.as_deref()
    }
}

/// Passes on a stream that is pushed into it.
#[derive(Debug)]
pub struct Relay {
    observer: Observer,
    /// None without rules.
    editor: Option<Box<Editor>>,
    /// To make the editor anew.
    make: Option<Box<Make>>,
    bytes: u64,
}

/// What an editor is made of.
#[derive(Clone, Debug)]
struct Make {
    rules: Rules,
    max_event_size: usize,
    merge_choices: bool,
}

impl Make {
    fn editor(&self) -> Box<Editor> {
        let Self { rules, max_event_size, merge_choices } = self;
        Box::new(Editor::new(rules.clone(), *max_event_size, *merge_choices))
    }
}

impl Relay {
    /// A relay of a new stream. All but the rules is for the observation, as for [`ChatReader::new`].
    #[must_use]
    pub fn new(rules: Rules, max_event_size: usize, limits: Limits, merge_choices: bool) -> Self {
        let reader = ChatReader::new(max_event_size, limits, merge_choices);
        let make = (!rules.is_empty()).then(|| Box::new(Make { rules, max_event_size, merge_choices }));
        let editor = make.as_deref().map(Make::editor);
        Self { observer: Observer { reader }, editor, make, bytes: 0 }
    }

    /// Takes the next bytes of the stream, and gives those to send on: None for the chunk as it is. With the
    /// rule `edit`, events are shown to `show` before they are sent.
    pub fn feed(&mut self, chunk: &[u8], show: &mut dyn FnMut(Event<'_>) -> Edit) -> Option<&[u8]> {
        self.bytes += chunk.len() as u64;
        if let Some(editor) = &mut self.editor {
            return editor.feed(chunk, &mut self.observer, show);
        }
        self.observer.feed(chunk);
        None
    }

    /// Marks the end of the stream, which decides the verdict, and gives what is left to send on.
    pub fn close(&mut self, show: &mut dyn FnMut(Event<'_>) -> Edit) -> &[u8] {
        if let Some(editor) = &mut self.editor {
            return editor.close(&mut self.observer, show);
        }
        self.observer.close();
        &[]
    }

    /// Begins anew, with the same rules and limits.
    pub fn reset(&mut self) {
        self.observer.reader.reset();
        self.editor = self.make.as_deref().map(Make::editor);
        self.bytes = 0;
    }

    /// What observes the stream.
    #[must_use]
    pub fn reader(&self) -> &ChatReader {
        &self.observer.reader
    }

    /// The same, to give out finished tool calls and the message.
    pub fn reader_mut(&mut self) -> &mut ChatReader {
        &mut self.observer.reader
    }

    /// The limit at which the observation stopped, if it did.
    #[must_use]
    pub fn exceeded(&self) -> Option<LimitExceeded> {
        self.observer.reader.exceeded()
    }

    /// How many bytes came.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes wait for the end of their event.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.editor.as_ref().map_or(0, |editor| editor.pending())
    }

    /// How many events were sent on otherwise than they came.
    #[must_use]
    pub fn edited(&self) -> u64 {
        self.editor.as_ref().map_or(0, |editor| editor.edited_count())
    }

    /// How many events and comments were not sent on.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.editor.as_ref().map_or(0, |editor| editor.dropped_count())
    }
}
