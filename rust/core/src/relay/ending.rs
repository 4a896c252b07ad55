//! What is written at the end of a stream that did not end well, so that a client cannot take it for whole.
//!
//! The event has the form in which `OpenAI`'s API reports an error, and the openai package raises it: data with
//! an `error` at its top. Behind it comes the sentinel, for clients that wait for one. The text of a provider's
//! own error is handed on, nothing else of what came.

use crate::chat::{ProviderError, write_text};
use crate::stream::StreamEnd;

/// The sentinel as an event.
pub(super) const DONE: &str = "data: [DONE]\n\n";

/// The event that reports an error of the provider.
pub(super) fn of_provider(error: &ProviderError) -> String {
    let message = if error.message.is_empty() { "The upstream provider failed." } else { &error.message };
    event(message, error.kind.as_deref().unwrap_or("upstream_error"), error.code.as_deref().unwrap_or("null"))
}

/// The event that reports how a stream ended; None if that was well. No verdict means that nobody watched.
pub(super) fn of_end(end: Option<StreamEnd>) -> Option<String> {
    let (message, code) = match end {
        Some(StreamEnd::Done | StreamEnd::Finished) => return None,
        Some(StreamEnd::NotSse) => {
            ("The upstream provider did not send an event stream.", "not_event_stream")
        }
        Some(StreamEnd::Empty) => ("The upstream provider sent nothing.", "empty_stream"),
        Some(StreamEnd::Error) => ("The upstream provider failed.", "upstream_error"),
        Some(StreamEnd::Truncated) | None => {
            ("The stream of the upstream provider ended before it was complete.", "incomplete_stream")
        }
    };
    Some(event(message, "upstream_error", &format!("\"{code}\"")))
}

fn event(message: &str, kind: &str, code: &str) -> String {
    let mut text = String::from("data: {\"error\":{\"message\":");
    write_text(&mut text, message);
    text.push_str(",\"type\":");
    write_text(&mut text, kind);
    // A code is JSON as it was sent, where white space may hold line ends.
    let code = code.replace(['\n', '\r'], " ");
    text + ",\"param\":null,\"code\":" + &code + "}}\n\n"
}
