"""A chat that is watched by metrics, and some of what Prometheus would scrape afterwards.

    python examples/watch_metrics.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    deltawire_tokens_total{type="prompt",upstream="here"} 12.0
    deltawire_tokens_total{type="completion",upstream="here"} 7.0
    deltawire_streams_total{end="done",upstream="here"} 1.0
"""

import sys
import time

import httpx2
from prometheus_client import CollectorRegistry, generate_latest

from deltawire import ChatStream
from deltawire.metrics import StreamMetrics

REQUEST = {
    "model": "any",
    "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


def main(url: str) -> None:
    # A server leaves the registry out, makes this once, and mounts prometheus_client's make_asgi_app().
    registry = CollectorRegistry()
    metrics = StreamMetrics(labels={"upstream": ["here", "there"]}, registry=registry)
    start = time.monotonic()
    with (
        httpx2.stream("POST", f"{url}/chat/completions", json=REQUEST, timeout=120) as response,
        ChatStream(response) as stream,
        metrics.watch(stream, upstream="here", waited=time.monotonic() - start),
    ):
        stream.collect()
    for line in generate_latest(registry).decode().splitlines():
        if line.startswith(("deltawire_tokens_total", "deltawire_streams_total")):
            print(line)


if __name__ == "__main__":
    main(sys.argv[1])
