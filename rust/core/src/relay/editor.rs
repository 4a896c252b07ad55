//! The editor: applies the rules to a stream that is pushed into it, and gives what is to be sent on.
//!
//! Plan. Blocks that stay as they are, are not copied one by one: they are a run of the chunk, which is copied
//! when something else has to be written behind it, or never, where the whole chunk stays. A block like an
//! earlier one is found and written by comparison (`alike`); any other is read as JSON. Nothing here can fail:
//! what is not understood, or larger than the limit, is sent on as it came.
//!
//! The observer is fed up to the block at hand where a rule asks what came so far, else once a chunk.

use std::collections::HashSet;

use super::alike::{Fit, Templates};
use super::blocks::{Block, Blocks, Kind};
use super::ending;
use super::lines::{Data, Splice, lines, spliced};
use super::repair::{Finish, Repairer, made_chunk};
use super::rules::{Rules, in_order};
use super::{Edit, Observer};
use crate::json::{self, Document, Value};
use crate::sse::{Event, EventParser};
use crate::stream::{self, DataParser, StreamEnd};

/// Up to this size memory for reading is kept from event to event.
const KEPT_CAPACITY: usize = 2 * 1024;

/// What the caller makes of an event that it is shown.
pub(super) type Show<'s> = dyn FnMut(Event<'_>) -> Edit + 's;

/// An event with a finish reason, which waits for the next event.
#[derive(Debug)]
struct Held {
    block: Vec<u8>,
    /// In the text of its data.
    splices: Vec<Splice>,
    finishes: Vec<Finish>,
}

/// What becomes of an event.
enum Outcome {
    Keep,
    /// It waits, and is written later.
    Wait,
    Drop,
    /// By rules, which leave its end alone.
    New(Vec<u8>),
    /// By who was shown it.
    Replaced(Vec<u8>),
}

/// Applies rules to a stream.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each has its sentence")]
pub(super) struct Editor {
    rules: Rules,
    sentinel: Box<str>,
    limit: usize,
    blocks: Blocks,
    templates: Templates,
    document: Document,
    repairer: Repairer,
    held: Option<Held>,
    /// Understands the events that are shown; None if none is.
    shown: Option<EventParser>,
    out: Vec<u8>,
    /// What is to be written ahead of the event at hand.
    before: Vec<u8>,
    /// The last block was dropped or replaced: so is the rest of its last line end.
    dropped: bool,
    /// The last block waits: so does the rest of its last line end.
    waits: bool,
    /// A comment that stood for itself was dropped: so is the blank line behind it.
    lone: bool,
    /// An event was sent on that clients take for an error.
    told: bool,
    /// The sentinel was sent on.
    done: bool,
    pub edited_count: u64,
    pub dropped_count: u64,
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
    pub fn new(rules: Rules, sentinel: &str, limit: usize, merge: bool) -> Self {
        Self {
            shown: rules.edit.then(|| EventParser::new(usize::MAX / 2, b"")),
            rules,
            sentinel: sentinel.into(),
            limit,
            blocks: Blocks::new(limit),
            templates: Templates::default(),
            document: Document::default(),
            repairer: Repairer::new(merge),
            held: None,
            out: Vec::new(),
            before: Vec::new(),
            dropped: false,
            waits: false,
            lone: false,
            told: false,
            done: false,
            edited_count: 0,
            dropped_count: 0,
        }
    }

    /// How many bytes wait for more.
    pub fn pending(&self) -> usize {
        self.blocks.pending() + self.held.as_ref().map_or(0, |held| held.block.len())
    }

    /// Takes the next bytes, and gives what is to be sent on: None for the chunk as it is.
    pub fn feed(&mut self, chunk: &[u8], observer: &mut Observer, show: &mut Show<'_>) -> Option<&[u8]> {
        if self.out.capacity() > KEPT_CAPACITY + 2 * chunk.len() {
            self.out = Vec::new();
        }
        self.out.clear();
        let mut chunk = Chunk { bytes: chunk, observed: 0, run: 0, end: 0 };
        let mut blocks = std::mem::replace(&mut self.blocks, Blocks::new(0));
        let mut rest = chunk.bytes;
        loop {
            if blocks.is_between()
                && self.may_compare()
                && let Some((len, fit)) = self.templates.fit(rest, self.limit)
            {
                let (block, behind) = rest.split_at(len);
                rest = behind;
                chunk.end += len;
                self.take_fit(block, fit, &mut chunk);
                continue;
            }
            let before = rest.len();
            let block = blocks.next(&mut rest);
            chunk.end += before - rest.len();
            let Some(block) = block else { break };
            self.take(block, &mut chunk, observer, show);
        }
        // What has come of a block that has not ended stays behind.
        let ended = chunk.bytes.len().saturating_sub(blocks.pending()).max(chunk.run);
        self.blocks = blocks;
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
        self.release(&[], observer, show);
        let ended_well = matches!(end, Some(StreamEnd::Done | StreamEnd::Finished));
        if ended_well && !self.done {
            self.settle(observer, show);
        }
        self.out.append(&mut self.before);
        if self.rules.append_error && !self.done {
            if was_passing {
                // Some of an event that was too large has been sent on: end it.
                self.out.extend_from_slice(b"\n\n");
            }
            let event = match observer.error() {
                Some(_) if self.told => Some(String::new()),
                Some(error) => Some(ending::of_provider(error)),
                None => ending::of_end(end),
            };
            if let Some(event) = event {
                self.out.extend_from_slice(event.as_bytes());
                self.out.extend_from_slice(ending::DONE.as_bytes());
            }
        }
        &self.out
    }

    fn may_compare(&self) -> bool {
        self.held.is_none() && self.shown.is_none()
    }

    /// What becomes of a block that was split over chunks, if it is like an earlier one.
    fn compare(&mut self, block: &[u8]) -> Option<Outcome> {
        let fit = if self.may_compare() { self.templates.fit(block, self.limit) } else { None };
        match fit.filter(|(len, _)| *len == block.len())?.1 {
            Fit::Keep => Some(Outcome::Keep),
            Fit::Drop => Some(Outcome::Drop),
            Fit::Splice => {
                self.edited_count += 1;
                let mut out = Vec::with_capacity(block.len());
                self.templates.write(block, &mut out);
                Some(Outcome::New(out))
            }
        }
    }

    /// Takes a block that is like an earlier one.
    fn take_fit(&mut self, block: &[u8], fit: Fit, chunk: &mut Chunk<'_>) {
        (self.dropped, self.waits, self.lone) = (fit == Fit::Drop, false, false);
        if fit == Fit::Keep {
            return;
        }
        chunk.flush(block.len(), &mut self.out);
        chunk.run = chunk.end;
        if fit == Fit::Splice {
            self.templates.write(block, &mut self.out);
            self.edited_count += 1;
        } else {
            self.dropped_count += 1;
        }
    }

    fn take(
        &mut self,
        block: Block<'_>,
        chunk: &mut Chunk<'_>,
        observer: &mut Observer,
        show: &mut Show<'_>,
    ) {
        let Block { kind, bytes, whole, in_chunk } = block;
        let outcome = match kind {
            Kind::Event if whole => {
                if self.rules.repair || self.rules.append_error {
                    observer.feed(&chunk.bytes[chunk.observed..chunk.end]);
                    chunk.observed = chunk.end;
                }
                self.compare(bytes).unwrap_or_else(|| self.edit(bytes, observer, show))
            }
            Kind::Event => {
                self.release(&[], observer, show);
                Outcome::Keep
            }
            Kind::Comment if self.rules.drop_comments => Outcome::Drop,
            Kind::Blank if self.lone => Outcome::Drop,
            Kind::LineEnd if self.dropped => Outcome::Drop,
            Kind::LineEnd if self.waits => {
                self.held.iter_mut().for_each(|held| held.block.extend_from_slice(bytes));
                Outcome::Wait
            }
            _ => Outcome::Keep,
        };
        let drop = matches!(outcome, Outcome::Drop);
        if kind != Kind::LineEnd {
            self.lone = drop && kind == Kind::Comment;
            self.dropped_count += u64::from(drop && whole && kind != Kind::Blank);
        }
        self.dropped = matches!(outcome, Outcome::Drop | Outcome::Replaced(_));
        self.waits = matches!(outcome, Outcome::Wait);
        if in_chunk && matches!(outcome, Outcome::Keep) && self.before.is_empty() {
            return;
        }
        chunk.flush(if in_chunk { bytes.len() } else { chunk.end }, &mut self.out);
        self.out.append(&mut self.before);
        match outcome {
            // The run goes on with it.
            Outcome::Keep if in_chunk => return,
            Outcome::Keep => self.out.extend_from_slice(bytes),
            Outcome::New(bytes) | Outcome::Replaced(bytes) => self.out.extend_from_slice(&bytes),
            Outcome::Wait | Outcome::Drop => {}
        }
        chunk.run = chunk.end;
    }

    /// Takes a block that lacks its end.
    fn take_unended(&mut self, kind: Kind, bytes: &[u8], observer: &mut Observer, show: &mut Show<'_>) {
        let data = if kind == Kind::Event { Data::of(bytes) } else { None };
        let text = data.as_ref().map(Data::text);
        let whole = text.is_some_and(|text| {
            let object = text.trim_start().starts_with('{') && self.document.read(&text).is_ok();
            object || self.is_sentinel(&text)
        });
        let mut ended = bytes.to_vec();
        if self.rules.append_error || self.shown.is_some() {
            ended.extend_from_slice(if ended.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        }
        let outcome = match kind {
            _ if whole => self.edit(&ended, observer, show),
            _ if self.rules.append_error => Outcome::Drop,
            Kind::Comment if self.rules.drop_comments => Outcome::Drop,
            _ => {
                self.release(&[], observer, show);
                self.before.extend_from_slice(bytes);
                Outcome::Wait
            }
        };
        match outcome {
            Outcome::Keep if self.rules.append_error => self.before.append(&mut ended),
            Outcome::Keep => self.before.extend_from_slice(bytes),
            Outcome::New(mut bytes) | Outcome::Replaced(mut bytes) => self.before.append(&mut bytes),
            Outcome::Wait | Outcome::Drop => {}
        }
    }

    /// Applies the rules to an event, and shows what is left of it.
    fn edit(&mut self, block: &[u8], observer: &mut Observer, show: &mut Show<'_>) -> Outcome {
        let outcome = match self.apply(block, observer, show) {
            Outcome::Keep => self.show(block, show).unwrap_or(Outcome::Keep),
            Outcome::New(bytes) => self.show(&bytes, show).unwrap_or(Outcome::New(bytes)),
            outcome => outcome,
        };
        self.edited_count += u64::from(matches!(outcome, Outcome::New(_) | Outcome::Replaced(_)));
        outcome
    }

    /// Shows an event; None if it stays as it is.
    fn show(&mut self, block: &[u8], show: &mut Show<'_>) -> Option<Outcome> {
        let event = self.shown.as_mut()?.next_event(&mut &*block).ok()??;
        match show(event) {
            Edit::Keep => None,
            Edit::Drop => Some(Outcome::Drop),
            Edit::Replace(bytes) => Some(Outcome::Replaced(bytes)),
        }
    }

    /// Writes an event ahead of the one at hand.
    fn send(&mut self, block: &[u8], is_edited: bool, show: &mut Show<'_>) {
        let shown = self.show(block, show);
        let is_edited = is_edited || matches!(shown, Some(Outcome::Replaced(_)));
        match shown {
            None => self.before.extend_from_slice(block),
            Some(Outcome::Replaced(bytes)) => self.before.extend_from_slice(&bytes),
            Some(_) => {
                self.dropped_count += 1;
                return;
            }
        }
        self.edited_count += u64::from(is_edited);
    }

    fn apply(&mut self, block: &[u8], observer: &mut Observer, show: &mut Show<'_>) -> Outcome {
        let Some(data) = Data::of(block) else { return self.rewritten(block, Vec::new()) };
        let mut document = std::mem::take(&mut self.document);
        let text = data.text();
        let outcome = if document.read(&text).is_ok() {
            self.apply_to(block, &data, document.root(&text), observer, show)
        } else {
            self.release(&[], observer, show);
            if self.is_sentinel(&text) && !self.done {
                self.done = true;
                self.settle(observer, show);
                if let Some(error) = observer.error().filter(|_| self.rules.append_error && !self.told) {
                    self.before.extend_from_slice(ending::of_provider(error).as_bytes());
                }
            }
            let mut splices = Vec::new();
            for line in data.of_each_line() {
                let text = line.text();
                if text.trim_start().starts_with('{') && document.read(&text).is_ok() {
                    let mut found = Vec::new();
                    let root = document.root(&text);
                    if !self.rules.apply(root, &mut found) {
                        found = vec![Splice::cut(0, text.len())];
                    } else if self.rules.repair && !observer.is_over() {
                        let finishes = self.repairer.repair(root, &mut found);
                        finishes.iter().for_each(|finish| self.repairer.finish(finish.index));
                    }
                    in_order(&mut found);
                    splices.extend(line.to_block(found));
                }
            }
            self.rewritten(block, splices)
        };
        if document.capacity() <= KEPT_CAPACITY {
            self.document = document;
        }
        outcome
    }

    fn apply_to(
        &mut self,
        block: &[u8],
        data: &Data<'_>,
        root: Value<'_>,
        observer: &mut Observer,
        show: &mut Show<'_>,
    ) -> Outcome {
        let repair = self.rules.repair && !observer.is_over();
        if let Some(held) = &self.held {
            let on = |finish: &Finish| repair && self.repairer.goes_on(root, finish.index);
            let on: Vec<u64> = held.finishes.iter().filter(|it| on(it)).map(|it| it.index).collect();
            self.release(&on, observer, show);
        }
        if root.kind() != json::Kind::Object {
            return self.rewritten(block, Vec::new());
        }
        self.told |= root.get("error").is_some_and(Value::is_truthy);
        let mut splices = Vec::new();
        let keep = self.rules.apply(root, &mut splices);
        if repair && keep {
            let finishes = self.repairer.repair(root, &mut splices);
            if !finishes.is_empty() {
                self.held = Some(Held { block: block.into(), splices, finishes });
                return Outcome::Wait;
            }
        }
        in_order(&mut splices);
        let splices = self.with_comments(block, data.to_block(splices));
        let fixed = if self.rules.repair { Repairer::is_canonical(root) } else { Some(Vec::new()) };
        if let (Some(start), Some(fixed), None) = (data.place(), fixed, root.get("error")) {
            self.templates.learn(block, start, root, &fixed, keep.then(|| splices.clone()));
        }
        if keep { written(block, &splices) } else { Outcome::Drop }
    }

    /// Writes the event that waits. Of the choices in `on` the finish reason was not the last.
    fn release(&mut self, on: &[u64], observer: &Observer, show: &mut Show<'_>) {
        let Some(Held { block, mut splices, finishes }) = self.held.take() else { return };
        let (mut last, mut made) = (HashSet::new(), Vec::new());
        for Finish { index, start, end } in finishes.into_iter().rev() {
            let is_last = !on.contains(&index) && last.insert(index);
            let outstanding = if is_last { self.outstanding(index, true, observer) } else { None };
            if is_last {
                self.repairer.finish(index);
            }
            // What is outstanding comes behind the event, and the finish reason with it.
            if !is_last || outstanding.is_some() {
                splices.push(Splice { start, end, with: b"null".to_vec() });
            }
            made.extend(outstanding);
        }
        in_order(&mut splices);
        let splices = Data::of(&block).map(|data| data.to_block(splices)).unwrap_or_default();
        match self.rewritten(&block, splices) {
            Outcome::New(bytes) => self.send(&bytes, true, show),
            _ => self.send(&block, false, show),
        }
        made.iter().rev().for_each(|block| self.send(block, true, show));
    }

    /// Writes what is outstanding of all choices, at the end of a stream that ends well.
    fn settle(&mut self, observer: &Observer, show: &mut Show<'_>) {
        if self.rules.repair && !observer.is_over() {
            for index in self.repairer.unfinished() {
                if let Some(block) = self.outstanding(index, false, observer) {
                    self.send(&block, true, show);
                }
                self.repairer.finish(index);
            }
        }
    }

    /// An event with what is outstanding of a choice, and its finish reason; None if that would be nothing, or
    /// nothing but the reason and that `is_sent` otherwise.
    fn outstanding(&mut self, index: u64, is_sent: bool, observer: &Observer) -> Option<Vec<u8>> {
        let message = observer.message();
        let calls = self.repairer.outstanding(index, message);
        let reason = self.repairer.reason(index);
        if calls.is_none() && (is_sent || reason.is_none()) {
            return None;
        }
        let delta = calls.map_or("{}".into(), |calls| format!("{{\"tool_calls\":{calls}}}"));
        let text = made_chunk(message, index, &delta, reason.unwrap_or("null"));
        let mut document = Document::default();
        document.read(&text).ok()?;
        let mut splices = Vec::new();
        self.rules.apply(document.root(&text), &mut splices).then_some(())?;
        in_order(&mut splices);
        let mut block = b"data: ".to_vec();
        spliced(text.as_bytes(), &splices, &mut block);
        block.extend_from_slice(b"\n\n");
        Some(block)
    }

    /// A block with its splices, and without its comments if these are dropped.
    fn rewritten(&self, block: &[u8], splices: Vec<Splice>) -> Outcome {
        written(block, &self.with_comments(block, splices))
    }

    fn with_comments(&self, block: &[u8], mut splices: Vec<Splice>) -> Vec<Splice> {
        if self.rules.drop_comments {
            let comments = lines(block).filter(|line| line.is_comment);
            splices.extend(comments.map(|line| Splice::cut(line.all.start, line.all.end)));
            in_order(&mut splices);
        }
        splices
    }

    fn is_sentinel(&self, text: &str) -> bool {
        // The sentinel and white space: nobody sends much of that.
        let event = format!("data: {}\n\n", text.replace('\n', " "));
        let mut data = DataParser::new(event.len(), Some(&self.sentinel));
        text.len() <= 64 && matches!(data.next_data(&mut event.as_bytes()), Ok(Some(stream::Data::Done)))
    }
}

fn written(block: &[u8], splices: &[Splice]) -> Outcome {
    if splices.is_empty() {
        return Outcome::Keep;
    }
    let mut out = Vec::with_capacity(block.len());
    spliced(block, splices, &mut out);
    Outcome::New(out)
}

impl Chunk<'_> {
    /// Copies the run up to the block at hand, which has so many bytes in the chunk, and lets it begin there.
    fn flush(&mut self, len: usize, out: &mut Vec<u8>) {
        let start = self.end - len;
        out.extend_from_slice(&self.bytes[self.run..start]);
        self.run = start;
    }
}
