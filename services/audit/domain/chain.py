"""The events of a case in causal order, the delay of each after its cause, and the periods of the case's statuses."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from contracts import status
from contracts.envelope import AnyEvent
from contracts.status import Standing
from services.audit.domain.case import is_case_fact

_MILLISECOND = timedelta(milliseconds=1)
_Rank = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event with its place in the log, and its bytes as published."""

    index: int
    event: AnyEvent
    topic: str
    partition: int
    offset: int
    stored_at: datetime
    body: bytes

    @property
    def is_request(self) -> bool:
        """Whether it is a partner's request, whose times are by the partner's clock."""
        return self.event.data.name == "Request"


@dataclass(frozen=True, slots=True)
class StatusPeriod:
    """A status and how long the case had it; `until` is None for the last one."""

    status: str
    since: datetime
    until: datetime | None

    @property
    def duration_seconds(self) -> float | None:
        """None while it lasts."""
        return None if self.until is None else (self.until - self.since).total_seconds()


def without_stray_requests(events: Sequence[LoggedEvent]) -> list[LoggedEvent]:
    """Leaves out partners' requests from which nothing in the case followed: anybody may send one under any case.

    Another request does not count, because anybody may claim any cause, too.
    """
    causes = {one.event.causationid for one in events if not one.is_request}
    return [one for one in events if not one.is_request or one.event.id in causes]


def in_causal_order(events: Iterable[LoggedEvent]) -> list[LoggedEvent]:
    """Each event after its cause and after its source's earlier events; else by time, then by index.

    Every event is in the result once, whatever it claims. Where claims contradict each other, by mistake or forgery,
    the earliest of the events concerned comes first.
    """
    known = {one.index: one for one in events}
    rank = _ranks(known.values())
    successors, waiting = _constraints(list(known.values()), rank)
    ready = [rank[index] for index in known if not waiting[index]]
    heapq.heapify(ready)
    by_rank = iter(sorted(rank.values()))
    left, order = set(known), list[LoggedEvent]()
    while left:
        index = heapq.heappop(ready)[1] if ready else next(index for _, index in by_rank if index in left)
        left.discard(index)
        order.append(known[index])
        for other in successors[index]:
            waiting[other] -= 1
            if waiting[other] == 0 and other in left:
                heapq.heappush(ready, rank[other])
    return order


def _constraints(
    events: Sequence[LoggedEvent], rank: Mapping[int, _Rank]
) -> tuple[Mapping[int, list[int]], dict[int, int]]:
    """(index -> indexes that come after it, index -> how many events it waits for)."""
    causes = by_id(events)
    successors: defaultdict[int, list[int]] = defaultdict(list)
    waiting = dict.fromkeys((one.index for one in events), 0)
    streams: defaultdict[str, list[LoggedEvent]] = defaultdict(list)
    for one in events:
        streams[one.event.source].append(one)
        cause = causes.get(one.event.causationid or "")
        if cause is not None and cause is not one:
            successors[cause.index].append(one.index)
            waiting[one.index] += 1
    for stream in streams.values():
        # A partner need not number its requests; the offsets of its own topic order them.
        stream.sort(key=lambda one: one.index if one.is_request else (one.event.sequence, *rank[one.index]))
        for earlier, later in pairwise(stream):
            successors[earlier.index].append(later.index)
            waiting[later.index] += 1
    return successors, waiting


def _ranks(events: Iterable[LoggedEvent]) -> dict[int, _Rank]:
    """Index -> (time, index). A request has the time of its first effect, because its own time is a claim."""
    effects: dict[str, datetime] = {}
    for one in events:
        if one.event.causationid is not None and not one.is_request:
            at = effects.setdefault(one.event.causationid, one.event.time)
            effects[one.event.causationid] = min(at, one.event.time)
    return {
        one.index: (effects.get(one.event.id, one.event.time) if one.is_request else one.event.time, one.index)
        for one in events
    }


def by_id(events: Iterable[LoggedEvent]) -> Mapping[str, LoggedEvent]:
    """Event id -> the event; if a partner used an id of a service, the service's event."""
    return {one.event.id: one for one in sorted(events, key=lambda one: not one.is_request)}


def delay_ms(one: LoggedEvent, causes: Mapping[str, LoggedEvent]) -> int | None:
    """Milliseconds between the recording of an event and that of its cause.

    None if no cause is known, or if a partner's clock recorded one of the two.
    """
    cause = causes.get(one.event.causationid or "")
    if cause is None or cause.is_request or one.is_request:
        return None
    return (one.event.recordedtime - cause.event.recordedtime) // _MILLISECOND


def status_periods(chain: Iterable[LoggedEvent]) -> list[StatusPeriod]:
    """The statuses of a case along its chain. A status never begins before the one that precedes it."""
    found: list[StatusPeriod] = []
    standing = Standing()
    for one in chain:
        if not is_case_fact(one.event):
            continue
        standing = status.evolve(standing, one.event)
        reached = standing.status
        if reached is None or (found and found[-1].status == reached):
            continue
        since = max(one.event.time, found[-1].since) if found else one.event.time
        if found:
            found[-1] = StatusPeriod(found[-1].status, found[-1].since, since)
        found.append(StatusPeriod(reached, since, None))
    return found
