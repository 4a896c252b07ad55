"""Timing in turns: several ways of doing the same work, side by side in one run.

A machine changes its pace while it measures, by half and more where others use it too. So every round times
each way once, in an order that is shuffled anew, and what is compared is the ratio inside each round; the
median of those stands however the pace wanders.

The clock is the thread's own CPU time. By the clock on the wall, a process that takes the processor away
would hit long work more often than short, and the ratio of the two would flatter the short. The collector is
off, as a collection falls upon whoever comes next.
"""

import gc
import random
from collections.abc import Callable, Mapping
from statistics import median, quantiles
from time import thread_time_ns
from typing import NamedTuple


class Ratio(NamedTuple):
    """The ratio of two ways over all rounds."""

    median: float
    lower_quartile: float
    upper_quartile: float


class Rounds:
    """What each way took, in nanoseconds, round by round."""

    def __init__(self, took: dict[str, list[int]]) -> None:
        self._took = took

    def ns(self, way: str) -> float:
        return median(self._took[way])

    def ratio(self, ours: str, theirs: str) -> Ratio:
        ratios = [a / b for a, b in zip(self._took[ours], self._took[theirs], strict=True)]
        lower, middle, upper = quantiles(ratios, n=4)
        return Ratio(middle, lower, upper)


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 3) -> Rounds:
    """Call each way once a round."""
    took: dict[str, list[int]] = {name: [] for name in ways}
    shuffle = random.Random(rounds).shuffle
    order = list(ways)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(warm_up + rounds):
            shuffle(order)
            for name in order:
                run = ways[name]
                start = thread_time_ns()
                run()
                elapsed = thread_time_ns() - start
                if turn >= warm_up:
                    took[name].append(elapsed)
    finally:
        gc.enable()
        gc.unfreeze()
    return Rounds(took)
