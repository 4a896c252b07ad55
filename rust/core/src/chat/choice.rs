//! One choice of a response: its message as far as it has come, and why it ended.
//!
//! A choice of a chunk carries a `delta`. A `message` beside one is the provider's own running sum and passed
//! over; a `message` without one is a whole message, from a provider that did not stream: it stands for the
//! choice unless deltas came before it.

use std::borrow::Cow;

use crate::chat::Text;
use crate::chat::extras::{Extras, RawList};
use crate::chat::fragment::as_text;
use crate::chat::plan::{Growth, Target};
use crate::chat::reasoning::Reasoning;
use crate::chat::text::{Word, said, word};
use crate::chat::tool_calls::ToolCalls;
use crate::json::{Kind, Value};

/// The legacy single function call.
#[derive(Clone, Debug, Default)]
pub struct FunctionCall {
    /// The function's name.
    pub name: String,
    /// Its arguments, as text.
    pub arguments: String,
}

/// Audio output.
#[derive(Clone, Debug, Default)]
pub struct Audio {
    /// Base64 data, in pieces that are concatenated.
    pub data: String,
    /// The transcript, in pieces that are concatenated.
    pub transcript: String,
    /// `id`, `expires_at` and whatever else was sent.
    pub extras: Extras,
}

/// Log probabilities of the tokens of the content and of the refusal.
#[derive(Clone, Debug, Default)]
pub struct Logprobs {
    /// One item a token.
    pub content: RawList,
    /// One item a token.
    pub refusal: RawList,
    /// Whatever else was sent.
    pub extras: Extras,
}

/// A choice.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The first that is not blank; empty stands for "assistant".
    pub role: Word,
    /// None until a string is sent, also an empty one.
    pub content: Option<Text>,
    /// None until text is sent.
    pub refusal: Option<Text>,
    /// From all the fields that carry it.
    pub reasoning: Reasoning,
    /// Functions and custom tools.
    pub tool_calls: ToolCalls,
    /// The legacy call, if there is one.
    pub function_call: Option<FunctionCall>,
    /// Audio, if there is any.
    pub audio: Option<Box<Audio>>,
    /// All that were sent.
    pub annotations: RawList,
    /// All that were generated: each chunk has its own.
    pub images: RawList,
    /// Parts of a content list that are neither text nor thinking.
    pub content_parts: RawList,
    /// Log probabilities, if there are any.
    pub logprobs: Option<Box<Logprobs>>,
    /// The tokens that were generated, from servers that tell them (vLLM).
    pub token_ids: RawList,
    /// The last one that is not blank.
    pub finish_reason: Option<Word>,
    /// Fields of the delta that nobody interprets.
    pub message_extras: Extras,
    /// Fields of the choice that nobody interprets.
    pub extras: Extras,
    has_delta: bool,
    /// The index under which the last whole message came.
    message_of: Option<u64>,
    /// How many bytes whole messages hold.
    message_size: isize,
}

const KNOWN: [&str; 7] = ["index", "delta", "message", "finish_reason", "logprobs", "usage", "error"];

/// The fields of a choice in a chunk, found in one pass.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'d> {
    of: Value<'d>,
    pub(super) index: Option<Value<'d>>,
    pub(super) usage: Option<Value<'d>>,
    pub(super) error: Option<Value<'d>>,
    delta: Option<Value<'d>>,
    message: Option<Value<'d>>,
    finish_reason: Option<Value<'d>>,
    logprobs: Option<Value<'d>>,
    /// Fields that nobody interprets, other than null.
    has_extras: bool,
}

impl<'d> Fields<'d> {
    pub(super) fn of(choice: Value<'d>) -> Self {
        let mut fields = Self {
            of: choice,
            index: None,
            usage: None,
            error: None,
            delta: None,
            message: None,
            finish_reason: None,
            logprobs: None,
            has_extras: false,
        };
        for (key, value) in choice.members() {
            let field = match key {
                "index" => &mut fields.index,
                "delta" => &mut fields.delta,
                "message" => &mut fields.message,
                "finish_reason" => &mut fields.finish_reason,
                "logprobs" => &mut fields.logprobs,
                "usage" => &mut fields.usage,
                "error" => &mut fields.error,
                _ => {
                    fields.has_extras |= !value.is_null();
                    continue;
                }
            };
            *field = Some(value);
        }
        fields
    }
}

impl Choice {
    /// Which choice one of a chunk is, by its `index`. If all are one, that tells nothing.
    pub(crate) fn index_of(index: Option<Value<'_>>, merge_choices: bool) -> u64 {
        index.filter(|_| !merge_choices).and_then(Value::as_index).unwrap_or(0)
    }

    /// Takes a choice of a chunk, and notes what it makes grow; returns how many more bytes are held.
    pub(super) fn add(&mut self, choice: &Fields<'_>, growth: &mut Growth) -> isize {
        let mut more = 0;
        if let Some(reason) = choice.finish_reason.and_then(said)
            && self.finish_reason.as_deref() != Some(&*reason)
        {
            self.finish_reason = Some(word(&reason));
        }
        if let Some(logprobs) = choice.logprobs {
            more += self.add_logprobs(logprobs, growth);
        }
        if choice.has_extras {
            for (key, value) in choice.of.members().filter(|(key, _)| !KNOWN.contains(key)) {
                more += match key {
                    "token_ids" => extend(&mut self.token_ids, value, growth),
                    _ => self.extras.set(key, value),
                };
            }
        }
        let Fields { message, .. } = *choice;
        let delta = choice.delta.filter(|delta| !delta.is_null());
        if let Some(delta) = delta.filter(|delta| delta.kind() == Kind::Object) {
            self.has_delta = true;
            more += self.add_delta(delta, growth);
        } else if let Some(message) =
            message.filter(|it| it.kind() == Kind::Object && delta.is_none() && !self.has_delta)
        {
            growth.other();
            // Of choices that are merged, each has a message of its own.
            let index = Self::index_of(choice.index, false);
            if self.message_of.replace(index) != Some(index) {
                let growth = self.add_delta(message, growth);
                self.message_size += growth;
                return more + growth;
            }
            more -= self.message_size;
            let whole = Self {
                finish_reason: self.finish_reason.take(),
                logprobs: self.logprobs.take(),
                token_ids: std::mem::take(&mut self.token_ids),
                extras: std::mem::take(&mut self.extras),
                message_of: self.message_of,
                ..Self::default()
            };
            *self = whole;
            self.message_size = self.add_delta(message, growth);
            more += self.message_size;
        }
        more
    }

    fn add_delta(&mut self, delta: Value<'_>, growth: &mut Growth) -> isize {
        let mut more = 0;
        let (mut reasoning, mut reasoning_content, mut details) = (None, None, None);
        let mut reasoning_text = None;
        for (key, value) in delta.members() {
            if value.is_null() {
                continue;
            }
            match key {
                "role" => {
                    if let Some(role) = value.as_nonblank().filter(|_| self.role.is_empty()) {
                        self.role = word(&role);
                    }
                }
                "content" => more += self.add_content(value, growth),
                "refusal" => {
                    let text = value.as_str().filter(|text| !text.is_empty());
                    if text.is_some() {
                        growth.other();
                    }
                    more += push(&mut self.refusal, text);
                }
                "reasoning" => reasoning = Some(value),
                "reasoning_content" => reasoning_content = Some(value),
                // GitHub Copilot's name for it.
                "reasoning_text" => reasoning_text = Some(value),
                "reasoning_details" => details = Some(value),
                "tool_calls" => more += self.tool_calls.add(value, growth),
                "function_call" => {
                    growth.other();
                    more += self.add_function_call(value);
                }
                "audio" => {
                    growth.other();
                    more += self.add_audio(value);
                }
                "annotations" => more += extend(&mut self.annotations, value, growth),
                "images" => more += extend(&mut self.images, value, growth),
                // No provider's, but it would stand in the message beside ours.
                "content_parts" => more += extend(&mut self.content_parts, value, growth),
                _ => more += self.message_extras.set(key, value),
            }
        }
        if let Some(text) = reasoning_text {
            // An empty one says nothing, and must not hide this one.
            reasoning_content = reasoning_content.filter(|content| content.raw() != "\"\"").or(Some(text));
        }
        if reasoning.is_some() || reasoning_content.is_some() || details.is_some() {
            more += self.reasoning.add(reasoning, reasoning_content, details, growth);
        }
        more
    }

    /// Text, or a list of parts: `text` is content, `thinking` is reasoning (Mistral).
    fn add_content(&mut self, content: Value<'_>, growth: &mut Growth) -> isize {
        if content.kind() == Kind::String {
            growth.text(content, Target::Content);
            return push(&mut self.content, content.as_str());
        }
        growth.other();
        let mut more = 0;
        for part in content.items() {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
            match (&*kind, part.get(&kind)) {
                ("text", Some(text)) => more += push(&mut self.content, text.as_str()),
                ("thinking", Some(thinking)) => {
                    let texts = thinking.items().filter_map(|part| part.get("text"));
                    for text in texts.chain([thinking]).filter_map(Value::as_str) {
                        more += self.reasoning.push(text.as_bytes());
                    }
                }
                _ => more += self.content_parts.push(part),
            }
        }
        more
    }

    fn add_function_call(&mut self, call: Value<'_>) -> isize {
        let name = call.get("name").and_then(Value::as_nonblank);
        // An empty object is a placeholder, as in a tool call.
        let is_empty =
            |value: Value<'_>| value.is_null() || (value.kind() == Kind::Object && !value.is_truthy());
        let arguments = call.get("arguments").filter(|value| !is_empty(*value)).map(as_text);
        let arguments = arguments.filter(|text| !text.is_empty());
        if name.is_none() && arguments.is_none() {
            return 0;
        }
        let held = self.function_call.get_or_insert_default();
        let name = name.filter(|_| held.name.is_empty()).unwrap_or_default();
        let arguments = arguments.unwrap_or_default();
        held.name.push_str(&name);
        held.arguments.push_str(&arguments);
        (name.len() + arguments.len()).cast_signed()
    }

    fn add_audio(&mut self, audio: Value<'_>) -> isize {
        if audio.kind() != Kind::Object {
            return 0;
        }
        let held = self.audio.get_or_insert_default();
        let mut more = 0;
        for (key, value) in audio.members() {
            let grows = match key {
                "data" => &mut held.data,
                "transcript" => &mut held.transcript,
                _ => {
                    more += held.extras.set(key, value);
                    continue;
                }
            };
            let text = value.as_str().unwrap_or_default();
            grows.push_str(&text);
            more += text.len().cast_signed();
        }
        more
    }

    fn add_logprobs(&mut self, logprobs: Value<'_>, growth: &mut Growth) -> isize {
        if logprobs.kind() != Kind::Object {
            return 0;
        }
        growth.other();
        let held = self.logprobs.get_or_insert_default();
        let mut more = 0;
        for (key, value) in logprobs.members() {
            more += match key {
                "content" => held.content.extend(value),
                "refusal" => held.refusal.extend(value),
                _ => held.extras.set(key, value),
            };
        }
        more
    }
}

/// Appends what is in a list. Some providers send an empty one with each delta, from which nothing comes.
fn extend(held: &mut RawList, list: Value<'_>, growth: &mut Growth) -> isize {
    let more = held.extend(list);
    if more > 0 {
        growth.other();
    }
    more
}

fn push(held: &mut Option<Text>, text: Option<Cow<'_, str>>) -> isize {
    text.map_or(0, |text| held.get_or_insert_default().push(text.as_bytes()))
}
