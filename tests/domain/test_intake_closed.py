"""What may be said of a report once its case is closed: a rating and the wish to reopen it, by whom and until when."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.engine.decider import Inputs, Refused, Unknown, decided
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import PARTNER_UNITS, NewReport, Rating, Reopening
from services.intake.domain.case import Case
from services.intake.domain.commands import By, Rate, Reopen
from services.intake.views import REPORTS
from tests.domain.intake_story import (
    CASE,
    CLOSED,
    DUPLICATE,
    HOTLINE,
    INTAKE,
    MERGED,
    NOW,
    POLICY,
    REGISTERED,
    REJECTED,
    REPORT,
    REWORK,
    SKEW,
    THEIRS,
    case,
    decide,
    dispatched,
    event,
    refused,
)

ACCEPTOR = By(on_behalf=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VERDICT = "019e0a9c-1f78-7c3e-8b1a-000000000002"
"""The id of the second fact of a story."""
LIMITS = [
    (Rate(1, "too slow"), "rating", timedelta(days=POLICY.rating_days)),
    (Reopen("wet again"), "reopening", timedelta(days=POLICY.reopen_days)),
]
BOTH = pytest.mark.parametrize(("command", "word", "limit"), LIMITS, ids=["rate", "reopen"])


def shown(state: Case) -> dict[str, Any]:
    """The row of the report, by column."""
    [row] = REPORTS.rows(CASE, state)
    return dict(zip(REPORTS.columns, row, strict=True))


def at(command: Rate | Reopen, state: Case, when: Any, **more: Any) -> list[Fact]:
    """What follows from a command that arrives then."""
    asked = Inputs(at=when, now=when, stream=CASE, actor="reporter:1", partners=REGISTERED, **more)
    return list(decided(INTAKE, command, state, asked)[1])


def test_whoever_filed_a_report_says_how_satisfied_they_are_and_of_which_verdict() -> None:
    [rated] = decide(Rate(2, "too slow", By(unit="grid:CH/a/b/g001")), case(REPORT, CLOSED))
    assert rated == Rating(
        reporter_ref="reporter:1", verdict_id=VERDICT, rating=2, comment="too slow", unit="grid:CH/a/b/g001"
    )
    [again] = decide(Reopen("wet again"), case(REPORT, CLOSED))
    assert again == Reopening(reporter_ref="reporter:1", verdict_id=VERDICT, reason="wet again")
    state = case(REPORT, CLOSED, rated, again)
    row = shown(state)
    assert (row["rating"], row["reopening_requested"], row["status"]) == (2, True, "closed")


def test_an_acceptor_rates_and_reopens_on_behalf_of_who_reported_by_telephone() -> None:
    state = case(event(REPORT, actor="zhao"), event(CLOSED, number=2))
    [rated] = decide(Rate(4, by=ACCEPTOR), state, "wang")
    [again] = decide(Reopen("by phone", ACCEPTOR), state, "wang")
    assert isinstance(rated, Rating)
    assert isinstance(again, Reopening)
    assert rated.reporter_ref == again.reporter_ref == "reporter:1"


def test_a_partner_rates_what_it_filed_and_is_named_in_the_rating() -> None:
    many = tuple(f"dept:{number}" for number in range(200))
    for units, named in (((), ()), (("dept:water", "dept:fire"), ("dept:fire", "dept:water")), (many, many)):
        by = By("hotline", partner_units=units)
        [rated] = decide(Rate(5, by=by), case(THEIRS, dispatched(unit="dept:99"), CLOSED), "hotline:agent 7")
        assert isinstance(rated, Rating)
        assert (rated.partner, rated.reporter_ref) == (HOTLINE.id, "hotline:9")
        if units is many:
            assert (len(rated.partner_units), rated.partner_units[0]) == (PARTNER_UNITS, "dept:99")
        else:
            assert rated.partner_units == named


@BOTH
@pytest.mark.parametrize(
    ("filed", "actor", "by"),
    [
        (REPORT, "wang", ACCEPTOR),
        (THEIRS, "wang", ACCEPTOR),
        (NewReport(channel="handset", title="water on the road"), "wang", ACCEPTOR),
        (REPORT, "reporter:2", By()),
        (REPORT, "reporter:1", By("hotline")),
        (THEIRS, "water:agent 7", By("water")),
        (THEIRS, "partner:hotline", By()),
    ],
)
def test_strangers_neither_rate_nor_reopen(
    command: Rate | Reopen, word: str, limit: timedelta, filed: Any, actor: str, by: By
) -> None:
    asked = Rate(5, by=by) if isinstance(command, Rate) else Reopen("x", by)
    assert refused(asked, case(filed, CLOSED), actor) == "report.owner"


@BOTH
def test_only_what_is_closed_is_rated_or_reopened(command: Rate | Reopen, word: str, limit: timedelta) -> None:
    with pytest.raises(Unknown):
        decide(command, Case())
    for facts in ([], [dispatched()], [REJECTED], [CLOSED, REWORK]):
        assert refused(command, case(REPORT, *facts)) == "report.open"
    for outcome in ("fixed", "forced", "not_ours", "withdrawn"):
        assert decide(command, case(REPORT, Evaluated(verdict="closed", outcome=outcome)))


@BOTH
@pytest.mark.parametrize("facts", [[MERGED], [MERGED, DUPLICATE], [DUPLICATE]])
def test_a_merged_report_is_its_leaders_reporters_to_judge(
    command: Rate | Reopen, word: str, limit: timedelta, facts: list[Fact]
) -> None:
    assert refused(command, case(REPORT, *facts)) == "report.merged"


@BOTH
def test_each_verdict_is_judged_once(command: Rate | Reopen, word: str, limit: timedelta) -> None:
    [said] = decide(command, case(REPORT, CLOSED))
    told = event(REPORT), event(CLOSED, number=2), event(said, number=2)
    assert refused(command, case(*told)) == f"{word}.once"
    [again] = decide(command, case(*told, event(REWORK, number=3), event(CLOSED, number=4)))
    assert isinstance(again, Rating | Reopening)
    assert again.verdict_id != VERDICT


def test_a_wish_to_reopen_is_shown_until_a_later_verdict() -> None:
    told = [event(REPORT), event(CLOSED, number=2), event(Reopening(verdict_id=VERDICT, reason="wet"), number=3)]
    later = [event(REWORK, number=4), event(CLOSED, number=5)]
    after = [shown(case(*told, *later[:count]))["reopening_requested"] for count in range(3)]
    assert after == [True, False, False]


@BOTH
def test_it_must_arrive_within_the_days_of_the_policy(command: Rate | Reopen, word: str, limit: timedelta) -> None:
    state = case(REPORT, CLOSED)
    assert at(command, state, NOW + limit, claimed=NOW + HOUR)
    with pytest.raises(Refused) as refusal:
        at(command, state, NOW + limit + timedelta(seconds=1), claimed=NOW + HOUR)
    assert refusal.value.rule == f"{word}.late"


@BOTH
def test_the_days_count_from_the_arrival_of_a_closing_that_was_entered_years_late(
    command: Rate | Reopen, word: str, limit: timedelta
) -> None:
    """`event` records everything at NOW."""
    filed = event(REPORT.model_copy(update={"retrospective": True}), at=NOW - 900 * DAY)
    state = case(filed, event(CLOSED, at=NOW - 890 * DAY, number=2))
    asked = Inputs(at=NOW + limit, now=NOW + limit, stream=CASE, actor="reporter:1", claimed=NOW - 880 * DAY)
    counted, [fact] = decided(INTAKE, command, state, asked)
    assert counted.at == NOW - 880 * DAY
    assert fact.claimed_at is None  # pyright: ignore[reportAttributeAccessIssue]  both have it
    with pytest.raises(Refused) as refusal:
        at(command, state, NOW + limit + timedelta(seconds=1), claimed=NOW - 880 * DAY)
    assert refusal.value.rule == f"{word}.late"


@BOTH
def test_it_follows_the_closing(command: Rate | Reopen, word: str, limit: timedelta) -> None:
    state = case(event(REPORT, at=NOW - 5 * HOUR), event(CLOSED, at=NOW - HOUR, number=2))
    for claimed, doubtful in ((NOW - HOUR - SKEW, False), (NOW - HOUR - SKEW - timedelta(seconds=1), True)):
        [fact] = at(command, state, NOW, claimed=claimed)
        assert isinstance(fact, Rating | Reopening)
        assert (fact.claimed_at, fact.time_doubtful) == (claimed, doubtful)


def test_whoever_checked_a_case_does_not_rate_it_and_may_ask_to_reopen_it() -> None:
    checked = Evaluated(verdict="closed", outcome="fixed", checked_by="reporter:1")
    assert refused(Rate(5), case(REPORT, checked)) == "rating.separation"
    assert decide(Reopen("wet again"), case(REPORT, checked))
