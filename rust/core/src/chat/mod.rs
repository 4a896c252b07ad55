//! Chat-completion streams: what the chunks of one response add up to.
//!
//! [`Accumulator`] owns the message and takes one chunk after the other, as JSON values. Each part has its
//! file and its rules: `choice` (a choice and its message), `tool_calls` (which call a `fragment` belongs to),
//! `reasoning`, `extras` (fields that nobody interprets), `error` (the shapes in which providers report one).
//! Nothing here knows how chunks travel.
//!
//! The names are those of the chat-completion object. A field may have any type in a chunk: what does not fit
//! is passed over or kept as an extra, never an error.

mod accumulator;
mod body;
mod choice;
mod error;
mod extras;
mod fragment;
mod places;
mod plan;
mod reasoning;
mod text;
mod tool_calls;

pub(crate) use fragment::is_call_field;
pub(crate) use text::said;

pub use accumulator::{Accumulator, Limits, OverLimit};
pub use choice::{Audio, Choice, FunctionCall, Logprobs};
pub use error::ProviderError;
pub use extras::{Extras, RawList};
pub use reasoning::{Detail, Reasoning};
pub use text::{Text, Word};
pub use tool_calls::{Repair, Repairs, ToolCall, ToolCalls};
