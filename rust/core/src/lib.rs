//! The core of deltawire: bytes of a streamed language-model response in, events and chunks out.
//!
//! It does no input or output, knows no Python and holds no `unsafe`. Each capability is one folder, and
//! dependencies point one way:
//!
//! - [`sse`] frames: lines, fields and events of the HTML standard. It knows no JSON.
//! - [`json`] reads a payload as a list of values, by its likeness to one before it where that will do.
//! - [`chat`] adds the values of chunks up to a message. It knows no events.
//! - [`stream`] joins them: what the data of an event is, what to do with broken ones, how the stream ended.
//! - [`relay`] passes a chat stream on, and edits it by the places that [`json`] finds.
//!
//! Every parser is a push object. The caller hands it a chunk of the stream and asks for the next item until
//! there is none; items borrow from the chunk, or from the parser where an event was split over chunks.
#![forbid(unsafe_code)]

pub mod chat;
pub mod json;
mod limit;
pub mod relay;
pub mod sse;
pub mod stream;

pub use limit::LimitExceeded;
