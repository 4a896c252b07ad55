//! The editor: takes a stream that is pushed into it block by block, and writes what is to be sent on.
//!
//! Plan. Blocks that stay as they are, are not copied one by one: they are a run of the chunk, which is copied
//! when something else has to be written behind it, or never, where the whole chunk stays. A block like an
//! earlier one is found and written by comparison (`alike`); what becomes of any other is told by `events`.
//! Nothing here can fail: what is not understood, or larger than the limit, is sent on as it came.
//!
//! The observer is fed up to the block at hand where a rule asks what came so far, else once a chunk.

use std::ops::Range;

use super::blocks::{Block, Blocks, Kind};
use super::decisions::Decision;
use super::events::{Events, Outcome, Show, is_whole};
use super::lines::{Treatment, data_start, missing_end};
use super::rules::Rules;
use super::{Observer, ending};
use crate::stream::{Lone, StreamEnd};

/// Up to this size memory for writing is kept beside that for the last chunk.
const KEPT_CAPACITY: usize = 2 * 1024;

/// Applies rules to a stream.
#[derive(Debug)]
pub(super) struct Editor {
    events: Events,
    limit: usize,
    blocks: Blocks,
    out: Vec<u8>,
    /// The last block was dropped or replaced: so is the rest of its last line end.
    dropped: bool,
    /// The last block waits: so does the rest of its last line end.
    waits: bool,
    /// A comment that stood for itself was dropped: so is a blank line behind it.
    drops_blank: bool,
}

/// The chunk at hand.
struct Chunk<'c> {
    bytes: &'c [u8],
    /// How much of it has been observed.
    observed: usize,
    /// Where the run begins that stays as it is.
    run: usize,
    /// The end of the block at hand.
    end: usize,
}

impl Editor {
    pub fn new(rules: Rules, limit: usize, merge_choices: bool) -> Self {
        Self {
            events: Events::new(rules, merge_choices),
            limit,
            blocks: Blocks::new(limit),
            out: Vec::new(),
            dropped: false,
            waits: false,
            drops_blank: false,
        }
    }

    /// How many bytes wait for more.
    pub fn pending(&self) -> usize {
        self.blocks.pending() + self.events.pending()
    }

    /// How many events were sent on otherwise than they came.
    pub fn edited_count(&self) -> u64 {
        self.events.edited_count()
    }

    /// How many events and comments were not sent on.
    pub fn dropped_count(&self) -> u64 {
        self.events.dropped_count()
    }

    /// Takes the next bytes, and gives what is to be sent on: None for the chunk as it is.
    pub fn feed(&mut self, chunk: &[u8], observer: &mut Observer, show: &mut Show<'_>) -> Option<&[u8]> {
        if self.out.capacity() > KEPT_CAPACITY + 2 * chunk.len() {
            self.out = Vec::new();
        }
        self.out.clear();
        let mut chunk = Chunk { bytes: chunk, observed: 0, run: 0, end: 0 };
        let mut rest = chunk.bytes;
        if self.blocks.begins_at(rest) && self.events.may_compare(observer) {
            // Often that is all.
            self.take_alike(&mut rest, &mut chunk, observer);
        }
        if !rest.is_empty() {
            self.take_blocks(rest, &mut chunk, observer, show);
        }
        // What has come of a block that has not ended stays behind.
        let ended = chunk.bytes.len().saturating_sub(self.blocks.pending()).max(chunk.run);
        observer.feed(&chunk.bytes[chunk.observed..]);
        if chunk.run == 0 && ended == chunk.bytes.len() && self.out.is_empty() {
            return None;
        }
        self.out.extend_from_slice(&chunk.bytes[chunk.run..ended]);
        Some(&self.out)
    }

    /// Takes the end of the stream, and gives what is left to send on.
    pub fn close(&mut self, observer: &mut Observer, show: &mut Show<'_>) -> &[u8] {
        self.out.clear();
        let end = observer.close();
        let was_passing = self.blocks.is_passing();
        if let Some((kind, rest)) = self.blocks.take_rest() {
            self.take_unended(kind, &rest, observer, show);
        }
        self.events.release(&[], observer, show);
        if end.is_some_and(StreamEnd::is_complete) && !self.events.done {
            self.events.settle(observer, show);
        }
        self.events.write_before(&mut self.out);
        if self.events.rules.append_error && !self.events.done {
            if was_passing {
                // Some of an event that was too large has been sent on: end it.
                self.out.extend_from_slice(b"\n\n");
            }
            let event = match observer.error() {
                Some(_) if self.events.told => Some(String::new()),
                Some(error) => Some(ending::of_provider(error)),
                None => ending::of_end(end),
            };
            if let Some(event) = event {
                self.out.extend_from_slice(event.as_bytes());
                self.out.extend_from_slice(ending::done().as_bytes());
            }
        }
        &self.out
    }

    /// Takes the rest of a chunk, block by block.
    fn take_blocks(
        &mut self,
        mut rest: &[u8],
        chunk: &mut Chunk<'_>,
        observer: &mut Observer,
        show: &mut Show<'_>,
    ) {
        let mut blocks = std::mem::replace(&mut self.blocks, Blocks::new(0));
        loop {
            if blocks.begins_at(rest) && self.events.may_compare(observer) && !rest.is_empty() {
                chunk.observe(chunk.end, observer);
                self.take_alike(&mut rest, chunk, observer);
                let before = rest;
                if let Some(lone) = observer.next_lone(&mut rest) {
                    let block = &before[..before.len() - rest.len()];
                    chunk.observed += block.len();
                    if block.len() <= self.limit {
                        chunk.end = chunk.observed;
                        self.take_lone(&lone, block, chunk, observer, show);
                        continue;
                    }
                    rest = before;
                }
            }
            if blocks.begins_at(rest)
                && self.events.may_compare(observer)
                && let Some((len, treatment)) = self.events.templates.fit(rest, self.limit)
                && self.may_take(len, chunk, observer)
            {
                let (block, behind) = rest.split_at(len);
                rest = behind;
                chunk.end += len;
                if treatment != Treatment::Keep {
                    chunk.cut(block.len(), &mut self.out);
                }
                if treatment == Treatment::Splice {
                    self.events.templates.write(block, &mut self.out);
                }
                self.note(treatment, 1);
                continue;
            }
            let before = rest.len();
            let block = blocks.next(&mut rest);
            chunk.end += before - rest.len();
            let Some(block) = block else { break };
            self.take(block, chunk, observer, show);
        }
        self.blocks = blocks;
    }

    /// Takes events off `rest` as long as they are lone chunks of the template of the last one, for which something was
    /// decided whatever is in them.
    fn take_alike(&mut self, rest: &mut &[u8], chunk: &mut Chunk<'_>, observer: &mut Observer) {
        let Self { events, out, limit, .. } = self;
        let template = observer.reader.chunks().template_number();
        let Some(decision) = template.and_then(|template| events.decisions.of(template)) else { return };
        let Some(treatment) = decision.of_all() else { return };
        let mut count = 0;
        observer.take_texts(rest, *limit, |stretch, block| {
            chunk.pass(block);
            chunk.edit(block.len(), treatment, |place| stretch.moved(place), decision, out);
            count += 1;
        });
        if !rest.is_empty() {
            observer.take_alike(rest, *limit, |alike, block| {
                chunk.pass(block);
                let start = data_start(block);
                chunk.edit(block.len(), treatment, |place| start + alike.moved(place), decision, out);
                count += 1;
            });
        }
        if count > 0 {
            self.note(treatment, count);
        }
    }

    /// Takes a lone chunk, which has been observed.
    fn take_lone(
        &mut self,
        lone: &Lone<'_>,
        block: &[u8],
        chunk: &mut Chunk<'_>,
        observer: &mut Observer,
        show: &mut Show<'_>,
    ) {
        if let Some(alike) = observer.reader.chunks().alike(lone)
            && let Some(decision) = self.events.decisions.of(alike.fit().template)
            && let Some(treatment) = decision.of(&alike)
        {
            let start = data_start(block);
            chunk.edit(block.len(), treatment, |place| start + alike.moved(place), decision, &mut self.out);
            self.note(treatment, 1);
            return;
        }
        let outcome = self.events.edit_lone(lone, block, observer, show);
        let block = Block { kind: Kind::Event, bytes: block, whole: true, in_chunk: true };
        self.put(block, outcome, chunk);
    }

    /// Whether a block that begins the rest of the chunk, and is like an earlier one, is to be taken for that: the
    /// observation may stop at it.
    fn may_take(&self, len: usize, chunk: &mut Chunk<'_>, observer: &mut Observer) -> bool {
        if self.events.rules.repair {
            chunk.observe(chunk.end + len, observer);
        }
        self.events.may_compare(observer)
    }

    /// Takes note of so many events like an earlier one.
    fn note(&mut self, treatment: Treatment, count: u64) {
        (self.dropped, self.waits, self.drops_blank) = (treatment == Treatment::Drop, false, false);
        self.events.count(treatment, count);
    }

    fn take(
        &mut self,
        block: Block<'_>,
        chunk: &mut Chunk<'_>,
        observer: &mut Observer,
        show: &mut Show<'_>,
    ) {
        let Block { kind, bytes, whole, .. } = block;
        let outcome = match kind {
            Kind::Event if whole => {
                if self.events.rules.repair || self.events.rules.append_error {
                    chunk.observe(chunk.end, observer);
                }
                self.events
                    .compare(bytes, self.limit, observer)
                    .unwrap_or_else(|| self.events.edit(bytes, observer, show))
            }
            Kind::Event => {
                self.events.release(&[], observer, show);
                Outcome::Keep
            }
            Kind::Comment if self.events.rules.drop_comments => Outcome::Drop,
            Kind::Blank if self.drops_blank => Outcome::Drop,
            Kind::LineEnd if self.dropped => Outcome::Drop,
            Kind::LineEnd if self.waits => {
                self.events.end_held(bytes);
                Outcome::Wait
            }
            _ => Outcome::Keep,
        };
        self.put(block, outcome, chunk);
    }

    /// Writes what becomes of a block.
    fn put(&mut self, block: Block<'_>, outcome: Outcome, chunk: &mut Chunk<'_>) {
        let Block { kind, bytes, whole, in_chunk } = block;
        debug_assert!(in_chunk || !matches!(outcome, Outcome::Splice(_)));
        let drop = matches!(outcome, Outcome::Drop);
        if kind != Kind::LineEnd {
            self.drops_blank = drop && kind == Kind::Comment;
            if drop && whole && kind != Kind::Blank {
                self.events.count(Treatment::Drop, 1);
            }
        }
        self.dropped = matches!(outcome, Outcome::Drop | Outcome::Replaced(_));
        self.waits = matches!(outcome, Outcome::Wait);
        let goes_on = in_chunk && matches!(outcome, Outcome::Keep | Outcome::Splice(_));
        if !goes_on || self.events.has_before() {
            chunk.flush(if in_chunk { bytes.len() } else { chunk.end }, &mut self.out);
            self.events.write_before(&mut self.out);
        }
        match outcome {
            // The run goes on with it.
            Outcome::Keep if in_chunk => return,
            Outcome::Splice(splices) => {
                let start = data_start(bytes);
                let spans = splices.iter().map(|it| (start + it.start..start + it.end, &*it.with));
                chunk.replace(bytes.len(), spans, &mut self.out);
                return;
            }
            Outcome::Keep => self.out.extend_from_slice(bytes),
            Outcome::New(bytes) | Outcome::Replaced(bytes) => self.out.extend_from_slice(&bytes),
            Outcome::Wait | Outcome::Drop => {}
        }
        chunk.run = chunk.end;
    }

    /// Takes a block that lacks its end.
    fn take_unended(&mut self, kind: Kind, bytes: &[u8], observer: &mut Observer, show: &mut Show<'_>) {
        let whole = kind == Kind::Event && is_whole(bytes);
        let mut ended = bytes.to_vec();
        if self.events.rules.append_error || self.events.are_shown() {
            ended.extend_from_slice(missing_end(bytes));
        }
        let outcome = match kind {
            _ if whole => self.events.edit(&ended, observer, show),
            _ if self.events.rules.append_error => Outcome::Drop,
            Kind::Comment if self.events.rules.drop_comments => Outcome::Drop,
            _ => {
                self.events.release(&[], observer, show);
                self.events.put_before(bytes);
                Outcome::Wait
            }
        };
        match outcome {
            Outcome::Keep if self.events.rules.append_error => self.events.put_before(&ended),
            Outcome::Keep => self.events.put_before(bytes),
            Outcome::New(bytes) | Outcome::Replaced(bytes) => self.events.put_before(&bytes),
            Outcome::Wait | Outcome::Drop | Outcome::Splice(_) => {}
        }
    }
}

impl Chunk<'_> {
    /// Lets the observer have what comes before a place.
    fn observe(&mut self, end: usize, observer: &mut Observer) {
        observer.feed(&self.bytes[self.observed..end]);
        self.observed = end;
    }

    /// Lets the next block be the one at hand, which has been observed.
    fn pass(&mut self, block: &[u8]) {
        self.end += block.len();
        self.observed = self.end;
    }

    /// Edits the block at hand, which has so many bytes in the chunk, as was decided. `place` tells where a place of the
    /// template's text is in it.
    #[inline]
    fn edit(
        &mut self,
        len: usize,
        treatment: Treatment,
        place: impl Fn(usize) -> usize,
        decision: &Decision,
        out: &mut Vec<u8>,
    ) {
        match treatment {
            Treatment::Keep => {}
            Treatment::Drop => self.cut(len, out),
            Treatment::Splice => self.replace(len, decision.splices(place), out),
        }
    }

    /// Replaces spans of the block at hand, one behind the other. The rest of it stays as it is.
    #[inline]
    fn replace<'s>(
        &mut self,
        len: usize,
        spans: impl Iterator<Item = (Range<usize>, &'s [u8])>,
        out: &mut Vec<u8>,
    ) {
        let start = self.end - len;
        self.reserve(out);
        for (span, with) in spans {
            out.extend_from_slice(&self.bytes[self.run..start + span.start]);
            out.extend_from_slice(with);
            self.run = start + span.end;
        }
    }

    /// Takes the block at hand, which has so many bytes in the chunk, out of the run.
    fn cut(&mut self, len: usize, out: &mut Vec<u8>) {
        self.flush(len, out);
        self.run = self.end;
    }

    /// Copies the run up to the block at hand, which has so many bytes in the chunk, and lets it begin there.
    fn flush(&mut self, len: usize, out: &mut Vec<u8>) {
        let start = self.end - len;
        self.reserve(out);
        out.extend_from_slice(&self.bytes[self.run..start]);
        self.run = start;
    }

    fn reserve(&self, out: &mut Vec<u8>) {
        if out.capacity() == 0 {
            // What is changed makes it a little longer or shorter.
            out.reserve(self.bytes.len() + self.bytes.len() / 8);
        }
    }
}
