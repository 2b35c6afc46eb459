"""How many requests a process works on at once, and when those beyond that may ask again.

A request that waits inside the process takes memory and a connection, and makes all others later; with enough of them
nobody gets an answer in time. So what is more than the process can work on is refused before its route begins, with an
instant to ask again. These instants lie as far apart as slots have been getting free lately, so that those who were
refused come back one after the other.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from chassis.web.errors import Overloaded

log = logging.getLogger(__name__)

_LEAST_SECONDS, _MOST_SECONDS = 1.0, 120.0
"""For which one is sent away. Whoever comes again before it is their turn is refused again, which takes time of those
who are served; whoever comes later leaves the process idle when it has become faster meanwhile."""
_FIRST_INTERVAL_SECONDS = 0.005
"""Between two slots that get free, until it is known."""
_WEIGHT = 0.05
"""Of the last interval, in the mean of them."""
_TELL_SECONDS = 10.0
"""Between two lines of the log while requests are refused."""

CallLater = Callable[[float, Callable[[], None]], object]
"""As of an event loop: does something after so many seconds."""


def _known() -> bool:
    """Of a request whose caller has been looked at."""
    return True


def _call_later(seconds: float, work: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, work)


@dataclass
class Surge:
    """Requests that were refused, from the first until all of them were to ask again and nobody is refused any more."""

    began_at: float
    last_at: float
    again_at: float
    """When the last of them is to ask again."""
    refused: int = 0
    told: int = 0
    """How many of them the log has named."""


class ConcurrencyLimit:
    """At most `most` requests at once. Raises `Overloaded` for each one more."""

    def __init__(
        self, most: int, clock: Callable[[], float] = time.monotonic, call_later: CallLater = _call_later
    ) -> None:
        self._most = most
        self._clock = clock
        self._call_later = call_later
        self._inside = 0
        self._interval = _FIRST_INTERVAL_SECONDS
        self._freed_at: float | None = None
        """When the last slot got free while all were taken; None where one was free since."""
        self._ahead = 0.0
        """How many are to come back before the next one who is refused."""
        self._counted_at = clock()
        self._refused = 0
        self._surge: Surge | None = None

    def health(self) -> dict[str, int]:
        """How many requests are being worked on, how many at most, and how many this process has refused."""
        return {"at_once": self._inside, "most": self._most, "refused": self._refused}

    def refuse_if_full(self, known: Callable[[], bool]) -> None:
        """Before a request is looked at: to refuse it must cost little.

        Whoever is not known to be a caller is sent away for some time, and has no place among those who are to come
        back: strangers must not make the others wait longer.
        """
        if self._inside >= self._most:
            raise Overloaded(self._refuse(known()))

    @contextmanager
    def slot(self) -> Iterator["Slot"]:
        """Around the work on a request."""
        self.refuse_if_full(_known)
        self._inside += 1
        slot = Slot(self._free)
        try:
            yield slot
        finally:
            slot.give_up()

    def _free(self) -> None:
        if self._inside < self._most:
            self._freed_at = None  # whoever comes gets in: the next interval says when they come, not when work ends
        else:
            now = self._clock()
            if self._freed_at is not None:
                self._interval += (now - self._freed_at - self._interval) * _WEIGHT
            self._freed_at = now
        self._inside -= 1

    def _refuse(self, known: bool) -> float:
        now = self._clock()
        self._ahead = max(0.0, self._ahead - (now - self._counted_at) / self._interval)
        self._counted_at = now
        wait = _LEAST_SECONDS + self._ahead * self._interval
        if not known or wait > _MOST_SECONDS:  # strangers, or too many to be told apart
            wait = random.uniform(_MOST_SECONDS / 2, _MOST_SECONDS)
        else:
            self._ahead += 1
        self._count(now, now + wait)
        return wait

    def _count(self, now: float, again_at: float) -> None:
        self._refused += 1
        surge = self._surge or Surge(now, now, again_at)
        surge.refused += 1
        surge.last_at = now
        surge.again_at = max(surge.again_at, again_at)
        if self._surge is None:
            self._surge = surge
            self._tell()

    def _tell(self) -> None:
        surge = self._surge
        if surge is None:
            return
        if self._clock() >= surge.again_at + _TELL_SECONDS:  # who was refused has come again, or never will
            seconds = ceil(surge.last_at - surge.began_at)
            log.info("requests are no longer refused; there were %d within %d seconds", surge.refused, seconds)
            self._surge = None
            return
        if surge.refused > surge.told:
            surge.told = surge.refused
            log.warning("%d requests are being worked on, the most at once; refused so far: %d", self._most, surge.told)
        self._call_later(_TELL_SECONDS, self._tell)


class Slot:
    """Of a request; given up once."""

    def __init__(self, free: Callable[[], None]) -> None:
        self._free: Callable[[], None] | None = free

    def give_up(self) -> None:
        """Before the end, too: a stream that has begun waits for news and does no work."""
        free, self._free = self._free, None
        if free is not None:
            free()
