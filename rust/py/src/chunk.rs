//! The objects of a chat stream, under the names and attributes of the openai package.

use deltawire_core::json::{Kind, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyType};

use crate::object::{self, ListAlways, ListOf, Made, Optional, Plain, Source, Text, object};

object! {
    /// One chunk of a chat stream.
    ChatCompletionChunk {
        id = "id": Plain,
        choices = "choices": ListAlways<ChunkChoice>,
        created = "created": Plain,
        model = "model": Plain,
        object = "object": Plain,
        service_tier = "service_tier": Plain,
        system_fingerprint = "system_fingerprint": Plain,
        usage = "usage": Optional<CompletionUsage>,
    }
}

impl ChatCompletionChunk {
    /// The JSON text that it was made from.
    pub fn json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.source.raw(py))
    }
}

object! {
    /// What a chunk adds to one choice.
    ChunkChoice {
        delta = "delta": ChoiceDelta,
        finish_reason = "finish_reason": Plain,
        index = "index": Plain,
        logprobs = "logprobs": Optional<ChoiceLogprobs>,
    }
}

object! {
    /// What a chunk adds to a message.
    ChoiceDelta {
        content = "content": Plain,
        function_call = "function_call": Optional<ChoiceDeltaToolCallFunction>,
        refusal = "refusal": Plain,
        role = "role": Plain,
        tool_calls = "tool_calls": ListOf<ChoiceDeltaToolCall>,
    }
}

object! {
    /// A fragment of a tool call.
    ChoiceDeltaToolCall {
        index = "index": Plain,
        id = "id": Plain,
        function = "function": Optional<ChoiceDeltaToolCallFunction>,
        kind = "type": Plain,
    }
}

object! {
    /// A fragment of a function's name and arguments.
    ChoiceDeltaToolCallFunction {
        arguments = "arguments": Plain,
        name = "name": Plain,
    }
}

object! {
    /// The log probabilities of the tokens of a chunk.
    ChoiceLogprobs {
        content = "content": ListOf<ChatCompletionTokenLogprob>,
        refusal = "refusal": ListOf<ChatCompletionTokenLogprob>,
    }
}

object! {
    /// The log probability of one token.
    ChatCompletionTokenLogprob {
        token = "token": Plain,
        bytes = "bytes": Plain,
        logprob = "logprob": Plain,
        top_logprobs = "top_logprobs": ListOf<TopLogprob>,
    }
}

object! {
    /// One of the likeliest tokens in a place.
    TopLogprob {
        token = "token": Plain,
        bytes = "bytes": Plain,
        logprob = "logprob": Plain,
    }
}

object! {
    /// How many tokens a request took.
    CompletionUsage {
        completion_tokens = "completion_tokens": Plain,
        prompt_tokens = "prompt_tokens": Plain,
        total_tokens = "total_tokens": Plain,
        completion_tokens_details = "completion_tokens_details": Optional<CompletionTokensDetails>,
        prompt_tokens_details = "prompt_tokens_details": Optional<PromptTokensDetails>,
    }
}

object! {
    /// What the tokens of the answer were.
    CompletionTokensDetails {
        accepted_prediction_tokens = "accepted_prediction_tokens": Plain,
        audio_tokens = "audio_tokens": Plain,
        reasoning_tokens = "reasoning_tokens": Plain,
        rejected_prediction_tokens = "rejected_prediction_tokens": Plain,
    }
}

object! {
    /// What the tokens of the request were.
    PromptTokensDetails {
        audio_tokens = "audio_tokens": Plain,
        cached_tokens = "cached_tokens": Plain,
    }
}
