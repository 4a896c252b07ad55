//! What is written at the end of a stream that did not end well, so that a client cannot take it for whole.
//!
//! The event has the form in which `OpenAI`'s API reports an error, and the openai package raises it: data with
//! an `error` at its top. Behind it comes the sentinel, for clients that wait for one. The text of a provider's
//! own error is handed on, nothing else of what came. The texts and codes are those of `encode_error` in Python.

use crate::chat::ProviderError;
use crate::json::write_string;
use crate::stream::{SENTINEL, StreamEnd};

/// The sentinel as an event.
pub(super) fn done() -> String {
    format!("data: {SENTINEL}\n\n")
}

/// The event that reports an error of the provider.
pub(super) fn of_provider(error: &ProviderError) -> String {
    let kind = error.kind.as_deref().map_or("null".into(), quoted);
    event(&error.message, &kind, error.code.as_deref().unwrap_or("null"))
}

/// The event that reports how a stream ended; None if that was well. No verdict means that nobody watched.
pub(super) fn of_end(end: Option<StreamEnd>) -> Option<String> {
    let (message, code) = match end {
        Some(end) if end.is_complete() => return None,
        Some(StreamEnd::NotSse) => {
            ("The provider answered with something else than an event stream.", "not_event_stream")
        }
        _ => ("The provider's stream ended before the message was complete.", "incomplete_stream"),
    };
    Some(event(message, "\"server_error\"", &quoted(code)))
}

fn event(message: &str, kind: &str, code: &str) -> String {
    // A code is JSON as it was sent, where white space may hold line ends.
    let code = code.replace(['\n', '\r'], " ");
    let message = quoted(message);
    format!(
        "data: {{\"error\":{{\"message\":{message},\"type\":{kind},\"param\":null,\"code\":{code}}}}}\n\n"
    )
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(&mut out, text);
    out
}
