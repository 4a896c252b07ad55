//! JSON texts, read but not copied: a flat list of values, each known by where it stands in the text.
//!
//! The tokens are jiter's; this folder adds the list, and what orjson refuses beyond the grammar. It knows
//! neither events nor chats.

mod complete;
mod document;
mod template;
mod value;

pub use complete::Completeness;
pub use document::{Document, Invalid};
pub use template::Reader;
pub use value::{Kind, Value, compact};
