"""What the log means: the status of a case in any interleaving, the chain in causal order, every event in words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chassis.records import Record
from contracts.dispatch import Resolved
from contracts.envelope import CONTENT_TYPE, Event
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Progressed
from contracts.triage import Assignment, Because, Check, Dispatched, Explanation, Merged, Rejected, Withdrawn
from contracts.wire import TOPICS, build
from services.audit.domain.case import Case, evolve, fold
from services.audit.domain.chain import Entry, causal, delay_ms, stages
from services.audit.domain.words import words
from tests.contracts import strategies

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
    told: list[tuple[Event[Any], bytes]] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)

    def tell(
        self,
        source: str,
        data: Fact,
        *,
        cause: str | None = None,
        actor: str | None = None,
        minutes: float = 1,
        skipped: int = 0,
    ) -> str:
        """The id of the new event. `skipped`: sequence numbers that were lost before it."""
        source = source if source.startswith("/") else f"/services/{source}"
        self.at += timedelta(minutes=minutes)
        sequence = self.sequences[source] = self.sequences.get(source, 0) + 1 + skipped
        number = len(self.told) + 1
        event_id = f"{number:08x}-{self.seed:04x}-7000-8000-{self.case[-12:]}"
        self.told.append(
            build(
                event_id=event_id,
                source=source,
                subject=self.case,
                time=self.at,
                recorded=self.at + timedelta(seconds=1),
                sequence=sequence,
                data=data,
                cause=cause,
                actor=actor or (None if cause else "somebody"),
            )
        )
        return event_id

    def report(self, **more: Any) -> str:
        return self.tell(
            "intake",
            NewReport(channel="handset", title="A main has burst", place=Place(area=AREA), **more),
            actor="member:7",
        )

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
            priority=1,
            title="A main has burst",
            place=Place(area=AREA),
            area=AREA,
            filed_at=BEGIN,
            plan=plan,
            check=Check(method="photo", by="grid"),
            explanation=WHY,
        )
        return self.tell("triage", data, cause=cause)

    def part(self, number: int, round_: int = 1) -> str:
        return f"{self.case}.{round_}.{number}"

    def step(self, source: str, step: Any, *, cause: str | None = None, actor: str = "somebody", **more: Any) -> str:
        return self.tell(source, Progressed(step=step, **more), cause=cause, actor=None if cause else actor)

    def resolved(self, number: int = 1, *, round_: int = 1, outcome: Any = "fixed", source: str = "dispatch") -> str:
        reason = None if outcome == "fixed" else "not ours"
        unit = "dept:water" if number == 1 else "dept:fire"
        end = Resolved(assignment_id=self.part(number, round_), unit=unit, outcome=outcome, reason=reason)
        return self.tell(source, end, actor=f"crew of {unit}")

    def closed(self, cause: str, **more: Any) -> str:
        verdict = Evaluated(verdict="closed", outcome=more.pop("outcome", "fixed"), **more)
        return self.tell("feedback", verdict, cause=cause)

    @property
    def events(self) -> list[Event[Any]]:
        return [event for event, _ in self.told]

    @property
    def status(self) -> str:
        found = fold((event, index) for index, event in enumerate(self.events))
        assert found is not None
        return found.status

    def records(self, *, partitions: int = 3) -> list[Record]:
        """The records of the story, in the order told, at offsets as if nothing else were on the topics."""
        partition = int(self.case[-4:], 16) % partitions
        offsets = dict.fromkeys(TOPICS, 0)
        found = []
        for event, raw in self.told:
            topic = event.data.topic
            headers = [("content-type", CONTENT_TYPE)]
            found.append(Record(topic, partition, offsets[topic], self.case.encode(), raw, headers))
            offsets[topic] += 1
        return found


def burst_main(case: str = CASE, seed: int = 0) -> Story:
    """A whole life: two units, one of which answers itself; a failed check, rework, closed, rated."""
    story = Story(case, seed=seed)
    ruled = story.dispatched(story.report(external_ref="hotline-17"))
    story.step("dispatch", "acknowledged", assignment_id=story.part(1), actor="water:chen")
    story.step("dispatch", "on_scene", assignment_id=story.part(1), actor="water:chen")
    story.resolved(2, source="/partners/fire")
    fixed = story.resolved(1)
    story.step("feedback", "checking", cause=fixed)
    failed = story.step("feedback", "failed", actor="member:8", reason="still wet")
    rework = story.tell(
        "feedback", Evaluated(verdict="rework", failed=(story.part(1),), reason="still wet"), cause=failed
    )
    assert ruled
    story.dispatched(rework, round_=2, because="rework", units=("dept:water",))
    story.step("dispatch", "acknowledged", assignment_id=story.part(1, 2), actor="water:chen")
    again = story.resolved(1, round_=2)
    story.step("feedback", "checking", cause=again)
    verified = story.step("feedback", "verified", actor="member:8")
    story.closed(verified, late_by_seconds=90, checked_by="member:8", reworks=1)
    story.step("feedback", "rated", actor="reporter:1", rating=4)
    return story


def test_the_status_follows_the_case_from_the_report_to_the_closing() -> None:
    whole = burst_main()
    seen: list[str] = []
    case: Case | None = None
    for index, event in enumerate(whole.events):
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
    story.step("triage", "verifying", cause=report)
    assert story.status == "verifying"
    story.step("triage", "awaiting_ruling", cause=report)
    assert story.status == "awaiting_ruling"
    for data, status in (
        (Merged(into=OTHER, explanation=WHY), "merged"),
        (Rejected(why="not_ours", reason="another district's"), "rejected"),
        (Withdrawn(reason="it stopped"), "withdrawn"),
    ):
        other = Story(told=list(story.told), sequences=dict(story.sequences), at=story.at)
        other.tell("triage", data, cause=report)
        assert other.status == status


def test_a_case_whose_lead_was_returned_is_filed_again_until_the_next_round() -> None:
    story = Story()
    story.dispatched(story.report())
    returned = story.resolved(1, outcome="returned")
    assert story.status == "filed"
    story.dispatched(returned, round_=2, because="returned", units=("street:CH/shuangqiaozi",))
    assert story.status == "dispatched"


def test_a_second_result_of_one_assignment_has_no_effect() -> None:
    story = Story()
    story.dispatched(story.report())
    story.resolved(1)
    story.resolved(1, outcome="returned")
    assert story.status == "fixed"


def test_only_triage_rules_and_only_feedback_judges() -> None:
    story = Story()
    story.dispatched(story.report())
    story.tell("/partners/hotline", Rejected(why="not_ours", reason="mine"))
    story.tell("/partners/hotline", Evaluated(verdict="closed", outcome="fixed"))
    story.step("/partners/hotline", "checking")
    assert story.status == "dispatched"


def test_what_operators_do_with_parked_records_is_no_part_of_a_case() -> None:
    story = Story()
    story.step("triage", "discarded", note="triage Resolved/0@7: unknown case")
    assert fold([(story.events[0], 0)]) is None
    story.report()
    before = fold([(story.events[1], 1)])
    assert fold([(story.events[1], 1), (story.events[0], 2)]) == before


def test_a_case_known_only_by_what_followed_says_that_its_report_is_not_there() -> None:
    story = Story()
    story.resolved(1)
    assert story.status == "unreported"


def sent_around(case: str = CASE) -> Story:
    """Returned twice, ruled on by a person, merged in the end."""
    story = Story(case)
    story.dispatched(story.report(), units=("dept:water",))
    returned = story.resolved(1, outcome="returned")
    story.dispatched(returned, round_=2, because="returned", units=("dept:fire",))
    again = story.resolved(1, round_=2, outcome="returned")
    story.step("triage", "awaiting_ruling", cause=again, reason="returned twice")
    story.dispatched(again, round_=3, because="manual", units=("district:CH",))
    story.step("dispatch", "en_route", assignment_id=story.part(1, 3))
    merged = story.tell("triage", Merged(into=OTHER, explanation=WHY), actor="leader:1")
    story.closed(merged, outcome="duplicate")
    return story


def test_rework_of_a_support_leaves_the_lead_as_it_is_and_the_case_in_rework_until_the_next_check() -> None:
    story = Story()
    story.dispatched(story.report())
    story.resolved(1)
    fixed = story.resolved(2)
    failed = story.tell("feedback", Evaluated(verdict="rework", failed=(story.part(2),)), cause=fixed)
    assert story.status == "rework"
    story.tell(
        "triage",
        story.events[1].data.model_copy(
            update={
                "round": 2,
                "because": "rework",
                "plan": (story.events[1].data.plan[1].model_copy(update={"id": story.part(1, 2)}),),
            }
        ),
        cause=failed,
    )
    assert story.status == "rework"
    story.step("feedback", "checking", cause=story.resolved(1, round_=2))
    assert story.status == "checking"


@settings(deadline=None)
@given(st.sampled_from([burst_main(), sent_around()]), st.randoms(use_true_random=False))
def test_any_interleaving_of_the_topics_tells_the_same_case(story: Story, chance: Random) -> None:
    events = story.events
    expected = fold((event, 0) for event in events)
    assert fold((event, 0) for event in interleaved(events, chance)) == expected


def interleaved(events: Sequence[Event[Any]], chance: Random) -> list[Event[Any]]:
    """The events in another order that keeps that of each topic."""
    queues = {topic: [event for event in events if event.data.topic == topic] for topic in TOPICS}
    order = []
    while any(queues.values()):
        topic = chance.choice([topic for topic, queue in queues.items() if queue])
        order.append(queues[topic].pop(0))
    return order


FACTS = st.sampled_from(sorted(TOPICS)).flatmap(strategies.facts)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(FACTS, strategies.circumstances(), st.booleans()), min_size=1, max_size=6))
def test_anything_valid_can_be_folded_kept_as_json_and_put_in_words(
    told: list[tuple[Fact, dict[str, Any], bool]],
) -> None:
    sources = {"ReportFiled": "intake", "Assigned": "triage", "Resolved": "dispatch", "Evaluated": "feedback"}
    case: Case | None = None
    for index, (data, circumstances, ours) in enumerate(told):
        topic: str = data.topic  # pyright: ignore[reportAttributeAccessIssue]
        source = f"/services/{sources.get(topic, 'dispatch')}" if ours else "/partners/fire"
        event, _ = build(source=source, data=data, **circumstances)
        before = case
        case = evolve(case, event, index)
        assert evolve(before, event, index) == case
        assert "\n" not in words(event)
        if case is not None:
            assert TypeAdapter(Case).validate_json(orjson.dumps(case)) == case
            assert case.status


def entries_of(events: Sequence[Event[Any]]) -> list[Entry]:
    return [
        Entry(index, event, event.data.topic, 0, index, BEGIN, True, None, None) for index, event in enumerate(events)
    ]


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_chain_is_the_same_whatever_order_the_log_has(chance: Random) -> None:
    events = burst_main().events
    chain = causal(entries_of(interleaved(events, chance)))
    assert [entry.event.id for entry in chain] == [event.id for event in events]


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
        story.tell("intake", Supplement(text=str(n)), actor="reporter:1", minutes=-10)
    chain = causal(entries_of(story.events))
    assert [entry.event.data.text for entry in chain] == ["0", "1", "2", "3", "4"]


def test_claims_that_contradict_each_other_lose_no_event() -> None:
    story = Story()
    first = story.report()
    second = story.tell("/partners/fire", Supplement(text="b"), cause=first)
    third = story.tell("/partners/water", Supplement(text="c"), cause=second)
    looped = [
        event.model_copy(update={"causationid": third}) if event.id == second else event for event in story.events
    ]
    chain = causal(entries_of(looped))
    assert [entry.event.id for entry in chain] == [first, second, third]


def test_delay_is_from_the_recording_of_the_cause() -> None:
    story = Story()
    story.dispatched(story.report())
    chain = causal(entries_of(story.events))
    causes = {entry.event.id: entry for entry in chain}
    assert [delay_ms(entry, causes) for entry in chain] == [None, 60_000]
    assert delay_ms(chain[1], {}) is None


def test_stages_follow_each_other_without_a_gap_and_never_run_backwards() -> None:
    events = burst_main().events
    shifted = [
        event.model_copy(update={"time": event.time - timedelta(hours=3)}) if event.data.topic == "Resolved" else event
        for event in events
    ]
    for told in (events, shifted):
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
    assert said[7] == "member:8 checked it: not in order: still wet"
    assert said[-2] == "feedback closed it as fixed, checked by member:8, late by 90 s"
    story.tell("intake", Withdrawal(reason="by mistake"), actor="reporter:1")
    assert words(story.events[-1]) == "reporter:1 takes the report back: by mistake"
    story.step("dispatch", "overdue", actor="clock", due_at=BEGIN)
    assert words(story.events[-1]) == "dispatch's clock found it overdue, due 2026-05-09 08:00:00Z"


def test_a_stage_knows_nothing_of_what_had_not_happened() -> None:
    story = burst_main()
    noon = story.events[5].time
    then = fold((event, index) for index, event in enumerate(story.events) if event.time <= noon)
    assert then is not None
    assert (then.status, then.outcome, then.late) == ("fixed", None, None)
