"""The shapes of streams, by name: what each is, and the streams of it, which are read in turn."""

from collections.abc import Callable

from benches import chat_shapes, chats
from benches.chats import Chat
from benches.shapes import many_data_lines

RECORDED = "recorded bodies"
TEXT = "2,000 events of text"
MULTIBYTE = "2,000 events of multibyte text"
CALLS = "2,000 events of tool calls"
REASONING = "2,000 events of reasoning"
CHOICES = "2,000 events of n=4 choices"
RUNNING = "2,000 events of text with running usage"
CHANGING = "2,000 events, each of another shape"
COMMENTS = "2,000 events with keep-alive comments"
DRIP = "200 events in drips of 8 bytes"
LONG = "a tool call in 100,000 deltas"
IMAGE = "a 4 MiB image event"
LINES = "16,000 data lines"

SHAPES: dict[str, Callable[[], list[Chat]]] = {
    RECORDED: chats.recorded,
    TEXT: lambda: chat_shapes.text(2_000),
    MULTIBYTE: lambda: chat_shapes.multibyte(2_000),
    CALLS: lambda: chat_shapes.tool_calls(2_000),
    REASONING: lambda: chat_shapes.reasoning(2_000),
    CHOICES: lambda: chat_shapes.choices(2_000),
    RUNNING: lambda: chat_shapes.running(2_000),
    CHANGING: lambda: chat_shapes.changing(2_000),
    COMMENTS: lambda: chat_shapes.commented(2_000),
    DRIP: lambda: chat_shapes.text(200),
    LONG: lambda: chat_shapes.one_tool_call(100_000),
    IMAGE: lambda: chat_shapes.image(4 * 1024 * 1024),
    LINES: lambda: [Chat(many_data_lines(16_000), [])],
}

ALL = list(SHAPES)
