//! Joins events and JSON: what the data of an event is to a reader of a chat stream.
//!
//! [`DataParser`] frames by [`sse`](crate::sse) and sorts: a payload to decode, the sentinel that ends the
//! stream, or nothing. It decodes nothing itself, and costs a few compares an event beyond the framing.

mod data;

pub use data::{Data, DataParser};
