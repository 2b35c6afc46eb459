"""The events of a case in causal order, the delay of each after its cause, and the stages the case went through."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from contracts.envelope import AnyEvent
from services.audit.domain.case import Case, evolve

_MILLISECOND = timedelta(milliseconds=1)
_Rank = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its place in the log, and its data as published."""

    index: int
    event: AnyEvent
    topic: str
    partition: int
    offset: int
    stored_at: datetime
    data: Any

    @property
    def asks(self) -> bool:
        """Whether it is a partner's request, whose times are by the partner's clock."""
        return self.event.data.name == "Request"


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


def belonging(entries: Sequence[Entry]) -> list[Entry]:
    """Without what partners asked under the case's key that had no part in it, as anybody may ask: it is in the log."""
    causes = {entry.event.causationid for entry in entries}
    return [entry for entry in entries if not entry.asks or entry.event.id in causes]


def causal(entries: Iterable[Entry]) -> list[Entry]:
    """Each event after its cause, and after what its source said before it; where neither decides, by time, then index.

    Claims that contradict each other (a mistake, or a forgery) are overruled at the earliest of the events concerned,
    so that every event is there once, whatever was claimed.
    """
    known = {entry.index: entry for entry in entries}
    rank = _ranks(known.values())
    after, waiting = _claims(list(known.values()), rank)
    ready = [rank[index] for index in known if not waiting[index]]
    heapq.heapify(ready)
    in_time = iter(sorted(rank.values()))
    left, order = set(known), list[Entry]()
    while left:
        index = heapq.heappop(ready)[1] if ready else next(index for _, index in in_time if index in left)
        left.discard(index)
        order.append(known[index])
        for other in after[index]:
            waiting[other] -= 1
            if waiting[other] == 0 and other in left:
                heapq.heappush(ready, rank[other])
    return order


def _claims(entries: Sequence[Entry], rank: Mapping[int, _Rank]) -> tuple[Mapping[int, list[int]], dict[int, int]]:
    """For each index what comes after it, and of how many it must wait."""
    causes = by_id(entries)
    after: defaultdict[int, list[int]] = defaultdict(list)
    waiting = dict.fromkeys((entry.index for entry in entries), 0)
    streams: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        streams[entry.event.source].append(entry)
        cause = causes.get(entry.event.causationid or "")
        if cause is not None and cause is not entry:
            after[cause.index].append(entry.index)
            waiting[entry.index] += 1
    for stream in streams.values():
        # A partner need not number what it asks; its own topic has it in order.
        stream.sort(key=lambda entry: entry.index if entry.asks else (entry.event.sequence, *rank[entry.index]))
        for earlier, later in pairwise(stream):
            after[earlier.index].append(later.index)
            waiting[later.index] += 1
    return after, waiting


def _ranks(entries: Iterable[Entry]) -> dict[int, _Rank]:
    """Index -> its place where nothing else decides. A request has the time of what it led to: its own is a claim."""
    reached: dict[str, datetime] = {}
    for entry in entries:
        if entry.event.causationid is not None and not entry.asks:
            at = reached.setdefault(entry.event.causationid, entry.event.time)
            reached[entry.event.causationid] = min(at, entry.event.time)
    return {
        entry.index: (reached.get(entry.event.id, entry.event.time) if entry.asks else entry.event.time, entry.index)
        for entry in entries
    }


def by_id(entries: Iterable[Entry]) -> Mapping[str, Entry]:
    """Event id -> the event; a service's, should a partner have taken the same."""
    return {entry.event.id: entry for entry in sorted(entries, key=lambda entry: not entry.asks)}


def delay_ms(entry: Entry, causes: Mapping[str, Entry]) -> int | None:
    """Milliseconds between the recording of an event and that of its cause.

    None where no cause is known, or where one of the two was recorded by a partner's clock.
    """
    cause = causes.get(entry.event.causationid or "")
    if cause is None or cause.asks or entry.asks:
        return None
    return (entry.event.recordedtime - cause.event.recordedtime) // _MILLISECOND


def stages(chain: Iterable[Entry]) -> list[Stage]:
    """The statuses of a case along its chain. An event with an earlier time than what led to it counts from then."""
    found: list[Stage] = []
    case: Case | None = None
    for entry in chain:
        case = evolve(case, entry.event, entry.index)
        if case is None or case.status is None or (found and found[-1].status == case.status):
            continue
        since = max(entry.event.time, found[-1].since) if found else entry.event.time
        if found:
            found[-1] = Stage(found[-1].status, found[-1].since, since)
        found.append(Stage(case.status, since, None))
    return found
