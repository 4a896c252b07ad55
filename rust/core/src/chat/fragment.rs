//! A fragment of a tool call as it stands in a delta, read in one pass over its fields.
//!
//! What says nothing counts as missing. Which call a fragment belongs to, and what it does there, is for `tool_calls`.

use std::borrow::Cow;

use crate::chat::text::said;
use crate::json::{Kind, Value, compact};

/// A fragment.
pub(super) struct Fragment<'d> {
    item: Value<'d>,
    pub id: Option<Cow<'d, str>>,
    pub index: Option<u64>,
    /// `type` as sent.
    pub kind: Option<Cow<'d, str>>,
    pub function: Option<Value<'d>>,
    pub custom: Option<Value<'d>>,
    pub name: Option<Cow<'d, str>>,
    /// Or the input of a custom tool.
    pub arguments: Option<Value<'d>>,
    /// It names a function, and the arguments may be the beginning of a value.
    pub starts_value: bool,
    has_extras: bool,
    has_body_extras: bool,
}

impl<'d> Fragment<'d> {
    #[inline]
    pub fn read(item: Value<'d>) -> Self {
        let (mut id, mut index, mut kind, mut function, mut custom) = (None, None, None, None, None);
        let (mut has_extras, mut has_body_extras) = (false, false);
        for (key, value) in item.members() {
            match key {
                "id" => id = said(value),
                "index" => index = value.as_index(),
                "type" => kind = value.as_nonblank(),
                "function" => function = Some(value).filter(|value| value.kind() == Kind::Object),
                "custom" => custom = Some(value).filter(|value| value.kind() == Kind::Object),
                _ => has_extras = true,
            }
        }
        let (mut name, mut arguments) = (None, None);
        if let Some(body) = function.or(custom) {
            let (_, text) = parts(function.is_none());
            for (key, value) in body.members() {
                if key == "name" {
                    name = value.as_nonblank();
                } else if key == text {
                    arguments = Some(value).filter(|value| !value.is_null());
                } else {
                    has_body_extras = true;
                }
            }
        }
        let starts_value = name.is_some()
            && arguments.is_some_and(|value| match value.kind() {
                Kind::String => value.as_str().is_some_and(|text| starts_value(&text)),
                _ => true,
            });
        Self {
            item,
            id,
            index,
            kind,
            function,
            custom,
            name,
            arguments,
            starts_value,
            has_extras,
            has_body_extras,
        }
    }

    /// The part that says what to run.
    pub fn body(&self) -> Option<Value<'d>> {
        self.function.or(self.custom)
    }

    /// Its fields that nobody interprets.
    pub fn extras(&self) -> impl Iterator<Item = (&'d str, Value<'d>)> {
        let item = Some(self.item).filter(|_| self.has_extras);
        item.into_iter().flat_map(Value::members).filter(|(key, _)| !is_call_field(key))
    }

    /// The same of its body.
    pub fn body_extras(&self) -> impl Iterator<Item = (&'d str, Value<'d>)> {
        let (_, text) = parts(self.function.is_none());
        let body = self.body().filter(|_| self.has_body_extras);
        body.into_iter().flat_map(Value::members).filter(move |(key, _)| *key != "name" && *key != text)
    }
}

/// Whether a field of a fragment is one of those that are interpreted.
pub(crate) fn is_call_field(key: &str) -> bool {
    matches!(key, "id" | "index" | "type" | "function" | "custom")
}

/// The part of a call that says what to run, and the name of its text.
pub(super) fn parts(custom: bool) -> (&'static str, &'static str) {
    if custom { ("custom", "input") } else { ("function", "arguments") }
}

/// Arguments as text: some send the value itself.
pub(super) fn as_text(arguments: Value<'_>) -> Cow<'_, str> {
    arguments.as_str().unwrap_or_else(|| compact(arguments.raw()).into())
}

/// Whether a text may be the beginning of arguments.
pub(super) fn starts_value(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}
