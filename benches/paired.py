"""Timing in turns: several ways of doing the same work, side by side in one run.

A machine changes its pace while it measures, by half and more where others use it too. So every round times
each way once, in an order that is shuffled anew, and what is compared is the ratio inside each round; the
median of those stands however the pace wanders.

A way is a list of functions, one for each input that there is of a sort (the seeds of a generated stream):
they are called in turn, so that no round reads the bytes of the one before.

The clock is the thread's own CPU time. By the clock on the wall, a process that takes the processor away
would hit long work more often than short, and the ratio of the two would flatter the short. The collector is
off, as a collection falls upon whoever comes next.
"""

import gc
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median, quantiles
from time import monotonic, thread_time_ns
from typing import NamedTuple

Ways = Mapping[str, Sequence[Callable[[], object]]]

WARM_UP = 3
AT_LEAST = 8
AT_MOST = 400


class Spread(NamedTuple):
    """The median over all rounds and the quartiles around it."""

    median: float
    lower_quartile: float
    upper_quartile: float


class Rounds:
    """What each way took, in nanoseconds, round by round."""

    def __init__(self, took: dict[str, list[int]]) -> None:
        self._took = took

    def __len__(self) -> int:
        return min(map(len, self._took.values()))

    def ns(self, way: str) -> float:
        """Give the median of a way, in nanoseconds a round."""
        return median(self._took[way])

    def ratio(self, ours: str, theirs: str) -> Spread:
        """Give the ratio of two ways."""
        return _spread([a / b for a, b in self._pairs(ours, theirs)])

    def difference(self, ours: str, theirs: str) -> Spread:
        """Give what one way takes longer than another, in nanoseconds a round."""
        return _spread([a - b for a, b in self._pairs(ours, theirs)])

    def _pairs(self, ours: str, theirs: str) -> Iterable[tuple[int, int]]:
        return zip(self._took[ours], self._took[theirs], strict=True)


def in_turns(ways: Ways, seconds: float) -> Rounds:
    """Call each way once a round, for so many seconds, but no fewer than `AT_LEAST` rounds."""
    took: dict[str, list[int]] = {name: [] for name in ways}
    shuffle = random.Random(len(ways)).shuffle
    order = list(ways)
    until = monotonic() + seconds
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(WARM_UP + AT_MOST):
            if turn >= WARM_UP + AT_LEAST and monotonic() > until:
                break
            shuffle(order)
            for name in order:
                run = ways[name][turn % len(ways[name])]
                start = thread_time_ns()
                run()
                elapsed = thread_time_ns() - start
                if turn >= WARM_UP:
                    took[name].append(elapsed)
    finally:
        gc.enable()
        gc.unfreeze()
    return Rounds(took)


def _spread(values: list[float]) -> Spread:
    lower, middle, upper = quantiles(values, n=4)
    return Spread(middle, lower, upper)
