//! The classes of a chat's objects, as tables: a name, and how each field is made of what was sent.
//!
//! An object is a record (`raw`) whose methods are those of [`ChatObject`](crate::object::ChatObject). How a JSON
//! text becomes objects of these classes is told in `translation`.

use std::ffi::CStr;

use pyo3::PyTypeInfo;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::mark::Mark;
use crate::object::{ChatObject, ToolCallObject};
use crate::raw::{self, RecordClass};

/// How a field is made of the value that was sent; None where it was not sent, if nothing else is said.
#[derive(Clone, Copy)]
pub enum How {
    /// As orjson would give it.
    Plain,
    /// An object of a class, also where none was sent: what every reader of chunks goes through.
    Object(&'static Class),
    /// An object of a class; a value of another kind as it is.
    Optional(&'static Class),
    /// A list of objects of a class, without items that are none.
    List(&'static Class),
    /// The same, empty where none was sent: what every reader of chunks iterates over.
    ListAlways(&'static Class),
    /// Not in the text: whether a tool call's arguments are whole.
    Complete,
    /// Not in the text: what had to be put right.
    Repairs,
}

/// A class.
pub struct Class {
    name: &'static CStr,
    doc: &'static CStr,
    pub fields: &'static [(&'static CStr, How)],
    /// More names of openai's, which are hardly ever sent: None, and beside the fields where one is sent.
    rare: &'static [&'static CStr],
    /// A bit for each field that has something in it also where nothing was sent for it.
    pub never_none: u8,
    /// By these the fields' names are told apart.
    marks: [Mark; MAX_FIELDS],
    /// Which field has a place; with this salt, each has one of its own.
    places: [u8; PLACES],
    salt: u64,
    made: PyOnceLock<RecordClass>,
}

/// No class has more fields.
pub const MAX_FIELDS: usize = 8;

impl Class {
    pub const fn new(
        name: &'static CStr,
        doc: &'static CStr,
        fields: &'static [(&'static CStr, How)],
    ) -> Self {
        assert!(fields.len() <= MAX_FIELDS);
        let mut marks = [Mark::NONE; MAX_FIELDS];
        let mut never_none = 0;
        let mut field = 0;
        while field < fields.len() {
            let (name, how) = fields[field];
            marks[field] = Mark::of(name.to_bytes());
            if !matches!(how, How::Plain | How::Optional(_) | How::List(_)) {
                never_none |= 1 << field;
            }
            field += 1;
        }
        let mut salt = 0;
        loop {
            if let Some(places) = places(&marks, fields.len(), salt) {
                let made = PyOnceLock::new();
                return Self { name, doc, fields, rare: &[], never_none, marks, places, salt, made };
            }
            salt += 1;
        }
    }

    const fn with_rare(mut self, rare: &'static [&'static CStr]) -> Self {
        self.rare = rare;
        self
    }

    /// Its records' class, made when it is first asked for.
    pub fn record(&self, py: Python<'_>) -> PyResult<&RecordClass> {
        self.made.get_or_try_init(py, || {
            let is_call = self.fields.iter().any(|(_, how)| matches!(how, How::Repairs));
            let base = if is_call { ToolCallObject::type_object(py) } else { ChatObject::type_object(py) };
            let class =
                raw::record_class(&base, self.name, self.doc, self.fields.iter().map(|(name, _)| *name))?;
            for name in self.rare {
                class.bind(py).setattr(name.to_str().unwrap_or_default(), py.None())?;
            }
            Ok(class)
        })
    }

    /// The Python type.
    pub fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        Ok(self.record(py)?.bind(py))
    }

    /// Its name without the module's.
    pub fn short_name(&self) -> &'static str {
        let name = self.name.to_str().unwrap_or_default();
        name.rsplit('.').next().unwrap_or_default()
    }

    /// Which field has a name.
    pub fn field(&self, name: &str) -> Option<usize> {
        let mark = Mark::of(name.as_bytes());
        let field = usize::from(self.places[place(mark, self.salt)]);
        let (known, _) = self.fields.get(field)?;
        mark.is_of(name.as_bytes(), self.marks[field], known.to_bytes()).then_some(field)
    }

    /// The class of a Python type.
    pub fn of(class: &Bound<'_, PyType>) -> PyResult<&'static Self> {
        let py = class.py();
        let found = ALL.iter().find(|known| known.get(py).is_ok_and(|known| known.is(class)));
        found.copied().ok_or_else(|| PyTypeError::new_err(format!("{class} is not for making objects of")))
    }
}

/// So many bits tell a place: with twice as many places as fields, each field soon has one of its own.
const PLACE_BITS: u32 = 4;
const PLACES: usize = 1 << PLACE_BITS;

/// The fields by their places; a place without one has a number that no field has. None if two have the same place.
const fn places(marks: &[Mark], count: usize, salt: u64) -> Option<[u8; PLACES]> {
    let mut places = [u8::MAX; PLACES];
    let mut field = 0;
    while field < count {
        let place = place(marks[field], salt);
        if places[place] != u8::MAX {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "there are few fields")]
        {
            places[place] = field as u8;
        }
        field += 1;
    }
    Some(places)
}

#[inline]
const fn place(mark: Mark, salt: u64) -> usize {
    (mark.hash(salt) >> (u64::BITS - PLACE_BITS)) as usize
}

/// All that users see, in the order in which the module has them.
pub static ALL: [&Class; 17] = [
    &CHUNK,
    &CHUNK_CHOICE,
    &DELTA,
    &DELTA_CALL,
    &DELTA_FUNCTION,
    &LOGPROBS,
    &TOKEN_LOGPROB,
    &TOP_LOGPROB,
    &USAGE,
    &COMPLETION_TOKENS,
    &PROMPT_TOKENS,
    &CHOICE,
    &MESSAGE,
    &AUDIO,
    &TOOL_CALL,
    &FUNCTION,
    &CUSTOM,
];

pub static CHUNK: Class = Class::new(
    c"deltawire.ChatCompletionChunk",
    c"One chunk of a chat stream.",
    &[
        (c"id", How::Plain),
        (c"choices", How::ListAlways(&CHUNK_CHOICE)),
        (c"created", How::Plain),
        (c"model", How::Plain),
        (c"object", How::Plain),
        (c"service_tier", How::Plain),
        (c"system_fingerprint", How::Plain),
        (c"usage", How::Optional(&USAGE)),
    ],
)
.with_rare(&[c"moderation", c"obfuscation"]);

pub static CHUNK_CHOICE: Class = Class::new(
    c"deltawire.ChunkChoice",
    c"What a chunk adds to one choice.",
    &[
        (c"delta", How::Object(&DELTA)),
        (c"finish_reason", How::Plain),
        (c"index", How::Plain),
        (c"logprobs", How::Optional(&LOGPROBS)),
    ],
);

pub static DELTA: Class = Class::new(
    c"deltawire.ChoiceDelta",
    c"What a chunk adds to a message.",
    &[
        (c"content", How::Plain),
        (c"audio", How::Optional(&AUDIO)),
        (c"function_call", How::Optional(&DELTA_FUNCTION)),
        (c"refusal", How::Plain),
        (c"role", How::Plain),
        (c"tool_calls", How::List(&DELTA_CALL)),
    ],
);

pub static DELTA_CALL: Class = Class::new(
    c"deltawire.ChoiceDeltaToolCall",
    c"A fragment of a tool call.",
    &[
        (c"index", How::Plain),
        (c"id", How::Plain),
        (c"function", How::Optional(&DELTA_FUNCTION)),
        (c"type", How::Plain),
    ],
);

pub static DELTA_FUNCTION: Class = Class::new(
    c"deltawire.ChoiceDeltaToolCallFunction",
    c"A fragment of a function's name and arguments.",
    &[(c"arguments", How::Plain), (c"name", How::Plain)],
);

pub static LOGPROBS: Class = Class::new(
    c"deltawire.ChoiceLogprobs",
    c"The log probabilities of the tokens of a chunk.",
    &[(c"content", How::List(&TOKEN_LOGPROB)), (c"refusal", How::List(&TOKEN_LOGPROB))],
);

pub static TOKEN_LOGPROB: Class = Class::new(
    c"deltawire.ChatCompletionTokenLogprob",
    c"The log probability of one token.",
    &[
        (c"token", How::Plain),
        (c"bytes", How::Plain),
        (c"logprob", How::Plain),
        (c"top_logprobs", How::List(&TOP_LOGPROB)),
    ],
);

pub static TOP_LOGPROB: Class = Class::new(
    c"deltawire.TopLogprob",
    c"One of the likeliest tokens in a place.",
    &[(c"token", How::Plain), (c"bytes", How::Plain), (c"logprob", How::Plain)],
);

pub static USAGE: Class = Class::new(
    c"deltawire.CompletionUsage",
    c"How many tokens a request took.",
    &[
        (c"completion_tokens", How::Plain),
        (c"prompt_tokens", How::Plain),
        (c"total_tokens", How::Plain),
        (c"completion_tokens_details", How::Optional(&COMPLETION_TOKENS)),
        (c"prompt_tokens_details", How::Optional(&PROMPT_TOKENS)),
    ],
);

static COMPLETION_TOKENS: Class = Class::new(
    c"deltawire.CompletionTokensDetails",
    c"What the tokens of the answer were.",
    &[
        (c"accepted_prediction_tokens", How::Plain),
        (c"audio_tokens", How::Plain),
        (c"reasoning_tokens", How::Plain),
        (c"rejected_prediction_tokens", How::Plain),
        (c"text_tokens", How::Plain),
    ],
);

static PROMPT_TOKENS: Class = Class::new(
    c"deltawire.PromptTokensDetails",
    c"What the tokens of the request were.",
    &[
        (c"audio_tokens", How::Plain),
        (c"cache_write_tokens", How::Plain),
        (c"cached_tokens", How::Plain),
        (c"image_tokens", How::Plain),
        (c"text_tokens", How::Plain),
    ],
);

static CHOICE: Class = Class::new(
    c"deltawire.Choice",
    c"One of the answers.",
    &[
        (c"finish_reason", How::Plain),
        (c"index", How::Plain),
        (c"logprobs", How::Optional(&LOGPROBS)),
        (c"message", How::Object(&MESSAGE)),
    ],
);

static MESSAGE: Class = Class::new(
    c"deltawire.ChatCompletionMessage",
    c"The message of an answer.",
    &[
        (c"content", How::Plain),
        (c"refusal", How::Plain),
        (c"role", How::Plain),
        (c"annotations", How::Plain),
        (c"audio", How::Optional(&AUDIO)),
        (c"function_call", How::Optional(&FUNCTION)),
        (c"tool_calls", How::List(&TOOL_CALL)),
        (c"reasoning", How::Plain),
    ],
);

static AUDIO: Class = Class::new(
    c"deltawire.ChatCompletionAudio",
    c"Audio output.",
    &[(c"id", How::Plain), (c"data", How::Plain), (c"expires_at", How::Plain), (c"transcript", How::Plain)],
);

pub static TOOL_CALL: Class = Class::new(
    c"deltawire.ToolCall",
    c"A tool call of a message.",
    &[
        (c"id", How::Plain),
        (c"type", How::Plain),
        (c"function", How::Optional(&FUNCTION)),
        (c"custom", How::Optional(&CUSTOM)),
        (c"complete", How::Complete),
        (c"repairs", How::Repairs),
    ],
);

static FUNCTION: Class = Class::new(
    c"deltawire.Function",
    c"A function that the model wants called.",
    &[(c"arguments", How::Plain), (c"name", How::Plain)],
);

static CUSTOM: Class = Class::new(
    c"deltawire.Custom",
    c"A custom tool that the model wants called.",
    &[(c"input", How::Plain), (c"name", How::Plain)],
);

/// The body of a whole completion: what a `ChatCompletion` is in the end.
pub static BODY: Class = Class::new(
    c"deltawire.ChatCompletion",
    c"The body of a whole completion.",
    &[
        (c"id", How::Plain),
        (c"choices", How::ListAlways(&CHOICE)),
        (c"created", How::Plain),
        (c"model", How::Plain),
        (c"object", How::Plain),
        (c"service_tier", How::Plain),
        (c"system_fingerprint", How::Plain),
        (c"usage", How::Optional(&USAGE)),
    ],
)
.with_rare(&[c"metadata", c"moderation"]);
