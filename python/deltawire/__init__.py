"""Parser for streaming language-model responses: server-sent events and the JSON in them.

A push object has `feed` and `close`; its Stream runs it over a source, with `for` and with `async for`:
`EventParser` and `EventStream` give events, `JSONParser` and `JSONStream` their decoded data.
"""

from deltawire._native import EventParser, JSONParser, ServerSentEvent, __version__
from deltawire.errors import (
    CassetteError,
    DeltawireError,
    InvalidJSON,
    LimitExceeded,
    NotEventStream,
)
from deltawire.streams import EventStream, JSONStream

__all__ = [
    "CassetteError",
    "DeltawireError",
    "EventParser",
    "EventStream",
    "InvalidJSON",
    "JSONParser",
    "JSONStream",
    "LimitExceeded",
    "NotEventStream",
    "ServerSentEvent",
    "__version__",
]
