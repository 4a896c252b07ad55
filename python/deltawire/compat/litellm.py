"""`stream_chunk_builder`: LiteLLM's response from the chunks of a stream, or from its bytes.

```python
import litellm, litellm.main
from deltawire.compat.litellm import stream_chunk_builder

litellm.stream_chunk_builder = litellm.main.stream_chunk_builder = stream_chunk_builder
```

A `ChatAccumulator` adds the chunks up by the rules of docs/chat.md. What came of it is handed to LiteLLM's
own builder as one canonical chunk, and what only LiteLLM knows (hidden parameters, thinking blocks, images,
fields of providers) as it came. So usage, costs and the shape of the response are made by the LiteLLM that is
installed, whatever its version, while calls, choices and reasoning are put together here. The cost is that of
the accumulator for each chunk, and of LiteLLM's builder once a stream; objects of LiteLLM are turned into
JSON first.

Importing this imports LiteLLM, which takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from deltawire._native import ChatAccumulator, ChatCompletionChunk
from deltawire.errors import NotEventStream, UpstreamError
from deltawire.verdict import StreamEnd

try:
    import litellm
    from litellm.main import stream_chunk_builder as _build  # before it is replaced by ours
    from litellm.types import utils as _types
    from litellm.types.utils import ModelResponseStream, TextChoices
except ImportError as error:
    raise ImportError("deltawire.compat.litellm needs LiteLLM: pip install litellm") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deltawire._native import ChatCompletion, Choice, ToolCall

__all__ = ["stream_chunk_builder"]

# Fields of a delta that are LiteLLM's own, with rules of its own.
_OWN_FIELDS = ("thinking_blocks", "images", "provider_specific_fields")

_HIDDEN = "_hidden_params"

# Not in LiteLLM 1.83, whose chunks refuse a call without a function.
_KNOWS_CUSTOM_TOOLS = hasattr(_types, "ChatCompletionMessageCustomToolCall")


def stream_chunk_builder(
    chunks: Iterable[Any] | bytes | None, messages: list[Any] | None = None, *args: Any, **kwargs: Any
) -> Any:
    """Put the response together that a stream came to. The same call as LiteLLM's.

    Where it differs from LiteLLM's: calls are told apart by docs/chat.md, so also where they share an
    index or have none; each choice is built, with its own content; and the finish reason of a choice that
    got none is None, not "stop", since such a stream was cut. Usage that no chunk carries is an estimate,
    as LiteLLM's.

    Args:
        chunks: chunks of LiteLLM or of openai, dicts, deltawire's chunks, or the bytes of the stream, in
            pieces or whole.
        messages: the messages of the request; LiteLLM counts their tokens if the stream had no usage.
        *args: as LiteLLM has them: start_time, end_time, logging_obj.
        **kwargs: as LiteLLM has them.

    Returns:
        A `litellm.ModelResponse`; a `litellm.TextCompletionResponse` for chunks of text completions; None
        where nothing came.

    Raises:
        litellm.APIError: the provider reported an error, or the bytes are no event stream. The cause is
            UpstreamError or NotEventStream, with the `completion` as far as it had come.
        TypeError: a chunk is none of these.
    """
    if isinstance(chunks, bytes | bytearray | memoryview):
        chunks = [chunks]
    given = list(chunks) if chunks is not None else []
    if not given or _is_text_completion(given):
        return _build(given if chunks is not None else chunks, messages, *args, **kwargs)
    ordered = _sorted(given)
    accumulator = ChatAccumulator()
    own = list(_own_fields(_typed(accumulator, ordered)))
    _raise_error(accumulator)
    if accumulator.end is StreamEnd.EMPTY:
        return None
    # Of these LiteLLM takes the first ones or the last ones, by its version.
    hidden = _hidden(given[0]), _hidden(ordered[-1])
    return _response(accumulator.completion, own, hidden, messages, args, kwargs)


def _typed(accumulator: ChatAccumulator, given: list[Any]) -> Iterator[ChatCompletionChunk]:
    """Add everything up, and give it as typed chunks."""
    for chunk in given:
        if isinstance(chunk, bytes | bytearray | memoryview):
            yield from accumulator.feed_chunks(chunk)
            continue
        if isinstance(chunk, ChatCompletionChunk):
            typed = chunk
        elif isinstance(chunk, dict):
            fields = {name: value for name, value in chunk.items() if name != _HIDDEN}
            typed = ChatCompletionChunk(orjson.dumps(fields, default=_dump))
        elif hasattr(chunk, "model_dump_json"):
            typed = ChatCompletionChunk(chunk.model_dump_json(exclude_none=True, warnings=False))
        else:
            raise TypeError(f"a chunk is an object of LiteLLM, a dict or bytes, not {type(chunk).__name__}")
        accumulator.add(typed)
        yield typed
    yield from accumulator.close_chunks()


def _dump(value: Any) -> Any:
    """Turn an object inside a dict into what it holds."""
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_none=True, warnings=False)
    raise TypeError


def _own_fields(chunks: Iterable[ChatCompletionChunk]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Find what only LiteLLM knows how to put together: for a choice, fields of its delta."""
    for chunk in chunks:
        raw = chunk.raw
        if not any(name.encode() in raw for name in _OWN_FIELDS):
            continue
        for choice in chunk.choices:
            delta = choice.delta.to_dict()
            fields = {name: delta[name] for name in _OWN_FIELDS if delta.get(name) is not None}
            if fields:
                yield choice.index or 0, fields


def _raise_error(accumulator: ChatAccumulator) -> None:
    cause: UpstreamError | NotEventStream
    if accumulator.error is not None:
        cause = UpstreamError(
            accumulator.error,
            completion=accumulator.completion,
            offset=accumulator.bytes,
            events=accumulator.events,
        )
        message = accumulator.error.message or str(cause)
    elif accumulator.end is StreamEnd.NOT_SSE:
        cause = NotEventStream(completion=accumulator.completion)
        message = str(cause)
    else:
        return
    model = accumulator.completion.model or ""
    raise litellm.APIError(status_code=500, message=message, llm_provider="", model=model) from cause


def _response(
    completion: ChatCompletion,
    own: list[tuple[int, dict[str, Any]]],
    hidden: tuple[dict[str, Any], dict[str, Any]],
    messages: list[Any] | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Let LiteLLM build each choice, and join them in one response."""
    response: Any = None
    choices: list[Choice | None] = [*completion.choices] or [None]
    for choice in choices:
        index = choice.index if choice is not None else 0
        fields = [fields for each, fields in own if each == index]
        canonical = _canonical(completion, choice, fields, hidden)
        if response is None:
            response = _build(canonical, messages, *args, **kwargs)
            built = response.choices[0]
        else:
            further = _build(canonical, messages)
            built = further.choices[0]
            response.choices.append(built)
            if completion.usage is None:
                response.usage.completion_tokens += further.usage.completion_tokens
                response.usage.total_tokens += further.usage.completion_tokens
        built.index = index
        if choice is None or choice.finish_reason is None:
            built.finish_reason = None
    return response


def _canonical(
    completion: ChatCompletion,
    choice: Choice | None,
    own: list[dict[str, Any]],
    hidden: tuple[dict[str, Any], dict[str, Any]],
) -> list[Any]:
    """Write a choice as the chunks that any LiteLLM builds the same response from."""
    delta = _delta(choice) if choice is not None else {}
    finish_reason = choice.finish_reason if choice is not None else None
    chunks = [_chunk(completion, delta, finish_reason)]
    chunks += [_chunk(completion, fields) for fields in own]
    usage = {} if completion.usage is None else {"usage": completion.usage.to_dict()}
    if usage or any(hidden):
        chunks.append(ModelResponseStream(**_head(completion), choices=[], **usage))
    if any(hidden):
        for chunk, params in zip((chunks[0], chunks[-1]), hidden, strict=True):
            setattr(chunk, _HIDDEN, params)
    return chunks


def _chunk(completion: ChatCompletion, delta: dict[str, Any], finish_reason: str | None = None) -> Any:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return ModelResponseStream(**_head(completion), choices=[choice])


def _head(completion: ChatCompletion) -> dict[str, Any]:
    head = {
        "id": completion.id,
        "created": completion.created,
        "model": completion.model,
        "system_fingerprint": completion.system_fingerprint,
        "service_tier": completion.service_tier,
    }
    return {name: value for name, value in head.items() if value is not None or name == "model"}


def _delta(choice: Choice) -> dict[str, Any]:
    """Write a message as the delta that says all of it."""
    message = choice.message
    fields = message.to_dict()
    delta = {name: fields.get(name) for name in ("role", "content", "function_call", "audio", "annotations")}
    if message.reasoning is not None:
        delta["reasoning_content"] = message.reasoning
    # LiteLLM has no type for calls of a provider's own tools.
    calls = [
        call for call in message.tool_calls or [] if call.function is not None or call.custom is not None
    ]
    if calls:
        delta["tool_calls"] = [{**_call(call), "index": i} for i, call in enumerate(calls)]
    return {name: value for name, value in delta.items() if value is not None}


def _call(call: ToolCall) -> dict[str, Any]:
    fields = call.to_dict()
    if call.custom is not None and not _KNOWS_CUSTOM_TOOLS:
        del fields["custom"]
        fields["function"] = {"name": call.custom.name, "arguments": call.custom.input}
    return fields


def _hidden(chunk: Any) -> dict[str, Any]:
    """Look up what LiteLLM keeps beside a chunk."""
    hidden = chunk.get(_HIDDEN) if isinstance(chunk, dict) else getattr(chunk, _HIDDEN, None)
    return hidden if isinstance(hidden, dict) else {}


def _sorted(given: list[Any]) -> list[Any]:
    """Put chunks into the order in which they were made, where LiteLLM noted that."""
    if not given or not _hidden(given[0]).get("created_at"):
        return given
    return sorted(given, key=lambda chunk: _hidden(chunk).get("created_at", float("inf")))


def _is_text_completion(given: list[Any]) -> bool:
    first = given[0]
    choices = first.get("choices") if isinstance(first, dict) else getattr(first, "choices", None)
    return choices is not None and len(choices) > 0 and isinstance(choices[0], TextChoices)
