"""The case as the log knows it, in any interleaving of the topics."""

from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.envelope import AnyEvent
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.notice import AcceptanceNotice, UrgeNotice
from contracts.progress import AwaitingRuling, Discarded, Forged, HandedOn, Offered, Retried, Verifying
from contracts.request import Acknowledge
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn
from contracts.wire import TYPES, parse
from services.audit.domain.case import Case, evolve, fold
from services.audit.domain.chain import in_causal_order, status_periods
from services.audit.domain.summaries import summary
from tests.contracts import strategies
from tests.domain.audit_story import (
    AREA,
    BEGIN,
    BURST,
    CASE,
    FAR,
    OTHER,
    STORIES,
    Story,
    burst_main,
    interleaved,
    logged,
    parked,
)
from tests.support.rulings import WHY


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
    story.publish(Verifying(category=BURST, area=AREA, note="the rules", due_at=BEGIN), cause=report)
    assert story.status == "verifying"
    story.publish(AwaitingRuling(queue="unlocated", note="no area", due_at=BEGIN), cause=report)
    assert story.status == "reported"
    for data, status in (
        (Merged(into=OTHER, explanation=WHY), "merged"),
        (Rejected(why="not_ours", reason="another district's"), "rejected"),
        (Withdrawn(reason="it stopped"), "withdrawn"),
    ):
        other = Story(published=list(story.published), sequences=dict(story.sequences), at=story.at)
        other.publish(data, cause=report)
        assert other.status == status
        other.publish(Upheld(reason="too late"), cause=report)
        assert (other.status, other.folded.ruling) == (status, status)
        assert other.folded.merged_into == (OTHER if status == "merged" else None)


def test_a_case_whose_lead_was_returned_is_filed_again_until_the_next_round() -> None:
    story = Story()
    returned = story.resolved(story.dispatched(story.report()), outcome="returned")
    assert story.status == "filed"
    story.dispatched(returned, round_=2, because="returned", units=("street:CH/shuangqiaozi",))
    assert story.status == "dispatched"


def test_an_assignment_has_the_unit_that_took_it_on_last() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    assignment, superior = story.assignment_id(1), "street:CH/shuangqiaozi"
    assert story.folded.units == {assignment: ("dept:water", 0), story.assignment_id(2): ("dept:fire", 0)}
    offered = story.publish(Offered(assignment_id=assignment, unit=superior, level=1, due_at=BEGIN), cause=ruled)
    assert story.folded.units[assignment][0] == "dept:water"
    taken = story.acknowledged(offered, unit=superior)
    assert story.folded.units[assignment][0] == superior
    story.publish(
        HandedOn(assignment_id=assignment, unit="dept:roads", by=superior, reason="yours", due_at=BEGIN), cause=taken
    )
    assert story.folded.units[assignment][0] == "dept:roads"
    reordered = [story.events[place] for place in (4, 3, 2, 1, 0)]
    assert fold((event, 0) for event in reordered) == fold((event, 0) for event in story.events)


@pytest.mark.parametrize(
    "data",
    [
        parked(Retried),
        parked(Discarded),
        Forged(forged_topic="Assigned", partition=0, offset=7, because="unknown"),
        Acknowledge(assignment_id=f"{CASE}.1.1"),
        AcceptanceNotice(to="water", request=OTHER),
        UrgeNotice(to="water", assignment_id=f"{CASE}.1.1", count=1),
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_is_said_of_records_and_partners_messages_do_not_change_where_a_case_stands(data: Fact) -> None:
    story = Story()
    story.publish(data, claimed=FAR if data.name == "Request" else None)
    assert fold([(story.events[0], 0)]) is None
    story.report()
    before = fold([(story.events[1], 1)])
    assert fold([(story.events[1], 1), (story.events[0], 2)]) == before
    assert status_periods(in_causal_order(logged(story.events))) == status_periods(
        in_causal_order(logged(story.events[1:]))
    )


def test_a_case_known_only_by_what_followed_has_no_status_yet() -> None:
    story = Story()
    story.resolved(OTHER)
    assert story.status is None
    assert status_periods(in_causal_order(logged(story.events))) == []


def test_rework_of_a_support_leaves_the_lead_as_it_is_and_the_case_in_rework_until_the_next_check() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    story.resolved(ruled)
    fixed = story.resolved(ruled, 2)
    failed = story.publish(Evaluated(verdict="rework", failed=(story.assignment_id(2),)), cause=fixed)
    assert story.status == "rework"
    first: Dispatched = story.events[1].data
    again = {"id": story.assignment_id(1, 2), "replaces": story.assignment_id(2)}
    plan = (first.plan[1].model_copy(update=again),)
    ruled = story.publish(first.model_copy(update={"round": 2, "because": "rework", "plan": plan}), cause=failed)
    assert story.status == "fixed"
    story.checking(story.resolved(ruled, round_=2))
    assert story.status == "checking"


@settings(deadline=None)
@given(STORIES, st.randoms(use_true_random=False))
def test_any_interleaving_of_the_topics_gives_the_same_case(story: Story, chance: Random) -> None:
    events = story.events
    expected = fold((event, 0) for event in events)
    assert fold((event, 0) for event in interleaved(events, chance)) == expected


@settings(parent=strategies.UNHURRIED, max_examples=60)
@given(st.lists(st.sampled_from(sorted(TYPES)).flatmap(strategies.published), min_size=1, max_size=6))
def test_anything_valid_can_be_folded_stored_as_json_summarised_and_ordered(
    published: list[tuple[str, AnyEvent, bytes]],
) -> None:
    case: Case | None = None
    for index, (topic, event, raw) in enumerate(published):
        before = case
        case = evolve(case, event, index)
        assert evolve(before, parse(topic, raw), index) == case
        assert "\n" not in summary(event)
        if case is not None:
            assert TypeAdapter(Case).validate_json(orjson.dumps(case)) == case
    chain = in_causal_order(logged([event for _, event, _ in published]))
    assert sorted(one.index for one in chain) == list(range(len(published)))
    assert all(period.status for period in status_periods(chain))


def test_a_case_as_of_an_instant_knows_nothing_later() -> None:
    story = burst_main()
    noon = story.events[6].time
    then = fold((event, index) for index, event in enumerate(story.events) if event.time <= noon)
    assert then is not None
    assert (then.status, then.outcome, then.late) == ("fixed", None, None)
