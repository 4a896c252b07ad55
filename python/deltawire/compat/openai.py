"""deltawire inside the clients of OpenAI and Anthropic: their events, and their typed chunks.

```python
from deltawire.compat.openai import accelerate

client = accelerate(OpenAI())  # or AsyncOpenAI, Anthropic, AsyncAnthropic, or one for Azure
client = accelerate(OpenAI(), chunks="deltawire")  # and chat.completions.create gives deltawire's chunks
```

`accelerate` sets attributes of the one client, among them `_make_sse_decoder`, which the clients have for
this; nothing is patched for others. The client's own stream classes go on doing all that is not decoding:
errors, closing, retries. `SSEDecoder` can be put into the hook by hand as well.

No client is imported before one is handed in. What is the same and what differs is told in docs/compat.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from deltawire._native import ChatCompletionChunk
from deltawire.compat._chunks import ChunkDecoder
from deltawire.compat._decoder import MAX_EVENT_SIZE, ServerSentEvent, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SSEDecoder", "ServerSentEvent", "accelerate"]

_Client = TypeVar("_Client")
_T = TypeVar("_T")

_HOOK = "_make_sse_decoder"

# Where the settings stand in an accelerated client.
_SETTINGS = "_deltawire"

# The helper `client.chat.completions.stream` sends this header; it adds pydantic's chunks up by itself.
_HELPER_HEADER = "x-stainless-helper-method"


@dataclass
class _Settings:
    """What a client was told; its methods look it up at each request."""

    chunks: Literal["deltawire"] | None
    max_event_size: int


def accelerate(
    client: _Client,
    *,
    chunks: Literal["deltawire"] | None = None,
    max_event_size: int = MAX_EVENT_SIZE,
) -> _Client:
    """Make a client decode its streams with deltawire, and return it.

    What the client gives stays the same, but for events without data, which openai's stream dies of: they
    are passed over. Clients that `copy()` and `with_options()` make of it are accelerated too. Calling it
    again sets what it is called with.

    Args:
        client: an OpenAI, AsyncOpenAI, Anthropic or AsyncAnthropic, or a subclass such as AzureOpenAI.
        chunks: `"deltawire"` makes `client.chat.completions.create(stream=True)` give deltawire's
            `ChatCompletionChunk` instead of pydantic's: the same attributes, immutable, and no validation.
        max_event_size: the largest event in bytes; a larger one raises LimitExceeded.

    Raises:
        RuntimeError: this version of the client lacks the hook.
        TypeError: it is no such client, or one that reads something else than server-sent events (Bedrock).
        ValueError: `chunks` is neither, or the client has no chat completions; `max_event_size` is below 1.
    """
    package = _package(client)
    _require(client, package)
    if chunks not in (None, "deltawire"):
        raise ValueError(f'chunks is None or "deltawire", not {chunks!r}')
    if chunks is not None and package != "openai":
        raise ValueError('chunks="deltawire" is for chat completions, which only the clients of openai have')
    SSEDecoder(max_event_size=max_event_size)  # refuses a wrong size now, not at the first request
    _install(client, package, _Settings(chunks, max_event_size))
    return client


def _package(client: object) -> str:
    """Tell which package a client is of."""
    for each in type(client).__mro__:
        package = each.__module__.partition(".")[0]
        if package in ("openai", "anthropic"):
            return package
    name = client.__name__ if isinstance(client, type) else type(client).__name__
    what = f"the class {name}" if isinstance(client, type) else name
    raise TypeError(f"accelerate takes a client of openai or anthropic, like OpenAI(), not {what}")


def _require(client: object, package: str) -> None:
    """Refuse a client that has no place for a decoder."""
    hook = getattr(type(client), _HOOK, None)
    if hook is None or not (hasattr(client, "copy") and hasattr(client, "request")):
        try:
            which = f"{package} {version(package)}"
        except PackageNotFoundError:
            which = package
        raise RuntimeError(
            f"{type(client).__name__} of {which} has no {_HOOK}, into which accelerate puts its decoder: "
            f"update it, pip install --upgrade {package}"
        )
    if hook.__module__ != f"{package}._base_client":
        raise TypeError(
            f"{type(client).__name__} brings a decoder of its own ({hook.__module__}.{hook.__qualname__}): "
            f"what it reads need not be server-sent events"
        )


def _install(client: Any, package: str, settings: _Settings) -> None:
    """Set the attributes of a client; once, later calls change the settings alone."""
    if _SETTINGS in vars(client):
        vars(client)[_SETTINGS] = settings
        return
    setattr(client, _SETTINGS, settings)
    setattr(client, _HOOK, lambda: SSEDecoder(max_event_size=_settings(client).max_event_size))
    for name in ("copy", "with_options"):
        setattr(client, name, partial(_copy, client, package, getattr(client, name)))
    if package == "openai":
        client.request = partial(_request, client, client.request)
        process = client._process_response_data  # noqa: SLF001
        client._process_response_data = partial(_process, process)  # noqa: SLF001


def _settings(client: Any) -> _Settings:
    settings: _Settings = vars(client)[_SETTINGS]
    return settings


def _copy(client: Any, package: str, copy: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Copy a client with its settings."""
    copied = copy(*args, **kwargs)
    _install(copied, package, _Settings(**vars(_settings(client))))
    return copied


def _request(
    client: Any,
    request: Callable[..., Any],
    cast_to: Any,
    options: Any,
    *,
    stream: bool = False,
    stream_cls: Any = None,
    **kwargs: Any,
) -> Any:
    """Send a request of openai's, with a stream class of ours in the place of its own."""
    if stream and stream_cls is not None:
        stream_cls = _stream_class(client, options, stream_cls)
    return request(cast_to, options, stream=stream, stream_cls=stream_cls, **kwargs)


def _process(process: Callable[..., Any], *, data: Any, **kwargs: Any) -> Any:
    """Make an object of what openai's stream read; a chunk of ours is one already."""
    return data if type(data) is ChatCompletionChunk else process(data=data, **kwargs)


def _stream_class(client: Any, options: Any, stream_cls: Any) -> Any:
    """Choose the class for a response; one that the caller derived by himself is left to him."""
    classes = _classes()
    plain, chunked = classes.get(get_origin(stream_cls), (None, None))
    if plain is None:
        return stream_cls
    (item,) = get_args(stream_cls)
    wanted = _settings(client).chunks == "deltawire" and _is_chat_chunk(item) and not _is_helper(options)
    return (chunked if wanted else plain)[item]


def _is_chat_chunk(item: Any) -> bool:
    return getattr(item, "__name__", "") == "ChatCompletionChunk"


def _is_helper(options: Any) -> bool:
    headers: Any = getattr(options, "headers", None)
    return hasattr(headers, "keys") and any(name.lower() == _HELPER_HEADER for name in headers)


@cache
def _classes() -> dict[Any, tuple[Any, Any]]:
    """Derive from openai's two stream classes: each without empty events, and with typed chunks."""
    from openai import AsyncStream, Stream

    class AcceleratedStream(Stream[_T]):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            size = _settings(self._client).max_event_size
            self._decoder: Any = SSEDecoder(empty=False, max_event_size=size)

    class AsyncAcceleratedStream(AsyncStream[_T]):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            size = _settings(self._client).max_event_size
            self._decoder: Any = SSEDecoder(empty=False, max_event_size=size)

    class ChunkStream(Stream[_T]):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self._decoder: Any = ChunkDecoder(_settings(self._client).max_event_size)

    class AsyncChunkStream(AsyncStream[_T]):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self._decoder: Any = ChunkDecoder(_settings(self._client).max_event_size)

    return {Stream: (AcceleratedStream, ChunkStream), AsyncStream: (AsyncAcceleratedStream, AsyncChunkStream)}
