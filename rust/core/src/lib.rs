//! The core of deltawire: bytes of a streamed language-model response in, events and chunks out.
//!
//! It does no input or output, knows no Python and holds no `unsafe`. Each capability is one folder, and
//! dependencies point one way:
//!
//! - [`sse`] frames: lines, fields and events of the HTML standard. It knows no JSON.
//! - [`stream`] tells what the data of an event is to a reader of JSON: a payload, the sentinel, nothing.
//!
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
