//! What was observed of a chat stream, as Python objects: for all classes that have a `ChatReader` inside.

use deltawire_core::chat::ProviderError;
use deltawire_core::json::Document;
use deltawire_core::stream::{ChatReader, StreamEnd};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList};

use crate::class::{TOOL_CALL, USAGE};
use crate::completion::{self, ChatCompletion, Ids, Snapshot};
use crate::object;
use crate::orjson;

/// The message as far as it has come. `ids` are those of calls that came without one, where they are not to
/// be the reader's own.
pub fn completion(reader: &mut ChatReader, ids: &Ids) -> ChatCompletion {
    let message = reader.shared_message();
    Snapshot { message, ended: reader.end().is_some(), ids: ids.clone() }.into()
}

/// The tool calls that are finished and were not given out before.
pub fn finished_tool_calls<'py>(
    py: Python<'py>,
    reader: &mut ChatReader,
    ids: &Ids,
    final_only: bool,
) -> PyResult<Bound<'py, PyList>> {
    let finished = reader.finished_tool_calls(final_only);
    let ended = reader.end().is_some();
    let mut document = Document::default();
    let calls = PyList::empty(py);
    for (index, place) in finished {
        let choice = reader.message().choices().find(|(of, _)| *of == index);
        let Some(call) = choice.and_then(|(_, choice)| choice.tool_calls.iter().nth(place)) else {
            continue;
        };
        let id = completion::id_of(ids, index, call);
        let facts = completion::facts(call, ended, &mut document);
        let json = PyBytes::new(py, call.body(ended, &id).as_bytes());
        calls.append(object::parse(&TOOL_CALL, &json, [facts].into())?)?;
    }
    Ok(calls)
}

/// The verdicts, and what they are called in Python.
const ENDS: [(StreamEnd, &str); 6] = [
    (StreamEnd::Error, "ERROR"),
    (StreamEnd::Done, "DONE"),
    (StreamEnd::NotSse, "NOT_SSE"),
    (StreamEnd::Truncated, "TRUNCATED"),
    (StreamEnd::Empty, "EMPTY"),
    (StreamEnd::Finished, "FINISHED"),
];

/// The verdict, as `StreamEnd`; None before the end.
pub fn end<'py>(py: Python<'py>, reader: &ChatReader) -> PyResult<Option<Bound<'py, PyAny>>> {
    // To ask an enum of Python for a member takes as long as some chunks.
    static MEMBERS: PyOnceLock<Vec<(StreamEnd, Py<PyAny>)>> = PyOnceLock::new();
    let Some(end) = reader.end() else { return Ok(None) };
    let members = MEMBERS.get_or_try_init(py, || {
        let class = py.import("deltawire.verdict")?.getattr("StreamEnd")?;
        ENDS.iter().map(|(end, name)| Ok((*end, class.getattr(*name)?.unbind()))).collect::<PyResult<_>>()
    })?;
    Ok(members.iter().find(|(of, _)| *of == end).map(|(_, member)| member.bind(py).clone()))
}

/// The error that the provider reported, as `ProviderError`.
pub fn error<'py>(py: Python<'py>, reader: &ChatReader) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(ProviderError { message, kind, code, raw }) = reader.message().error.as_deref() else {
        return Ok(None);
    };
    let loads = orjson::loads(py)?;
    let code = match code {
        Some(code) => loads.call1((&**code,))?,
        None => py.None().into_bound(py),
    };
    let class = py.import("deltawire.verdict")?.getattr("ProviderError")?;
    class.call1((&**message, kind.as_deref(), code, loads.call1((&**raw,))?)).map(Some)
}

/// The usage, as `CompletionUsage`.
pub fn usage<'py>(py: Python<'py>, reader: &ChatReader) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(raw) = &reader.message().usage else { return Ok(None) };
    object::parse(&USAGE, &PyBytes::new(py, raw.as_bytes()), [].into()).map(Some)
}
