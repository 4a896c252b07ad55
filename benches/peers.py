"""What users parse event streams with today, and the floor: from chunks to the last event read.

Each reader reads `event` and `data` of every event and gives back those of the last one, ("", "") if there
was none; run over each beginning of a stream, that shows every event (`measure.assert_events`). Each is the
leanest way its library has, and none is asked for what it cannot do:

- launchdarkly-eventsource: its reader classes alone, without its HTTP client. It also yields comments, which
  a caller would have to sort out; the recorded bodies hold none.
- httpx-sse: its two decoders over text, made of the bytes as httpx's `iter_text` makes it.
- openai: the decoder of its client.
- sseclient-py: as documented, over any iterable of bytes.
- bytes.split: the floor of what Python offers. It cuts at LF LF only, reads no field and decodes nothing;
  CPython searches two bytes more slowly than memchr searches one, so a parser can well be below it.
"""

import codecs
from collections.abc import Callable

from httpx_sse._decoders import SSEDecoder as HttpxSSEDecoder
from httpx_sse._decoders import SSELineDecoder
from ld_eventsource.reader import _BufferedLineReader, _SSEReader
from openai._streaming import SSEDecoder as OpenAISSEDecoder
from sseclient import SSEClient

from benches.bodies import Chunks, Event
from deltawire import EventParser

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


def openai(chunks: Chunks) -> Event:
    event: str | None = ""
    data = ""
    for sse in OpenAISSEDecoder().iter_bytes(iter(chunks)):
        event = sse.event
        data = sse.data
    # openai's word for an event without a type is None.
    return "message" if event is None else event, data


def sseclient_py(chunks: Chunks) -> Event:
    event = data = ""
    for sse in SSEClient(iter(chunks)).events():
        event = sse.event
        data = sse.data
    return event, data


READERS: dict[str, Callable[[Chunks], Event]] = {
    "bytes.split": bytes_split,
    "deltawire": deltawire,
    "launchdarkly-eventsource": launchdarkly,
    "httpx-sse": httpx_sse,
    "openai": openai,
    "sseclient-py": sseclient_py,
}
