"""An operator settles a parked record: it takes effect now, or is discarded; what waited behind it follows in order.

A record can be discarded whatever stands in it, in its case or behind it. Where any of that meets a defect, the record
alone is discarded: the step says where it lay, under a subject of its own, and what waited behind it fails in its turn.
"""

import logging
from dataclasses import dataclass, field

from chassis.engine import parking
from chassis.engine.decider import Refused, Unknown
from chassis.engine.effects import Effects, Obstacle
from chassis.engine.inbox import TRIES, Inbox, marked
from chassis.engine.incoming import Incoming
from chassis.engine.parking import HOLDING, Parked
from chassis.ids import uuid7
from chassis.kafka.records import read
from chassis.retry import NotNow
from chassis.store.database import TRANSIENT_ERRORS, Connection
from chassis.store.transaction import Conflict, Transaction
from contracts.fields import CASE_ID, LINE
from contracts.progress import Discarded, Retried
from contracts.wire import Invalid

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person wants of a parked record, and why."""

    parked_id: int
    discard: bool
    by: str
    reason: str


async def settle(inbox: Inbox, decision: Decision) -> Parked:
    """Retries or discards a parked record as a person wants, then lets what waited behind it take effect.

    The step is published as a fact of the case. Raises `Unknown` where there is no such record, `Refused` where it is
    settled already, is not the first of its queue, or still cannot take effect.
    """
    fault: Exception | None = None
    for _ in range(TRIES):
        try:
            if fault is not None and decision.discard:
                return await _apart(inbox, decision, fault)
            return await _once(inbox, decision, fault)
        except Conflict:
            continue
        except (Refused, *TRANSIENT_ERRORS):
            raise
        except Exception as found:
            log.warning("parked record %d meets a defect as it is settled: %r", decision.parked_id, found)
            if fault is not None:
                raise Refused("parked.failed", f"{type(found).__name__}: {found}") from found
            fault = found
    raise NotNow("the case keeps being changed by others; try again")


async def _apart(inbox: Inbox, decision: Decision, fault: Exception) -> Parked:
    """Discards a record without reading it, its case, or what waits behind it. The step has a subject of its own."""

    async def run(transaction: Transaction) -> Parked:
        connection = await transaction.begin()
        item = await _waiting(connection, decision.parked_id)
        held = await _held(connection, item)
        _refuse_order(item, held)
        await parking.settle(connection, [decision.parked_id], "discarded", decision.by)
        await _fail_next(connection, item, held, fault)
        effects = await inbox.begin(transaction, (), (), cached=False)
        subject = effects.journal.begin()
        effects.journal.append(subject, [_step(item, decision)], at=effects.journal.now, cause=None, actor=decision.by)
        await effects.finish(transaction)
        return item

    return await inbox.database.decide(run)


async def _fail_next(connection: Connection, item: Parked, held: list[Parked], fault: Exception) -> None:
    """What waited behind a record that is settled without it is the first of its queue now, and has failed."""
    waiting = [other for other in held if other.queue == item.queue and other.parked_id != item.parked_id]
    if item.kind in HOLDING and waiting:
        waiting[0].kind, waiting[0].reason = "failed", f"{type(fault).__name__}: {fault}"
        await parking.amend(connection, waiting[0])


async def _held(connection: Connection, item: Parked) -> list[Parked]:
    """The parked records that hold the same case back, in order."""
    stream_id = item.record.stream_id
    return await parking.holding(connection, [stream_id] if stream_id else [])


def _refuse_order(item: Parked, held: list[Parked]) -> None:
    """Raises `Refused` unless a record that holds others back is the first of its queue."""
    if item.kind in HOLDING:
        first = next(other for other in held if other.queue == item.queue)
        if first.parked_id != item.parked_id:
            raise Refused("parked.order", f"record {first.parked_id} of the same case and topic comes first")


async def _once(inbox: Inbox, decision: Decision, fault: Exception | None) -> Parked:
    """`fault`: what was met with all that waits behind the record, which is left alone for that."""

    async def run(transaction: Transaction) -> tuple[Parked, Effects]:
        connection = await transaction.begin()
        item = await _waiting(connection, decision.parked_id)
        held = await _held(connection, item)
        _refuse_order(item, held)
        found = None if decision.discard else _readable(inbox, item)
        if found is not None and await _known(transaction, found):
            raise Refused("parked.known", "the same event has taken effect already: discard this record of it")
        behind = _behind(inbox, item, held) if fault is None else []
        events = [one.event for one in (found, *(other for _, other in behind)) if one is not None and one.event]
        effects = await inbox.begin(transaction, events, held, cached=False)
        if found is not None and (obstacle := effects.apply(found)) is not None:
            raise Refused(f"parked.{obstacle[0]}", obstacle[1])
        status = "discarded" if decision.discard else "retried"
        await parking.settle(connection, [decision.parked_id], status, decision.by)
        await _tell(connection, effects, item, decision)
        drained = _Drained()
        if item.kind in HOLDING and item.queue is not None:
            effects.queues[item.queue].pop(0)
            drained = _drain(behind, effects)
        if fault is not None:
            await _fail_next(connection, item, held, fault)
        await effects.finish(transaction)
        for waiting in drained.waiting:
            await parking.amend(connection, waiting)
        if drained.settled:
            await parking.settle(connection, drained.settled, "retried", decision.by)
        return item, effects

    item, effects = await inbox.database.decide(run)
    effects.committed()
    inbox.cache.forget([item.record.stream_id or ""])
    return item


async def _waiting(connection: Connection, parked_id: int) -> Parked:
    found = await parking.lock(connection, parked_id)
    if found is None:
        raise Unknown(f"there is no parked record {parked_id}")
    item, status = found
    if status != "waiting":
        raise Refused("parked.settled", f"the record was {status} already")
    return item


def _readable(inbox: Inbox, item: Parked) -> Incoming:
    found = inbox.reader.read(item.record)
    if found is None:
        raise Refused("parked.elsewhere", "the record is not for this service any more: discard it")
    if found.event is None:
        raise Refused("parked.invalid", found.reason)
    return found


async def _known(transaction: Transaction, item: Incoming) -> bool:
    """Whether the event has taken effect, for instance from another record; from now on it counts as seen."""
    transaction.write(marked({item.identity: item.digest}, first=False))
    query = "SELECT true FROM events WHERE stream_id = $1 AND event_id = $2 AND topic = $3 AND NOT own"
    return bool(await transaction.connection.fetchval(query, item.event.subject, item.event.id, item.record.topic))


def _behind(inbox: Inbox, item: Parked, held: list[Parked]) -> list[tuple[Parked, Incoming | None]]:
    """What waits behind a record that held it back, in order, as far as it can be read; nothing behind any other."""
    if item.kind not in HOLDING:
        return []
    return [
        (other, inbox.reader.read_or_fail(other.record))
        for other in held
        if other.queue == item.queue and other.parked_id != item.parked_id
    ]


@dataclass(frozen=True, slots=True)
class _Drained:
    """What became of the records that waited behind a settled one."""

    settled: list[int] = field(default_factory=list)
    """Those that took effect."""
    waiting: list[Parked] = field(default_factory=list)
    """Those that could not, with the new reason."""


def _drain(behind: list[tuple[Parked, Incoming | None]], effects: Effects) -> _Drained:
    """Lets what waited behind a settled record take effect in order, up to the next that fails."""
    drained = _Drained()
    for waiting, found in behind:
        if found is None:
            obstacle: Obstacle | None = ("unfit", "the record is not for this service any more")
        elif found.event is None:
            obstacle = (found.kind, found.reason)
        elif effects.knows(found):  # from another record, by another worker
            obstacle = None
        else:
            obstacle = effects.apply(found)
        if obstacle is not None:
            waiting.kind, waiting.reason = obstacle
            drained.waiting.append(waiting)
            if waiting.kind == "failed":
                break
        elif waiting.parked_id is not None:
            drained.settled.append(waiting.parked_id)
    return drained


async def _tell(connection: Connection, effects: Effects, item: Parked, decision: Decision) -> None:
    journal, record = effects.journal, item.record
    subject = record.stream_id
    if subject is None or not CASE_ID.fullmatch(subject):
        subject = uuid7(journal.now)  # of no case that could be named: the step stands alone
    await journal.open(connection, [subject])
    try:
        cause = read(record)
    except Invalid:  # it names no event: the step says where it lies
        cause = None
    journal.append(subject, [_step(item, decision)], at=journal.now, cause=cause, actor=decision.by)


def _step(item: Parked, decision: Decision) -> Discarded | Retried:
    record = item.record
    return (Discarded if decision.discard else Retried)(
        parked_topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        parked_because=item.reason[:LINE] if item.reason.strip() else item.kind,
        reason=decision.reason,
    )
