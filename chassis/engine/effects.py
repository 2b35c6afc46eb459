"""What the records of one transaction do, worked out in memory: facts, answers, propagations, and what is parked."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chassis.engine import parking, partner_requests, propagation
from chassis.engine.decider import Inputs, Unfit
from chassis.engine.incoming import Incoming
from chassis.engine.model import Model
from chassis.engine.parking import HOLDING, Parked
from chassis.engine.unit_of_work import UnitOfWork
from chassis.store.database import TRANSIENT_ERRORS
from chassis.store.journal import Journal
from chassis.store.transaction import Transaction
from chassis.telemetry import About, Sparing
from contracts import causes
from contracts.fields import FROM
from contracts.times import ahead
from contracts.wire import TooLarge

log = logging.getLogger(__name__)

_APART_A_MINUTE = 600
"""The most answers per minute to one partner about cases that are not its own; beyond that, records are parked."""
_ANSWERS_IN_A_CASE = 2_000
"""The most answers to one partner in a case, because every answer is loaded with the case; beyond that likewise."""

Obstacle = tuple[str, str]
"""(kind, reason) of a record that cannot take effect."""
_Outcome = tuple[Obstacle | None, Sequence[Any]]
"""The obstacle, if any; the facts appended."""


class AnswerLimit:
    """Counts the answers to each partner under subjects of their own, by the minute, over all transactions."""

    def __init__(self) -> None:
        self._given: Counter[tuple[str, int]] = Counter()

    def allows(self, topic: str, minute: int, already: int) -> bool:
        """Whether one more answer may go to the partner of this topic; `already` are those of this transaction."""
        return self._given[topic, minute] + already < _APART_A_MINUTE

    def count(self, answers: Counter[tuple[str, int]]) -> None:
        """Counts the answers of a transaction; forgets earlier minutes."""
        if answers:
            latest = max(minute for _, minute in answers)
            kept = {key: number for key, number in self._given.items() if key[1] >= latest}
            self._given = Counter(kept) + answers


@dataclass(slots=True)
class Effects:
    """The effects of one transaction, beside what its journal holds."""

    model: Model
    work: UnitOfWork[Any]
    limit: AnswerLimit
    wall: datetime
    """The machine's time when `journal.now` was read: records that arrived in an order keep it."""
    lines: Sparing = field(default_factory=Sparing)
    """What is logged of records that fail."""
    queues: dict[tuple[str, str], list[Parked]] = field(default_factory=dict)
    """(topic, case) -> the parked records that hold it back, in order."""
    parked: list[Parked] = field(default_factory=list)
    """Records parked in this transaction."""
    apart: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(topic, minute) -> answers under subjects of their own."""
    propagations: list[tuple[Any, str]] = field(default_factory=list)

    @property
    def journal(self) -> Journal[Any]:
        """The streams of the transaction."""
        return self.work.journal

    def hold(self, item: Parked) -> None:
        """Adds a parked record to the queue that it holds back."""
        if item.queue is not None:
            self.queues.setdefault(item.queue, []).append(item)

    def park(self, item: Parked) -> None:
        """Parks a record in this transaction."""
        self.parked.append(item)
        if item.kind in HOLDING:
            self.hold(item)

    def knows(self, item: Incoming) -> bool:
        """Whether a service's fact has taken effect in its case, which must be open in the journal."""
        return item.is_fact and item.identity in self.journal.streams[item.event.subject].received

    def take(self, item: Incoming) -> bool:
        """Lets a new record take effect, or parks it; returns whether it was parked."""
        already = len(self.parked)
        attribute = item.event.traceparent if item.event else None
        with About(item.record.stream_id, attribute, item.record.header("traceparent")):
            self._take(item)
        return len(self.parked) > already

    def _take(self, item: Incoming) -> None:
        record, event = item.record, item.event
        if event is None:
            self.park(Parked(None, item.kind, item.reason, record))
            self._answer_unreadable(item)
        elif queue := self.queues.get((record.topic, event.subject)):
            self.park(Parked(None, "behind", f"waits behind {queue[0].record.coordinates}", record))
        elif (obstacle := self._overtaken(item) or self.apply(item)) is not None:
            self.park(Parked(None, *obstacle, record))

    def _overtaken(self, item: Incoming) -> Obstacle | None:
        """Of a fact that comes behind a later one of its topic: what follows from both depends on their order. An
        operator may let it take effect all the same.
        """
        stream = self.journal.streams[item.event.subject]
        if not item.is_fact or (later := causes.overtaken(item.event, stream.marks)) is None:
            return None
        number = int(item.event.sequence)
        return "unfit", f"sequence: {number} comes behind {later[0]} of the same topic, event {later[1]}"

    def apply(self, item: Incoming) -> Obstacle | None:
        """Lets an event take effect in memory. If it cannot, returns the obstacle and leaves the journal unchanged."""
        event, journal = item.event, self.journal
        stream, inputs = journal.streams[event.subject], self.work.inputs(event.subject)
        before = journal.mark(stream)
        try:
            obstacle, appended = self._request(item, inputs) if item.request else self._react(item, inputs)
            if obstacle is not None:
                return obstacle
            self.propagations += self.model.decider.propagates_to(event, stream.state, inputs)
        except Exception as fault:
            journal.restore(stream, before)
            if self.lines.allows(item.record.topic):
                log.exception("%s could not take effect", item.record.coordinates)
            return "failed", f"{type(fault).__name__}: {fault}"
        if self.work.context is not None:
            for one in (event, *appended):
                self.work.context.learn(one)
        return None

    async def finish(self, transaction: Transaction) -> None:
        """Reaches other cases, and gives everything to the transaction to be written."""
        await self._propagate(transaction)
        self.journal.write(transaction)
        parking.park(transaction, self.parked)

    def committed(self) -> None:
        """Counts what was answered; to be called after the commit."""
        self.limit.count(self.apart)

    async def _propagate(self, transaction: Transaction) -> None:
        """Reaches other cases: a bounded number now, the rest by the timers."""
        pairs = self.propagations
        while pairs:
            now, later = propagation.split(pairs)
            broken = await self._opened(transaction, {other for _, other in now})
            further: list[tuple[Any, str]] = []
            failed: list[tuple[Any, str]] = []
            for event, other in now:
                if other in broken:
                    failed.append((event, other))
                    continue
                before = self.journal.mark(self.journal.streams[other])
                try:
                    further += propagation.propagate(self.model, self.work, event, other)
                except Exception as fault:
                    self.journal.restore(self.journal.streams[other], before)
                    log.warning("case %s cannot hear of event %s now, the timers try again: %r", other, event.id, fault)
                    failed.append((event, other))
            pairs = further
            propagation.add(transaction, [*later, *failed])

    async def _opened(self, transaction: Transaction, others: set[str]) -> set[str]:
        """Opens these cases; returns those that meet a defect, which is no reason for this one to fail."""
        try:
            await self.journal.open(transaction.connection, others)
            return set()
        except TRANSIENT_ERRORS:
            raise
        except Exception as fault:
            log.warning("%d cases cannot be opened together, opening them one by one: %r", len(others), fault)
        broken: set[str] = set()
        for other in sorted(others):
            try:
                await self.journal.open(transaction.connection, [other])
            except TRANSIENT_ERRORS:
                raise
            except Exception as fault:
                log.warning("case %s cannot be opened now, the timers try again: %r", other, fault)
                broken.add(other)
        return broken

    def _react(self, item: Incoming, inputs: Inputs) -> _Outcome:
        record, event, journal = item.record, item.event, self.journal
        stream = journal.streams[event.subject]
        if (words := ahead(max(event.time, event.recordedtime), inputs.now)) is not None:
            return ("unfit", f"time: {words}, the clock of this service"), ()
        if (other := causes.contradicted(event, stream.marks)) is not None:
            return ("unfit", f"data: {other[0]} of the case was said by event {other[1]} already"), ()
        outcome = self.model.decider.react(event, stream.state, inputs)
        if isinstance(outcome, Unfit):
            return ("unfit", outcome.reason), ()
        journal.receive(event.subject, record.topic, event, record.value or b"")
        return None, journal.append(event.subject, outcome, at=journal.now, cause=event)

    def _request(self, item: Incoming, inputs: Inputs) -> _Outcome:
        """A partner's request and its one answer."""
        record, event, request, journal = item.record, item.event, item.request, self.journal
        handled = self.model.partner_requests
        assert request is not None
        assert handled is not None
        stream = journal.streams[event.subject]
        if handled.answered(stream.state, request.partner.id) >= _ANSWERS_IN_A_CASE:
            return (
                "unanswered",
                f"the case holds {_ANSWERS_IN_A_CASE} answers to this partner, which is the limit",
            ), ()
        arrived = record.arrived(journal.now, self.wall)
        reply = partner_requests.reply_to(request, handled, self.model.decider, stream.state, inputs, arrived)
        before = journal.mark(stream)
        try:
            return self._reply(item, reply)
        except TooLarge as fault:
            journal.restore(stream, before)
            rule = "request.too_large"
            return self._reply(
                item, partner_requests.refused(request, handled, stream.state, rule, str(fault), arrived)
            )

    def _reply(self, item: Incoming, reply: partner_requests.Reply) -> _Outcome:
        record, event, request, journal = item.record, item.event, item.request, self.journal
        assert request is not None
        subject = event.subject
        if reply.apart:
            if not self._may_answer(record.topic):
                return ("unanswered", f"more than {_APART_A_MINUTE} requests a minute about cases of others"), ()
            subject = journal.begin()
        journal.receive(subject, record.topic, event, record.value or b"")
        return None, journal.append(
            subject,
            reply.facts,
            at=reply.counted.at,
            cause=event,
            actor=partner_requests.actor_of(request),
        )

    def _answer_unreadable(self, item: Incoming) -> None:
        handled, record = self.model.partner_requests, item.record
        if handled is None or not record.topic.startswith(FROM) or not (item.request or handled.answers_unreadable):
            return
        answer = partner_requests.unreadable(record, self.model.registry.partners, item.kind, item.reason)
        if answer is None or not self._may_answer(record.topic):
            return
        self.journal.append(self.journal.begin(), [answer], at=self.journal.now, actor=self.model.name)

    def _may_answer(self, topic: str) -> bool:
        """Whether one more answer under a subject of its own may go to this partner in this minute."""
        key = topic, int(self.journal.now.timestamp() // 60)
        if not self.limit.allows(*key, self.apart[key]):
            return False
        self.apart[key] += 1
        return True
