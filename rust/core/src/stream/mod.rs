//! Joins events and JSON: what the data of an event is to a reader of a chat stream.
//!
//! [`DataParser`] tells what the data of an event is: a payload, the sentinel that ends the stream, or nothing.
//! [`ValueParser`] knows payloads like earlier ones, for readers who decode by other means.
//! [`ChunkParser`] reads payloads as JSON and gets over broken ones. [`ChatReader`] adds the chunks up and
//! tells in the end whether the stream was whole. [`Timings`] tells when things happened.

mod chat;
mod chunks;
mod data;
mod message;
mod timings;
mod values;

pub use chat::{ChatReader, StreamEnd};
pub use chunks::{Chunk, ChunkParser, Lone, Malformed, Step};
pub(crate) use data::is_sentinel;
pub use data::{Data, DataParser, SENTINEL};
pub use timings::Timings;
pub use values::ValueParser;
