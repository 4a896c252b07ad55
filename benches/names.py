"""The names of the shapes."""

RECORDED = "recorded bodies"
TEXT = "2,000 events of text"
MULTIBYTE = "2,000 events of multibyte text"
CALLS = "2,000 events of tool calls"
REASONING = "2,000 events of reasoning"
CHOICES = "2,000 events of n=4 choices"
CHANGING = "2,000 events, each of another shape"
COMMENTS = "2,000 events with keep-alive comments"
DRIP = "200 events in drips of 8 bytes"
LONG = "a tool call in 100,000 deltas"
IMAGE = "a 4 MiB image event"
LINES = "16,000 data lines"

ALL = [RECORDED, TEXT, MULTIBYTE, CALLS, REASONING, CHOICES, CHANGING, COMMENTS, DRIP, LONG, IMAGE, LINES]
