"""The metrics of chat streams, as Prometheus would scrape them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from chat_streams import DONE, STOP, calls, chunk, event, fragment, text
from fakes import Receiver, generate
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deltawire import ChatStream, DeltawireError, LimitExceeded, StreamEnd
from deltawire.metrics import StreamMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = {"prompt_tokens": 12, "completion_tokens": 40, "total_tokens": 52}


def usage(**counts: Any) -> bytes:
    return event({"id": "c1", "choices": [], "usage": {**USAGE, **counts}})


def scrape(registry: CollectorRegistry) -> dict[str, float]:
    """Give what was counted, by name and labels, and of histograms the sum and the count; no zeros."""
    samples = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if sample.value and not sample.name.endswith(("_bucket", "_created")):
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                samples[sample.name.removeprefix("deltawire_") + (labels and f"{{{labels}}}")] = sample.value
    return samples


def clock(*times: float) -> Callable[[], float]:
    return iter(times).__next__


def watched(chunks: list[bytes], times: list[float] | None = None, **options: Any) -> dict[str, float]:
    """Run a stream under watch; the times are those of its making, of each chunk and of the end."""
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry=registry)
    if times is not None:
        options["clock"] = clock(*times)
    stream = ChatStream(chunks, on_end="return", **options)
    with metrics.watch(stream):
        for _ in stream:
            pass
    return scrape(registry)


def test_a_stream_tells_its_times_its_tokens_and_its_end() -> None:
    chunks = [chunk({"role": "assistant"}), text("a"), text("b") + text("c"), STOP, usage(), DONE]
    seen = watched(chunks, [100.0, 100.5, 101.0, 101.25, 102.0, 102.5, 103.0])
    assert seen == {
        "time_to_first_token_seconds_count": 1,
        "time_to_first_token_seconds_sum": 1.0,
        "event_gap_seconds_count": 4,
        "event_gap_seconds_sum": 2.0,
        "completion_tokens_per_second_count": 1,
        "completion_tokens_per_second_sum": 20.0,
        "tokens_total{type=prompt}": 12,
        "tokens_total{type=completion}": 40,
        "streams_total{end=done}": 1,
    }


def test_a_tool_call_is_a_first_token_too() -> None:
    chunks = [calls(fragment(index=0, id="a", name="f", arguments="{}")), text("late"), DONE]
    assert watched(chunks, [0, 3, 4, 5])["time_to_first_token_seconds_sum"] == 3


def test_the_wait_for_the_response_belongs_to_the_first_token() -> None:
    registry = CollectorRegistry()
    stream = ChatStream([text("a") + DONE], clock=clock(0, 3))
    with StreamMetrics(registry=registry).watch(stream, waited=0.5):
        stream.collect()
    assert scrape(registry)["time_to_first_token_seconds_sum"] == 3.5


def test_gaps_come_while_the_stream_runs_and_the_rest_when_it_ends() -> None:
    registry = CollectorRegistry()
    stream = ChatStream([text("a"), text("b"), text("c") + DONE], clock=clock(0, 1, 2, 4))
    with StreamMetrics(registry=registry).watch(stream):
        next(stream)
        assert scrape(registry) == {}
        next(stream)
        assert scrape(registry) == {"event_gap_seconds_count": 1, "event_gap_seconds_sum": 1}
        next(stream)
        assert scrape(registry) == {"event_gap_seconds_count": 2, "event_gap_seconds_sum": 3}
    assert stream.timings.on_gap is None
    assert scrape(registry)["streams_total{end=done}"] == 1


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (text("a") + DONE, StreamEnd.DONE),
        (text("a") + STOP, StreamEnd.FINISHED),
        (text("a"), StreamEnd.TRUNCATED),
        (text("a") + event({"error": {"message": "secret"}}), StreamEnd.ERROR),
        (b"<html>secret</html>", StreamEnd.NOT_SSE),
        (b": ping\n\n", StreamEnd.EMPTY),
    ],
)
def test_every_verdict_is_counted_also_where_it_raises(body: bytes, end: StreamEnd) -> None:
    registry = CollectorRegistry()
    stream = ChatStream([body])
    try:
        with StreamMetrics(registry=registry).watch(stream):
            stream.collect()
    except DeltawireError:
        assert not end.is_complete
    assert stream.end is end
    assert scrape(registry)[f"streams_total{{end={end.value}}}"] == 1
    assert b"secret" not in generate_latest(registry)


def test_a_stream_that_is_left_is_unfinished() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry=registry)
    metrics.record(ChatStream([DONE]))
    failing = ChatStream(generate([text("a"), KeyError()]))
    with pytest.raises(KeyError), metrics.watch(failing):
        failing.collect()
    with (
        pytest.raises(LimitExceeded),
        metrics.watch(stream := ChatStream([text("a" * 100)], max_event_size=50)),
    ):
        next(stream)
    assert scrape(registry)["streams_total{end=unfinished}"] == 3


@pytest.mark.anyio
async def test_an_async_stream_is_watched_as_well() -> None:
    registry = CollectorRegistry()
    async with ChatStream(Receiver(text("a"), text("b"), DONE)) as stream:
        with StreamMetrics(registry=registry).watch(stream):
            await stream.collect()
    seen = scrape(registry)
    assert (seen["event_gap_seconds_count"], seen["streams_total{end=done}"]) == (1, 1)


def test_malformed_events_and_repairs_are_counted() -> None:
    chunks = [
        b"data: {\n\n" * 2,
        calls(fragment(index=0, name="f", arguments="{}")),
        calls(fragment(index=1, name="f", arguments={"a": 1})),
        DONE,
    ]
    seen = watched(chunks)
    assert seen["malformed_events_total"] == 2
    assert seen["tool_call_repairs_total{repair=id_generated}"] == 2
    assert seen["tool_call_repairs_total{repair=arguments_not_text}"] == 1


def test_what_came_at_once_has_no_rate() -> None:
    assert "completion_tokens_per_second_count" not in watched([text("a") + usage() + DONE])
    assert "completion_tokens_per_second_count" not in watched([text("a"), usage() + DONE], [5, 5, 5])


counts = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)


@given(counts, counts)
def test_counts_that_are_none_are_passed_over(prompt: Any, completion: Any) -> None:
    if any(isinstance(count, int) and abs(count) > 2**300 for count in (prompt, completion)):
        return
    body = [text("a"), usage(prompt_tokens=prompt, completion_tokens=completion), DONE]
    seen = watched(body, [0, 1, 2, 3])
    for kind, count in (("prompt", prompt), ("completion", completion)):
        good = type(count) is int and 0 < count < 2**53
        assert seen.get(f"tokens_total{{type={kind}}}", 0) == (count if good else 0)
    assert seen["streams_total{end=done}"] == 1


# Labels and registries.


def test_a_label_takes_no_value_that_was_not_told_beforehand() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(labels={"upstream": ["groq", "together"]}, registry=registry)
    for upstream in ("groq", *map(str, range(100))):
        with metrics.watch(stream := ChatStream([text("a"), DONE]), upstream=upstream):
            stream.collect()
    seen = scrape(registry)
    assert seen["streams_total{end=done,upstream=groq}"] == 1
    assert seen["streams_total{end=done,upstream=other}"] == 100
    assert not any("upstream=1" in name for name in seen)


@pytest.mark.parametrize("labels", [{}, {"model": "a"}, {"upstream": "a", "model": "b"}])
def test_labels_that_were_not_agreed_on_are_refused(labels: dict[str, Any]) -> None:
    metrics = StreamMetrics(labels={"upstream": ["a"]}, registry=CollectorRegistry())
    stream = ChatStream([DONE])
    with pytest.raises(ValueError, match="the labels of these metrics are upstream; given were "):
        metrics.record(stream, **labels)
    with pytest.raises(ValueError, match="the labels of these metrics"), metrics.watch(stream, **labels):
        pytest.fail("it was watched all the same")
    assert stream.timings.on_gap is None


@pytest.mark.parametrize("name", ["end", "le", "repair", "type", "waited", "__name"])
def test_a_name_that_cannot_be_a_label_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name.strip("_")):
        StreamMetrics(labels={name: []}, registry=CollectorRegistry())


def test_the_values_of_a_label_are_no_text() -> None:
    labels: dict[str, Any] = {"upstream": "groq"}
    with pytest.raises(TypeError, match="the label upstream are a list of str"):
        StreamMetrics(labels=labels, registry=CollectorRegistry())


def test_names_follow_the_conventions_and_can_be_told_apart() -> None:
    registry = CollectorRegistry()
    StreamMetrics(registry=registry)
    StreamMetrics(registry=registry, namespace="gateway")
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    names = {family.name for family in families if not family.name.endswith("_created")}
    for namespace in ("deltawire", "gateway"):
        assert {name.removeprefix(f"{namespace}_") for name in names if name.startswith(namespace)} == {
            "time_to_first_token_seconds",
            "event_gap_seconds",
            "completion_tokens_per_second",
            "tokens",
            "streams",
            "malformed_events",
            "tool_call_repairs",
        }
    assert all(family.documentation.endswith(".") for family in families if family.name in names)
    with pytest.raises(ValueError, match="Duplicated"):
        StreamMetrics(registry=registry)


def test_the_registry_is_that_of_prometheus_client_by_default() -> None:
    metrics = StreamMetrics(namespace="deltawire_test_metrics")
    metrics.record(ChatStream([DONE]))
    assert REGISTRY.get_sample_value("deltawire_test_metrics_streams_total", {"end": "unfinished"}) == 1


def test_deltawire_does_without_prometheus_client() -> None:
    code = "import sys; sys.modules['prometheus_client'] = None; import deltawire; import deltawire.cli"
    subprocess.run([sys.executable, "-c", code], check=True)
