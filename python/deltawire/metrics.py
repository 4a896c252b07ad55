"""Metrics of chat streams for Prometheus: how fast they were, how they ended, and what was wrong with them.

A `StreamMetrics` has the metrics, made once for a process; streams are watched by it, and know nothing of it.
What a stream costs more is a call for each network chunk that completes something, about a microsecond, and
some microseconds at the end. It needs the extra `metrics` (prometheus_client).

No label takes a value from what a provider or a client sent: verdicts and repairs are closed sets, and of
labels of your own the values are told beforehand. So the number of time series is bounded. Serving them is
left to prometheus_client (`generate_latest`, `make_asgi_app`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
except ModuleNotFoundError as error:
    message = "deltawire.metrics needs prometheus-client: pip install 'deltawire[metrics]'"
    raise ModuleNotFoundError(message, name=error.name) from None

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from deltawire._native import ChatCompletion, CompletionUsage, StreamTimings
    from deltawire.verdict import StreamEnd

__all__ = ["ObservedStream", "StreamMetrics"]

OTHER = "other"
"""The value that a label takes for one that was not told beforehand."""

UNFINISHED = "unfinished"
"""The verdict on a stream that was left, or whose source failed, before its end."""

_FIRST_TOKEN_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120)
_GAP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RATE_BUCKETS = (1, 2, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000)

# Labels that the metrics have themselves, and parameters beside which yours are given.
_OWN_LABELS = frozenset({"end", "le", "repair", "type", "stream", "waited"})

# No real count is as large; a float holds all below it.
_MOST_TOKENS = 2**53


class ObservedStream(Protocol):
    """What is asked of a stream: `ChatStream` has it."""

    @property
    def completion(self) -> ChatCompletion:
        """The message as far as it has come."""

    @property
    def end(self) -> StreamEnd | None:
        """How the stream ended; None until it did."""

    @property
    def malformed(self) -> int:
        """How many events were no JSON."""

    @property
    def timings(self) -> StreamTimings:
        """When things happened."""

    @property
    def usage(self) -> CompletionUsage | None:
        """What was used, by the provider's count."""


class StreamMetrics:
    """The metrics of chat streams.

    * `deltawire_time_to_first_token_seconds`: from the request, see `watch`, to the first text or tool call;
    * `deltawire_event_gap_seconds`: between two network chunks that completed events;
    * `deltawire_completion_tokens_per_second`: by the provider's own count, from the first event to the last;
    * `deltawire_tokens_total`, by `type`: `prompt` or `completion`, as the provider counted;
    * `deltawire_streams_total`, by `end`: the values of `StreamEnd`, or `unfinished`;
    * `deltawire_malformed_events_total`;
    * `deltawire_tool_call_repairs_total`, by `repair`: see docs/chat.md.

    The first three are histograms, the others counters.

    ```python
    metrics = StreamMetrics(labels={"upstream": ["groq", "together"]})

    async with ChatStream(response) as stream:
        with metrics.watch(stream, upstream="groq"):
            async for chunk in stream:
                ...
    ```

    Args:
        labels: labels of your own on all of them, each with the values that it can have. Any other value is
            counted as `other`.
        registry: where the metrics are registered; prometheus_client's own by default.
        namespace: what stands before the names.

    Raises:
        TypeError: the values of a label are a str, of which each letter would be one.
        ValueError: a name cannot be a label of your own, or the registry has metrics of these names already.
    """

    def __init__(
        self,
        *,
        labels: Mapping[str, Iterable[str]] | None = None,
        registry: CollectorRegistry = REGISTRY,
        namespace: str = "deltawire",
    ) -> None:
        labels = labels or {}
        if texts := [name for name, values in labels.items() if isinstance(values, str)]:
            raise TypeError(f"the values of the label {texts[0]} are a list of str, not a str")
        self._values = {name: frozenset(values) for name, values in labels.items()}
        names = tuple(self._values)
        if taken := _OWN_LABELS.intersection(names):
            raise ValueError(f"no label of your own can be called {', '.join(sorted(taken))}")
        common: dict[str, Any] = {"namespace": namespace, "registry": registry}
        self._first_token = Histogram(
            "time_to_first_token_seconds",
            "Time until the first text or tool call of a chat stream.",
            names,
            buckets=_FIRST_TOKEN_BUCKETS,
            **common,
        )
        self._gap = Histogram(
            "event_gap_seconds",
            "Time between two network chunks that completed events.",
            names,
            buckets=_GAP_BUCKETS,
            **common,
        )
        self._rate = Histogram(
            "completion_tokens_per_second",
            "Completion tokens of a stream over the time from its first event to its last.",
            names,
            buckets=_RATE_BUCKETS,
            **common,
        )
        self._tokens = Counter("tokens_total", "Tokens, by the provider's count.", (*names, "type"), **common)
        self._streams = Counter(
            "streams_total", "Chat streams, by how they ended.", (*names, "end"), **common
        )
        self._malformed = Counter(
            "malformed_events_total", "Events whose data was no JSON, passed over.", names, **common
        )
        self._repairs = Counter(
            "tool_call_repairs_total",
            "What had to be put right in tool calls.",
            (*names, "repair"),
            **common,
        )

    @contextmanager
    def watch(
        self, stream: ObservedStream, *, waited: float = 0.0, **labels: str
    ) -> Generator[None, None, None]:
        """Observe the gaps of a stream while it runs, and record it when the block is left, however it is.

        Args:
            stream: one of which nothing was read yet, or its first gaps are missed.
            waited: as for `record`.
            labels: a value for each label of `labels`.

        Raises:
            TypeError: `stream` is none of a chat.
            ValueError: a label is missing, or there is none of this name.
        """
        _timings(stream).on_gap = _of(self._gap, self._bounded(labels)).observe
        try:
            yield
        finally:
            stream.timings.on_gap = None
            self.record(stream, waited=waited, **labels)

    def record(self, stream: ObservedStream, *, waited: float = 0.0, **labels: str) -> None:
        """Record a stream that has ended, all of it but the gaps. To be called once for a stream.

        Args:
            stream: the stream; one that goes on counts as `unfinished`, with what has come.
            waited: the seconds from the request to the making of the stream. They belong to the time to the
                first token: many providers send the head of the response only then.
            labels: a value for each label of `labels`.

        Raises:
            TypeError: `stream` is none of a chat.
            ValueError: a label is missing, or there is none of this name.
        """
        own = self._bounded(labels)
        timings, end = _timings(stream), stream.end
        _of(self._streams, {**own, "end": UNFINISHED if end is None else end.value}).inc()
        tokens = [time for time in (timings.first_content, timings.first_tool_call) if time is not None]
        if tokens:
            _of(self._first_token, own).observe(waited + min(tokens))
        if stream.malformed:
            _of(self._malformed, own).inc(stream.malformed)
        if (usage := stream.usage) is not None:
            self._record_usage(usage, timings, own)
        # Without calls there are no repairs, and the message need not be made.
        choices = stream.completion.choices if timings.first_tool_call is not None else ()
        for choice in choices:
            for call in choice.message.tool_calls or ():
                for repair in call.repairs:
                    _of(self._repairs, {**own, "repair": repair}).inc()

    def _record_usage(self, usage: CompletionUsage, timings: StreamTimings, own: dict[str, str]) -> None:
        for kind, count in (("prompt", usage.prompt_tokens), ("completion", usage.completion_tokens)):
            if _is_count(count):
                _of(self._tokens, {**own, "type": kind}).inc(count)
        first, last = timings.first_event, timings.last_event
        if first is not None and last is not None and last > first and _is_count(usage.completion_tokens):
            _of(self._rate, own).observe(usage.completion_tokens / (last - first))

    def _bounded(self, labels: Mapping[str, str]) -> dict[str, str]:
        if labels.keys() != self._values.keys():
            wanted, given = (", ".join(sorted(names)) or "none" for names in (self._values, labels))
            raise ValueError(f"the labels of these metrics are {wanted}; given were {given}")
        return {name: value if value in self._values[name] else OTHER for name, value in labels.items()}


def _of(metric: Any, labels: Mapping[str, str]) -> Any:
    # A metric without labels refuses to be asked for those of none.
    return metric.labels(**labels) if labels else metric


def _is_count(value: object) -> bool:
    # A provider may send anything in the place of a count, and a counter takes nothing below 0.
    return type(value) is int and 0 <= value < _MOST_TOKENS


def _timings(stream: ObservedStream) -> StreamTimings:
    timings: StreamTimings | None = getattr(stream, "timings", None)
    if timings is None:
        kind = type(stream).__name__
        raise TypeError(f"metrics are of a ChatStream or a ChatRelayStream, not of {kind}")
    return timings
