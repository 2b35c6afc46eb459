"""Cases as the services would publish them, for tests of audit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from chassis.kafka.records import Record
from contracts.dispatch import Resolved
from contracts.envelope import CONTENT_TYPE, AnyEvent
from contracts.feedback import Evaluated
from contracts.fields import EARLIEST, Fact, Place
from contracts.intake import NewReport, Rating, Supplement
from contracts.notice import AcceptanceNotice, AssignmentNotice, RefusalNotice
from contracts.progress import (
    Acknowledged,
    AwaitingRuling,
    Checking,
    Discarded,
    EnRoute,
    Failed,
    OnScene,
    Refused,
    Retried,
    Verified,
)
from contracts.request import Acknowledge, FileReport, Resolve
from contracts.triage import Because
from contracts.wire import Circumstances, build
from services.audit.domain.case import Case, fold
from services.audit.domain.chain import LoggedEvent
from tests.support import rulings
from tests.support.facts import home_of, topic_of

BEGIN = datetime(2026, 5, 9, 8, 0, tzinfo=UTC)
CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
OTHER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a12"
AREA = "CH/shuangqiaozi/xinhong/g012"
BURST = "event.emergency.water-main"


@dataclass
class Story:
    """Publishes the events of a case as the services would: a minute apart, with sequences and causes."""

    case: str = CASE
    at: datetime = BEGIN
    seed: int = 0
    published: list[tuple[AnyEvent, bytes]] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)

    def publish(
        self,
        data: Fact,
        *,
        cause: str | None = None,
        actor: str | None = None,
        source: str | None = None,
        claimed: datetime | None = None,
        skipped: int = 0,
    ) -> str:
        """The id of the new event. `skipped`: numbers that were lost before it; `claimed`: a partner's times."""
        source = source or home_of(data)
        self.at += timedelta(minutes=1)
        sequence = self.sequences[source] = self.sequences.get(source, 0) + 1 + skipped
        number = len(self.published) + 1
        event_id = f"{number:08x}-{self.seed:04x}-7000-8000-{self.case[-12:]}"
        self.published.append(
            build(
                data,
                Circumstances(
                    event_id=event_id,
                    source=source,
                    subject=self.case,
                    time=claimed or self.at,
                    recorded=claimed or self.at + timedelta(seconds=1),
                    sequence=None if data.name == "Request" else sequence,
                    cause=cause,
                    actor=actor or (None if cause else "somebody"),
                ),
            )
        )
        return event_id

    def report(self, *, cause: str | None = None, **more: Any) -> str:
        data = NewReport(**{"channel": "handset", "title": "A main has burst", "place": Place(area=AREA), **more})
        return self.publish(data, cause=cause, actor="member:7")

    def dispatched(
        self,
        cause: str,
        *,
        round_: int = 1,
        because: Because = "first",
        units: Sequence[str] = ("dept:water", "dept:fire"),
    ) -> str:
        plan = [
            rulings.assignment(
                self.assignment_id(n, round_),
                unit,
                self.at,
                replaces=self.assignment_id(n, round_ - 1) if round_ > 1 else None,
            )
            for n, unit in enumerate(units, start=1)
        ]
        ruling = rulings.dispatched(*plan, area=AREA, filed_at=BEGIN, round=round_, because=because)
        return self.publish(ruling, cause=cause)

    def assignment_id(self, number: int, round_: int = 1) -> str:
        return f"{self.case}.{round_}.{number}"

    def acknowledged(self, cause: str, number: int = 1, *, round_: int = 1, unit: str | None = None) -> str:
        data = Acknowledged(
            assignment_id=self.assignment_id(number, round_),
            unit=unit or _unit(number),
            due_at=BEGIN + timedelta(hours=4),
        )
        return self.publish(data, cause=cause, actor=f"crew of {data.unit}")

    def on_scene(self, cause: str, number: int = 1) -> str:
        return self.publish(
            OnScene(assignment_id=self.assignment_id(number), unit=_unit(number)), cause=cause, actor="water:chen"
        )

    def resolved(self, cause: str, number: int = 1, *, round_: int = 1, outcome: Any = "fixed") -> str:
        end = Resolved(
            assignment_id=self.assignment_id(number, round_),
            unit=_unit(number),
            outcome=outcome,
            reason=None if outcome == "fixed" else "not ours",
            resolve_by=BEGIN + timedelta(hours=4),
            late_by_seconds=0,
        )
        return self.publish(end, cause=cause, actor=f"crew of {end.unit}")

    def checking(self, cause: str) -> str:
        return self.publish(Checking(due_at=BEGIN + timedelta(hours=6)), cause=cause)

    def closed(self, cause: str, **more: Any) -> str:
        return self.publish(Evaluated(**{"verdict": "closed", "outcome": "fixed", **more}), cause=cause)

    @property
    def events(self) -> list[AnyEvent]:
        return [event for event, _ in self.published]

    @property
    def folded(self) -> Case:
        found = fold((event, index) for index, event in enumerate(self.events))
        assert found is not None
        return found

    @property
    def status(self) -> str | None:
        return self.folded.status

    def records(self, *, partitions: int = 3) -> list[Record]:
        """The records of the story, in order, at offsets as if nothing else were on the topics."""
        partition = int(self.case[-4:], 16) % partitions
        offsets: dict[str, int] = {}
        found = []
        for event, raw in self.published:
            topic = topic_of(event)
            offset = offsets[topic] = offsets.get(topic, -1) + 1
            found.append(Record(topic, partition, offset, self.case.encode(), raw, [("content-type", CONTENT_TYPE)]))
        return found


def _unit(number: int) -> str:
    return "dept:water" if number == 1 else "dept:fire"


def burst_main(case: str = CASE, seed: int = 0) -> Story:
    """A whole life: two units; a failed check, rework, closed, rated."""
    story = Story(case, seed=seed)
    ruled = story.dispatched(story.report(external_ref="hotline-17"))
    arrived = story.on_scene(story.acknowledged(ruled))
    story.resolved(story.acknowledged(ruled, 2), 2)
    checking = story.checking(story.resolved(arrived))
    failed = story.publish(Failed(reason="still wet"), cause=checking, actor="member:8")
    rework = story.publish(
        Evaluated(verdict="rework", failed=(story.assignment_id(1),), reason="still wet"),
        cause=failed,
        actor="member:8",
    )
    again = story.dispatched(rework, round_=2, because="rework", units=("dept:water",))
    checking = story.checking(story.resolved(story.acknowledged(again, round_=2), round_=2))
    verified = story.publish(Verified(), cause=checking, actor="member:8")
    closed = story.closed(verified, late_by_seconds=90, checked_by="member:8", reworks=1)
    story.publish(Rating(verdict_id=closed, rating=4), cause=closed, actor="reporter:1")
    return story


def sent_around(case: str = CASE) -> Story:
    """Returned twice, ruled on by a person, merged in the end."""
    story = Story(case)
    ruled = story.dispatched(story.report(), units=("dept:water",))
    ruled = story.dispatched(
        story.resolved(ruled, outcome="returned"), round_=2, because="returned", units=("dept:fire",)
    )
    returned = story.resolved(ruled, round_=2, outcome="returned")
    waiting = story.publish(AwaitingRuling(queue="second_return", note="returned twice", due_at=BEGIN), cause=returned)
    ruled = story.dispatched(waiting, round_=3, because="manual", units=("district:CH",))
    acknowledged = story.acknowledged(ruled, round_=3)
    story.publish(EnRoute(assignment_id=story.assignment_id(1, 3), unit="district:CH"), cause=acknowledged)
    merged = story.publish(rulings.merged(OTHER), cause=waiting, actor="leader:1")
    story.closed(merged, outcome="duplicate")
    return story


FAR = datetime(2199, 12, 31, tzinfo=UTC)


def partners_case(case: str = CASE, *, claimed: datetime | None = FAR) -> Story:
    """The hotline files it, the water company works on it: one request refused, each answered once."""
    story = Story(case, seed=3)
    filed = story.publish(FileReport(title="A main has burst"), source="/partners/hotline", claimed=claimed)
    new = story.report(cause=filed, channel="hotline", reported_by="hotline")
    story.publish(AcceptanceNotice(to="hotline", request=filed), cause=new, source="/services/intake")
    ruled = story.dispatched(new, units=("dept:water",))
    notice = story.publish(assignment_notice(story), cause=ruled)
    early = story.publish(
        Resolve(assignment_id=story.assignment_id(1)),
        source="/partners/water",
        cause=notice,
        actor="li",
        claimed=claimed,
    )
    refused = story.publish(
        Refused(partner="water", rule="step.order", reason="acknowledge it first"), cause=early, source=DISPATCH
    )
    story.publish(
        RefusalNotice(to="water", request=early, rule="step.order", reason="acknowledge it first"), cause=refused
    )
    asked = story.publish(
        Acknowledge(assignment_id=story.assignment_id(1)), source="/partners/water", cause=notice, claimed=claimed
    )
    acknowledged = story.acknowledged(asked)
    story.publish(AcceptanceNotice(to="water", request=asked), cause=acknowledged)
    story.publish(Supplement(text="more"), cause=new, actor="member:7")
    asked = story.publish(
        Resolve(assignment_id=story.assignment_id(1)), source="/partners/water", cause=notice, claimed=claimed
    )
    fixed = story.resolved(asked)
    story.publish(AcceptanceNotice(to="water", request=asked), cause=fixed)
    story.closed(story.publish(Verified(), cause=story.checking(fixed), actor="member:8"))
    return story


DISPATCH = "/services/dispatch"


def assignment_notice(story: Story) -> AssignmentNotice:
    return AssignmentNotice(
        to="water",
        assignment_id=story.assignment_id(1),
        unit="dept:water",
        lead=True,
        task="repair",
        title="A main has burst",
        place=Place(area=AREA),
        category=BURST,
        condition="burst",
        closing="dry",
        priority=1,
        round=1,
        because="first",
        acknowledge_by=BEGIN,
        resolve_by=BEGIN,
    )


STORIES = st.sampled_from(
    [burst_main(), sent_around(), *(partners_case(claimed=claimed) for claimed in (None, EARLIEST, FAR))]
)


def interleaved(events: Sequence[AnyEvent], chance: Random) -> list[AnyEvent]:
    """The events in another order that keeps that of each topic."""
    queues: dict[str, list[AnyEvent]] = {}
    for event in events:
        queues.setdefault(topic_of(event), []).append(event)
    order = []
    while waiting := [topic for topic, queue in queues.items() if queue]:
        order.append(queues[chance.choice(waiting)].pop(0))
    return order


def logged(events: Sequence[AnyEvent]) -> list[LoggedEvent]:
    return [LoggedEvent(index, event, topic_of(event), 0, index, BEGIN, b"") for index, event in enumerate(events)]


def parked(step: type[Retried] | type[Discarded]) -> Fact:
    return step(parked_topic="Resolved", partition=0, offset=7, parked_because="not JSON", reason="spam")
