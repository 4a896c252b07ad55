//! JSON texts, read but not copied: a flat list of values, each known by where it stands in the text.
//!
//! What is valid is what orjson takes (`scan`). A text that is like one that was read before is read by what the
//! two have in common (`template`). Nothing here knows events or chats.

mod complete;
mod document;
pub(crate) mod scan;
mod template;
mod value;

pub use complete::Completeness;
pub use document::{Document, Invalid};
pub use template::{Alike, Fit, MAX_TEMPLATES, Read, Reader, Scalar, Shared};
pub use value::{Kind, Members, Value, compact};
