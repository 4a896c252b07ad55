//! JSON texts, read but not copied: a flat list of values, each known by where it stands in the text.
//!
//! What is valid is what orjson takes (`scan`). A text that is like one that was read before is read by what the
//! two have in common (`reader`, `template`). Nothing here knows events or chats.

mod alike;
mod complete;
mod document;
mod reader;
pub(crate) mod scan;
mod template;
mod value;

pub use alike::{Alike, Changing, Place, Scalar};
pub use complete::Completeness;
pub use document::{Document, Invalid};
pub use reader::{Fit, MAX_TEMPLATES, Read, Reader, Shared, Stretch};
pub(crate) use template::MAX_GAPS;
pub(crate) use value::write_string;
pub use value::{Kind, Members, Value, compact, is_zero};
