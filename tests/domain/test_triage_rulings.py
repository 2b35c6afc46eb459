"""What people rule, when it counts as done, and what a ruling carries."""

from datetime import datetime, timedelta
from typing import Any, get_args

import pytest

from chassis.engine.decider import Refused, Unknown
from contracts.fields import Attachment, Claimed
from contracts.progress import VerifiedBeforeFiling
from contracts.status import Status
from contracts.times import Counted
from contracts.triage import Dispatched, Merged, Rejected
from services.triage.domain.commands import Command, Dispatch, Merge, NamedUnit, Reject, Verify, refuse_target
from tests.domain.triage_story import (
    CASE,
    FIRE,
    GRID,
    LEADER,
    MAIN,
    NOW,
    OTHER,
    POLICY,
    POTHOLE,
    Story,
    only,
    refused,
    report,
    result,
    rework,
    rulebook,
    verifying,
    waiting,
)

# rulings by people


def test_what_the_rules_could_not_find_a_person_says() -> None:
    story = waiting()
    assert refused(story, Dispatch(area=GRID)) == "ruling.category"
    assert refused(story, Dispatch(category=MAIN)) == "ruling.area"
    ruling = only(story.ask(Dispatch(category=MAIN, condition="b", area=GRID, priority=2, reason="called back")))
    assert (ruling.category, ruling.condition, ruling.area, ruling.place.area) == (MAIN, "b", GRID, GRID)
    assert (ruling.priority, ruling.because) == (2, "first")
    assert ruling.plan[0].resolve_by == NOW + timedelta(hours=6)
    words = "\n".join(ruling.explanation.rules)
    for part in ("ruled by wang", "priority 2 as ruled", "called back", "no position and no area"):
        assert part in words
    assert refused(story, Dispatch()) == "ruling.state"


def test_a_person_may_choose_the_units_and_the_first_leads() -> None:
    ruling = only(waiting().ask(Dispatch(MAIN, area=GRID, units=(NamedUnit("dept:gas"), NamedUnit(FIRE, "stand by")))))
    assert [(one.unit, one.lead) for one in ruling.plan] == [("dept:gas", True), (FIRE, False)]
    assert "Shut the valves" in ruling.plan[0].task
    assert ruling.plan[1].task == "stand by"


def test_a_person_may_merge_or_reject() -> None:
    assert refused(waiting(), Merge(CASE)) == "merge.self"
    story = waiting()
    [merged] = story.ask(Merge(OTHER, "the same voice"))
    assert isinstance(merged, Merged)
    assert (merged.into, story.status, story.state.merged_into, merged.said) == (OTHER, "merged", OTHER, "zzz")
    story = waiting()
    [rejected] = story.ask(Reject("incomplete", "no word can be understood"))
    assert isinstance(rejected, Rejected)
    assert (rejected.why, rejected.reason) == ("incomplete", "no word can be understood")


@pytest.mark.parametrize("status", ["merged", "rejected", "withdrawn", "closed"])
def test_into_a_case_that_is_over_nothing_is_merged_by_hand_either(status: Any) -> None:
    with pytest.raises(Refused, match=status):
        refuse_target(OTHER, status)
    with pytest.raises(Unknown):
        refuse_target(OTHER, None)


@pytest.mark.parametrize("status", sorted(set(get_args(Status)) - {"merged", "rejected", "withdrawn", "closed"}))
def test_into_any_other_case_it_may_be(status: Any) -> None:
    refuse_target(OTHER, status)


@pytest.mark.parametrize("command", [Verify(True), Dispatch(), Merge(OTHER), Reject("not_ours", "no")])
def test_a_case_that_does_not_exist_cannot_be_ruled_on(command: Command) -> None:
    with pytest.raises(Unknown):
        Story().ask(command)


# the report's own words


def test_every_round_carries_what_the_reporter_said() -> None:
    photo = Attachment(uri="s3://photos/1.jpg", media_type="image/jpeg")
    policy = POLICY.model_copy(update={"returns_before_shift_leader": 1})
    story = Story(rulebook(policy=policy))
    rounds = story.hear(report(text="since this morning", attachments=(photo,)))
    story.end(f"{CASE}.1.1", "returned")
    rounds += story.ask(Dispatch(units=(NamedUnit("dept:gas"),), by=LEADER))
    story.end(f"{CASE}.2.1")
    rounds += story.hear(rework(f"{CASE}.2.1"))
    assert [only([ruling]).because for ruling in rounds] == ["first", "manual", "rework"]
    for ruling in rounds:
        assert (only([ruling]).text, only([ruling]).attachments) == ("since this morning", (photo,))
    by_hand, looked_at = waiting(text="by the river", attachments=(photo,)), verifying(text="deep")
    ruling = only(by_hand.ask(Dispatch(category=MAIN, area=GRID)))
    assert (ruling.text, ruling.attachments) == ("by the river", (photo,))
    assert only(looked_at.ask(Verify(True))[1:]).text == "deep"


# when


SKEW = timedelta(seconds=POLICY.max_future_skew_seconds)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("claimed", "doubtful"),
    [
        (NOW + timedelta(minutes=5), False),
        (NOW + timedelta(minutes=20) + SKEW, False),
        (NOW + timedelta(minutes=20) + SKEW + SECOND, True),
        (NOW + timedelta(days=400), True),
        (NOW - SKEW, False),
        (NOW - SKEW - SECOND, True),
    ],
)
def test_a_claimed_time_stands_beside_the_one_that_counts_and_is_never_refused(
    claimed: datetime, doubtful: bool
) -> None:
    for story, command in (
        (verifying(), Verify(True)),
        (verifying(), Verify(False, note="nothing there")),
        (waiting(), Dispatch(category=MAIN, area=GRID)),
        (waiting(), Merge(OTHER)),
        (waiting(), Reject("not_ours", "no")),
    ):
        story.now = NOW + timedelta(minutes=20)
        facts = story.ask(command, claimed=claimed)
        for fact in facts:
            assert isinstance(fact, Claimed)
            assert (fact.claimed_at, fact.time_doubtful) == (claimed, doubtful)
        assert story.told[-1].time == story.now
        if isinstance(facts[-1], Dispatched):
            assert facts[-1].filed_at == story.now


def test_without_a_claim_nothing_is_said_of_one() -> None:
    ruling = only(waiting().ask(Dispatch(category=MAIN, area=GRID)))
    assert (ruling.claimed_at, ruling.time_doubtful) == (None, False)


@pytest.mark.parametrize(
    ("claimed", "counts", "doubtful"),
    [
        (timedelta(hours=3), timedelta(hours=3), False),
        (timedelta(minutes=-1), timedelta(0), False),
        (timedelta(days=-1), timedelta(0), True),
        (timedelta(days=31), timedelta(days=30), True),
    ],
)
def test_in_a_late_entry_the_claimed_time_counts_between_its_report_and_now(
    claimed: timedelta, counts: timedelta, doubtful: bool
) -> None:
    seen = NOW - timedelta(days=30)
    story = Story()
    story.hear(report(POTHOLE, channel="citizen", retrospective=True), when=seen)
    step, ruling = story.ask(Verify(True), claimed=seen + claimed)
    assert story.told[-1].time == seen + counts
    assert isinstance(step, VerifiedBeforeFiling)
    assert isinstance(ruling, Dispatched)
    assert ruling.filed_at == seen
    for fact in (step, ruling):
        assert (fact.claimed_at, fact.time_doubtful) == (None if claimed == counts else seen + claimed, doubtful)


def test_whose_word_is_not_believed_is_not_believed_in_a_late_entry_either() -> None:
    seen = NOW - timedelta(days=30)
    story = Story()
    story.hear(report(POTHOLE, channel="citizen", retrospective=True), when=seen)
    story.ask(Verify(True), claimed=seen, believed=False)
    assert story.told[-1].time == NOW


def test_a_late_entrys_further_rounds_begin_when_their_cause_happened() -> None:
    seen = NOW - timedelta(days=30)
    story = Story()
    story.hear(report(retrospective=True), when=seen)
    back = result(f"{CASE}.1.1", "returned")
    ruling = only(story.hear(back, when=seen + timedelta(hours=1)))
    assert ruling.plan[0].resolve_by == seen + timedelta(hours=13)


def test_a_command_on_a_case_that_does_not_exist_counts_from_its_arrival() -> None:
    story = Story()
    inputs = story.inputs("wang", claimed=NOW - timedelta(days=1))
    assert story.decider.counted(Verify(True), story.state, inputs) == Counted(NOW)
