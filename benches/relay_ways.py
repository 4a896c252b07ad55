"""What relaying a chat stream costs beside accumulating it: what a gateway adds for each event it passes on.

The streams are those that `chats` makes long. A way gives back what it would send on, so that the answer can be
held against the input before anything is timed.
"""

from collections.abc import Callable
from typing import Any

from benches.bodies import CUTS, Chunks
from benches.shapes import many_events
from deltawire import ChatAccumulator, ChatRelay

RULES: dict[str, dict[str, Any]] = {
    "relay, no rules": {},
    "relay, set model": {"set": {"model": "house/model-1"}},
    "relay, set model, usage dropped": {"set": {"model": "house/model-1"}, "usage": "drop"},
    "relay, usage dropped": {"usage": "drop"},
    "relay, repair": {"repair": True},
}
FLOOR = "ChatAccumulator"


def accumulate(chunks: Chunks) -> None:
    accumulator = ChatAccumulator()
    for chunk in chunks:
        accumulator.feed(chunk)
    accumulator.close()


def relay(rules: dict[str, Any]) -> Callable[[Chunks], bytes]:
    def read(chunks: Chunks) -> bytes:
        it = ChatRelay(**rules)
        sent = [it.feed(chunk) for chunk in chunks]
        return b"".join([*sent, it.close()])

    return read
