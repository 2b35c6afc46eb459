"""The public status: how it follows from facts, in whatever order they come, and what each service can tell of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.causes import label
from contracts.envelope import Event
from contracts.export.examples import scenario
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.homes import RECEIVES, SENDS
from contracts.intake import NewReport, Rating, Reopening, Supplement
from contracts.progress import (
    Acknowledged,
    AwaitingRuling,
    Checking,
    EnRoute,
    Extended,
    HandedOn,
    Noted,
    Offered,
    OnScene,
    Verified,
    VerifiedBeforeFiling,
    Verifying,
)
from contracts.progress import Failed as CheckFailed
from contracts.status import COARSE, SERVICES, STAGES, Standing, Status, coarse, evolve, shown_by
from contracts.triage import Merged, Rejected, Upheld, Withdrawn
from tests.contracts.status_story import CASE, NOON, WHY, assignment, dispatched, event_of, resolved
from tests.support.facts import home_of

STATUSES: tuple[Status, ...] = get_args(Status)
MERGED = Merged(into="019e0a4a-ae58-7000-8000-000000000002", explanation=WHY)
REPORT = NewReport(channel="sensor", title="water")
VERIFYING = Verifying(category="c", area="CH", note="x", due_at=NOON)
WAITS = AwaitingRuling(queue="unlocated", note="x", due_at=NOON)
CHECKING = Checking(due_at=NOON)
BAD = CheckFailed(reason="still wet")
CLOSED = Evaluated(verdict="closed", outcome="fixed")


def took(number: str) -> Acknowledged:
    return Acknowledged(assignment_id=assignment(number), unit="dept:water", due_at=NOON)


def left(number: str) -> EnRoute:
    return EnRoute(assignment_id=assignment(number), unit="dept:water")


def came(number: str) -> OnScene:
    return OnScene(assignment_id=assignment(number), unit="dept:water")


def handed_on(number: str) -> HandedOn:
    return HandedOn(assignment_id=assignment(number), unit="dept:roads", reason="yours", due_at=NOON)


def rework(*numbers: str) -> Evaluated:
    return Evaluated(verdict="rework", failed=tuple(assignment(number) for number in numbers))


def events(facts: Iterable[Fact]) -> list[Event[Any]]:
    """As their sources number them."""
    numbers: dict[str, int] = defaultdict(int)
    made = []
    for fact in facts:
        numbers[home_of(fact)] += 1
        made.append(event_of(fact, numbers[home_of(fact)]))
    return made


def status(told: Iterable[Event[Any]]) -> Status | None:
    standing = Standing()
    for event in told:
        standing = evolve(standing, event)
    return standing.status


FILED = [REPORT, dispatched("1.1", "1.2")]
DONE = [*FILED, resolved("1.1", "fixed"), resolved("1.2", "fixed")]
FAILED = [*DONE, CHECKING, BAD, rework("1.1")]
AGAIN = dispatched("2.1", instead={"2.1": "1.1"})
SUPPORT_FAILED = [*DONE, CHECKING, BAD, rework("1.2"), dispatched("2.1", lead="", instead={"2.1": "1.2"})]
TRANSITIONS: list[tuple[str, Sequence[Fact], Status | None]] = [
    ("nothing", [], None),
    ("what says nothing of it", [Noted(assignment_id=assignment("1.1"), note="x")], None),
    ("a report", [REPORT], "reported"),
    ("more about it", [REPORT, Supplement(text="x")], "reported"),
    ("to be looked at", [REPORT, VERIFYING], "verifying"),
    ("looked at", [REPORT, VERIFYING, VerifiedBeforeFiling()], "reported"),
    ("looked at, and given out", [REPORT, VERIFYING, VerifiedBeforeFiling(), dispatched("1.1")], "dispatched"),
    ("awaits a ruling before it is filed", [REPORT, WAITS], "reported"),
    ("awaits a ruling, then is given out", [REPORT, WAITS, dispatched("1.1")], "dispatched"),
    ("given out", FILED, "dispatched"),
    ("given out without a lead", [REPORT, dispatched("1.1", lead="")], "filed"),
    ("offered on", [*FILED, Offered(assignment_id=assignment("1.1"), unit="x", level=1, due_at=NOON)], "dispatched"),
    ("acknowledged", [*FILED, took("1.1")], "acknowledged"),
    ("acknowledged by a unit whose plan has not come", [*FILED, took("2.1")], "dispatched"),
    ("acknowledged by a support only", [*FILED, took("1.2")], "dispatched"),
    ("on the way", [*FILED, took("1.1"), left("1.1")], "en_route"),
    ("on the scene", [*FILED, took("1.1"), came("1.1")], "on_scene"),
    ("handed on", [*FILED, took("1.1"), left("1.1"), handed_on("1.1")], "dispatched"),
    ("handed on, and acknowledged", [*FILED, took("1.1"), handed_on("1.1"), took("1.1")], "acknowledged"),
    ("done", [*FILED, took("1.1"), resolved("1.1", "fixed")], "fixed"),
    ("a support done only", [*FILED, took("1.1"), resolved("1.2", "fixed")], "acknowledged"),
    ("returned", [*FILED, resolved("1.1", "returned")], "filed"),
    ("returned, and then said to be done", [*FILED, resolved("1.1", "returned"), resolved("1.1", "fixed")], "filed"),
    ("returned, and given to the next", [*FILED, resolved("1.1", "returned"), dispatched("2.1")], "dispatched"),
    ("returned twice, awaits a ruling", [*FILED, resolved("1.1", "returned"), WAITS], "filed"),
    ("a support returned and given to the next", [*FILED, took("1.1"), dispatched("2.1", lead="")], "acknowledged"),
    ("cancelled", [*FILED, resolved("1.1", "cancelled")], "filed"),
    ("waits for its check", [*DONE, CHECKING], "checking"),
    ("given more work while it waits for its check", [*DONE, CHECKING, dispatched("2.1", lead="")], "fixed"),
    ("checked", [*DONE, CHECKING, Verified()], "checking"),
    ("checked by rule", [*DONE, Verified(rule="x")], "checking"),
    ("failed its check", FAILED, "rework"),
    ("given out again", [*FAILED, AGAIN], "dispatched"),
    ("done again", [*FAILED, AGAIN, resolved("2.1", "fixed")], "fixed"),
    ("waits for its second check", [*FAILED, AGAIN, resolved("2.1", "fixed"), CHECKING], "checking"),
    ("failed again", [*FAILED, AGAIN, resolved("2.1", "fixed"), CHECKING, rework("2.1")], "rework"),
    ("one of two failures given out again", [*DONE, CHECKING, BAD, rework("1.1", "1.2"), AGAIN], "rework"),
    ("a support's work given out again", SUPPORT_FAILED, "fixed"),
    (
        "the lead's work of the first round failed at the second check",
        [*SUPPORT_FAILED, resolved("2.1", "fixed"), CHECKING, BAD, rework("1.1")],
        "rework",
    ),
    ("closed", [*DONE, CHECKING, Verified(), CLOSED], "closed"),
    ("rated", [*DONE, CHECKING, Verified(), CLOSED, Rating(verdict_id=CASE, rating=5)], "closed"),
    ("to be reopened", [*DONE, CHECKING, Verified(), CLOSED, Reopening(verdict_id=CASE, reason="x")], "closed"),
    ("merged", [REPORT, MERGED], "merged"),
    ("merged and closed", [REPORT, MERGED, CLOSED], "closed"),
    ("rejected", [REPORT, VERIFYING, Rejected(why="not_ours", reason="x")], "rejected"),
    ("withdrawn", [*FILED, Withdrawn(reason="x")], "withdrawn"),
    ("withdrawn, and stopped", [*FILED, Withdrawn(reason="x"), resolved("1.1", "cancelled")], "withdrawn"),
    ("not withdrawn", [*FILED, took("1.1"), Upheld(reason="x")], "acknowledged"),
]


@pytest.mark.parametrize(("facts", "expected"), [row[1:] for row in TRANSITIONS], ids=[row[0] for row in TRANSITIONS])
def test_the_status_follows_from_the_facts(facts: Sequence[Fact], expected: Status | None) -> None:
    assert status(events(facts)) == expected


def test_every_status_but_one_is_reached() -> None:
    """Nobody can suspend a case yet."""
    assert set(STATUSES) - {expected for _, _, expected in TRANSITIONS} == {"suspended"}


@pytest.mark.parametrize(("facts", "expected"), [row[1:] for row in TRANSITIONS], ids=[row[0] for row in TRANSITIONS])
def test_a_fact_that_comes_again_changes_nothing(facts: Sequence[Fact], expected: Status | None) -> None:
    told = events(facts)
    assert status([event for event in told for _ in range(2)]) == expected
    assert status([*told, *told]) == expected
    assert {status([*told, event]) for event in told} <= {expected}


@pytest.mark.parametrize(
    ("facts", "other", "expected"),
    [
        ([REPORT, MERGED], Rejected(why="not_ours", reason="x"), "merged"),
        ([REPORT, VERIFYING], VerifiedBeforeFiling(), "verifying"),
        ([*FILED, took("1.1")], left("1.1"), "acknowledged"),
        ([*DONE, CHECKING], CLOSED, "checking"),
    ],
)
def test_of_two_facts_under_one_number_the_first_counts(
    facts: Sequence[Fact], other: Fact, expected: Status | None
) -> None:
    told = events(facts)
    assert status([*told, event_of(other, int(told[-1].sequence))]) == expected


def lanes(told: Iterable[Event[Any]]) -> list[list[Event[Any]]]:
    """What each source said on each topic: only that is in order."""
    found: dict[tuple[str, str], list[Event[Any]]] = defaultdict(list)
    for event in told:
        found[event.source, event.topic].append(event)
    return list(found.values())


def shuffled(drawn: st.DataObject, told: Iterable[Event[Any]]) -> list[Event[Any]]:
    """An order in which readers may see them."""
    waiting, order = lanes(told), []
    while waiting:
        lane = drawn.draw(st.sampled_from(waiting))
        order.append(lane.pop(0))
        waiting = [lane for lane in waiting if lane]
    return order


_NUMBERS = ("1.1", "1.2", "2.1", "3.1")
_ASSIGNMENTS = st.sampled_from(_NUMBERS)
_FACTS = st.one_of(
    st.sampled_from([REPORT, VERIFYING, WAITS, VerifiedBeforeFiling(), Supplement(text="x")]),
    st.sampled_from([dispatched("1.1", "1.2"), dispatched("1.1", lead=""), AGAIN, dispatched("3.1")]),
    st.sampled_from([MERGED, Rejected(why="not_ours", reason="x"), Withdrawn(reason="x"), Upheld(reason="x")]),
    st.builds(took, _ASSIGNMENTS) | st.builds(left, _ASSIGNMENTS) | st.builds(came, _ASSIGNMENTS),
    st.builds(resolved, _ASSIGNMENTS, st.sampled_from(["fixed", "returned", "cancelled"])),
    st.sampled_from([CHECKING, Verified(), BAD, rework("1.1"), rework("2.1"), CLOSED]),
)


@settings(deadline=None, max_examples=300)
@given(facts=st.lists(_FACTS, max_size=12), drawn=st.data())
def test_any_order_of_the_topics_gives_the_same_status(facts: list[Fact], drawn: st.DataObject) -> None:
    told = events(facts)
    assert status(shuffled(drawn, told)) == status(told)


STORY = [example.event for example in scenario() if example.type not in ("Request", "Notice")]
CASES = sorted({event.subject for event in STORY if event.data.name == "ReportFiled"})


@pytest.mark.parametrize("case", CASES)
@settings(deadline=None, max_examples=50)
@given(drawn=st.data())
def test_any_order_of_the_story_gives_the_same_status(case: str, drawn: st.DataObject) -> None:
    told = [event for event in STORY if event.subject == case]
    assert status(shuffled(drawn, told)) == status(told) == "closed"


SAY_NOTHING = {
    "disclosed",
    *("supplement", "withdrawal", "upheld", "ruling_overdue", "joined", "supplemented", "note", "urged", "supervised"),
    *("extension_requested", "extended", "extension_refused", "nearly_due", "overdue", "escalated", "offered"),
    *("escalation_failed", "check_overdue", "rating", "reopening", "refused", "retried", "discarded", "forged"),
    "accessed",
}
"""The facts from which no status follows."""


def test_a_status_follows_from_every_fact_but_those_that_say_nothing_of_it() -> None:
    """A new kind of fact is either in the fold's table or here."""
    standings: dict[str, Standing] = defaultdict(Standing)
    telling = set()
    for event in STORY:
        before = standings[event.subject]
        standings[event.subject] = evolve(before, event)
        if standings[event.subject] is not before:
            telling.add(label(event.data))
    assert {label(event.data) for event in STORY} - telling == SAY_NOTHING


def test_every_service_shows_a_status_or_another_that_it_shows_or_not_the_case() -> None:
    assert set(COARSE) == set(SERVICES)
    for service in SERVICES:
        for one in STATUSES:
            shown = coarse(service, one)
            assert shown is None or shown in shown_by(service)
            assert (shown == one) is (one not in COARSE[service])


def test_audit_shows_every_status_and_feedback_those_of_a_filed_case() -> None:
    assert shown_by("audit") == STATUSES
    assert shown_by("feedback") == ("filed", "dispatched", "fixed", "checking", "rework", "closed")


def test_stages_are_statuses_in_their_order() -> None:
    assert [one for one in STATUSES if one in STAGES] == list(STAGES)


def seen(service: str, told: Iterable[Event[Any]]) -> list[Event[Any]]:
    """What a service knows of a case: what it says itself, and what it takes from the topics it reads."""

    def takes(event: Event[Any]) -> bool:
        if event.source == f"/services/{service}":
            return event.topic in SENDS[service]
        if service == "feedback" and event.topic == "Progressed":
            return isinstance(event.data, Extended)
        if service == "dispatch" and event.topic == "ReportFiled":
            return isinstance(event.data, Supplement)
        if service == "feedback" and event.topic == "ReportFiled":
            return isinstance(event.data, Rating | Reopening)
        return event.topic in RECEIVES[service]

    return [event for event in told if takes(event)]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("case", CASES)
def test_a_service_shows_of_the_story_what_its_table_says(service: str, case: str) -> None:
    """At each instant, once it has heard of the case."""
    told: list[Event[Any]] = []
    shown = set()
    for _, together in groupby((e for e in STORY if e.subject == case), key=lambda event: event.recordedtime):
        told += together
        full, mine = status(told), status(seen(service, told))
        assert full is not None
        if service == "feedback" and mine in ("merged", "rejected", "withdrawn"):
            continue  # feedback closes it in the transaction in which it hears that
        assert mine in (None, coarse(service, full))
        shown.add(mine)
    assert "closed" in shown
