"""A stand-in for a provider: an ASGI app that answers chats from recorded cassettes, well or badly.

`create_app` makes the app, which any ASGI server or test client runs; `deltawire serve` runs it over TCP. It
needs the extra `serve`. Over the wire comes the recorded body, to the byte; how it is cut, how fast it comes
and what goes wrong with it can be chosen. The recordings are held in memory.

Which recording answers a request is the first of these that is any:

1. the one that the header `X-Cassette` names;
2. the one that `model` names;
3. those that were asked of the model in `model`, or answered by it, in turn;
4. all of them, in turn.

A recording has the name of its file without the suffix, and behind it its number where the file has several:
`weather`, or `weather-0` and `weather-1`. Responses tell it in `X-Cassette`. A request without `stream` gets
the assembled completion. A response that was recorded and is no event stream is answered as it was.

What faults do is in `_faults`. A connection can be reset only by a server that shows it, as that of
`deltawire serve` does; under another one `reset` is `cut`.
"""

from __future__ import annotations

import itertools
import math
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import orjson

from deltawire._content_encoding import is_left
from deltawire._faults import ERROR, FAULTS, HTML, BrokenOff, Fault, Pace, send, spoil, spoil_document
from deltawire._native import ChatAccumulator
from deltawire._recorded import encoding_of, header, host_of, why_skipped
from deltawire.cassettes import Replay
from deltawire.encoding import error_body
from deltawire.errors import CassetteError, LimitExceeded
from deltawire.verdict import ProviderError, StreamEnd

try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route
except ModuleNotFoundError as error:
    message = "deltawire.standin needs starlette: pip install 'deltawire[cli,replay,serve]'"
    raise ModuleNotFoundError(message, name=error.name) from None

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.requests import Request

    from deltawire.cassettes import Cassette, Interaction, Split

__all__ = ["FAULTS", "BrokenOff", "Fault", "Pace", "Recording", "create_app", "recordings"]

MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Larger requests are refused; a chat with pictures has some megabytes."""


@dataclass(frozen=True)
class Recording:
    """A recorded answer.

    Attributes:
        name: what a request names it by.
        models: the models that it stands for: that which was asked, and those that answered.
        interaction: what was recorded.
        message: what its stream adds up to; None where the response is no event stream.
    """

    name: str
    models: frozenset[str]
    interaction: Interaction = field(repr=False)
    message: ChatAccumulator | None = field(repr=False)

    @classmethod
    def of(cls, name: str, interaction: Interaction) -> Recording:
        """Make the recording of an interaction.

        Raises:
            LimitExceeded: the stream goes over a limit of `ChatAccumulator`.
        """
        message = None
        models = {_model(interaction.request.body)}
        if why_skipped(interaction.response) is None:
            message = ChatAccumulator()
            message.feed(interaction.response.body)
            message.close()
            models |= {message.completion.model, message.completion.first_model}
        return cls(name, frozenset(model for model in models if model), interaction, message)


def recordings(cassettes: Iterable[Cassette]) -> list[Recording]:
    """Give what was answered to POST requests, in the order of the cassettes, each with a name of its own.

    Raises:
        CassetteError: a stream goes over a limit of `ChatAccumulator`.
    """
    made: dict[str, Recording] = {}
    for cassette in cassettes:
        stem = Path(cassette.path).stem
        for index, interaction in enumerate(cassette):
            if interaction.request.method.upper() == "POST":
                name = stem if len(cassette) == 1 else f"{stem}-{index}"
                others = (f"{name}~{number}" for number in itertools.count(2))
                free = next(free for free in itertools.chain([name], others) if free not in made)
                try:
                    made[free] = Recording.of(free, interaction)
                except LimitExceeded as error:
                    place = f"interactions[{index}].response.body"
                    raise CassetteError(cassette.path, place, str(error)) from None
    return list(made.values())


def create_app(
    recordings: Iterable[Recording],
    *,
    split: Split = "event",
    pace: Pace = 0.0,
    fault: Fault | None = None,
    fault_after: int | None = None,
    slow_start: float = 5.0,
) -> Starlette:
    """Make the ASGI app: POST /v1/chat/completions, GET /v1/models. All else is an error in openai's shape.

    Args:
        recordings: what is answered with, each under a name of its own; see `recordings`.
        split: where a stream is cut into HTTP chunks: `"event"`, `"line"`, `"random"`, or a number of bytes.
        pace: seconds from one chunk to the next, or `"recorded"` for the time that the recorded stream took.
        fault: what goes wrong with each response. A request chooses for itself with the header `X-Fault`,
            which is a fault or `none`.
        fault_after: how many whole events come before the fault; half of them by default.
        slow_start: how long `"slow-start"` waits, in seconds.

    Raises:
        ValueError: there are no recordings, or an argument is out of its range.
    """
    if pace != "recorded" and not 0 <= pace < math.inf:
        raise ValueError(f'pace is "recorded" or a number of seconds from 0 on, not {pace!r}')
    if not 0 <= slow_start < math.inf:
        raise ValueError(f"slow_start is a number of seconds from 0 on, not {slow_start!r}")
    if fault is not None and fault not in FAULTS:
        raise ValueError(f"fault is None or one of {', '.join(FAULTS)}, not {fault!r}")
    if fault_after is not None and fault_after < 0:
        raise ValueError(f"fault_after is a number of events from 0 on, not {fault_after!r}")
    Replay(b"", split, 0, 0.0, None)  # raises for a split that is none
    made = list(recordings)
    if not made:
        raise ValueError("no answer to a POST request is recorded")
    chats = _Chats(made, split, pace, fault, fault_after, slow_start)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", chats.complete, methods=["POST"]),
            Route("/v1/models", chats.models, methods=["GET"]),
        ],
        exception_handlers={_Refused: _refusal, HTTPException: _no_such_request},
    )


class _Refused(Exception):
    """A request that is not answered, with the status and openai's code for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _Chats:
    """The endpoints, with the settings and whose turn it is."""

    def __init__(
        self,
        made: list[Recording],
        split: Split,
        pace: Pace,
        fault: Fault | None,
        fault_after: int | None,
        slow_start: float,
    ) -> None:
        self._named = {one.name: one for one in made}
        self._split: Split = split
        self._pace: Pace = pace
        self._fault = fault
        self._fault_after = fault_after
        self._slow_start = slow_start
        # For each model that was recorded, not for each that is asked for: of those there is no end.
        self._turns: dict[str | None, Iterator[Recording]] = {None: itertools.cycle(made)}
        for model in {model for one in made for model in one.models}:
            self._turns[model] = itertools.cycle([one for one in made if model in one.models])

    async def models(self, _: Request) -> Response:
        """List the recordings as models."""
        data = [
            {
                "id": one.name,
                "object": "model",
                "created": 0,
                "owned_by": host_of(one.interaction.request.url),
            }
            for one in self._named.values()
        ]
        return _json({"object": "list", "data": data})

    async def complete(self, request: Request) -> Response:
        """Answer a chat."""
        body = await _read(request)
        fault = self._chosen_fault(request.headers.get("x-fault"))
        one = self._chosen(request.headers.get("x-cassette"), body.get("model"))
        stream = body.get("stream") is True
        response = self._answer(one, stream, fault, request)
        response.headers["X-Cassette"] = quote(one.name)
        return response

    def _answer(self, one: Recording, stream: bool, fault: Fault | None, request: Request) -> Response:
        recorded = one.interaction.response
        if fault == "html":
            return Response(HTML, media_type="text/html")
        if one.message is None:
            return _as_recorded(one.interaction)
        if stream:
            body = spoil([*one.interaction.replay("event")], fault, self._fault_after)
            split, media_type = self._split, "text/event-stream"
        elif fault == "error":
            return _json(error_body(ERROR), 500)
        elif one.message.end is StreamEnd.ERROR and one.message.error is not None:
            return _json(error_body(one.message.error), 502)
        elif one.message.end is None or not one.message.end.is_complete:
            raise _Refused(
                502, "incomplete", f"The recording {one.name} ends early, so it has no completion."
            )
        else:
            body = spoil_document(one.message.completion.to_json().encode(), fault)
            split, media_type = max(1, len(body)), "application/json"
        content = send(
            body,
            fault,
            scope=request.scope,
            split=split,
            pace=self._pace if stream else 0.0,
            duration=recorded.duration,
            slow_start=self._slow_start,
        )
        return StreamingResponse(content, headers={"Cache-Control": "no-store"}, media_type=media_type)

    def _chosen(self, name: str | None, model: Any) -> Recording:
        if name is not None:
            if one := self._named.get(name) or self._named.get(unquote(name)):
                return one
            raise _Refused(404, "model_not_found", "No recording has this name; GET /v1/models lists them.")
        key = model if isinstance(model, str) else None
        if key is not None and (one := self._named.get(key)):
            return one
        return next(self._turns[key] if key in self._turns else self._turns[None])

    def _chosen_fault(self, name: str | None) -> Fault | None:
        if name is None or name == "none":
            return self._fault if name is None else None
        for fault in FAULTS:
            if fault == name:
                return fault
        raise _Refused(400, "invalid_value", f"X-Fault is none or one of {', '.join(FAULTS)}.")


async def _read(request: Request) -> dict[str, Any]:
    body = bytearray()
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            body += part
            if len(body) > MAX_REQUEST_BYTES:
                message = f"The request has more than {MAX_REQUEST_BYTES:,} bytes."
                raise _Refused(413, "request_too_large", message)
    try:
        asked = orjson.loads(body)
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise _Refused(400, "invalid_json", "The body of the request is no JSON object.")
    return asked


def _as_recorded(interaction: Interaction) -> Response:
    recorded = interaction.response
    response = Response(recorded.body, recorded.status, media_type=header(recorded.headers, "content-type"))
    # Of a cassette the header stays where the encoding was undone.
    encoding = encoding_of(recorded.headers)
    if is_left(recorded.body, encoding):
        response.headers["Content-Encoding"] = encoding
    return response


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, _Refused)
    said = ProviderError(str(error), "invalid_request_error", error.code, None)
    return _json(error_body(said), error.status)


async def _no_such_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = f"Invalid URL ({request.method} {request.url.path})"
    message = f"{told}: there are POST /v1/chat/completions and GET /v1/models."
    said = ProviderError(message, "invalid_request_error", None, None)
    return _json(error_body(said), error.status_code)


def _json(document: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


def _model(body: bytes) -> str | None:
    try:
        model = orjson.loads(body)["model"]
    except (ValueError, TypeError, KeyError):
        return None
    return model if isinstance(model, str) else None
