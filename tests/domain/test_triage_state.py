"""What triage knows of a case after each fact."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.fields import Fact
from contracts.intake import Supplement
from contracts.progress import AwaitingRuling, RulingOverdue, VerifiedBeforeFiling, Verifying
from contracts.triage import Merged, Rejected, Upheld, Withdrawn
from services.triage.domain.case import Case, Waiting, evolve
from services.triage.domain.planning import explanation
from tests.domain.triage_story import (
    CASE,
    CLOSED,
    GRID,
    MAIN,
    NOW,
    OTHER,
    POTHOLE,
    RULES,
    WATER,
    Story,
    event,
    filed,
    only,
    report,
    result,
    returned_twice,
    rework,
    verifying,
    waiting,
)

WHY = explanation(("by hand",), RULES)
HOUR = timedelta(hours=1)
REJECTED, WITHDRAWN = Rejected(why="not_ours", reason="private ground"), Withdrawn(reason="dried up")


def after(state: Case, fact: Fact, *, number: int = 90, when: Any = NOW) -> Case:
    return evolve(state, event(fact, number=number, when=when))


def awaiting(queue: Any = "no_unit", minutes: int = 15, **more: Any) -> AwaitingRuling:
    return AwaitingRuling(queue=queue, note=f"because of {queue}", due_at=NOW + timedelta(minutes=minutes), **more)


def test_a_case_is_what_its_first_report_says() -> None:
    story = filed()
    again = after(story.state, report(POTHOLE, title="something else"))
    assert again == story.state
    assert again.report is not None
    assert again.report.data.title == "water gushes out of the road"


def test_the_supplements_of_a_case_are_kept_in_order() -> None:
    first, second = Supplement(text="more"), Supplement(text="and more")
    assert after(after(Case(), first), second).supplements == (first, second)


def test_before_the_first_round_there_is_no_round_and_afterwards_it_is_the_latest() -> None:
    assert (Case().round, Case().dispatched) == (0, None)
    story = filed()
    assert (story.state.round, story.state.dispatched) == (1, story.told[-1].data)
    story.end(f"{CASE}.1.1", "returned")
    assert (story.state.round, story.state.dispatched) == (2, story.told[-1].data)
    assert [ruling.round for ruling in story.state.rounds] == [1, 2]


@pytest.mark.parametrize("ruling", [Merged(into=OTHER, explanation=WHY), REJECTED, WITHDRAWN, CLOSED])
def test_a_case_that_is_over_waits_for_nobody(ruling: Any) -> None:
    for story in (waiting(), verifying(), returned_twice()):
        assert story.state.waiting is not None
        state = after(story.state, ruling)
        assert (state.waiting, state.over) == (None, True)
        assert (state.verdict if ruling is CLOSED else state.ruling) == ruling


def test_an_upheld_withdrawal_is_not_the_ruling_that_stands() -> None:
    story = filed()
    assert story.state.ruling == story.told[-1].data
    assert after(story.state, Upheld(reason="it is checked")) is story.state


def test_a_merger_keeps_category_and_area_unless_it_names_others() -> None:
    story = filed()
    bare = after(story.state, Merged(into=OTHER, explanation=WHY))
    assert (bare.category, bare.area, bare.merged_into) == (MAIN, GRID, OTHER)
    named = after(story.state, Merged(into=OTHER, category=POTHOLE, area="CH/north/hill", explanation=WHY))
    assert (named.category, named.area) == (POTHOLE, "CH/north/hill")


def test_what_waits_keeps_what_is_known_of_category_and_area() -> None:
    state = after(Case(), awaiting("unlocated", category=MAIN))
    assert (state.category, state.area) == (MAIN, None)
    state = after(state, awaiting("unclassified", area=GRID))
    assert (state.category, state.area) == (MAIN, GRID)
    state = after(state, awaiting("unclassified", area="CH/north", category=POTHOLE))
    assert (state.category, state.area) == (POTHOLE, "CH/north")


def test_a_case_waits_since_it_first_did_and_by_its_first_deadline_for_the_latest_reason() -> None:
    state = after(Case(), awaiting("unlocated", minutes=15), when=NOW)
    state = after(state, RulingOverdue(queue="unlocated", due_at=NOW))
    state = after(state, awaiting("unclassified", minutes=75), when=NOW + HOUR)
    assert state.waiting == Waiting(
        "unclassified", NOW, "because of unclassified", NOW + timedelta(minutes=15), overdue=True
    )


def test_a_case_that_waits_for_the_shift_leader_goes_on_to_wait_for_nobody_less() -> None:
    state = after(after(Case(), awaiting("second_return")), awaiting("no_unit", minutes=75), when=NOW + HOUR)
    assert state.waiting == Waiting("second_return", NOW, "because of no_unit", NOW + timedelta(minutes=15))


def test_whoever_is_to_look_at_the_place_is_named_until_when() -> None:
    step = Verifying(unit=f"grid:{GRID}", category=POTHOLE, area=GRID, note="the rules", due_at=NOW + HOUR)
    assert after(Case(), step).waiting == Waiting("verify", NOW, "the rules", NOW + HOUR, f"grid:{GRID}")


def test_nothing_is_overdue_where_nothing_waits() -> None:
    story = filed()
    assert after(story.state, RulingOverdue(queue="no_unit", due_at=NOW)) is story.state


def test_a_fact_that_says_nothing_of_the_case_leaves_it_as_it_is() -> None:
    story = filed()
    assert after(story.state, result(f"{CASE}.7.1")).assignments == story.state.assignments
    stood = after(story.state, VerifiedBeforeFiling(), number=1)
    assert stood.waiting is None


@pytest.mark.parametrize(
    ("because", "waits"), [("first", False), ("manual", False), ("returned", True), ("rework", True)]
)
def test_a_round_that_a_person_ruled_settles_what_waited_and_a_round_by_the_rules_does_not(
    because: Any, waits: bool
) -> None:
    story = returned_twice()
    ruling = only([story.told[1].data]).model_copy(update={"because": because, "round": 3})
    assert (after(story.state, ruling).waiting is not None) == waits


def test_a_later_round_takes_over_what_it_says_it_replaces_and_nothing_else() -> None:
    story = filed()
    story.end(f"{CASE}.1.1", "returned")
    replaced = {name: one.replaced for name, one in story.state.assignments.items()}
    assert replaced == {f"{CASE}.1.1": True, f"{CASE}.1.2": False, f"{CASE}.1.3": False, f"{CASE}.2.1": False}
    [plan] = only([story.told[-1].data]).plan
    elsewhere = only([story.told[-1].data]).model_copy(
        update={"plan": (plan.model_copy(update={"id": f"{CASE}.3.1", "replaces": f"{CASE}.9.9"}),), "round": 3}
    )
    state = after(story.state, elsewhere)
    assert {name: one.replaced for name, one in state.assignments.items()} == {**replaced, f"{CASE}.3.1": False}


def test_an_assignment_ends_once_with_the_unit_that_had_it_then() -> None:
    story = filed()
    state = after(story.state, result(f"{CASE}.1.1", "returned", unit="district:CH"))
    ended = state.assignments[f"{CASE}.1.1"]
    assert (ended.outcome, ended.unit, ended.plan.unit) == ("returned", "district:CH", WATER)
    assert [one.plan.id for one in state.returned] == [one.plan.id for one in state.gaps] == [f"{CASE}.1.1"]
    assert after(state, result(f"{CASE}.1.1", "fixed")).assignments == state.assignments


def test_a_verdict_of_rework_fails_the_assignments_it_names_that_the_case_has() -> None:
    story = filed()
    verdict = rework(f"{CASE}.1.1", f"{CASE}.9.9")
    state = after(story.state, verdict)
    assert [one.plan.id for one in state.failed] == [f"{CASE}.1.1"]
    assert {*state.assignments} == {*story.state.assignments}
    assert (state.verdict, state.over) == (verdict, False)


def test_a_case_waits_on_through_a_verdict_of_rework() -> None:
    story = returned_twice()
    assert after(story.state, rework(f"{CASE}.1.2")).waiting == story.state.waiting


def test_work_that_failed_is_failed_until_it_is_given_out_again() -> None:
    story: Story = filed()
    for number in (1, 2, 3):
        story.end(f"{CASE}.1.{number}")
    story.hear(rework(f"{CASE}.1.1"))
    assert story.state.failed == ()
    assert story.state.assignments[f"{CASE}.1.1"].failed
