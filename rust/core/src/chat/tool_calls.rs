//! Tool calls: which call a fragment belongs to, and what a call is in the end.
//!
//! The canonical fragment has an `index`; `id`, `type` and `name` come with the first one only. Providers
//! leave out, repeat, blank or change each of these, so none of them alone names a call. What says nothing counts
//! as missing: a blank id or name, the id "null", an index that is no whole number from 0 on (digits as text are one),
//! arguments that are null. A call is "whole" if the brackets of its arguments are closed, which those of free text
//! never are. A fragment "starts a value" if it has a name, and arguments that begin with a bracket or are no text.
//! Which of the first four rules is the one, id and index of the fragment tell:
//!
//! 1. An id that is known. It means the call at this index, if that came under this id, else the one that came under
//!    it first. If this call and the fragment each have an index, and not the same: a new call if the fragment has a
//!    name, else the call meant. If not: a new call if the call meant is whole and the fragment starts a value, else
//!    the call meant.
//! 2. An id that is new. No index, or no call there: a new call. Without a name: the call there; if it has an id
//!    already, that one counts, and the new one leads to it too. With a name: the call there if it has no id yet, and
//!    either no name, or this name and is not whole; else a new call.
//! 3. No id, but an index. The newest call there, if there is any, else a new one. But a new one if both have a name,
//!    and either the call is whole and the fragment starts a value, or the names differ, the fragment has arguments, be
//!    they empty, and the call has none: that is the header of another call, behind one without parameters.
//! 4. Neither. The newest call, if there is any, else a new one. But a new one if both have a name, and it is another
//!    one or the call is whole.
//! 5. Of names the first counts. It grows only by fragments with another name and neither id nor arguments, before
//!    the call has any arguments. Of arguments all count, one behind the other. But an empty object in one piece gives way
//!    to what follows, if that begins with a bracket or is no text; so does a lone opening brace to another; and
//!    arguments that repeat whole ones, without a name, are dropped.
//! 6. No call is closed before the end: arguments that happen to be whole are no reason to run them.
//!
//! Indices and ids are keys, never positions: a fragment costs the same at index 0 and at four billion.

use crate::chat::Extras;
use crate::chat::fragment::{Fragment, as_text, parts, starts_value};
use crate::chat::places::Places;
use crate::chat::plan::Growth;
use crate::chat::text::{Word, append, word};
use crate::json::{Completeness, Document, Kind, Value};

/// Something about a call that had to be put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Repair {
    /// The id was missing, or that of another call: one was generated.
    IdGenerated,
    /// The id changed inside the call; the first one counts.
    IdChanged,
    /// A fragment had no index, or one that is no whole number from 0 on.
    IndexMissing,
    /// Another call has the same index.
    IndexShared,
    /// The name came after arguments had.
    NameLate,
    /// Arguments were sent as a JSON value instead of as its text.
    ArgumentsNotText,
    /// Whole arguments were sent again, and dropped.
    ArgumentsRepeated,
    /// No arguments came: they are `{}`.
    ArgumentsEmpty,
    /// A fragment came after the call had been reported as finished.
    ChangedAfterReported,
}

impl Repair {
    const ALL: [(Self, &'static str); 9] = [
        (Self::IdGenerated, "id_generated"),
        (Self::IdChanged, "id_changed"),
        (Self::IndexMissing, "index_missing"),
        (Self::IndexShared, "index_shared"),
        (Self::NameLate, "name_late"),
        (Self::ArgumentsNotText, "arguments_not_text"),
        (Self::ArgumentsRepeated, "arguments_repeated"),
        (Self::ArgumentsEmpty, "arguments_empty"),
        (Self::ChangedAfterReported, "changed_after_reported"),
    ];
}

/// The repairs of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs(u16);

impl Repairs {
    /// Notes one.
    pub fn add(&mut self, repair: Repair) {
        self.0 |= 1 << repair as u8;
    }

    fn has(self, repair: Repair) -> bool {
        self.0 & (1 << repair as u8) != 0
    }

    /// Their names, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Repair::ALL.into_iter().filter(move |(repair, _)| self.has(*repair)).map(|it| it.1)
    }
}

/// A tool call as far as it has come.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub struct ToolCall {
    /// Which call of its message it is, in the order in which they began, from 0.
    pub ordinal: usize,
    index: Option<u64>,
    /// The id that the provider sent first, if it is this call's own.
    pub id: Option<Box<str>>,
    /// An id of its own, for a call that has none: made when the call begins, so that it does not change.
    pub generated_id: Box<str>,
    /// `type` as sent; empty stands for "function".
    pub kind: Word,
    /// Whether the call has a `custom` part, whose input is free text, instead of a `function`.
    pub custom: bool,
    /// The name of the function or tool.
    pub name: String,
    arguments: String,
    /// Fields of the call that nobody interprets.
    pub extras: Extras,
    /// Fields of the `function` or `custom` part that nobody interprets.
    pub function_extras: Extras,
    repairs: Repairs,
    /// The id under which it came, if another call has it.
    shared_id: Option<Box<str>>,
    whole: Completeness,
    /// The brackets of the arguments are closed, but they are no JSON value: not to be read again.
    broken: bool,
    /// The arguments are an empty object that came in one piece: providers begin with one as a placeholder.
    placeholder: bool,
    /// The last fragment gave up all arguments before it.
    begun_anew: bool,
    /// `finished` has given it out.
    reported: bool,
}

impl ToolCall {
    fn has_id(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id) || self.shared_id.as_deref() == Some(id)
    }

    /// The part that says what to run, and the name of its text.
    pub(crate) fn parts(&self) -> (&'static str, &'static str) {
        parts(self.custom)
    }

    /// Whether anything is known of the call: a header without name and arguments is no call.
    pub(crate) fn says_anything(&self) -> bool {
        !self.name.is_empty() || !self.arguments.is_empty() || self.is_foreign()
    }

    /// Whether it calls nothing that has a name, but a tool of the provider's own: all of it is in the extras.
    pub(crate) fn is_foreign(&self) -> bool {
        self.name.is_empty()
            && self.arguments.is_empty()
            && !matches!(&*self.kind, "" | "function" | "custom")
            && !self.extras.is_empty()
    }

    /// Whether the arguments are the text of a JSON value, or will be.
    fn has_json(&self) -> bool {
        !self.custom && !self.is_foreign()
    }

    /// Whether the arguments are an empty object that was sent as a value, which may yet give way to others.
    pub(crate) fn is_placeholder(&self) -> bool {
        self.placeholder && self.repairs.has(Repair::ArgumentsNotText)
    }

    /// Whether the last fragment gave up all arguments before it.
    pub(crate) fn has_begun_anew(&self) -> bool {
        self.begun_anew
    }

    /// The arguments as they are given out: at the end of the stream, none are an empty object.
    #[must_use]
    pub fn arguments(&self, ended: bool) -> &str {
        if ended && self.arguments.is_empty() && self.has_json() { "{}" } else { &self.arguments }
    }

    /// Whether the arguments are one JSON value; always so at the end for what has none, as the text of a custom tool.
    /// `document` is for reading them.
    #[must_use]
    pub fn is_complete(&self, ended: bool, document: &mut Document) -> bool {
        if self.has_json() { document.read(self.arguments(ended)).is_ok() } else { ended }
    }

    /// What had to be put right, what only the end of the stream shows included.
    #[must_use]
    pub fn repairs(&self, ended: bool) -> Repairs {
        let mut repairs = self.repairs;
        if self.id.is_none() {
            repairs.add(Repair::IdGenerated);
        }
        if ended && self.arguments.is_empty() && self.has_json() {
            repairs.add(Repair::ArgumentsEmpty);
        }
        repairs
    }

    /// Whether the arguments are one JSON value, in mid-stream: read only when their brackets are closed, and
    /// once.
    fn is_value(&mut self, document: &mut Document) -> bool {
        if !self.has_json() {
            return true;
        }
        let closed = self.whole.is_whole() && !self.broken;
        self.broken |= closed && document.read(&self.arguments).is_err();
        closed && !self.broken
    }
}

/// What adding a fragment came to.
pub(crate) struct Added<'d> {
    /// The call to which it went, by its ordinal.
    pub call: usize,
    /// The text of its arguments, if that is all that it would add if it came again, and whether it has a name.
    text: Option<(Value<'d>, bool)>,
    /// How many more bytes are held.
    more: isize,
}

/// The tool calls of one message.
#[derive(Clone, Debug, Default)]
pub struct ToolCalls {
    calls: Vec<ToolCall>,
    /// The newest call at an index.
    by_index: Places<u64>,
    /// The call that first came under an id, as its own or as a later one.
    by_id: Places<Box<str>>,
    /// How many calls have been looked at for an id.
    with_ids: usize,
}

impl ToolCalls {
    /// How many calls there are, those that say nothing included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.calls.len()
    }

    /// Takes the `tool_calls` of a delta, and notes what they make grow; returns how many more bytes are held.
    pub(super) fn add(&mut self, list: Value<'_>, growth: &mut Growth) -> isize {
        let fragments = list.items().filter(|item| item.kind() == Kind::Object);
        let mut more = 0;
        for fragment in fragments {
            let added = self.add_fragment(fragment);
            match added.text {
                Some((arguments, named)) => growth.fragment(arguments, added.call, named),
                None => growth.other(),
            }
            more += added.more;
        }
        more
    }

    /// Gives ids to the new calls that came without one, in case none comes.
    pub(super) fn generate_ids(&mut self, id_of: impl Fn(usize) -> Box<str>) {
        for call in self.calls[self.with_ids..].iter_mut().filter(|call| call.id.is_none()) {
            call.generated_id = id_of(call.ordinal);
        }
        self.with_ids = self.calls.len();
    }

    /// A call by its ordinal, also one that says nothing.
    pub(crate) fn by_ordinal(&self, ordinal: usize) -> Option<&ToolCall> {
        self.calls.get(ordinal)
    }

    /// Takes the text of a fragment that but for it is like the last one, which went to the call at a place; returns
    /// how many more bytes are held. None, and nothing has changed, if it may be another call's.
    pub(super) fn add_arguments(&mut self, at: usize, named: bool, text: &str) -> Option<isize> {
        let call = self.calls.get_mut(at).filter(|call| !(named && call.whole.is_whole()))?;
        if call.reported {
            call.repairs.add(Repair::ChangedAfterReported);
        }
        Some(call.add_text(text, true, named))
    }

    /// The calls in the order of their indices, or as they came where one has none.
    pub fn iter(&self) -> impl Iterator<Item = &ToolCall> {
        self.order().into_iter().map(|at| &self.calls[at])
    }

    /// Which calls of `iter` have not been given out yet and are finished, and gives them out: all of them at
    /// the end of the stream (`ended`); before it those whose arguments are a JSON value and that have
    /// another call behind them, or the finish reason.
    pub fn finished(&mut self, ended: bool, finish_reason: bool, document: &mut Document) -> Vec<usize> {
        let newest = self.calls.len().saturating_sub(1);
        let mut finished = Vec::new();
        for (place, at) in self.order().into_iter().enumerate() {
            let call = &mut self.calls[at];
            if !call.reported && (ended || ((finish_reason || at < newest) && call.is_value(document))) {
                call.reported = true;
                finished.push(place);
            }
        }
        finished
    }

    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> =
            (0..self.calls.len()).filter(|&at| self.calls[at].says_anything()).collect();
        if order.iter().all(|&at| self.calls[at].index.is_some()) {
            order.sort_by_key(|&at| self.calls[at].index);
        }
        order
    }

    /// Takes one fragment; tells which call it went to, and what it added.
    pub(crate) fn add_fragment<'d>(&mut self, item: Value<'d>) -> Added<'d> {
        let fragment = Fragment::read(item);
        let ids = self.by_id.len();
        let at = self.place(&fragment);
        let id = fragment.id.as_deref();
        // Without an index, an id that two calls came under leads to the first of them, not to one just begun.
        let leads_back = fragment.index.is_none() && id.is_some_and(|id| self.by_id.get(id) != Some(at));
        let new_id = if self.by_id.len() > ids { id.map_or(0, str::len).cast_signed() } else { 0 };
        let more = new_id + self.calls[at].add(&fragment);
        let plain = fragment.function.is_some() && fragment.custom.is_none() && !leads_back;
        let text = fragment.arguments.filter(|value| plain && value.kind() == Kind::String);
        Added { call: at, text: text.map(|text| (text, fragment.name.is_some())), more }
    }

    /// The call that a fragment belongs to, made new if need be: rules 1 to 4.
    fn place(&mut self, fragment: &Fragment<'_>) -> usize {
        let Fragment { index, starts_value, .. } = *fragment;
        let named = fragment.name.is_some();
        let there = index.and_then(|index| self.by_index.get(&index));
        let begins_anew = |call: &ToolCall| starts_value && call.whole.is_whole();

        if let Some(id) = fragment.id.as_deref() {
            let here = there.filter(|&at| self.calls[at].has_id(id));
            if let Some(at) = here.or_else(|| self.by_id.get(id)) {
                let call = &self.calls[at];
                let elsewhere = index.is_some() && call.index.is_some() && index != call.index;
                return if (elsewhere && named) || (!elsewhere && begins_anew(call)) {
                    self.open(fragment)
                } else {
                    at
                };
            }
            return match there {
                Some(at) if self.takes_id(at, fragment) => {
                    let call = &mut self.calls[at];
                    if call.id.is_some() {
                        call.repairs.add(Repair::IdChanged);
                    } else {
                        call.id = Some(id.into());
                    }
                    self.by_id.set(id.into(), at);
                    at
                }
                _ => self.open(fragment),
            };
        }
        let continued = match (index, there) {
            (Some(_), there) => there.filter(|&at| {
                let call = &self.calls[at];
                let other_name = fragment.name.as_deref().is_some_and(|name| name != call.name);
                let header = other_name && fragment.arguments.is_some() && call.arguments.is_empty();
                call.name.is_empty() || !(begins_anew(call) || header)
            }),
            (None, _) => self.calls.len().checked_sub(1).filter(|&at| {
                let call = &self.calls[at];
                fragment
                    .name
                    .as_deref()
                    .is_none_or(|name| call.name.is_empty() || (name == call.name && !call.whole.is_whole()))
            }),
        };
        continued.unwrap_or_else(|| self.open(fragment))
    }

    /// Whether a fragment with a new id goes on with the call at its index.
    fn takes_id(&self, at: usize, fragment: &Fragment<'_>) -> bool {
        let call = &self.calls[at];
        match fragment.name.as_deref() {
            None => true,
            Some(name) => {
                call.id.is_none() && (call.name.is_empty() || (name == call.name && !call.whole.is_whole()))
            }
        }
    }

    fn open(&mut self, fragment: &Fragment<'_>) -> usize {
        let at = self.calls.len();
        let mut call = ToolCall { ordinal: at, index: fragment.index, ..ToolCall::default() };
        if let Some(id) = fragment.id.as_deref() {
            // An id that another call has stays that call's: this one gets its own at the end.
            if self.by_id.get(id).is_none() {
                self.by_id.set(id.into(), at);
                call.id = Some(id.into());
            } else {
                call.shared_id = Some(id.into());
            }
        }
        if let Some(index) = fragment.index {
            if self.by_index.get(&index).is_some() {
                call.repairs.add(Repair::IndexShared);
            }
            self.by_index.set(index, at);
        }
        // Most messages have few calls, and a call is large: no room for many at once.
        self.calls.reserve_exact(if at < self.calls.capacity() { 0 } else { 1 + at / 2 });
        self.calls.push(call);
        at
    }
}

impl ToolCall {
    /// Takes a fragment that belongs to it; returns how many more bytes are held.
    fn add(&mut self, fragment: &Fragment<'_>) -> isize {
        self.begun_anew = false;
        if self.reported {
            self.repairs.add(Repair::ChangedAfterReported);
        }
        if fragment.index.is_none() {
            self.repairs.add(Repair::IndexMissing);
        }
        if let Some(kind) = fragment.kind.as_deref().filter(|_| self.kind.is_empty()) {
            self.kind = word(kind);
        }
        self.custom |= fragment.custom.is_some() || (fragment.body().is_none() && *self.kind == *"custom");
        let mut more = self.add_name(fragment) + self.add_arguments(fragment);
        for (key, value) in fragment.extras() {
            more += self.extras.set(key, value);
        }
        for (key, value) in fragment.body_extras() {
            more += self.function_extras.set(key, value);
        }
        more
    }

    fn add_name(&mut self, fragment: &Fragment<'_>) -> isize {
        let Some(name) = fragment.name.as_deref() else { return 0 };
        if self.name.is_empty() {
            if !self.arguments.is_empty() {
                self.repairs.add(Repair::NameLate);
            }
        } else {
            let only_a_name = fragment.id.is_none() && fragment.arguments.is_none();
            if !only_a_name || !self.arguments.is_empty() || self.name == name {
                return 0;
            }
        }
        self.name.push_str(name);
        name.len().cast_signed()
    }

    fn add_arguments(&mut self, fragment: &Fragment<'_>) -> isize {
        let Some(value) = fragment.arguments else { return 0 };
        self.add_text(&as_text(value), value.kind() == Kind::String, fragment.name.is_some())
    }

    fn add_text(&mut self, text: &str, is_text: bool, named: bool) -> isize {
        if text.is_empty() {
            return 0;
        }
        if !is_text {
            self.repairs.add(Repair::ArgumentsNotText);
        }
        let repeats = !named && self.whole.is_whole() && *text == *self.arguments;
        // No value goes on with a bracket behind one that has just opened: that is all of it, once more.
        let again = !self.custom && self.arguments == "{" && text.starts_with('{');
        self.begun_anew = again || (self.placeholder && (!is_text || (starts_value(text) && !repeats)));
        if self.begun_anew {
            self.arguments.clear();
            self.whole = Completeness::default();
        } else if repeats {
            self.repairs.add(Repair::ArgumentsRepeated);
            return 0;
        }
        append(&mut self.arguments, text);
        self.placeholder = !self.custom && text == "{}" && self.arguments == text;
        if !self.custom {
            // Free text is never whole.
            self.whole.push(text);
        }
        text.len().cast_signed()
    }
}
