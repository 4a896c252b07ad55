//! Tool calls and finish reasons in canonical form, for clients that take the format at its word.
//!
//! Which call a fragment belongs to is told by `chat::ToolCalls`. What is sent on of a call is what it has
//! grown by: so ids, types and names go out once, with the call's first fragment, arguments that were repeated
//! do not go out again, and arguments that came as a value go out as text. Indices count the calls of a choice
//! in the order in which they are sent. A fragment that is in canonical form already is not touched.
//!
//! A call is held back until its id and name are known; one that never gets an id is sent under the generated
//! one, ahead of the finish reason. An event with a finish reason waits for the next event, which shows whether
//! the choice goes on: then a later finish reason is the one that is sent.
//!
//! A call of a tool of the provider's own, which is neither a function nor a custom one, is passed on as it is, but
//! with its place as its index.
//!
//! Every choice gets its index as a number, and a `delta` that is an object: a whole `message` becomes the delta
//! if none came before it.

use std::collections::BTreeMap;

use super::lines::Splice;
use super::rules::{Entry, cut};
use crate::chat::{self, Accumulator, ToolCall, ToolCalls, is_call_field, said};
use crate::json::{Kind, Value, write_string};

/// What a client has been told of a call.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Its index; None as long as it is held back.
    index: Option<usize>,
    /// How much of its name, in bytes.
    name: usize,
    /// How much of its arguments, in bytes.
    arguments: usize,
}

#[derive(Debug, Default)]
struct Choice {
    calls: ToolCalls,
    /// By ordinal.
    told: Vec<Told>,
    /// How many calls have been sent.
    count: usize,
    has_delta: bool,
    /// The last finish reason, as JSON.
    reason: Option<Box<str>>,
    /// A finish reason has been sent.
    is_finished: bool,
}

/// A finish reason in a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    /// The choice.
    pub index: u64,
    /// Where in the text the reason stands.
    pub start: usize,
    pub end: usize,
}

/// The choices as a client has been told them.
#[derive(Debug)]
pub(super) struct Repairer {
    /// All choices are one, as for the accumulator.
    merge_choices: bool,
    choices: BTreeMap<u64, Choice>,
}

impl Repairer {
    pub fn new(merge_choices: bool) -> Self {
        Self { merge_choices, choices: BTreeMap::new() }
    }

    /// Adds what is to be repaired in a chunk, and gives the finish reasons in it.
    pub fn repair(&mut self, chunk: Value<'_>, splices: &mut Vec<Splice>) -> Vec<Finish> {
        let mut finishes = Vec::new();
        for item in choices_of(chunk) {
            let index = self.index_of(item);
            let number = index.to_string();
            let entries: Vec<Entry<'_>> = item.entries().collect();
            let has = |name: &str| entries.iter().any(|(key, ..)| *key == name);
            let missing = [
                (!has("index")).then(|| format!("\"index\":{number}")),
                (!has("delta") && !has("message")).then(|| "\"delta\":{}".to_owned()),
            ];
            let mut missing = missing.into_iter().flatten().collect::<Vec<_>>().join(",");
            if !missing.is_empty() {
                missing.push_str(if is_gone(&entries, splices) { "" } else { "," });
                splices.push(replace((item.start() + 1, item.start() + 1), &missing));
            }
            let choice = self.choices.entry(index).or_default();
            choice.repair_delta(&entries, splices);
            for (key, _, value) in &entries {
                let span = (value.start(), value.end());
                match &**key {
                    "index" if value.raw() != number => splices.push(replace(span, &number)),
                    "finish_reason" if said(*value).is_some() => {
                        choice.reason = Some(value.raw().into());
                        if choice.is_finished {
                            splices.push(replace(span, "null"));
                        } else {
                            finishes.push(Finish { index, start: span.0, end: span.1 });
                        }
                    }
                    "finish_reason" if value.kind() == Kind::String => splices.push(replace(span, "null")),
                    _ => {}
                }
            }
        }
        finishes
    }

    /// Whether a chunk has more of a choice that had a finish reason.
    pub fn goes_on(&self, chunk: Value<'_>, index: u64) -> bool {
        choices_of(chunk).filter(|item| self.index_of(*item) == index).any(|item| {
            let delta = item.get("delta").into_iter().flat_map(Value::members);
            item.get("finish_reason").and_then(said).is_some()
                || delta.into_iter().any(|(key, value)| key != "role" && value.is_truthy())
        })
    }

    /// Notes that the finish reason of a choice is sent.
    pub fn finish(&mut self, index: u64) {
        self.choices.entry(index).or_default().is_finished = true;
    }

    /// What is still to be sent of a choice ahead of its finish reason: a list of fragments.
    pub fn outstanding(&mut self, index: u64, message: &Accumulator) -> Option<String> {
        let watched = message.choices().find(|(of, _)| *of == index).map(|(_, choice)| choice);
        let choice = self.choices.get_mut(&index)?;
        let mut fragments = Vec::new();
        for ordinal in 0..choice.told.len() {
            let is_due = |call: &&ToolCall| call.says_anything() && !call.is_foreign();
            let Some(call) = choice.calls.by_ordinal(ordinal).filter(is_due) else { continue };
            let same = watched.and_then(|choice| choice.tool_calls.by_ordinal(ordinal));
            let made = same.map(|call| &*call.generated_id).filter(|id| !id.is_empty());
            let Some(id) = call.id.as_deref().or(made) else { continue };
            let told = &mut choice.told[ordinal];
            let header = told.index.is_none();
            let index = *told.index.get_or_insert_with(|| {
                choice.count += 1;
                choice.count - 1
            });
            let name = rest(&call.name, told.name);
            let arguments = rest(call.arguments(true), told.arguments);
            told.name = call.name.len();
            // What was sent for none cannot be taken back: nothing more fits.
            let none = call.arguments(false).is_empty();
            told.arguments = if none { usize::MAX } else { call.arguments(true).len() };
            if header || !arguments.is_empty() {
                let id = header.then_some(id);
                fragments.push(write_fragment(call, index, id, name, arguments, None));
            }
        }
        (!fragments.is_empty()).then(|| format!("[{}]", fragments.join(",")))
    }

    /// The finish reason of a choice that has not been sent, as JSON.
    pub fn reason(&self, index: u64) -> Option<&str> {
        self.choices.get(&index).filter(|choice| !choice.is_finished)?.reason.as_deref()
    }

    /// The choices that have had no finish reason sent.
    pub fn unfinished(&self) -> Vec<u64> {
        self.choices.iter().filter(|(_, choice)| !choice.is_finished).map(|(index, _)| *index).collect()
    }

    /// Whether a chunk, and any that differs from it in strings and numbers alone, needs no repair and has no
    /// finish reason; then the values on whose text that depends.
    pub fn is_canonical(chunk: Value<'_>) -> Option<Vec<Value<'_>>> {
        let mut fixed = Vec::new();
        for item in choices_of(chunk) {
            let nothing = |value: Value<'_>| value.is_null() || value.raw() == "[]";
            let delta = item.get("delta").filter(|delta| delta.kind() == Kind::Object)?;
            let calls = delta.entries().all(|(key, _, value)| key != "tool_calls" || nothing(value));
            let reason = item.entries().all(|(key, _, value)| key != "finish_reason" || value.is_null());
            if !calls || !reason {
                return None;
            }
            fixed.extend(item.entries().filter(|(key, ..)| *key == "index").map(|(_, _, value)| value));
        }
        Some(fixed)
    }

    fn index_of(&self, choice: Value<'_>) -> u64 {
        chat::Choice::index_of(choice.get("index"), self.merge_choices)
    }
}

/// A chunk that a provider did not send: of one choice, with the envelope of the others.
pub(super) fn made_chunk(message: &Accumulator, index: u64, delta: &str, reason: &str) -> String {
    let mut text = String::from("{");
    if let Some(id) = &message.id {
        text.push_str("\"id\":");
        write_string(&mut text, id);
        text.push(',');
    }
    text.push_str("\"object\":\"chat.completion.chunk\",");
    if let Some(created) = &message.created {
        text.push_str("\"created\":");
        text.push_str(created);
        text.push(',');
    }
    if let Some(model) = &message.model {
        text.push_str("\"model\":");
        write_string(&mut text, model);
        text.push(',');
    }
    text + &format!("\"choices\":[{{\"index\":{index},\"delta\":{delta},\"finish_reason\":{reason}}}]}}")
}

impl Choice {
    fn repair_delta(&mut self, entries: &[Entry<'_>], splices: &mut Vec<Splice>) {
        let find = |name: &str| entries.iter().rfind(|(key, ..)| *key == name);
        let (delta, message) = (find("delta"), find("message"));
        match (delta, message) {
            (Some((_, _, delta)), _) if delta.kind() == Kind::Object => {
                self.has_delta = true;
                self.repair_calls(*delta, splices);
            }
            (None, Some((_, start, message))) if message.kind() == Kind::Object && !self.has_delta => {
                self.has_delta = true;
                splices.push(replace((*start, message.start()), "\"delta\":"));
                self.repair_calls(*message, splices);
            }
            (None, Some((_, start, message))) => {
                splices.push(replace((*start, message.end()), "\"delta\":{}"));
            }
            (Some((_, _, delta)), _) => splices.push(replace((delta.start(), delta.end()), "{}")),
            (None, None) => {}
        }
    }

    fn repair_calls(&mut self, delta: Value<'_>, splices: &mut Vec<Splice>) {
        let entries: Vec<Entry<'_>> = delta.entries().collect();
        let Some((_, _, list)) = entries.iter().rfind(|(key, ..)| *key == "tool_calls") else { return };
        let mut canonical = true;
        let mut fragments = Vec::new();
        for item in list.items() {
            let fragment = (item.kind() == Kind::Object).then(|| self.repair_fragment(item)).flatten();
            canonical &= fragment.as_deref() == Some(item.raw());
            fragments.extend(fragment);
        }
        if fragments.is_empty() && list.items().next().is_some() {
            cut(&entries, |key| key == "tool_calls", splices);
        } else if !canonical {
            splices.push(replace((list.start(), list.end()), &format!("[{}]", fragments.join(","))));
        }
    }

    /// The fragment as it is to be sent, if anything of it is.
    fn repair_fragment(&mut self, item: Value<'_>) -> Option<String> {
        let ordinal = self.calls.add_fragment(item).call;
        let call = self.calls.by_ordinal(ordinal)?;
        if self.told.len() <= ordinal {
            self.told.resize(ordinal + 1, Told::default());
        }
        let told = &mut self.told[ordinal];
        if call.is_foreign() {
            // There is no canonical form of it but its place among the calls, and what came before that was known.
            let header = told.index.is_none();
            let index = *told.index.get_or_insert_with(|| {
                self.count += 1;
                self.count - 1
            });
            return Some(write_foreign(call, index, header, item));
        }
        let header = call.id.as_deref().filter(|_| told.index.is_none() && !call.name.is_empty());
        if header.is_some() {
            told.index = Some(self.count);
            self.count += 1;
        }
        let index = told.index?;
        if call.has_begun_anew() && told.arguments > 1 {
            // An empty object cannot be taken back; all of what is meant comes behind it. A lone brace is its beginning.
            told.arguments = 0;
        }
        let name = rest(&call.name, told.name);
        let arguments = if call.is_placeholder() { "" } else { rest(call.arguments(false), told.arguments) };
        told.name += name.len();
        told.arguments += arguments.len();
        if is_canonical(item, call, index, header.is_some(), name, arguments) {
            return Some(item.raw().into());
        }
        let text = write_fragment(call, index, header, name, arguments, Some(item));
        let says_more = header.is_some() || !name.is_empty() || !arguments.is_empty() || has_extras(item);
        says_more.then_some(text)
    }
}

/// The choices of a chat: one with `text` instead of a delta is of the older protocol.
fn choices_of(chunk: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    let choices = chunk.get("choices").into_iter().flat_map(Value::items);
    let is_older = |choice: Value<'_>| choice.get("text").is_some() && choice.get("delta").is_none();
    choices.filter(move |choice| choice.kind() == Kind::Object && !is_older(*choice))
}

/// Whether nothing is left of the members of an object.
fn is_gone(entries: &[Entry<'_>], splices: &[Splice]) -> bool {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return true };
    splices.iter().any(|it| it.with.is_empty() && it.start <= first.1 && last.2.end() <= it.end)
}

fn replace((start, end): (usize, usize), with: &str) -> Splice {
    // A line end is white space in what was taken over as it stands, and would end the line it is put into.
    Splice { start, end, with: with.replace('\n', " ").into() }
}

/// What of a text has not been sent.
fn rest(text: &str, sent: usize) -> &str {
    text.get(sent..).unwrap_or_default()
}

fn is_object(value: Value<'_>) -> bool {
    value.kind() == Kind::Object
}

fn has_extras(item: Value<'_>) -> bool {
    item.members().any(|(key, value)| !is_call_field(key) && !value.is_null())
}

fn is_canonical(
    item: Value<'_>,
    call: &ToolCall,
    index: usize,
    header: bool,
    name: &str,
    arguments: &str,
) -> bool {
    let (part, text) = call.parts();
    let said = |value: Option<Value<'_>>, expected: &str| match value.filter(|value| !value.is_null()) {
        Some(value) => value.as_str().as_deref() == Some(expected),
        None => expected.is_empty(),
    };
    let body = item.get(part);
    let field = |key| body.and_then(|body| body.get(key));
    let kind = item.get("type");
    let index_fits = item
        .get("index")
        .is_some_and(|value| value.kind() == Kind::Number && value.as_index() == u64::try_from(index).ok());
    let blank = |value: Option<Value<'_>>| value.is_none_or(Value::is_null);
    let id_fits =
        if header { said(item.get("id"), call.id.as_deref().unwrap_or("")) } else { blank(item.get("id")) };
    let kind_fits = match kind {
        Some(kind) => kind.as_nonblank().is_some(),
        None => !header,
    };
    let name_fits = if name.is_empty() { blank(field("name")) } else { said(field("name"), name) };
    let text_fits = match (header, name) {
        // A client may add the arguments to nothing.
        (true, _) => said(field(text), arguments) && !blank(field(text)),
        (false, "") => said(field(text), arguments),
        (false, _) => blank(field(text)),
    };
    index_fits && body.is_some_and(is_object) && id_fits && kind_fits && name_fits && text_fits
}

/// A fragment of a call of a provider's own tool: all of the call that has come, or what the fragment has.
fn write_foreign(call: &ToolCall, index: usize, header: bool, item: Value<'_>) -> String {
    let mut out = format!("{{\"index\":{index}");
    let mut member = |key: &str, raw: &str| {
        out.push(',');
        write_string(&mut out, key);
        out.push(':');
        out.push_str(raw);
    };
    if header {
        let mut text = |key: &str, value: &str| {
            let mut raw = String::new();
            write_string(&mut raw, value);
            member(key, &raw);
        };
        call.id.iter().for_each(|id| text("id", id));
        text("type", &call.kind);
        call.extras.iter().for_each(|(key, raw)| member(key, raw));
    } else {
        let others = item.members().filter(|(key, _)| *key != "index");
        others.for_each(|(key, value)| member(key, value.raw()));
    }
    out.push('}');
    out
}

/// A canonical fragment. With an `id` it is the first of its call; fields of the provider's own come from the
/// `item` that is rewritten, and with the first fragment from the call.
fn write_fragment(
    call: &ToolCall,
    index: usize,
    id: Option<&str>,
    name: &str,
    arguments: &str,
    item: Option<Value<'_>>,
) -> String {
    let (part, text) = call.parts();
    // A name that goes on is told by a fragment that has nothing else: see the rules of `ToolCalls`.
    let goes_on = id.is_none() && !name.is_empty() && arguments.is_empty();
    let mut out = format!("{{\"index\":{index}");
    let mut member = |key: &str, write: &dyn Fn(&mut String)| {
        out.push(',');
        write_string(&mut out, key);
        out.push(':');
        write(&mut out);
    };
    if let Some(id) = id {
        member("id", &|out| write_string(out, id));
        member("type", &|out| write_string(out, if call.kind.is_empty() { part } else { &call.kind }));
    }
    member(part, &|out| {
        out.push('{');
        if !name.is_empty() || id.is_some() {
            out.push_str("\"name\":");
            write_string(out, name);
            out.push_str(if goes_on { "" } else { "," });
        }
        if !goes_on {
            write_string(out, text);
            out.push(':');
            write_string(out, arguments);
        }
        let own = item.and_then(|item| item.get(part)).into_iter().flat_map(Value::members);
        let own = own.filter(|(key, _)| id.is_none() && *key != "name" && *key != text);
        let own = own.map(|(key, value)| (key.to_owned(), value.raw().to_owned()));
        let kept = call.function_extras.iter().filter(|_| id.is_some());
        for (key, raw) in kept.map(|(key, raw)| (key.to_owned(), raw.to_owned())).chain(own) {
            out.push(',');
            write_string(out, &key);
            out.push(':');
            out.push_str(&raw);
        }
        out.push('}');
    });
    if id.is_some() {
        call.extras.iter().for_each(|(key, raw)| member(key, &|out| out.push_str(raw)));
    } else {
        let own = item.into_iter().flat_map(Value::members).filter(|(key, _)| !is_call_field(key));
        own.for_each(|(key, value)| member(key, &|out| out.push_str(value.raw())));
    }
    out.push('}');
    out
}
