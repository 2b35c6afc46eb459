"""What the row of a case holds beside its status, fact by fact."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.causes import kind, label
from contracts.envelope import AnyEvent
from contracts.export.examples import scenario
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.intake import Rating
from contracts.progress import AwaitingRuling, HandedOn
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn
from services.audit.domain.case import Case, evolve, fold
from tests.domain.audit_story import AREA, BEGIN, BURST, OTHER, Story, burst_main
from tests.support.rulings import WHY

ELSEWHERE = "CH/shuangqiaozi/xinhong/g013"
STREETLIGHT = "component.road.street-light"
MINUTE = timedelta(minutes=1)


def test_the_row_counts_the_facts_of_the_case_and_says_where_the_log_has_the_first_and_the_last() -> None:
    events = burst_main().events
    found = fold((event, 100 + 2 * place) for place, event in enumerate(events))
    assert found is not None
    assert (found.events, found.first_index, found.last_index) == (17, 100, 132)
    assert len(events) == 17


def test_the_row_knows_the_latest_time_of_its_facts_whatever_the_order_of_the_log() -> None:
    events = burst_main().events
    latest = max(event.time for event in events)
    for order in (events, events[::-1], [*events[9:], *events[:9]]):
        found = fold((event, index) for index, event in enumerate(order))
        assert found is not None
        assert found.last_at == latest
        assert found.last_index == len(events) - 1


def test_a_case_that_is_only_reported_has_what_its_reporter_said_and_no_ruling_or_verdict() -> None:
    story = Story()
    story.report(channel="hotline", external_ref="17", category=STREETLIGHT, title="Dark", place=Place(area=ELSEWHERE))
    case = story.folded
    assert (case.reported_at, case.channel, case.title, case.external_ref) == (BEGIN + MINUTE, "hotline", "Dark", "17")
    assert (case.category, case.area) == (STREETLIGHT, ELSEWHERE)
    assert (case.ruling_sequence, case.ruled_at, case.filed_at, case.priority, case.merged_into) == (0, *[None] * 4)
    assert (case.verdict_sequence, case.closed_at, case.outcome, case.late, case.reworks) == (0, *[None] * 3, 0)


def test_the_first_report_of_a_case_is_its_report() -> None:
    story = Story()
    story.report(title="A main has burst")
    story.report(title="Something else", external_ref="18", category=STREETLIGHT, place=Place(area=ELSEWHERE))
    case = story.folded
    assert (case.reported_at, case.title, case.external_ref, case.category, case.area) == (
        BEGIN + MINUTE,
        "A main has burst",
        None,
        None,
        AREA,
    )
    assert case.events == 2


def test_category_and_area_are_as_triage_ruled_whatever_was_reported() -> None:
    story = Story()
    ruled = story.dispatched(story.report(category=STREETLIGHT, place=Place(area=ELSEWHERE)))
    assert (story.folded.category, story.folded.area) == (BURST, AREA)
    story.publish(Merged(into=OTHER, explanation=WHY), cause=ruled)
    assert (story.folded.category, story.folded.area) == (BURST, AREA)
    story.publish(Merged(into=OTHER, category=STREETLIGHT, area=ELSEWHERE, explanation=WHY), cause=ruled)
    assert (story.folded.category, story.folded.area) == (STREETLIGHT, ELSEWHERE)


@pytest.mark.parametrize(
    "ruling",
    [Rejected(why="not_ours", reason="another district's"), Withdrawn(reason="it stopped")],
    ids=lambda ruling: ruling.ruling,
)
def test_a_case_rejected_or_withdrawn_after_it_was_merged_names_no_leader_any_more(ruling: Fact) -> None:
    story = Story()
    report = story.report()
    story.publish(Merged(into=OTHER, category=BURST, area=AREA, explanation=WHY), cause=report)
    assert story.folded.merged_into == OTHER
    story.publish(ruling, cause=report)
    case = story.folded
    assert (case.merged_into, case.ruled_at, case.category) == (None, story.at, BURST)


def test_an_upheld_withdrawal_leaves_the_time_of_the_ruling() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    at = story.at
    story.publish(Upheld(reason="a pipe is open"), cause=ruled)
    assert (story.folded.ruled_at, story.folded.ruling_sequence) == (at, 1)


def test_a_case_was_filed_at_the_earliest_time_that_any_of_its_rounds_says() -> None:
    story = Story()
    story.dispatched(story.dispatched(story.report()), round_=2, because="manual")
    second, later = story.events[2], BEGIN + timedelta(hours=1)
    again = second.model_copy(update={"data": second.data.model_copy(update={"filed_at": later})})
    for order in ((story.events[1], again), (again, story.events[1])):
        found = fold((event, 0) for event in order)
        assert found is not None
        assert found.filed_at == BEGIN
    alone = fold([(again, 0)])
    assert alone is not None
    assert alone.filed_at == later


def test_what_triage_finds_before_it_rules_counts_until_the_ruling_in_whatever_order_the_log_has_it() -> None:
    """Who may read a case that waits for a person depends on it."""
    story = Story()
    report = story.report(category=None, place=Place(area=ELSEWHERE))
    found = AwaitingRuling(queue="no_unit", category=STREETLIGHT, area=AREA, note="none is left", due_at=BEGIN)
    story.publish(found, cause=report)
    assert (story.folded.category, story.folded.area) == (STREETLIGHT, AREA)
    story.publish(Rejected(why="not_ours", reason="another district's", category=BURST, area=ELSEWHERE), cause=report)
    reported, waiting, ruled = story.events
    for order in ((reported, waiting, ruled), (ruled, waiting, reported)):
        case = fold((event, 0) for event in order)
        assert case is not None
        assert (case.category, case.area) == (BURST, ELSEWHERE)


def _rulings() -> list[AnyEvent]:
    """Two rulings; the later one has another category and merges the case."""
    story = Story()
    ruled = story.dispatched(OTHER)
    story.publish(Merged(into=OTHER, category=STREETLIGHT, explanation=WHY), cause=ruled)
    return story.events


def test_of_two_rulings_the_one_that_triage_numbered_later_counts_in_either_order() -> None:
    first, second = _rulings()
    for order in ((first, second), (second, first)):
        found = fold((event, 0) for event in order)
        assert found is not None
        assert (found.ruling_sequence, found.ruled_at, found.merged_into) == (2, second.time, OTHER)
        assert found.category == STREETLIGHT


def test_of_two_rulings_with_one_number_the_first_in_the_log_counts() -> None:
    first, second = _rulings()
    found = fold([(first, 0), (second.model_copy(update={"sequence": first.sequence}), 1)])
    assert found is not None
    assert (found.ruled_at, found.merged_into, found.category) == (first.time, None, BURST)


def test_a_ruling_that_arrives_late_still_names_the_units_of_its_plan_and_the_time_of_filing() -> None:
    first, second = _rulings()
    found = fold([(second, 0), (first, 1)])
    assert found is not None
    assert sorted(unit for unit, _ in found.units.values()) == ["dept:fire", "dept:water"]
    assert found.filed_at == BEGIN


def test_of_two_steps_with_one_number_the_first_in_the_log_says_whose_an_assignment_is() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    story.acknowledged(ruled)
    story.publish(
        HandedOn(assignment_id=story.assignment_id(1), unit="dept:roads", reason="yours", due_at=BEGIN), cause=ruled
    )
    *before, last = story.events
    case = fold((event, 0) for event in [*before, last.model_copy(update={"sequence": before[-1].sequence})])
    assert case is not None
    assert case.units[story.assignment_id(1)] == ("dept:water", 1)


def test_a_closed_case_says_when_how_and_how_late_and_one_in_rework_again_does_not() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    story.closed(ruled, late_by_seconds=1)
    case = story.folded
    assert (case.closed_at, case.outcome, case.late_by_seconds, case.reworks) == (story.at, "fixed", 1, 0)
    failed = (story.assignment_id(1),)
    story.publish(Evaluated(verdict="rework", outcome="fixed", failed=failed), cause=ruled)
    case = story.folded
    assert (case.closed_at, case.outcome, case.late_by_seconds, case.reworks) == (None, None, 1, 1)
    story.publish(Evaluated(verdict="rework", failed=failed), cause=ruled)
    assert story.folded.reworks == 2


@pytest.mark.parametrize(("seconds", "late"), [(None, None), (0, False), (1, True), (90, True)])
def test_a_case_is_late_by_a_second_or_more(seconds: int | None, late: bool | None) -> None:
    story = Story()
    story.closed(story.report(), late_by_seconds=seconds)
    assert story.folded.late is late


def _verdicts() -> list[AnyEvent]:
    """Sent back once, then closed."""
    story = Story()
    failed = (story.assignment_id(1),)
    rework = story.publish(Evaluated(verdict="rework", failed=failed, late_by_seconds=5), cause=OTHER)
    story.closed(rework, late_by_seconds=60)
    return story.events


def test_of_two_verdicts_the_one_that_feedback_numbered_later_counts_in_either_order_and_each_rework_once() -> None:
    rework, closed = _verdicts()
    for order in ((rework, closed), (closed, rework)):
        case = fold((event, 0) for event in order)
        assert case is not None
        assert (case.verdict_sequence, case.closed_at, case.outcome) == (2, closed.time, "fixed")
        assert (case.late_by_seconds, case.reworks) == (60, 1)


def test_of_two_verdicts_with_one_number_the_first_in_the_log_counts() -> None:
    rework, closed = _verdicts()
    case = fold([(rework, 0), (closed.model_copy(update={"sequence": rework.sequence}), 1)])
    assert case is not None
    assert (case.closed_at, case.outcome, case.late_by_seconds) == (None, None, 5)


@pytest.mark.parametrize(
    "data",
    [Rating(verdict_id=OTHER, rating=4), AwaitingRuling(queue="no_unit", note="none is left", due_at=BEGIN)],
    ids=kind,
)
def test_a_step_changes_nothing_of_the_row_but_the_standing_and_where_the_log_ends(data: Fact) -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    before = story.folded
    story.publish(data, cause=ruled)
    after = story.folded
    told = {"events": 3, "last_index": 2, "last_at": story.at, "standing": after.standing}
    assert vars(after) == {**vars(before), **told}


ONLY_COUNTED = {
    "disclosed",
    *("supplement", "withdrawal", "upheld", "verified_before_filing", "ruling_overdue"),
    "awaiting_ruling",  # of these none says what was found
    *("joined", "supplemented", "en_route", "on_scene", "note", "urged", "supervised", "extension_requested"),
    *("extended", "extension_refused", "nearly_due", "overdue", "escalated", "offered", "escalation_failed"),
    *(
        "checking",
        "check_overdue",
        "verified",
        "failed",
        "rating",
        "reopening",
        "refused",
        "retried",
        "discarded",
        "forged",
    ),
    "accessed",
}
"""The facts that change nothing of the row but the standing and where the log ends."""


def test_every_fact_but_those_that_are_only_counted_changes_the_row() -> None:
    """A new kind of fact is either in the fold's table or here."""
    facts = [example.event for example in scenario() if example.type not in ("Request", "Notice")]
    rows: dict[str, Case] = {}
    changing = set()
    for index, event in enumerate(facts):
        before, after = rows.get(event.subject), evolve(rows.get(event.subject), event, index)
        if after is None or after is before:
            continue
        rows[event.subject] = after
        if before is None or after != replace(
            before, events=after.events, standing=after.standing, last_index=index, last_at=after.last_at
        ):
            changing.add(label(event.data))
    assert {label(event.data) for event in facts} - changing == ONLY_COUNTED


def test_the_ruling_says_filed_only_of_a_case_that_was_filed_and_agrees_with_the_status_while_one_is_awaited() -> None:
    awaiting = AwaitingRuling(queue="no_unit", note="none is left", due_at=BEGIN)
    for reported in (True, False):
        story = Story()
        cause = story.report() if reported else OTHER
        story.publish(awaiting, cause=cause)
        assert (story.folded.ruling, story.folded.status, story.folded.filed_at) == ("reported", "reported", None)
        story.dispatched(cause)
        assert (story.folded.ruling, story.folded.filed_at) == ("dispatched", BEGIN)
        story.publish(awaiting, cause=cause)
        assert story.folded.ruling == "filed"


def test_a_fold_changes_no_case_that_it_was_given() -> None:
    story = Story()
    story.report()
    before = story.folded
    kept = Case(**vars(before))
    story.dispatched(OTHER)
    assert evolve(before, story.events[1], 1) != before
    assert before == kept
    assert isinstance(story.events[1].data, Dispatched)
