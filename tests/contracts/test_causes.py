"""The table of causes is complete, and the fold finds in a stream what the table allows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.causes import CAUSES, KINDS, REQUEST_CAUSES, cause, label, marked
from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.feedback import Verdict
from contracts.intake import NewReport, Rating
from contracts.notice import AcceptanceNotice, RefusalNotice
from contracts.progress import (
    Acknowledged,
    Checking,
    EnRoute,
    Escalated,
    Noted,
    OnScene,
    Overdue,
    Retried,
    Urged,
    Verified,
)
from contracts.request import Acknowledge
from contracts.triage import Upheld
from contracts.wire import TYPES
from tests.contracts.status_story import CASE, dispatched, event_of

NOON = datetime(2026, 5, 9, 12, tzinfo=UTC)
OTHER = "019e0a4a-ae58-7000-8000-000000000002"


def labels() -> Iterator[str]:
    """All that a service's fact can be called."""
    yield from get_args(Outcome)
    yield from get_args(Verdict)
    for name, tag in KINDS.items():
        if name not in ("Resolved", "Evaluated", "Request"):
            for model in get_args(get_args(TYPES[name])[0]):
                word = model.model_fields[tag].default
                yield f"notice {word}" if name == "Notice" else word


LABELS = list(labels())


def test_no_two_kinds_of_facts_are_called_alike() -> None:
    assert [word for word, times in Counter([*LABELS, "request", "any"]).items() if times > 1] == []


def test_every_type_says_which_of_its_facts_it_is() -> None:
    assert set(KINDS) == set(TYPES), "each type of contracts/wire.py needs its field in KINDS of contracts/causes.py"


def test_every_fact_has_its_causes() -> None:
    assert set(LABELS) - set(CAUSES) == set(), (
        "each needs a row in CAUSES of contracts/causes.py: what may be its cause"
    )
    assert set(CAUSES) - set(LABELS) == set(), "CAUSES of contracts/causes.py has rows of what is no fact"
    assert {name for name, allowed in CAUSES.items() if not allowed} == {"forged"}, "it is said of a record"


def test_every_cause_is_a_fact_or_a_request() -> None:
    for allowed in CAUSES.values():
        assert set(allowed) <= {*LABELS, "request"} or allowed == ("any",)
    assert REQUEST_CAUSES == ("notice",)


def test_no_fact_is_caused_by_a_notice() -> None:
    """A partner answers a notice by a request; the fact follows from that."""
    assert not any(word.startswith("notice") for allowed in CAUSES.values() for word in allowed)


@pytest.mark.parametrize("word", LABELS)
def test_every_fact_goes_back_to_a_first_report(word: str) -> None:
    reached, before = {"new", "request", "forged"}, set[str]()  # the last is said of a record, and has no cause
    while reached != before:
        before = set(reached)
        reached |= {fact for fact, allowed in CAUSES.items() if reached.intersection(allowed) or allowed == ("any",)}
    assert word in reached, f"no causes in CAUSES of contracts/causes.py lead from {word} back to a report"


def found(facts: Sequence[Any], fact: Any, since: int = 0, given: Any = None) -> int | Literal["given"] | None:
    """Which of the facts of a stream, in order, is the cause, or the one that was given."""
    marks: Any = {}
    events = [event_of(data, place) for place, data in enumerate(facts, 1)]
    for place, event in enumerate(events, 1):
        marks = marked(marks, event, place)
    other = event_of(given, len(events) + 1) if given is not None else None
    event_id = cause(fact, marks, since, other)
    if other is not None and event_id == other.id:
        return "given"
    return next((place for place, event in enumerate(events, 1) if event.id == event_id), None)


def part(number: str) -> dict[str, Any]:
    return {"assignment_id": f"{CASE}.{number}", "unit": "dept:water"}


def test_the_latest_that_the_table_allows_is_the_cause() -> None:
    stream = [dispatched("1.1"), Acknowledged(**part("1.1"), due_at=NOON), EnRoute(**part("1.1"))]
    assert found(stream, OnScene(**part("1.1"))) == 3
    assert found(stream, Urged(**part("1.1"), count=1)) == 3
    assert found(stream, Overdue(**part("1.1"), due_at=NOON)) == 1


def test_what_is_about_the_assignment_goes_before_what_is_about_another() -> None:
    stream = [dispatched("1.1", "1.2"), Acknowledged(**part("1.1"), due_at=NOON), dispatched("2.1")]
    assert found(stream, Acknowledged(**part("1.2"), due_at=NOON)) == 1
    assert found(stream, Noted(**part("1.1"), note="x")) == 2
    assert found(stream, Urged(**part("2.1"), count=1)) == 3


def test_an_end_names_the_unit_s_last_act() -> None:
    stream = [dispatched("1.1"), Acknowledged(**part("1.1"), due_at=NOON), OnScene(**part("1.1"))]
    end = Resolved(**part("1.1"), outcome="fixed", resolve_by=NOON, late_by_seconds=0)
    assert found(stream, end) == 3


def test_what_the_stream_does_not_hold_is_no_cause() -> None:
    assert found([], Rating(verdict_id=OTHER, rating=5)) is None
    assert found([dispatched("1.1")], Upheld(reason="hazard")) is None


def test_the_facts_of_the_decision_count_first_then_what_it_follows_from_then_the_latest() -> None:
    stream = [dispatched("1.1"), Acknowledged(**part("1.1"), due_at=NOON)]
    fact = EnRoute(**part("1.1"))
    assert found(stream, fact, since=2, given=stream[1]) == 2
    assert found(stream, fact, since=3, given=stream[1]) == "given"
    assert found(stream, fact, since=3, given=Verified()) == 2
    assert found(stream, fact, since=3) == 2


def test_a_fact_about_no_assignment_follows_from_what_is_about_one_first_of_the_same_decision() -> None:
    end = Resolved(**part("1.1"), outcome="fixed", resolve_by=NOON, late_by_seconds=0)
    stream, check = [dispatched("1.1"), end], Checking(due_at=NOON)
    assert found(stream, check, since=2, given=dispatched("2.1")) == 2
    assert found(stream, check, since=3, given=dispatched("2.1")) == "given"


def test_what_operators_do_follows_from_whatever_they_name() -> None:
    settled = Retried(parked_topic="Assigned", partition=0, offset=7, parked_because="a defect", reason="mended")
    for given_ in (dispatched("2.1"), Verified(), NewReport(channel="sensor", title="water")):
        assert found([dispatched("1.1")], settled, since=2, given=given_) == "given"


def test_a_wrong_cause_is_named_all_the_same() -> None:
    assert found([dispatched("1.1")], Upheld(reason="hazard"), since=2, given=Verified()) == "given"


def test_an_answer_to_a_partner_follows_from_its_request_and_no_fact_from_the_answer() -> None:
    ask = Acknowledge(assignment_id=f"{CASE}.1.1")
    answer = AcceptanceNotice(to="water", request=OTHER)
    assert (label(ask), label(answer)) == ("request", "notice accepted")
    assert found([dispatched("1.1"), ask], answer) == 2
    assert found([dispatched("1.1"), ask, answer], Acknowledged(**part("1.1"), due_at=NOON)) == 2
    assert found([ask, answer], RefusalNotice(to="water", request=OTHER, rule="x", reason="x")) == 1


def test_another_assignments_fact_of_the_same_decision_is_no_cause() -> None:
    late = [Escalated(**part(number), level=level, due_at=NOON) for number, level in (("1.2", 1), ("1.1", 1))]
    stream = [dispatched("1.1", "1.2"), Overdue(**part("1.2"), due_at=NOON), *late]
    assert found(stream, Escalated(**part("1.2"), level=2, due_at=NOON), since=4) == 3


@given(st.lists(st.sampled_from(["1.1", "1.2", "2.1"]), max_size=6), st.sampled_from(["1.1", "1.2", "2.1"]))
def test_a_cause_is_always_allowed_and_there(acts: list[str], number: str) -> None:
    stream: list[Any] = [dispatched("1.1", "1.2", "2.1"), *(EnRoute(**part(one)) for one in acts)]
    events: list[Event[Any]] = [event_of(data, place) for place, data in enumerate(stream, 1)]
    marks: Any = {}
    for place, event in enumerate(events, 1):
        marks = marked(marks, event, place)
    fact = OnScene(**part(number))
    event_id = cause(fact, marks)
    if event_id is None:
        assert not acts
    else:
        (its,) = (event for event in events if event.id == event_id)
        assert label(its.data) in CAUSES["on_scene"]
        assert its.data.assignment_id == f"{CASE}.{number}" or number not in acts
