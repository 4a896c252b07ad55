"""What users parse event streams with today, and the floor: from chunks to the last event read.

Each reader reads `event` and `data` of every event and gives back those of the last one, ("", "") if there
was none; run over each beginning of a stream, that shows every event (`chats.assert_right_throughout`). Each
is the leanest way its library has, and none is asked for what it cannot do:

- launchdarkly-eventsource: its reader classes alone, without its HTTP client. It also yields comments, which
  a caller has to sort out; so it is not timed where there are any.
- httpx-sse: its two decoders over text, made of the bytes as httpx's `iter_text` makes it.
- httpx2: its `EventSource`, over a response made of the chunks; it has no decoder that is public by itself.
- openai, anthropic: the decoders of their clients.
- sseclient-py: as documented, over any iterable of bytes.
- bytes.split: the floor of what Python offers. It cuts at LF LF only, reads no field and decodes nothing;
  CPython searches two bytes more slowly than memchr searches one, so a parser can well be below it.
"""

import codecs

import httpx2
from anthropic._streaming import SSEDecoder as AnthropicSSEDecoder
from httpx_sse._decoders import SSEDecoder as HttpxSSEDecoder
from httpx_sse._decoders import SSELineDecoder
from ld_eventsource.reader import _BufferedLineReader, _SSEReader
from openai._streaming import SSEDecoder as OpenAISSEDecoder
from sseclient import SSEClient

from benches.bodies import Chunks, Event
from benches.chats import Way
from benches.names import COMMENTS, LINES
from deltawire import EventParser

EVENT_STREAM = {"content-type": "text/event-stream"}

TextDecoder = codecs.getincrementaldecoder("utf-8")


def bytes_split(chunks: Chunks) -> Event:
    block = rest = b""
    for chunk in chunks:
        blocks = (rest + chunk).split(b"\n\n")
        rest = blocks.pop()
        for found in blocks:
            block = found
    return ("message", block.removeprefix(b"data: ").decode()) if block else ("", "")


def deltawire(chunks: Chunks) -> Event:
    event = data = ""
    parser = EventParser()
    for chunk in chunks:
        for sse in parser.feed(chunk):
            event = sse.event
            data = sse.data
    parser.close()
    return event, data


def launchdarkly(chunks: Chunks) -> Event:
    event = data = ""
    for sse in _SSEReader(_BufferedLineReader.lines_from(chunks)).events_and_comments():
        event = sse.event
        data = sse.data
    return event, data


def httpx_sse(chunks: Chunks) -> Event:
    event = data = ""
    text = TextDecoder("replace")
    lines = SSELineDecoder()
    decoder = HttpxSSEDecoder()
    for chunk in chunks:
        for line in lines.decode(text.decode(chunk)):
            sse = decoder.decode(line)
            if sse is not None:
                event = sse.event
                data = sse.data
    return event, data


def httpx2_sse(chunks: Chunks) -> Event:
    event = data = ""
    for sse in httpx2.EventSource(httpx2_response(chunks), max_event_size=None):
        event = sse.event
        data = sse.data
    return event, data


def openai(chunks: Chunks) -> Event:
    event: str | None = ""
    data = ""
    for sse in OpenAISSEDecoder().iter_bytes(iter(chunks)):
        event = sse.event
        data = sse.data
    # The word of openai, and of anthropic, for an event without a type is None.
    return "message" if event is None else event, data


def anthropic(chunks: Chunks) -> Event:
    event: str | None = ""
    data = ""
    for sse in AnthropicSSEDecoder().iter_bytes(iter(chunks)):
        event = sse.event
        data = sse.data
    return "message" if event is None else event, data


def sseclient_py(chunks: Chunks) -> Event:
    event = data = ""
    for sse in SSEClient(iter(chunks)).events():
        event = sse.event
        data = sse.data
    return event, data


def httpx2_response(chunks: Chunks) -> httpx2.Response:
    """Make a response of httpx2 that has the chunks as its body, as they are."""
    request = httpx2.Request("POST", "http://localhost/")
    return httpx2.Response(200, headers=EVENT_STREAM, content=iter(chunks), request=request)


WAYS = {
    "deltawire": Way(deltawire),
    "launchdarkly-eventsource": Way(launchdarkly, not_for=frozenset({COMMENTS})),
    "httpx-sse": Way(httpx_sse),
    "httpx2": Way(httpx2_sse),
    "openai": Way(openai),
    "anthropic": Way(anthropic),
    "sseclient-py": Way(sseclient_py),
    "bytes.split": Way(bytes_split, not_for=frozenset({COMMENTS, LINES})),
}
