"""What the list of reports says of a report: the columns of intake's read model, from the facts alone."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.engine.decider import decided
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.intake import Supplement
from contracts.notice import AcceptanceNotice
from contracts.triage import Merged, Rejected, Withdrawn
from services.intake.domain import requests
from services.intake.domain.case import Case
from services.intake.domain.commands import AddSupplement, By, Withdraw
from services.intake.views import REPORTS
from tests.domain.intake_story import (
    CASE,
    CLOSED,
    INTAKE,
    MERGED,
    NOW,
    OTHER,
    REJECTED,
    REPORT,
    REWORK,
    THEIRS,
    WHY,
    case,
    dispatched,
    event,
    inputs,
)

HOUR = timedelta(hours=1)
MINE = REPORT.model_copy(update={"category": "mine", "place": Place(area="CH/a")})
RULED = "event.emergency.water-main"


def shown(state: Case) -> dict[str, Any]:
    """The row of the report, by column."""
    [row] = REPORTS.rows(CASE, state)
    return dict(zip(REPORTS.columns, row, strict=True))


def test_a_report_belongs_to_whoever_filed_it() -> None:
    assert shown(case(event(REPORT, actor="reporter:7")))["filed_by"] == "reporter:7"
    assert shown(case(event(THEIRS, actor="hotline:agent 7")))["filed_by"] == "partner:hotline"


def test_the_first_report_of_a_case_stands() -> None:
    again = event(REPORT.model_copy(update={"title": "another"}), actor="reporter:2", number=2)
    assert case(event(REPORT), again) == case(REPORT)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_every_supplement_is_counted(count: int) -> None:
    assert shown(case(REPORT, *[Supplement(text="more")] * count))["supplement_count"] == count


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ([], None),
        ([dispatched()], None),
        ([REJECTED], "private ground"),
        ([Withdrawn(reason="dried up")], "dried up"),
        ([REJECTED, dispatched()], None),
        ([REJECTED, MERGED], None),
        ([dispatched(), REWORK], "still leaking"),
        ([dispatched(), CLOSED], None),
        ([dispatched(), Evaluated(verdict="closed", outcome="forced", reason="pulled down")], "pulled down"),
        ([REJECTED, Evaluated(verdict="closed", outcome="not_ours", reason="not our road")], "not our road"),
        ([REJECTED, Evaluated(verdict="closed", outcome="not_ours")], "private ground"),
        ([dispatched(), REWORK, CLOSED], None),
    ],
)
def test_the_reason_is_the_verdicts_if_it_gives_one_and_else_the_latest_rulings(
    facts: list[Fact], reason: str | None
) -> None:
    assert shown(case(REPORT, *facts))["reason"] == reason


@pytest.mark.parametrize(
    ("facts", "leader"),
    [
        ([], None),
        ([MERGED], OTHER),
        ([MERGED, dispatched()], None),
        ([MERGED, REJECTED], None),
        ([MERGED, Withdrawn(reason="dried up")], None),
        ([dispatched(), MERGED], OTHER),
        ([MERGED, Merged(into=CASE, explanation=WHY)], CASE),
    ],
)
def test_a_report_is_merged_into_the_case_that_the_latest_ruling_names(facts: list[Fact], leader: str | None) -> None:
    assert shown(case(REPORT, *facts))["merged_into"] == leader


@pytest.mark.parametrize(
    ("facts", "category", "area"),
    [
        ([], "mine", "CH/a"),
        ([dispatched()], RULED, "CH/a/b/g001"),
        ([dispatched(), dispatched(2, category="event.other.other", area="CH/c")], "event.other.other", "CH/c"),
        ([MERGED], "mine", "CH/a"),
        ([dispatched(), MERGED], RULED, "CH/a/b/g001"),
        ([MERGED.model_copy(update={"category": "theirs", "area": "CH/d"})], "theirs", "CH/d"),
        ([dispatched(), MERGED.model_copy(update={"category": "theirs", "area": "CH/d"})], "theirs", "CH/d"),
        ([dispatched(), REJECTED], RULED, "CH/a/b/g001"),
    ],
)
def test_category_and_area_are_as_last_ruled_and_else_as_reported(facts: list[Fact], category: str, area: str) -> None:
    row = shown(case(MINE, *facts))
    assert (row["category"], row["area"]) == (category, area)


def test_a_case_is_filed_when_its_first_ruling_says() -> None:
    assert shown(case(REPORT, MERGED))["filed_at"] is None
    assert shown(case(REPORT, dispatched(filed_at=NOW + HOUR)))["filed_at"] == NOW + HOUR
    again = case(REPORT, dispatched(filed_at=NOW + HOUR), dispatched(2, filed_at=NOW + 2 * HOUR))
    assert shown(again)["filed_at"] == NOW + HOUR


def test_a_report_is_closed_at_the_time_of_the_verdict_that_closed_it_and_open_while_it_is_reworked() -> None:
    at = NOW + 5 * HOUR
    closed = shown(case(REPORT, dispatched(), event(CLOSED, at=at)))
    assert (closed["outcome"], closed["closed_at"]) == ("fixed", at)
    reworked = REWORK.model_copy(update={"outcome": "fixed"})
    row = shown(case(REPORT, dispatched(), event(reworked, at=at)))
    assert (row["outcome"], row["closed_at"]) == (None, None)


@pytest.mark.parametrize("number", [6, 7])
@pytest.mark.parametrize(
    "late", [REJECTED, dispatched(), Rejected(why="incomplete", reason="no place"), Withdrawn(reason="dried up")]
)
def test_a_ruling_that_is_not_later_than_the_last_one_says_nothing_of_the_report(late: Fact, number: int) -> None:
    state = case(REPORT, event(MERGED, number=7))
    assert shown(INTAKE.evolve(state, event(late, number=number))) == shown(state)
    theirs = case(THEIRS, event(MERGED, number=7))
    assert list(INTAKE.react(event(late, number=number), theirs, inputs())) == []  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("number", [6, 7])
def test_a_verdict_that_is_not_later_than_the_last_one_says_nothing_of_the_report(number: int) -> None:
    state = case(REPORT, event(CLOSED, number=7))
    late = event(Evaluated(verdict="closed", outcome="forced", reason="x"), at=NOW + HOUR, number=number)
    assert shown(INTAKE.evolve(state, late)) == shown(state)


@pytest.mark.parametrize("command", [AddSupplement("more", by=By(on_behalf=True)), Withdraw("dry", By(on_behalf=True))])
def test_a_doubtful_time_of_the_report_bounds_no_later_claim(command: AddSupplement | Withdraw) -> None:
    """The reporter claims to have seen it two hours ago; what is said later claims to be of an hour ago."""
    claim = {"claimed_at": NOW - 2 * HOUR}
    believable, doubtful = (
        case(event(REPORT.model_copy(update={**claim, "time_doubtful": doubt}))) for doubt in (False, True)
    )
    found = [decided(INTAKE, command, state, inputs(claimed=NOW - HOUR))[0] for state in (believable, doubtful)]
    assert [counted.doubtful for counted in found] == [False, True]


def test_the_answers_to_a_partner_are_those_to_no_other() -> None:
    state = case(THEIRS, *(AcceptanceNotice(to=to, request=OTHER) for to in ("hotline", "water", "hotline")))
    assert [requests.answered(state, partner) for partner in ("hotline", "water", "police")] == [2, 1, 0]
