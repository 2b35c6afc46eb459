"""What the log means: the status of a case in any interleaving, the chain in causal order, every event in words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chassis.records import Record
from contracts import notice, progress, request
from contracts.dispatch import Resolved
from contracts.envelope import CONTENT_TYPE, AnyEvent
from contracts.feedback import Evaluated
from contracts.fields import EARLIEST, Fact, Place
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.notice import AcceptanceNotice, AssignmentNotice, RefusalNotice, UrgeNotice
from contracts.progress import (
    Acknowledged,
    AwaitingRuling,
    Checking,
    Discarded,
    EnRoute,
    Failed,
    HandedOn,
    Offered,
    OnScene,
    Overdue,
    Rated,
    Refused,
    Retried,
    Verified,
    Verifying,
)
from contracts.request import Acknowledge, FileReport, Resolve
from contracts.triage import Assignment, Because, Check, Dispatched, Explanation, Merged, Rejected, Upheld, Withdrawn
from contracts.wire import TYPES, build, parse
from services.audit.domain import words as vocabulary
from services.audit.domain.case import Case, evolve, fold
from services.audit.domain.chain import Entry, by_id, causal, delay_ms, stages
from services.audit.domain.words import who, words
from tests.contracts import strategies
from tests.support.facts import home_of, topic_of

BEGIN = datetime(2026, 5, 9, 8, 0, tzinfo=UTC)
CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
OTHER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a12"
AREA = "CH/shuangqiaozi/xinhong/g012"
BURST = "event.emergency.water-main-burst"
WHY = Explanation(rules=("the reporter's category",), catalogue="2026.1", policy="2026.1")


@dataclass
class Story:
    """Tells a case event by event as the services would: a minute apart, with sequences and causes."""

    case: str = CASE
    at: datetime = BEGIN
    seed: int = 0
    told: list[tuple[AnyEvent, bytes]] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)

    def tell(
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
        number = len(self.told) + 1
        event_id = f"{number:08x}-{self.seed:04x}-7000-8000-{self.case[-12:]}"
        self.told.append(
            build(
                event_id=event_id,
                source=source,
                subject=self.case,
                time=claimed or self.at,
                recorded=claimed or self.at + timedelta(seconds=1),
                sequence=None if data.name == "Request" else sequence,
                data=data,
                cause=cause,
                actor=actor or (None if cause else "somebody"),
            )
        )
        return event_id

    def report(self, *, cause: str | None = None, **more: Any) -> str:
        data = NewReport(**{"channel": "handset", "title": "A main has burst", "place": Place(area=AREA), **more})
        return self.tell(data, cause=cause, actor="member:7")

    def dispatched(
        self,
        cause: str,
        *,
        round_: int = 1,
        because: Because = "first",
        units: Sequence[str] = ("dept:water", "dept:fire"),
    ) -> str:
        plan = tuple(
            Assignment(
                id=self.part(n, round_),
                unit=unit,
                lead=n == 1,
                task="repair" if n == 1 else "bring water",
                acknowledge_by=self.at + timedelta(minutes=15),
                resolve_by=self.at + timedelta(hours=4),
            )
            for n, unit in enumerate(units, start=1)
        )
        data = Dispatched(
            round=round_,
            because=because,
            category=BURST,
            condition="burst",
            closing="dry",
            priority=1,
            title="A main has burst",
            place=Place(area=AREA),
            area=AREA,
            filed_at=BEGIN,
            plan=plan,
            check=Check(method="photo", by="grid"),
            explanation=WHY,
        )
        return self.tell(data, cause=cause)

    def part(self, number: int, round_: int = 1) -> str:
        return f"{self.case}.{round_}.{number}"

    def acknowledged(self, cause: str, number: int = 1, *, round_: int = 1, unit: str | None = None) -> str:
        data = Acknowledged(
            assignment_id=self.part(number, round_), unit=unit or _unit(number), due_at=BEGIN + timedelta(hours=4)
        )
        return self.tell(data, cause=cause, actor=f"crew of {data.unit}")

    def on_scene(self, cause: str, number: int = 1) -> str:
        return self.tell(OnScene(assignment_id=self.part(number), unit=_unit(number)), cause=cause, actor="water:chen")

    def resolved(self, cause: str, number: int = 1, *, round_: int = 1, outcome: Any = "fixed") -> str:
        end = Resolved(
            assignment_id=self.part(number, round_),
            unit=_unit(number),
            outcome=outcome,
            reason=None if outcome == "fixed" else "not ours",
            resolve_by=BEGIN + timedelta(hours=4),
            late_by_seconds=0,
        )
        return self.tell(end, cause=cause, actor=f"crew of {end.unit}")

    def checking(self, cause: str) -> str:
        return self.tell(Checking(due_at=BEGIN + timedelta(hours=6)), cause=cause)

    def closed(self, cause: str, **more: Any) -> str:
        return self.tell(Evaluated(**{"verdict": "closed", "outcome": "fixed", **more}), cause=cause)

    @property
    def events(self) -> list[AnyEvent]:
        return [event for event, _ in self.told]

    @property
    def case_told(self) -> Case:
        found = fold((event, index) for index, event in enumerate(self.events))
        assert found is not None
        return found

    @property
    def status(self) -> str | None:
        return self.case_told.status

    def records(self, *, partitions: int = 3) -> list[Record]:
        """The records of the story, in the order told, at offsets as if nothing else were on the topics."""
        partition = int(self.case[-4:], 16) % partitions
        offsets: dict[str, int] = {}
        found = []
        for event, raw in self.told:
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
    failed = story.tell(Failed(reason="still wet"), cause=checking, actor="member:8")
    rework = story.tell(
        Evaluated(verdict="rework", failed=(story.part(1),), reason="still wet"), cause=failed, actor="member:8"
    )
    again = story.dispatched(rework, round_=2, because="rework", units=("dept:water",))
    checking = story.checking(story.resolved(story.acknowledged(again, round_=2), round_=2))
    verified = story.tell(Verified(), cause=checking, actor="member:8")
    closed = story.closed(verified, late_by_seconds=90, checked_by="member:8", reworks=1)
    story.tell(Rated(rating=4), cause=closed, actor="reporter:1")
    return story


def sent_around(case: str = CASE) -> Story:
    """Returned twice, ruled on by a person, merged in the end."""
    story = Story(case)
    ruled = story.dispatched(story.report(), units=("dept:water",))
    ruled = story.dispatched(
        story.resolved(ruled, outcome="returned"), round_=2, because="returned", units=("dept:fire",)
    )
    returned = story.resolved(ruled, round_=2, outcome="returned")
    waiting = story.tell(AwaitingRuling(queue="second_return", note="returned twice", due_at=BEGIN), cause=returned)
    ruled = story.dispatched(waiting, round_=3, because="manual", units=("district:CH",))
    acknowledged = story.acknowledged(ruled, round_=3)
    story.tell(EnRoute(assignment_id=story.part(1, 3), unit="district:CH"), cause=acknowledged)
    merged = story.tell(Merged(into=OTHER, explanation=WHY), cause=waiting, actor="leader:1")
    story.closed(merged, outcome="duplicate")
    return story


FAR = datetime(2199, 12, 31, tzinfo=UTC)


def partners_case(case: str = CASE, *, claimed: datetime | None = FAR) -> Story:
    """The hotline files it, the water company works on it: one request refused, each answered once."""
    story = Story(case, seed=3)
    filed = story.tell(FileReport(title="A main has burst"), source="/partners/hotline", claimed=claimed)
    new = story.report(cause=filed, channel="hotline", reported_by="hotline")
    story.tell(AcceptanceNotice(to="hotline", request=filed), cause=new, source="/services/intake")
    ruled = story.dispatched(new, units=("dept:water",))
    told = story.tell(assignment_notice(story), cause=ruled)
    early = story.tell(
        Resolve(assignment_id=story.part(1)), source="/partners/water", cause=told, actor="li", claimed=claimed
    )
    refused = story.tell(
        Refused(partner="water", rule="step.order", reason="acknowledge it first"), cause=early, source=DISPATCH
    )
    story.tell(
        RefusalNotice(to="water", request=early, rule="step.order", reason="acknowledge it first"), cause=refused
    )
    asked = story.tell(Acknowledge(assignment_id=story.part(1)), source="/partners/water", cause=told, claimed=claimed)
    acknowledged = story.acknowledged(asked)
    story.tell(AcceptanceNotice(to="water", request=asked), cause=acknowledged)
    story.tell(Supplement(text="more"), cause=new, actor="member:7")
    asked = story.tell(Resolve(assignment_id=story.part(1)), source="/partners/water", cause=told, claimed=claimed)
    fixed = story.resolved(asked)
    story.tell(AcceptanceNotice(to="water", request=asked), cause=fixed)
    story.closed(story.tell(Verified(), cause=story.checking(fixed), actor="member:8"))
    return story


DISPATCH = "/services/dispatch"


def assignment_notice(story: Story) -> AssignmentNotice:
    return AssignmentNotice(
        to="water",
        assignment_id=story.part(1),
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


def test_the_status_follows_the_case_from_the_report_to_the_closing() -> None:
    seen: list[str | None] = []
    case: Case | None = None
    for index, event in enumerate(burst_main().events):
        case = evolve(case, event, index)
        assert case is not None
        if not seen or seen[-1] != case.status:
            seen.append(case.status)
    assert seen == [
        "reported",
        "dispatched",
        "acknowledged",
        "on_scene",
        "fixed",
        "checking",
        "rework",
        "dispatched",
        "acknowledged",
        "fixed",
        "checking",
        "closed",
    ]
    assert case is not None
    assert (case.outcome, case.late, case.reworks, case.priority) == ("fixed", True, 1, 1)
    assert (case.area, case.category, case.external_ref) == (AREA, BURST, "hotline-17")


def test_what_triage_does_instead_of_dispatching_is_the_status() -> None:
    story = Story()
    report = story.report()
    story.tell(Verifying(category=BURST, area=AREA, note="the rules", due_at=BEGIN), cause=report)
    assert story.status == "verifying"
    story.tell(AwaitingRuling(queue="unlocated", note="no area", due_at=BEGIN), cause=report)
    assert story.status == "reported"
    for data, status in (
        (Merged(into=OTHER, explanation=WHY), "merged"),
        (Rejected(why="not_ours", reason="another district's"), "rejected"),
        (Withdrawn(reason="it stopped"), "withdrawn"),
    ):
        other = Story(told=list(story.told), sequences=dict(story.sequences), at=story.at)
        other.tell(data, cause=report)
        assert other.status == status
        other.tell(Upheld(reason="too late"), cause=report)
        assert (other.status, other.case_told.ruling) == (status, status)
        assert other.case_told.merged_into == (OTHER if status == "merged" else None)


def test_a_case_whose_lead_was_returned_is_filed_again_until_the_next_round() -> None:
    story = Story()
    returned = story.resolved(story.dispatched(story.report()), outcome="returned")
    assert story.status == "filed"
    story.dispatched(returned, round_=2, because="returned", units=("street:CH/shuangqiaozi",))
    assert story.status == "dispatched"


def test_an_assignment_is_its_who_took_it_on_last() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    part, superior = story.part(1), "street:CH/shuangqiaozi"
    assert story.case_told.units == {part: ("dept:water", 0), story.part(2): ("dept:fire", 0)}
    offered = story.tell(Offered(assignment_id=part, unit=superior, level=1, due_at=BEGIN), cause=ruled)
    assert story.case_told.units[part][0] == "dept:water"
    taken = story.acknowledged(offered, unit=superior)
    assert story.case_told.units[part][0] == superior
    story.tell(HandedOn(assignment_id=part, unit="dept:roads", by=superior, reason="yours", due_at=BEGIN), cause=taken)
    assert story.case_told.units[part][0] == "dept:roads"
    reordered = [story.events[place] for place in (4, 3, 2, 1, 0)]
    assert fold((event, 0) for event in reordered) == fold((event, 0) for event in story.events)


def parked(step: type[Retried] | type[Discarded]) -> Fact:
    return step(parked_topic="Resolved", partition=0, offset=7, parked_because="not JSON", reason="spam")


@pytest.mark.parametrize(
    "data",
    [
        parked(Retried),
        parked(Discarded),
        Acknowledge(assignment_id=f"{CASE}.1.1"),
        AcceptanceNotice(to="water", request=OTHER),
        UrgeNotice(to="water", assignment_id=f"{CASE}.1.1", count=1),
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_operators_and_partners_say_is_no_part_of_where_a_case_stands(data: Fact) -> None:
    story = Story()
    story.tell(data, claimed=FAR if data.name == "Request" else None)
    assert fold([(story.events[0], 0)]) is None
    story.report()
    before = fold([(story.events[1], 1)])
    assert fold([(story.events[1], 1), (story.events[0], 2)]) == before
    assert stages(causal(entries_of(story.events))) == stages(causal(entries_of(story.events[1:])))


def test_a_case_known_only_by_what_followed_has_no_status_yet() -> None:
    story = Story()
    story.resolved(OTHER)
    assert story.status is None
    assert stages(causal(entries_of(story.events))) == []


def test_rework_of_a_support_leaves_the_lead_as_it_is_and_the_case_in_rework_until_the_next_check() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    story.resolved(ruled)
    fixed = story.resolved(ruled, 2)
    failed = story.tell(Evaluated(verdict="rework", failed=(story.part(2),)), cause=fixed)
    assert story.status == "rework"
    first: Dispatched = story.events[1].data
    plan = (first.plan[1].model_copy(update={"id": story.part(1, 2)}),)
    again = story.tell(first.model_copy(update={"round": 2, "because": "rework", "plan": plan}), cause=failed)
    assert story.status == "fixed"
    story.checking(story.resolved(again, round_=2))
    assert story.status == "checking"


STORIES = st.sampled_from(
    [burst_main(), sent_around(), *(partners_case(claimed=claimed) for claimed in (None, EARLIEST, FAR))]
)


@settings(deadline=None)
@given(STORIES, st.randoms(use_true_random=False))
def test_any_interleaving_of_the_topics_tells_the_same_case(story: Story, chance: Random) -> None:
    events = story.events
    expected = fold((event, 0) for event in events)
    assert fold((event, 0) for event in interleaved(events, chance)) == expected


def interleaved(events: Sequence[AnyEvent], chance: Random) -> list[AnyEvent]:
    """The events in another order that keeps that of each topic."""
    queues: dict[str, list[AnyEvent]] = {}
    for event in events:
        queues.setdefault(topic_of(event), []).append(event)
    order = []
    while waiting := [topic for topic, queue in queues.items() if queue]:
        order.append(queues[chance.choice(waiting)].pop(0))
    return order


@settings(parent=strategies.UNHURRIED, max_examples=60)
@given(st.lists(st.sampled_from(sorted(TYPES)).flatmap(strategies.published), min_size=1, max_size=6))
def test_anything_valid_can_be_folded_kept_as_json_put_in_words_and_in_order(
    told: list[tuple[str, AnyEvent, bytes]],
) -> None:
    case: Case | None = None
    for index, (topic, event, raw) in enumerate(told):
        before = case
        case = evolve(case, event, index)
        assert evolve(before, parse(topic, raw), index) == case
        assert "\n" not in words(event)
        if case is not None:
            assert TypeAdapter(Case).validate_json(orjson.dumps(case)) == case
    chain = causal(entries_of([event for _, event, _ in told]))
    assert sorted(entry.index for entry in chain) == list(range(len(told)))
    assert all(stage.status for stage in stages(chain))


def entries_of(events: Sequence[AnyEvent]) -> list[Entry]:
    return [Entry(index, event, topic_of(event), 0, index, BEGIN, None) for index, event in enumerate(events)]


@settings(deadline=None)
@given(STORIES, st.randoms(use_true_random=False))
def test_the_chain_is_the_same_whatever_order_the_log_has_and_whatever_times_partners_claim(
    story: Story, chance: Random
) -> None:
    chain = causal(entries_of(interleaved(story.events, chance)))
    assert [entry.event.id for entry in chain] == [event.id for event in story.events]


def test_an_effect_follows_its_cause_also_where_its_clock_says_otherwise() -> None:
    story = Story()
    report = story.report()
    early, raw = story.told[0]
    story.told[0] = (early.model_copy(update={"time": BEGIN + timedelta(days=1)}), raw)
    story.dispatched(report)
    chain = causal(entries_of(list(reversed(story.events))))
    assert [entry.event.id for entry in chain] == [event.id for event in story.events]


def test_what_one_source_said_keeps_its_sequence() -> None:
    story = Story()
    for n in range(5):
        story.at -= timedelta(minutes=10)
        story.tell(Supplement(text=str(n)), actor="reporter:1")
    chain = causal(entries_of(story.events))
    assert [entry.event.data.text for entry in chain] == ["0", "1", "2", "3", "4"]


def test_what_a_partner_asked_keeps_the_order_of_its_topic_whatever_it_claims() -> None:
    story = Story()
    for days, sequence in ((3, "0000000003"), (2, None), (1, "0000000001")):
        story.tell(Acknowledge(assignment_id=story.part(1)), claimed=BEGIN + timedelta(days=days))
        event, raw = story.told[-1]
        story.told[-1] = (event.model_copy(update={"sequence": sequence}), raw)
    chain = causal(entries_of(story.events))
    assert [entry.index for entry in chain] == [0, 1, 2]


def test_claims_that_contradict_each_other_lose_no_event() -> None:
    story = Story()
    first = story.report()
    second = story.tell(Verifying(category=BURST, area=AREA, note="b", due_at=BEGIN), cause=first)
    third = story.tell(Checking(due_at=BEGIN), cause=second)
    looped = [
        event.model_copy(update={"causationid": third}) if event.id == second else event for event in story.events
    ]
    chain = causal(entries_of(looped))
    assert [entry.event.id for entry in chain] == [first, second, third]


def test_delay_is_from_the_recording_of_the_cause_unless_a_partners_clock_recorded_one_of_the_two() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    asked = story.tell(Acknowledge(assignment_id=story.part(1)), cause=ruled, claimed=FAR)
    story.acknowledged(asked)
    chain = causal(entries_of(story.events))
    causes = by_id(chain)
    assert [delay_ms(entry, causes) for entry in chain] == [None, 60_000, None, None]
    assert delay_ms(chain[1], {}) is None


def test_an_id_that_a_partner_took_from_a_service_is_still_the_services() -> None:
    story = Story()
    story.dispatched(story.report())
    copied, _ = build(
        event_id=story.events[1].id,
        source="/partners/water",
        subject=CASE,
        time=BEGIN,
        recorded=BEGIN,
        sequence=None,
        data=Acknowledge(assignment_id=story.part(1)),
        actor="li",
    )
    for events in ([*story.events, copied], [copied, *story.events]):
        assert by_id(entries_of(events))[copied.id].event.source == "/services/triage"


def test_stages_follow_each_other_without_a_gap_and_never_run_backwards() -> None:
    events = burst_main().events
    shifted = [
        event.model_copy(update={"time": event.time - timedelta(hours=3)}) if event.data.name == "Resolved" else event
        for event in events
    ]
    for told in (events, shifted, partners_case().events):
        found = stages(causal(entries_of(told)))
        assert [stage.status for stage in found][-1] == "closed"
        assert all(one.until == two.since for one, two in pairwise(found))
        assert all((stage.duration_seconds or 0) >= 0 for stage in found)
        assert found[-1].until is None
    whole = stages(causal(entries_of(events)))
    assert whole[0].duration_seconds == 60


def test_words_say_who_did_what_and_why() -> None:
    story = burst_main()
    said = [words(event) for event in story.events]
    assert said[0] == f"member:7 reported by handset: A main has burst ({AREA})"
    assert said[1] == (
        f"triage dispatched round 1 for the first time, {BURST}, priority 1: dept:water (lead): repair;"
        " dept:fire: bring water"
    )
    assert said[8] == "member:8 checked it: not in order: still wet"
    assert said[-2] == "feedback closed it as fixed, checked by member:8, late by 90 s"
    told: list[tuple[Fact, str, str]] = [
        (Withdrawal(reason="by mistake"), "reporter:1", "reporter:1 takes the report back: by mistake"),
        (
            Upheld(reason="a pipe is open"),
            "leader:1",
            "leader:1 upheld it, though its reporter takes it back: a pipe is open",
        ),
        (
            Overdue(assignment_id=story.part(1), unit="dept:water", due_at=BEGIN),
            "clock",
            "dispatch's clock found it overdue [dept:water], due 2026-05-09 08:00:00Z",
        ),
        (
            Offered(assignment_id=story.part(1), unit="grid:g012", to=("a", "b"), level=1, due_at=BEGIN),
            "clock",
            "dispatch's clock offered it on, nobody having acknowledged it, to a, b [grid:g012], level 1,"
            " due 2026-05-09 08:00:00Z",
        ),
        (
            parked(Discarded),
            "operator:1",
            "operator:1 discarded a parked record, Resolved/0@7 (not JSON): spam",
        ),
        (
            Refused(partner="water", rule="step.order", reason="acknowledge it first"),
            "water:li",
            "dispatch refused what a rule forbids, step.order, to water: acknowledge it first",
        ),
        (
            UrgeNotice(to="water", assignment_id=story.part(1), count=2, reason="hurry"),
            "leader:1",
            "dispatch tells water that somebody urges, number 2: hurry",
        ),
    ]
    for data, actor, line in told:
        story.tell(data, actor=actor)
        assert words(story.events[-1]) == line


def test_words_say_what_partners_ask_and_hear() -> None:
    said = [words(event) for event in partners_case().events]
    assert said[0] == "hotline:somebody asks to file a report: A main has burst"
    assert said[1] == f"member:7 reported by hotline, through hotline: A main has burst ({AREA})"
    assert said[4] == ("dispatch tells water of an assignment [dept:water], first, due 2026-05-09 08:00:00Z: repair")
    assert said[5:8] == [
        "water:li asks to enter it as fixed",
        "dispatch refused what a rule forbids, step.order, to water: acknowledge it first",
        "dispatch tells water that its request is refused, step.order: acknowledge it first",
    ]
    assert said[8] == "partner:water asks to acknowledge"
    assert said[10] == "dispatch tells water that its request is accepted"


def test_nobody_but_a_service_has_a_clock() -> None:
    story = Story()
    story.tell(Acknowledge(assignment_id=story.part(1)), actor="clock")
    assert who(story.events[0]) == "water:clock"


@pytest.mark.parametrize(
    ("known", "union", "name"),
    [
        (vocabulary._STEPS, progress.Progressed, "step"),
        (vocabulary._REQUESTS, request.Request, "kind"),
        (vocabulary._NOTICES, notice.Notice, "kind"),
    ],
    ids=["steps", "requests", "notices"],
)
def test_there_are_words_for_everything_that_can_be_said(known: dict[str, str], union: Any, name: str) -> None:
    kinds = [model.model_fields[name].default for model in get_args(get_args(union)[0])]
    assert sorted(known) == sorted(kinds)


def test_a_stage_knows_nothing_of_what_had_not_happened() -> None:
    story = burst_main()
    noon = story.events[6].time
    then = fold((event, index) for index, event in enumerate(story.events) if event.time <= noon)
    assert then is not None
    assert (then.status, then.outcome, then.late) == ("fixed", None, None)
