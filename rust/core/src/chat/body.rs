//! The message as a chat-completion body: the JSON text that a provider would have sent without streaming.
//!
//! Canonical keys first, then what the provider sent of its own, as it sent it. `index` and `finish_reason`
//! are always there; a field that never came is null where the canonical body must have it, else left out.
//! Written in one pass; the cost is linear in the message.

use crate::chat::{Accumulator, Choice, Extras, Text, ToolCall};
use crate::json::write_string;

impl Accumulator {
    /// The body. `ended` tells whether the stream has; `id_of` gives the id of a call, by the index of its
    /// choice.
    #[must_use]
    pub fn body(&self, ended: bool, mut id_of: impl FnMut(u64, &ToolCall) -> String) -> String {
        let mut body = Object::begin(String::new());
        body.text_or_null("id", self.id.as_deref());
        body.text("object", "chat.completion");
        body.raw("created", self.created.as_deref().unwrap_or("null"));
        body.text_or_null("model", self.model.as_deref());
        body.list("choices", self.choices(), |out, (index, choice)| {
            write_choice(out, index, choice, ended, &mut id_of)
        });
        body.raw_if("usage", self.usage.as_deref());
        body.text_if("system_fingerprint", self.system_fingerprint.as_deref());
        body.text_if("service_tier", self.service_tier.as_deref());
        body.extras(&self.extras);
        body.end()
    }
}

fn write_choice(
    out: String,
    index: u64,
    choice: &Choice,
    ended: bool,
    id_of: &mut impl FnMut(u64, &ToolCall) -> String,
) -> String {
    let mut body = Object::begin(out);
    body.raw("index", &index.to_string());
    body.object("message", |out| write_message(out, choice, ended, |call| id_of(index, call)));
    if let Some(logprobs) = &choice.logprobs {
        body.object("logprobs", |out| {
            let mut body = Object::begin(out);
            body.raw("content", logprobs.content.to_raw().as_deref().unwrap_or("null"));
            body.raw("refusal", logprobs.refusal.to_raw().as_deref().unwrap_or("null"));
            body.extras(&logprobs.extras);
            body.end()
        });
    }
    body.text_or_null("finish_reason", choice.finish_reason.as_deref());
    body.raw_if("token_ids", choice.token_ids.to_raw().as_deref());
    body.extras(&choice.extras);
    body.end()
}

fn write_message(
    out: String,
    choice: &Choice,
    ended: bool,
    mut id_of: impl FnMut(&ToolCall) -> String,
) -> String {
    let mut body = Object::begin(out);
    body.text("role", if choice.role.is_empty() { "assistant" } else { &choice.role });
    body.text_or_null("content", choice.content.as_ref().map(Text::as_str).as_deref());
    body.text_if("refusal", choice.refusal.as_ref().map(Text::as_str).as_deref());
    body.text_if("reasoning", choice.reasoning.text.as_ref().map(Text::as_str).as_deref());
    if !choice.reasoning.details.is_empty() {
        body.list("reasoning_details", choice.reasoning.details.iter(), |out, detail| {
            let mut body = Object::begin(out);
            body.extras(&detail.fields);
            body.text_if("text", detail.text.as_deref());
            body.text_if("summary", detail.summary.as_deref());
            body.end()
        });
    }
    let mut calls = choice.tool_calls.iter().peekable();
    if calls.peek().is_some() {
        body.list("tool_calls", calls, |out, call| write_call(out, call, ended, &id_of(call)));
    }
    if let Some(call) = &choice.function_call {
        body.object("function_call", |out| {
            let mut body = Object::begin(out);
            body.text("name", &call.name);
            body.text("arguments", &call.arguments);
            body.end()
        });
    }
    if let Some(audio) = &choice.audio {
        body.object("audio", |out| {
            let mut body = Object::begin(out);
            body.extras(&audio.extras);
            body.text("data", &audio.data);
            body.text("transcript", &audio.transcript);
            body.end()
        });
    }
    body.raw_if("annotations", choice.annotations.to_raw().as_deref());
    body.raw_if("images", choice.images.to_raw().as_deref());
    body.raw_if("content_parts", choice.content_parts.to_raw().as_deref());
    body.extras(&choice.message_extras);
    body.end()
}

impl ToolCall {
    /// The call as it stands in the body.
    #[must_use]
    pub fn body(&self, ended: bool, id: &str) -> String {
        write_call(String::new(), self, ended, id)
    }
}

fn write_call(out: String, call: &ToolCall, ended: bool, id: &str) -> String {
    let (kind, text) = call.parts();
    let mut body = Object::begin(out);
    body.text("id", id);
    body.text("type", if call.kind.is_empty() { kind } else { &call.kind });
    if !call.is_foreign() {
        body.object(kind, |out| {
            let mut body = Object::begin(out);
            body.text("name", &call.name);
            body.text(text, call.arguments(ended));
            body.extras(&call.function_extras);
            body.end()
        });
    }
    body.extras(&call.extras);
    body.end()
}

/// A JSON object that is being written behind other text.
struct Object {
    out: String,
    empty: bool,
}

impl Object {
    fn begin(mut out: String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        write_string(&mut self.out, key);
        self.out.push(':');
    }

    fn raw(&mut self, key: &str, raw: &str) {
        self.key(key);
        self.out.push_str(raw);
    }

    fn raw_if(&mut self, key: &str, raw: Option<&str>) {
        if let Some(raw) = raw {
            self.raw(key, raw);
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        write_string(&mut self.out, text);
    }

    fn text_if(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn text_or_null(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.raw(key, "null"),
        }
    }

    fn extras(&mut self, extras: &Extras) {
        for (key, raw) in extras.iter() {
            self.raw(key, raw);
        }
    }

    fn object(&mut self, key: &str, write: impl FnOnce(String) -> String) {
        self.key(key);
        self.out = write(std::mem::take(&mut self.out));
    }

    fn list<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(String, T) -> String,
    ) {
        self.key(key);
        self.out.push('[');
        for (n, item) in items.enumerate() {
            if n > 0 {
                self.out.push(',');
            }
            self.out = write(std::mem::take(&mut self.out), item);
        }
        self.out.push(']');
    }
}
