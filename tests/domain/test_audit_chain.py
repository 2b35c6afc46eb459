"""The chain of a case in causal order, its delays, and the periods of the case's statuses."""

from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.intake import Rating, Supplement
from contracts.progress import AwaitingRuling, Checking, Noted, Refused, Verifying
from contracts.request import Acknowledge
from contracts.wire import Circumstances, build
from services.audit.domain.chain import (
    StatusPeriod,
    by_id,
    delay_ms,
    in_causal_order,
    status_periods,
    without_stray_requests,
)
from tests.domain.audit_story import (
    AREA,
    BEGIN,
    BURST,
    CASE,
    DISPATCH,
    FAR,
    OTHER,
    STORIES,
    Story,
    burst_main,
    interleaved,
    logged,
    partners_case,
)


@settings(deadline=None)
@given(STORIES, st.randoms(use_true_random=False))
def test_the_chain_is_the_same_whatever_order_the_log_has_and_whatever_times_partners_claim(
    story: Story, chance: Random
) -> None:
    chain = in_causal_order(logged(interleaved(story.events, chance)))
    assert [one.event.id for one in chain] == [event.id for event in story.events]


def test_an_effect_follows_its_cause_even_if_its_time_is_earlier() -> None:
    story = Story()
    report = story.report()
    early, raw = story.published[0]
    story.published[0] = (early.model_copy(update={"time": BEGIN + timedelta(days=1)}), raw)
    story.dispatched(report)
    chain = in_causal_order(logged(list(reversed(story.events))))
    assert [one.event.id for one in chain] == [event.id for event in story.events]


def test_the_events_of_one_source_keep_their_sequence() -> None:
    story = Story()
    for n in range(5):
        story.at -= timedelta(minutes=10)
        story.publish(Supplement(text=str(n)), actor="reporter:1")
    chain = in_causal_order(logged(story.events))
    assert [one.event.data.text for one in chain] == ["0", "1", "2", "3", "4"]


def test_a_partners_requests_keep_the_order_of_its_topic_whatever_it_claims() -> None:
    story = Story()
    for days, sequence in ((3, "0000000003"), (2, None), (1, "0000000001")):
        story.publish(Acknowledge(assignment_id=story.assignment_id(1)), claimed=BEGIN + timedelta(days=days))
        event, raw = story.published[-1]
        story.published[-1] = (event.model_copy(update={"sequence": sequence}), raw)
    chain = in_causal_order(logged(story.events))
    assert [one.index for one in chain] == [0, 1, 2]


def test_claims_that_contradict_each_other_lose_no_event() -> None:
    story = Story()
    first = story.report()
    second = story.publish(Verifying(category=BURST, area=AREA, note="b", due_at=BEGIN), cause=first)
    third = story.publish(Checking(due_at=BEGIN), cause=second)
    looped = [
        event.model_copy(update={"causationid": third}) if event.id == second else event for event in story.events
    ]
    chain = in_causal_order(logged(looped))
    assert [one.event.id for one in chain] == [first, second, third]


def test_delay_is_from_the_recording_of_the_cause_unless_a_partners_clock_recorded_one_of_the_two() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    asked = story.publish(Acknowledge(assignment_id=story.assignment_id(1)), cause=ruled, claimed=FAR)
    story.acknowledged(asked)
    chain = in_causal_order(logged(story.events))
    causes = by_id(chain)
    assert [delay_ms(one, causes) for one in chain] == [None, 60_000, None, None]
    assert delay_ms(chain[1], {}) is None


def test_an_id_that_a_partner_copied_from_a_service_is_still_the_services() -> None:
    story = Story()
    story.dispatched(story.report())
    copied, _ = build(
        Acknowledge(assignment_id=story.assignment_id(1)),
        Circumstances(
            event_id=story.events[1].id,
            source="/partners/water",
            subject=CASE,
            time=BEGIN,
            recorded=BEGIN,
            sequence=None,
            actor="li",
        ),
    )
    for events in ([*story.events, copied], [copied, *story.events]):
        assert by_id(logged(events))[copied.id].event.source == "/services/triage"


def test_status_periods_follow_each_other_without_a_gap_and_never_run_backwards() -> None:
    events = burst_main().events
    shifted = [
        event.model_copy(update={"time": event.time - timedelta(hours=3)}) if event.data.name == "Resolved" else event
        for event in events
    ]
    for published in (events, shifted, partners_case().events):
        found = status_periods(in_causal_order(logged(published)))
        assert [period.status for period in found][-1] == "closed"
        assert all(one.until == two.since for one, two in pairwise(found))
        assert all((period.duration_seconds or 0) >= 0 for period in found)
        assert found[-1].until is None
    whole = status_periods(in_causal_order(logged(events)))
    assert whole[0].duration_seconds == 60


def _statuses(found: list[StatusPeriod]) -> list[tuple[str, Any, Any]]:
    return [(one.status, one.since - BEGIN, one.until and one.until - BEGIN) for one in found]


def test_a_status_that_comes_back_has_a_period_of_its_own() -> None:
    story = Story()
    report = story.report()
    for step in (
        Verifying(category=BURST, area=AREA, note="the rules", due_at=BEGIN),
        AwaitingRuling(queue="unlocated", note="no area", due_at=BEGIN),
        AwaitingRuling(queue="unlocated", note="still none", due_at=BEGIN),
    ):
        story.publish(step, cause=report)
    minutes = [timedelta(minutes=n) for n in range(4)]
    assert _statuses(status_periods(in_causal_order(logged(story.events)))) == [
        ("reported", minutes[1], minutes[2]),
        ("verifying", minutes[2], minutes[3]),
        ("reported", minutes[3], None),
    ]


def test_a_status_begins_no_earlier_than_the_one_before_it_though_its_fact_claims_so() -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    story.at -= timedelta(hours=1)
    story.acknowledged(ruled)
    minutes = [timedelta(minutes=n) for n in range(3)]
    assert _statuses(status_periods(in_causal_order(logged(story.events)))) == [
        ("reported", minutes[1], minutes[2]),
        ("dispatched", minutes[2], minutes[2]),
        ("acknowledged", minutes[2], None),
    ]


def test_the_last_status_lasts_and_so_has_no_duration() -> None:
    story = Story()
    story.report()
    (period,) = status_periods(logged(story.events))
    assert period.duration_seconds is None


@settings(deadline=None)
@given(st.permutations(range(4)))
def test_events_of_several_services_that_no_cause_orders_come_by_time(order: list[int]) -> None:
    story = Story()
    story.report()
    story.dispatched(OTHER)
    story.acknowledged(OTHER)
    story.publish(Rating(verdict_id=OTHER, rating=4), actor="reporter:1")
    chain = in_causal_order(logged([story.events[place] for place in order]))
    assert [one.event.id for one in chain] == [event.id for event in story.events]


def test_events_of_one_time_come_in_the_order_of_the_log() -> None:
    story = Story()
    story.report()
    story.at -= timedelta(minutes=1)
    story.dispatched(OTHER)
    for events in (story.events, story.events[::-1]):
        assert [one.index for one in in_causal_order(logged(events))] == [0, 1]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_request_stands_where_its_first_effect_does_whenever_it_says_it_was_sent(reverse: bool) -> None:
    story = Story()
    story.report()
    asked = story.publish(Acknowledge(assignment_id=story.assignment_id(1)), claimed=FAR)
    story.acknowledged(asked)
    story.publish(Supplement(text="more"), actor="reporter:1")
    story.publish(Noted(assignment_id=story.assignment_id(1), note="and so on"), cause=asked)
    story.publish(Rating(verdict_id=OTHER, rating=4), actor="reporter:1")
    events = story.events[::-1] if reverse else story.events
    chain = in_causal_order(logged(events))
    assert [one.event.id for one in chain] == [event.id for event in story.events]


def test_another_request_is_no_effect_that_says_when_a_request_was_sent() -> None:
    story = Story()
    story.report()
    asked = story.publish(Acknowledge(assignment_id=story.assignment_id(1)), claimed=FAR)
    story.publish(
        Acknowledge(assignment_id=story.assignment_id(1)),
        cause=asked,
        claimed=BEGIN - timedelta(days=1),
        source="/partners/other",
    )
    story.acknowledged(asked)
    chain = in_causal_order(logged(story.events))
    assert chain[0].event.data.name == "ReportFiled"
    assert chain[1].event.id == asked


def test_requests_that_nothing_in_the_case_followed_from_are_left_out_and_every_other_event_stays() -> None:
    story = Story()
    report = story.report()
    done = story.publish(Acknowledge(assignment_id=story.assignment_id(1)), cause=report, claimed=FAR)
    story.acknowledged(done)
    refused = story.publish(Acknowledge(assignment_id=story.assignment_id(2)), claimed=FAR)
    story.publish(Refused(partner="water", rule="unknown", reason="no such assignment"), cause=refused, source=DISPATCH)
    stray = story.publish(Acknowledge(assignment_id=story.assignment_id(1)), cause=report, claimed=FAR)
    found = without_stray_requests(logged(story.events))
    assert [one.event.id for one in found] == [event.id for event in story.events if event.id != stray]
    assert len(found) == 5


def test_a_request_that_only_another_request_names_as_its_cause_is_left_out() -> None:
    story = Story()
    story.report()
    first = story.publish(Acknowledge(assignment_id=story.assignment_id(1)), claimed=FAR)
    story.publish(Acknowledge(assignment_id=story.assignment_id(1)), cause=first, claimed=FAR)
    assert [one.event.id for one in without_stray_requests(logged(story.events))] == [story.events[0].id]
