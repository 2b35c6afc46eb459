"""The events of a case in causal order, the delay of each after its cause, and the stages the case went through."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from contracts.envelope import Event
from services.audit.domain.case import Case, evolve

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its place in the log, and its data as published."""

    index: int
    event: Event[Any]
    topic: str
    partition: int
    offset: int
    stored_at: datetime
    valid: bool
    reason: str | None
    data: Any


@dataclass(frozen=True, slots=True)
class Stage:
    """A status and how long it lasted; `until` is None for the last one."""

    status: str
    since: datetime
    until: datetime | None

    @property
    def duration_seconds(self) -> float | None:
        """None while it lasts."""
        return None if self.until is None else (self.until - self.since).total_seconds()


def causal(entries: Iterable[Entry]) -> list[Entry]:
    """Each event after its cause, and after what its source said before it; where neither decides, by time, then index.

    Claims that contradict each other (a partner's mistake) are overruled at the earliest of the events concerned, so
    that every event is there once, whatever was claimed.
    """
    known = {entry.index: entry for entry in entries}
    after, waiting = _claims(list(known.values()))
    ready = [_rank(entry) for index, entry in known.items() if not waiting[index]]
    heapq.heapify(ready)
    left, order = set(known), list[Entry]()
    while left:
        if not ready:
            heapq.heappush(ready, min(_rank(known[index]) for index in left))
        index = heapq.heappop(ready)[1]
        left.discard(index)
        order.append(known[index])
        for other in after[index]:
            waiting[other] -= 1
            if waiting[other] == 0 and other in left:
                heapq.heappush(ready, _rank(known[other]))
    return order


def _claims(entries: Sequence[Entry]) -> tuple[Mapping[int, list[int]], dict[int, int]]:
    """For each index what comes after it, and of how many it must wait."""
    indexes = {entry.event.id: entry.index for entry in entries}
    after: defaultdict[int, list[int]] = defaultdict(list)
    waiting = dict.fromkeys((entry.index for entry in entries), 0)
    streams: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        streams[entry.event.source].append(entry)
        cause = indexes.get(entry.event.causationid or "")
        if cause is not None and cause != entry.index:
            after[cause].append(entry.index)
            waiting[entry.index] += 1
    for stream in streams.values():
        stream.sort(key=lambda entry: (entry.event.sequence, *_rank(entry)))
        for earlier, later in pairwise(stream):
            after[earlier.index].append(later.index)
            waiting[later.index] += 1
    return after, waiting


def _rank(entry: Entry) -> tuple[datetime, int]:
    return entry.event.time, entry.index


def delay_ms(entry: Entry, causes: Mapping[str, Entry]) -> int | None:
    """Milliseconds between the recording of an event and that of its cause; None where no cause is known."""
    cause = causes.get(entry.event.causationid or "")
    return None if cause is None else (entry.event.recordedtime - cause.event.recordedtime) // _MILLISECOND


def stages(chain: Iterable[Entry]) -> list[Stage]:
    """The statuses of a case along its chain. An event with an earlier time than what led to it counts from then."""
    found: list[Stage] = []
    case: Case | None = None
    for entry in chain:
        case = evolve(case, entry.event, entry.index)
        if case is None or (found and found[-1].status == case.status):
            continue
        since = max(entry.event.time, found[-1].since) if found else entry.event.time
        if found:
            found[-1] = Stage(found[-1].status, found[-1].since, since)
        found.append(Stage(case.status, since, None))
    return found
