//! What becomes of an event: rules and repairs applied, shown to the caller, held back where it has to wait.
//!
//! Plan. The data of an event is read as JSON once, by the observer if it is a lone chunk; rules and repairs tell the
//! spans to replace. Where nothing but scalars could be different in another event with the same outcome, that is
//! kept: for a lone chunk in `decisions`, for any other block in `alike`. What has to be sent ahead of the event at
//! hand (one that waited, one that was made up) is gathered in `before`.

use std::collections::HashSet;

use super::alike::Templates;
use super::decisions::Decisions;
use super::lines::{Data, Splice, Treatment, lines, missing_end, spliced};
use super::repair::{Finish, Repairer, made_chunk};
use super::rules::{Rules, in_order};
use super::{Edit, Observer, ending};
use crate::chat::ProviderError;
use crate::json::{Document, Fit, Kind, Read, Value};
use crate::sse::{Event, EventParser};
use crate::stream::{Lone, is_sentinel};

/// Up to this size memory for reading is kept from event to event.
const KEPT_CAPACITY: usize = 2 * 1024;

/// What the caller makes of an event that it is shown.
pub(super) type Show<'s> = dyn FnMut(Event<'_>) -> Edit + 's;

/// What becomes of an event.
pub(super) enum Outcome {
    Keep,
    /// It waits, and is written later.
    Wait,
    Drop,
    /// By rules, which leave its end alone: a lone chunk, with these splices in the text of its data.
    Splice(Vec<Splice>),
    /// By rules, likewise: these bytes.
    New(Vec<u8>),
    /// By who was shown it.
    Replaced(Vec<u8>),
}

/// An event with a finish reason, which waits for the next event.
#[derive(Debug)]
struct Held {
    block: Vec<u8>,
    /// In the text of its data.
    splices: Vec<Splice>,
    finishes: Vec<Finish>,
}

/// Applies rules to one event after the other.
#[derive(Debug)]
pub(super) struct Events {
    pub rules: Rules,
    pub templates: Templates,
    pub decisions: Decisions,
    document: Document,
    repairer: Repairer,
    held: Option<Held>,
    /// Understands the events that are shown; None if none is.
    shown: Option<EventParser>,
    /// What is to be written ahead of the event at hand.
    before: Vec<u8>,
    /// An event was sent on that clients take for an error.
    pub told: bool,
    /// The sentinel was sent on.
    pub done: bool,
    edited_count: u64,
    dropped_count: u64,
}

impl Events {
    pub fn new(rules: Rules, merge_choices: bool) -> Self {
        Self {
            shown: rules.edit.then(|| EventParser::new(usize::MAX / 2, b"")),
            rules,
            templates: Templates::default(),
            decisions: Decisions::default(),
            document: Document::default(),
            repairer: Repairer::new(merge_choices),
            held: None,
            before: Vec::new(),
            told: false,
            done: false,
            edited_count: 0,
            dropped_count: 0,
        }
    }

    /// How many bytes wait for the next event.
    pub fn pending(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.block.len())
    }

    /// How many events were sent on otherwise than they came.
    pub fn edited_count(&self) -> u64 {
        self.edited_count
    }

    /// How many events and comments were not sent on.
    pub fn dropped_count(&self) -> u64 {
        self.dropped_count
    }

    /// Counts so many events, or comments, for which this was done.
    pub fn count(&mut self, treatment: Treatment, events: u64) {
        match treatment {
            Treatment::Keep => {}
            Treatment::Splice => self.edited_count += events,
            Treatment::Drop => self.dropped_count += events,
        }
    }

    /// Whether anything is to be written ahead of the event at hand.
    pub fn has_before(&self) -> bool {
        !self.before.is_empty()
    }

    /// Writes it.
    pub fn write_before(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.before);
    }

    /// Adds to it.
    pub fn put_before(&mut self, bytes: &[u8]) {
        self.before.extend_from_slice(bytes);
    }

    /// Whether events are shown.
    pub fn are_shown(&self) -> bool {
        self.shown.is_some()
    }

    /// Whether an event like an earlier one has the same outcome. Nothing is repaired that is not observed.
    pub fn may_compare(&self, observer: &Observer) -> bool {
        self.held.is_none() && self.shown.is_none() && !(self.rules.repair && observer.is_over())
    }

    /// Gives the event that waits the rest of its last line end.
    pub fn end_held(&mut self, bytes: &[u8]) {
        if let Some(held) = &mut self.held {
            held.block.extend_from_slice(bytes);
        }
    }

    /// What becomes of a block that was split over chunks, if it is like an earlier one.
    pub fn compare(&mut self, block: &[u8], limit: usize, observer: &Observer) -> Option<Outcome> {
        let fit = if self.may_compare(observer) { self.templates.fit(block, limit) } else { None };
        match fit.filter(|(len, _)| *len == block.len())?.1 {
            Treatment::Keep => Some(Outcome::Keep),
            Treatment::Drop => Some(Outcome::Drop),
            Treatment::Splice => {
                self.edited_count += 1;
                let mut out = Vec::with_capacity(block.len());
                self.templates.write(block, &mut out);
                Some(Outcome::New(out))
            }
        }
    }

    /// Applies the rules to an event, and shows what is left of it.
    pub fn edit(&mut self, block: &[u8], observer: &mut Observer, show: &mut Show<'_>) -> Outcome {
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

    /// Writes an event that was made up. The last one of a stream may lack its end, and is ended ahead of it.
    fn send_behind(&mut self, block: &[u8], show: &mut Show<'_>) {
        if !self.before.is_empty() {
            self.before.extend_from_slice(missing_end(&self.before));
        }
        self.send(block, true, show);
    }

    fn apply(&mut self, block: &[u8], observer: &mut Observer, show: &mut Show<'_>) -> Outcome {
        let Some(data) = Data::of(block) else { return self.rewritten(block, Vec::new()) };
        let text = data.text();
        let mut document = std::mem::take(&mut self.document);
        let outcome = if document.read(text).is_ok() {
            self.apply_to(block, &data, document.root(text), observer, show)
        } else {
            self.release(&[], observer, show);
            let may_drop = self.rules.append_error && observer.error().is_some() && !is_sentinel(text);
            if may_drop && event_type(block) == b"error" {
                self.document = document;
                return Outcome::Drop;
            }
            if is_sentinel(text) && !self.done {
                self.done = true;
                self.settle(observer, show);
                if let Some(error) = observer.error().filter(|_| self.rules.append_error && !self.told) {
                    self.before.extend_from_slice(ending::of_provider(error).as_bytes());
                }
            }
            let mut splices = Vec::new();
            for line in data.of_each_line() {
                let text = line.text();
                if text.trim_start().starts_with('{') && document.read(text).is_ok() {
                    let mut found = Vec::new();
                    let root = document.root(text);
                    if !self.rules.apply(root, &mut found) {
                        found = vec![Splice::cut(0, text.len())];
                    } else if self.rules.repair && !observer.is_over() {
                        let finishes = self.repairer.repair(root, &mut found);
                        for finish in finishes {
                            self.repairer.finish(finish.index);
                        }
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
        observer: &Observer,
        show: &mut Show<'_>,
    ) -> Outcome {
        let Some(decided) = self.decide(block, root, observer, show) else { return Outcome::Wait };
        let splices = decided.map(|splices| self.with_comments(block, data.to_block(splices)));
        if let (Some(start), Some(fixed)) = (data.place(), self.depends_on(root)) {
            let fixed: Vec<usize> = fixed.iter().map(|value| value.start()).collect();
            self.templates.learn(block, start, root, &fixed, splices.clone());
        }
        splices.map_or(Outcome::Drop, |splices| written(block, &splices))
    }

    /// Applies the rules to a lone chunk, which the observer has read already.
    pub fn edit_lone(
        &mut self,
        lone: &Lone<'_>,
        block: &[u8],
        observer: &mut Observer,
        show: &mut Show<'_>,
    ) -> Outcome {
        observer.reader.expand(lone);
        let Some(root) = observer.reader.chunks().value(lone) else { return Outcome::Keep };
        let Some(decided) = self.decide(block, root, observer, show) else { return Outcome::Wait };
        match (lone.read, observer.reader.chunks().template_number()) {
            (Read::Parsed, Some(template)) => self.keep(template, root, decided.clone()),
            (Read::Like(fit), _) if self.decisions.of(fit.template).is_none() => {
                self.decide_for(fit, lone, observer);
            }
            _ => {}
        }
        let Some(splices) = decided else { return Outcome::Drop };
        if splices.is_empty() {
            return Outcome::Keep;
        }
        self.edited_count += 1;
        Outcome::Splice(splices)
    }

    /// Decides for a template whose own text was no lone chunk, by a chunk that is like it. Where they differ in what
    /// is looked at, that text tells nothing: it may have been sent on as it came, and is not to be repaired now.
    fn decide_for(&mut self, fit: Fit, lone: &Lone<'_>, observer: &mut Observer) {
        let Some(alike) = observer.reader.chunks().alike(lone) else { return };
        let differs = |&(gap, _): &(usize, usize)| alike.raw(gap) != alike.template_raw(gap);
        let other: Vec<usize> = alike.gaps().enumerate().filter(differs).map(|(_, node)| node).collect();
        let Some(text) = observer.reader.template(fit) else { return };
        let Some(fixed) = self.depends_on(text) else { return };
        if fixed.iter().any(|value| other.contains(&value.node_number())) {
            return;
        }
        let mut splices = Vec::new();
        let keep = self.rules.apply(text, &mut splices);
        if keep && self.rules.repair {
            self.repairer.repair(text, &mut splices);
        }
        in_order(&mut splices);
        self.keep(fit.template, text, keep.then_some(splices));
    }

    fn keep(&mut self, template: u32, text: Value<'_>, splices: Option<Vec<Splice>>) {
        if let Some(fixed) = self.depends_on(text) {
            let fixed = fixed.iter().map(|value| value.node_number()).collect();
            self.decisions.keep(template, fixed, splices);
        }
    }

    /// The values of a chunk on whose text depends what becomes of it; None if it depends on more than these and its
    /// structure.
    fn depends_on<'d>(&self, root: Value<'d>) -> Option<Vec<Value<'d>>> {
        let fixed = if self.rules.repair { Repairer::is_canonical(root)? } else { Vec::new() };
        // Whether what is no chunk tells of an error, its texts tell.
        let may_tell =
            root.get("error").is_some() || (self.rules.append_error && root.get("choices").is_none());
        (root.kind() == Kind::Object && !may_tell).then_some(fixed)
    }

    /// What becomes of the text of an event: None if it waits, else its splices, or None if it is dropped.
    #[expect(clippy::option_option, reason = "to wait and to be dropped are two things")]
    fn decide(
        &mut self,
        block: &[u8],
        root: Value<'_>,
        observer: &Observer,
        show: &mut Show<'_>,
    ) -> Option<Option<Vec<Splice>>> {
        let repair = self.rules.repair && !observer.is_over();
        if let Some(held) = &self.held {
            let on = |finish: &Finish| repair && self.repairer.goes_on(root, finish.index);
            let on: Vec<u64> = held.finishes.iter().filter(|it| on(it)).map(|it| it.index).collect();
            self.release(&on, observer, show);
        }
        if self.is_told_otherwise(block, root, observer) {
            return Some(None);
        }
        if root.kind() != Kind::Object {
            return Some(Some(Vec::new()));
        }
        self.told |= root.get("error").is_some_and(Value::is_truthy);
        let mut splices = Vec::with_capacity(4);
        let keep = self.rules.apply(root, &mut splices);
        if repair && keep {
            let finishes = self.repairer.repair(root, &mut splices);
            if !finishes.is_empty() {
                self.held = Some(Held { block: block.into(), splices, finishes });
                return None;
            }
        }
        in_order(&mut splices);
        Some(keep.then_some(splices))
    }

    /// Whether an event that is no chunk reports an error in a form that clients fail on: it is told in theirs.
    fn is_told_otherwise(&self, block: &[u8], root: Value<'_>, observer: &Observer) -> bool {
        let is_known = |root: Value<'_>| {
            root.get("choices").is_some() || root.get("error").is_some_and(Value::is_truthy)
        };
        // What is not observed, behind a limit or the sentinel, would not be told.
        self.rules.append_error
            && observer.error().is_some()
            && !is_known(root)
            && ProviderError::find(&String::from_utf8_lossy(&event_type(block)), root).is_some()
    }

    /// Writes the event that waits. Of the choices in `on` the finish reason was not the last.
    pub fn release(&mut self, on: &[u64], observer: &Observer, show: &mut Show<'_>) {
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
        made.iter().rev().for_each(|block| self.send_behind(block, show));
    }

    /// Writes what is outstanding of all choices, at the end of a stream that ends well.
    pub fn settle(&mut self, observer: &Observer, show: &mut Show<'_>) {
        if self.rules.repair && !observer.is_over() {
            for index in self.repairer.unfinished() {
                if let Some(block) = self.outstanding(index, false, observer) {
                    self.send_behind(&block, show);
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
}

/// Whether the data of an event that lacks its end is whole: an object or the sentinel.
pub(super) fn is_whole(block: &[u8]) -> bool {
    let Some(data) = Data::of(block) else { return false };
    let text = data.text();
    let object = text.trim_start().starts_with('{') && Document::default().read(text).is_ok();
    object || is_sentinel(text)
}

fn written(block: &[u8], splices: &[Splice]) -> Outcome {
    if splices.is_empty() {
        return Outcome::Keep;
    }
    let mut out = Vec::with_capacity(block.len());
    spliced(block, splices, &mut out);
    Outcome::New(out)
}

/// The type of a block's event, empty for none.
fn event_type(block: &[u8]) -> Vec<u8> {
    let mut parser = EventParser::new(usize::MAX / 2, b"");
    let event = parser.next_event(&mut &*block).ok().flatten();
    event.map(|event| event.event.to_vec()).unwrap_or_default()
}
