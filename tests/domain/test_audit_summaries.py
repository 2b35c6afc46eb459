"""Every event in one line: who did what."""

from typing import Any, get_args

import pytest

from contracts import notice, progress, request
from contracts.fields import Fact
from contracts.intake import Withdrawal
from contracts.notice import UrgeNotice
from contracts.progress import Discarded, Offered, Overdue, Refused
from contracts.request import Acknowledge
from contracts.triage import Upheld
from services.audit.domain import summaries
from services.audit.domain.summaries import author, summary
from tests.domain.audit_story import AREA, BEGIN, BURST, Story, burst_main, parked, partners_case


def test_a_summary_says_who_did_what_and_why() -> None:
    story = burst_main()
    lines = [summary(event) for event in story.events]
    assert lines[0] == f"member:7 reported by handset: A main has burst ({AREA})"
    assert lines[1] == (
        f"triage dispatched round 1 for the first time, {BURST}, priority 1: dept:water (lead): repair;"
        " dept:fire: bring water"
    )
    assert lines[8] == "member:8 checked it: not in order: still wet"
    assert lines[-2] == "feedback closed it as fixed, checked by member:8, late by 90 s"
    published: list[tuple[Fact, str, str]] = [
        (Withdrawal(reason="by mistake"), "reporter:1", "reporter:1 withdrew the report: by mistake"),
        (
            Upheld(reason="a pipe is open"),
            "leader:1",
            "leader:1 upheld the case although its reporter withdrew the report: a pipe is open",
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
    assert sorted(known) == sorted(kinds)
