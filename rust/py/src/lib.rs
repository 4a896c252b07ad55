//! `deltawire._native`: the core's parsers as Python classes.
//!
//! Conversion only: bytes in, str and lists out, the core's errors into the exceptions of
//! `deltawire.errors`. What a stream means is told by the core, what to do about it by Python. The GIL is
//! held throughout: a chunk takes microseconds, and giving the GIL away costs more than that when another
//! thread wants it.

mod backlog;
mod borrow;
mod chat_accumulator;
mod chat_parser;
mod chat_relay;
mod chat_relay_stream_parser;
mod chat_stream_parser;
mod class;
mod completion;
mod errors;
mod event;
mod event_parser;
mod feeding;
mod found;
mod json_parser;
mod make;
mod mark;
mod object;
mod observed;
mod orjson;
mod parameters;
mod partial;
mod raw;
mod reading;
mod shape;
mod text;
mod timings;
mod translation;

use pyo3::prelude::*;

use chat_relay_stream_parser::ChatRelayStreamParser;
use chat_stream_parser::ChatStreamParser;

/// The Rust half of deltawire: push parsers, which take bytes and do no input or output of their own.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::chat_accumulator::ChatAccumulator;
    #[pymodule_export]
    use super::chat_parser::ChatParser;
    #[pymodule_export]
    use super::chat_relay::ChatRelay;
    #[pymodule_export]
    use super::completion::ChatCompletion;
    #[pymodule_export]
    use super::event::ServerSentEvent;
    #[pymodule_export]
    use super::event_parser::EventParser;
    #[pymodule_export]
    use super::json_parser::JSONParser;
    #[pymodule_export]
    use super::timings::StreamTimings;
    use super::{
        Bound, ChatRelayStreamParser, ChatStreamParser, PyAnyMethods, PyModule, PyModuleMethods, PyResult,
        class, raw,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        for class in class::ALL {
            module.add(class.short_name(), class.get(module.py())?)?;
        }
        // `add` would list these in `__all__`.
        module.setattr("_ChatStreamParser", module.py().get_type::<ChatStreamParser>())?;
        module.setattr("_ChatRelayStreamParser", module.py().get_type::<ChatRelayStreamParser>())?;
        module.setattr("_Items", raw::items::items_class(module.py())?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
