//! Errors that a provider reports inside a stream.
//!
//! Recognised, wherever the value says anything (`"error": null` is no error): a top-level `error` object or
//! string, with or without choices; an event of type "error"; `{"object": "error", ...}`; `x_groq.error`; a
//! choice's `error`; a Responses `error`, `response.failed` or `response.incomplete` event; and the same as
//! the first item of an array, as Gemini sends its error documents.

use crate::json::{Kind, Value, write_string};

/// An error as the provider told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// Its text; empty where none was sent.
    pub message: Box<str>,
    /// What sort of error, in the provider's own words.
    pub kind: Option<Box<str>>,
    /// Its code as raw JSON: some send numbers, some strings.
    pub code: Option<Box<str>>,
    /// All of it, as raw JSON.
    pub raw: Box<str>,
}

impl ProviderError {
    /// The error that a JSON document reports, if it does. `event` is the type of the event it came in.
    #[must_use]
    pub fn find(event: &str, document: Value<'_>) -> Option<Self> {
        let document = match document.kind() {
            Kind::Array => document.items().next()?,
            _ => document,
        };
        let (mut error, mut groq, mut choices) = (None, None, None);
        let (mut object, mut kind, mut response) = (None, None, None);
        for (key, value) in document.members() {
            match key {
                "error" => error = Some(value),
                "x_groq" => groq = Some(value),
                "choices" => choices = Some(value),
                "object" => object = Some(value),
                "type" => kind = Some(value),
                "response" => response = Some(value),
                _ => {}
            }
        }
        // An object that says nothing comes with each chunk of some; by itself it is there for a reason.
        let tells = |error: &Value<'_>| says_anything(error) || (choices.is_none() && error.is_truthy());
        if let Some(error) = error.filter(tells) {
            return Some(Self::of(error));
        }
        if let Some(error) = groq.and_then(|groq| groq.get("error")).filter(says_anything) {
            return Some(Self::of(error));
        }
        if object.and_then(Value::as_str).as_deref() == Some("error") {
            return Some(Self::of(document));
        }
        match kind.and_then(Value::as_str).as_deref() {
            Some("error") => return Some(Self::of(document)),
            Some("response.failed" | "response.incomplete") => {
                let said = |key| response.and_then(|response| response.get(key)).filter(|it| it.is_truthy());
                let said = said("error").or_else(|| said("incomplete_details"));
                return Some(Self::of(said.or(response).unwrap_or(document)));
            }
            _ => {}
        }
        if event == "error" {
            return Some(Self::of(document));
        }
        let in_choice = |choice: Value<'_>| choice.get("error").filter(says_anything).map(Self::of);
        choices?.items().find_map(in_choice)
    }

    /// The error that an event of type "error" reports whose data is no JSON.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let mut raw = String::new();
        write_string(&mut raw, text);
        Self { message: text.into(), kind: None, code: None, raw: raw.into() }
    }

    fn of(error: Value<'_>) -> Self {
        let first = |keys: &[&str]| {
            let mut said = keys.iter().filter_map(|key| error.get(key)).filter(|value| value.is_truthy());
            said.next()
        };
        let text = |value: Value<'_>| match value.as_str() {
            Some(text) => text.into(),
            None => value.raw().into(),
        };
        if error.kind() != Kind::Object {
            return Self { message: text(error), kind: None, code: None, raw: error.raw().into() };
        }
        Self {
            message: first(&["message", "reason", "detail", "title"]).map(text).unwrap_or_default(),
            // Gemini's `status` is what others call the type.
            kind: first(&["type", "status"]).map(text),
            code: first(&["code"]).map(|code| code.raw().into()),
            raw: error.raw().into(),
        }
    }
}

/// Whether an error says anything. An object of fields that are all blank does not.
fn says_anything(error: &Value<'_>) -> bool {
    match error.kind() {
        Kind::Object => error.members().any(|(_, value)| value.is_truthy() && !value.is_blank()),
        _ => error.is_truthy() && !error.is_blank(),
    }
}
