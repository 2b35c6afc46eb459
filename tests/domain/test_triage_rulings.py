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
    filed,
    only,
    refused,
    report,
    result,
    returned_twice,
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
    photo = Attachment(uri="https://photos.example/1.jpg", media_type="image/jpeg")
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


def test_a_claim_from_before_the_case_waited_is_doubtful_though_the_report_is_older() -> None:
    story = filed()
    story.now = NOW + timedelta(hours=2)
    story.end(f"{CASE}.1.1", "returned")
    story.end(f"{CASE}.2.1", "returned")
    [ruling] = story.ask(Reject("not_ours", "no", by=LEADER), claimed=NOW + timedelta(hours=1))
    assert isinstance(ruling, Rejected)
    assert ruling.time_doubtful


# in which words


def test_a_ruling_by_hand_says_who_gave_it_and_why() -> None:
    [rejected] = returned_twice().ask(Reject("not_ours", "private ground", by=LEADER))
    assert isinstance(rejected, Rejected)
    assert (rejected.category, rejected.area) == (MAIN, GRID), "its readers tell by that who may read it"
    [rejected] = waiting().ask(Reject("incomplete", "no word can be understood"), actor="li")
    assert isinstance(rejected, Rejected)
    assert rejected.explanation is not None
    assert rejected.explanation.rules == ("rejected as ruled: incomplete by li",)
    [merged] = returned_twice().ask(Merge(OTHER, "the same voice", by=LEADER), actor="li")
    assert isinstance(merged, Merged)
    assert merged.explanation.rules == (f"merged into case {OTHER} as ruled by li", "the same voice")
    assert (merged.category, merged.area) == (MAIN, GRID)
    [unsaid] = waiting().ask(Merge(OTHER), actor="li")
    assert isinstance(unsaid, Merged)
    assert unsaid.explanation.rules == (f"merged into case {OTHER} as ruled by li",)


@pytest.mark.parametrize(
    ("note", "reason"), [("private ground", "private ground"), (None, "not found as reported"), ("n" * 600, "n" * 500)]
)
def test_a_report_that_is_not_confirmed_keeps_the_rules_that_led_there(note: str | None, reason: str) -> None:
    story = verifying()
    assert story.state.waiting is not None
    led_there = story.state.waiting.words.split("\n")
    [fact] = story.ask(Verify(False, why="not_ours", note=note), actor="li")
    assert isinstance(fact, Rejected)
    assert fact.reason == reason
    assert fact.explanation is not None
    assert [*fact.explanation.rules] == [*led_there, "looked at by li, and not confirmed: not_ours"]
    assert (fact.category, fact.area) == (story.state.category, GRID)


def test_photos_of_the_place_stay_with_what_was_seen() -> None:
    photo = Attachment(uri="https://photos.example/2.jpg", media_type="image/jpeg")
    step, _ = verifying().ask(Verify(True, evidence=(photo,)))
    assert isinstance(step, VerifiedBeforeFiling)
    assert step.evidence == (photo,)


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (
            Dispatch(MAIN, area=GRID),
            (f"ruled by wang: category {MAIN}, area {GRID}",),
        ),
        (
            Dispatch(MAIN, "b", GRID, 2, (NamedUnit("dept:gas"), NamedUnit(FIRE)), "called back"),
            (
                f"ruled by wang: category {MAIN}, condition b, area {GRID}, priority 2",
                "unit dept:gas as ruled",
                f"unit {FIRE} as ruled",
                "called back",
            ),
        ),
        (
            Dispatch(MAIN, area=GRID, units=(NamedUnit("mediator:CH/north/mill"),)),
            (
                f"ruled by wang: category {MAIN}, area {GRID}",
                "unit mediator:CH/north/mill as ruled, though it is not competent",
            ),
        ),
    ],
    ids=["no more than it needs", "all of it", "a unit that is not competent"],
)
def test_a_ruling_repeats_what_the_person_said(command: Dispatch, lines: tuple[str, ...]) -> None:
    said = only(waiting().ask(command)).explanation.rules
    first = said.index(lines[0])
    assert said[first : first + len(lines)] == lines


def test_a_ruling_that_names_nothing_says_that_it_is_as_the_rules_have_it() -> None:
    ruling = only(verifying().ask(Dispatch()))
    assert "ruled by wang: as the rules have it" in ruling.explanation.rules
    assert (ruling.category, ruling.area) == (POTHOLE, GRID)
    units = (NamedUnit("mediator:CH/north/mill"),)
    named = only(verifying().ask(Dispatch(units=units))).explanation.rules
    assert "unit mediator:CH/north/mill as ruled" in named


# who takes over which work


def test_work_that_was_returned_goes_up_where_the_shift_leader_names_no_unit() -> None:
    story = Story()
    story.hear(report("event.advertising.poster"))
    story.end(f"{CASE}.1.1", "returned")
    story.end(f"{CASE}.2.1", "returned")
    ruling = only(story.ask(Dispatch(by=LEADER)))
    assert [(one.unit, one.lead, one.replaces) for one in ruling.plan] == [("street:CH/north", True, f"{CASE}.2.1")]


def test_units_that_name_no_work_take_it_over_in_its_order_and_the_rest_support() -> None:
    story = filed()
    story.end(f"{CASE}.1.2", "returned")
    story.end(f"{CASE}.2.1", "returned")
    story.end(f"{CASE}.1.3", "returned")
    gaps = [gap.plan for gap in story.state.gaps]
    assert [gap.id for gap in gaps] == [f"{CASE}.1.3", f"{CASE}.2.1"]
    units = (
        NamedUnit("dept:gas"),
        NamedUnit("dept:power", "light"),
        NamedUnit(FIRE),
        NamedUnit("dept:police", "guard"),
    )
    ruling = only(story.ask(Dispatch(units=units, by=LEADER)))
    assert [(one.unit, one.task, one.lead, one.replaces) for one in ruling.plan] == [
        ("dept:gas", gaps[0].task, False, gaps[0].id),
        ("dept:power", "light", False, gaps[1].id),
        (FIRE, "support", False, None),
        ("dept:police", "guard", False, None),
    ]
