"""Every event in one line: who did what."""

from typing import Any, get_args

import pytest

from contracts import notice, progress, request
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.intake import NewReport, Rating, Reopening, Supplement, Withdrawal
from contracts.notice import UrgeNotice
from contracts.progress import Discarded, Disclosed, Forged, Noted, Offered, Overdue, Refused
from contracts.request import Acknowledge
from contracts.triage import Merged, Rejected, Upheld, Withdrawn
from services.audit.domain import summaries
from services.audit.domain.summaries import author, summary
from tests.domain.audit_story import (
    AREA,
    BEGIN,
    BURST,
    CASE,
    OTHER,
    Story,
    burst_main,
    parked,
    partners_case,
)
from tests.support.rulings import WHY


def test_a_summary_says_who_did_what_and_why() -> None:
    story = burst_main()
    lines = [summary(event) for event in story.events]
    assert lines[0] == f"member:7 reported by handset: A main has burst ({AREA})"
    assert lines[1] == (
        f"triage dispatched round 1 for the first time, {BURST}, priority 1: dept:water (lead): repair the main;"
        " dept:fire: bring water"
    )
    assert lines[8] == "member:8 checked it: not in order: still wet"
    assert lines[-2] == "feedback closed it as fixed, checked by member:8, late by 90 s"
    published: list[tuple[Fact, str, str]] = [
        (Withdrawal(reason="by mistake"), "reporter:1", "reporter:1 withdrew the report: by mistake"),
        (Rating(verdict_id=CASE, rating=2, comment="slow"), "reporter:1", "reporter:1 rated it, 2 of 5: slow"),
        (Rating(verdict_id=CASE, rating=5), "reporter:1", "reporter:1 rated it, 5 of 5"),
        (Reopening(verdict_id=CASE, reason="wet"), "reporter:1", "reporter:1 asked to reopen it: wet"),
        (
            Upheld(reason="a pipe is open"),
            "leader:1",
            "leader:1 upheld the case although its reporter withdrew the report: a pipe is open",
        ),
        (
            Disclosed(reporter_ref="reporter:1", purpose="call back"),
            "person:wang",
            "person:wang read who the reporter is: call back",
        ),
        (
            Overdue(assignment_id=story.assignment_id(1), unit="dept:water", due_at=BEGIN),
            "clock",
            "dispatch's clock found it overdue [dept:water], due 2026-05-09 08:00:00Z",
        ),
        (
            Offered(assignment_id=story.assignment_id(1), unit="grid:g012", to=("a", "b"), level=1, due_at=BEGIN),
            "clock",
            "dispatch's clock offered it to a, b because nobody acknowledged it [grid:g012], level 1,"
            " due 2026-05-09 08:00:00Z",
        ),
        (
            parked(Discarded),
            "operator:1",
            "operator:1 discarded a parked record, Resolved/0@7 (not JSON): spam",
        ),
        (
            Forged(forged_topic="Resolved", partition=0, offset=7, because="altered"),
            "dispatch",
            "dispatch found a record in its name that is not its own, Resolved/0@7 (altered)",
        ),
        (
            Refused(partner="water", rule="step.order", reason="acknowledge it first"),
            "water:li",
            "dispatch refused a request of water, step.order: acknowledge it first",
        ),
        (
            UrgeNotice(to="water", assignment_id=story.assignment_id(1), count=2, reason="hurry"),
            "leader:1",
            "dispatch tells water that it was urged, number 2: hurry",
        ),
    ]
    for data, actor, line in published:
        story.publish(data, actor=actor)
        assert summary(story.events[-1]) == line


def test_a_summary_says_what_partners_request_and_receive() -> None:
    lines = [summary(event) for event in partners_case().events]
    assert lines[0] == "hotline:somebody asks to file a report: A main has burst"
    assert lines[1] == f"member:7 reported by hotline, through hotline: A main has burst ({AREA})"
    assert lines[4] == ("dispatch tells water of an assignment [dept:water], first, due 2026-05-09 08:00:00Z: repair")
    assert lines[5:8] == [
        "water:li asks to report it fixed",
        "dispatch refused a request of water, step.order: acknowledge it first",
        "dispatch tells water that its request was refused, step.order: acknowledge it first",
    ]
    assert lines[8] == "partner:water asks to acknowledge"
    assert lines[10] == "dispatch tells water that its request was accepted"


def test_nobody_but_a_service_has_a_clock() -> None:
    story = Story()
    story.publish(Acknowledge(assignment_id=story.assignment_id(1)), actor="clock")
    assert author(story.events[0]) == "water:clock"


@pytest.mark.parametrize(
    ("known", "union", "name"),
    [
        (summaries._STEPS, progress.Progressed, "step"),
        (summaries._REQUESTS, request.Request, "kind"),
        (summaries._NOTICES, notice.Notice, "kind"),
    ],
    ids=["steps", "requests", "notices"],
)
def test_every_step_request_and_notice_has_a_summary(known: dict[str, str], union: Any, name: str) -> None:
    kinds = [model.model_fields[name].default for model in get_args(get_args(union)[0])]
    assert sorted(known) == sorted(kinds), "say it in services/audit/domain/summaries.py"


def _ended(**more: Any) -> Resolved:
    ended = {"assignment_id": f"{CASE}.1.1", "unit": "dept:water", "resolve_by": BEGIN, "late_by_seconds": 0, **more}
    return Resolved(**ended)


_FAILED = (f"{CASE}.1.1", f"{CASE}.1.2")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (NewReport(channel="sensor", title="Wet"), "reported by sensor: Wet"),
        (
            NewReport(channel="citizen", title="Wet", place=Place(address="Shuangqiao Road 7")),
            "reported by citizen: Wet (Shuangqiao Road 7)",
        ),
        (Supplement(text="it smells"), "added: it smells"),
        (Merged(into=OTHER, explanation=WHY), f"merged it into case {OTHER}"),
        (Rejected(why="not_ours", reason="another district's"), "rejected it (not_ours): another district's"),
        (Withdrawn(reason="it stopped"), "withdrew it: it stopped"),
        (_ended(outcome="fixed"), "fixed it for dept:water"),
        (_ended(outcome="fixed", note="new pipe"), "fixed it for dept:water: new pipe"),
        (_ended(outcome="returned", reason="not ours"), "returned it for dept:water: not ours"),
        (
            _ended(outcome="cancelled", reason="merged", note="we had begun"),
            "cancelled it for dept:water: merged",
        ),
        (Evaluated(verdict="closed", outcome="forced", reason="by order"), "closed it as forced: by order"),
        (Evaluated(verdict="closed", outcome="fixed", late_by_seconds=0), "closed it as fixed"),
        (Evaluated(verdict="closed", outcome="fixed", late_by_seconds=1), "closed it as fixed, late by 1 s"),
        (
            Evaluated(verdict="closed", outcome="fixed", checked_by="member:8"),
            "closed it as fixed, checked by member:8",
        ),
        (
            Evaluated(verdict="rework", failed=_FAILED, reason="still wet"),
            f"sent {_FAILED[0]}, {_FAILED[1]} back for rework: still wet",
        ),
        (
            Offered(assignment_id=f"{CASE}.1.1", unit="street:xinhong", level=2, due_at=BEGIN),
            "offered it because nobody acknowledged it [street:xinhong], level 2, due 2026-05-09 08:00:00Z",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_a_fact_is_said_in_its_own_words(data: Fact, line: str) -> None:
    story = Story()
    story.publish(data, actor="leader:1")
    assert summary(story.events[0]) == f"leader:1 {line}"


@pytest.mark.parametrize(
    ("length", "shown"),
    [(199, "x" * 199), (200, "x" * 200), (201, "x" * 199 + "…"), (1000, "x" * 199 + "…")],
)
def test_a_summary_quotes_at_most_200_characters(length: int, shown: str) -> None:
    story = Story()
    story.publish(Noted(assignment_id=f"{CASE}.1.1", note="x" * length), actor="leader:1")
    assert summary(story.events[0]) == f"leader:1 noted: {shown}"


def test_a_fact_of_a_new_kind_is_an_error_until_it_has_words() -> None:
    class Reopened(Fact):
        name = "Reopened"

    story = Story()
    story.publish(Noted(assignment_id=f"{CASE}.1.1", note="x"))
    with pytest.raises(TypeError, match="Reopened has no summary"):
        summary(story.events[0].model_copy(update={"data": Reopened()}))
