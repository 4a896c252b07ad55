"""Parser for streaming language-model responses: server-sent events and the JSON in them.

A push object has `feed` and `close`; its Stream runs it over a source, with `for` and with `async for`.
`EventParser` and `EventStream` give events, `JSONParser` and `JSONStream` their decoded data, `ChatParser`
and `ChatStream` the typed chunks of a chat, `ChatRelay` and `ChatRelayStream` the bytes to send on;
`ChatAccumulator` assembles the message. `encode_event`, `encode_comment` and `encode_error` write what the
parsers read.
"""

from deltawire._chat_relay_stream import ChatRelayStream
from deltawire._chat_stream import ChatStream
from deltawire._native import (
    ChatAccumulator,
    ChatCompletion,
    ChatCompletionAudio,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionTokenLogprob,
    ChatParser,
    ChatRelay,
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
    ChoiceLogprobs,
    ChunkChoice,
    CompletionTokensDetails,
    CompletionUsage,
    Custom,
    EventParser,
    Function,
    JSONParser,
    PromptTokensDetails,
    ServerSentEvent,
    StreamTimings,
    ToolCall,
    TopLogprob,
    __version__,
)
from deltawire.encoding import encode_comment, encode_error, encode_event
from deltawire.errors import (
    CassetteError,
    DeltawireError,
    IncompleteStream,
    InvalidJSON,
    LimitExceeded,
    NotEventStream,
    StreamTimeout,
    UpstreamError,
)
from deltawire.streams import EventStream, JSONStream
from deltawire.verdict import ProviderError, StreamEnd

__all__ = [
    "CassetteError",
    "ChatAccumulator",
    "ChatCompletion",
    "ChatCompletionAudio",
    "ChatCompletionChunk",
    "ChatCompletionMessage",
    "ChatCompletionTokenLogprob",
    "ChatParser",
    "ChatRelay",
    "ChatRelayStream",
    "ChatStream",
    "Choice",
    "ChoiceDelta",
    "ChoiceDeltaToolCall",
    "ChoiceDeltaToolCallFunction",
    "ChoiceLogprobs",
    "ChunkChoice",
    "CompletionTokensDetails",
    "CompletionUsage",
    "Custom",
    "DeltawireError",
    "EventParser",
    "EventStream",
    "Function",
    "IncompleteStream",
    "InvalidJSON",
    "JSONParser",
    "JSONStream",
    "LimitExceeded",
    "NotEventStream",
    "PromptTokensDetails",
    "ProviderError",
    "ServerSentEvent",
    "StreamEnd",
    "StreamTimeout",
    "StreamTimings",
    "ToolCall",
    "TopLogprob",
    "UpstreamError",
    "__version__",
    "encode_comment",
    "encode_error",
    "encode_event",
]
