"""Triage's rules: where and what a report is, whether it is known, who does what by when, and what comes back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.decider import Early, Inputs, Refused, Unfit, Unknown
from contracts.clocks import due
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact, Point
from contracts.fields import Place as Where
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Progressed
from contracts.reference import Unit, Units
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn
from services.triage.domain.assessment import assess
from services.triage.domain.case import Case, evolve
from services.triage.domain.commands import Charge, Command, File, Merge, Reject, Verify, refuse_target
from services.triage.domain.neighbours import Neighbourhood, metres_between, open_case
from services.triage.views import CASES
from tests.district.keyword_rule import KeywordRule
from tests.domain.triage_story import (
    CALENDAR,
    CASE,
    CATALOGUE,
    GRID,
    MAIN,
    NOW,
    OTHER,
    POLICY,
    POSTER,
    POTHOLE,
    RULES,
    Story,
    at,
    event,
    filed,
    only,
    report,
    rulebook,
    sole,
)

CLOSED = Evaluated(verdict="closed", outcome="fixed", checked_by="member:7")
WATER, STREET, FIRE, CENTRE = "dept:water", "street:CH/north", "dept:fire", "district:CH"


def rework(*failed: str) -> Evaluated:
    return Evaluated(verdict="rework", failed=failed, reason="still leaking")


def refused(story: Story, command: Command) -> str:
    """The rule by which a command is refused; nothing has happened."""
    with pytest.raises(Refused) as refusal:
        story.ask(command)
    return refusal.value.rule


# where


@pytest.mark.parametrize(
    ("place", "area", "why"),
    [
        (Where(area=GRID), GRID, "as reported"),
        (Where(area=f"{GRID}/s01", point=Point(lat=30.5, lon=100)), f"{GRID}/s01", "as reported"),
        (Where(point=Point(lat=30.015, lon=104.005)), "CH/north/mill/g002", "by the position"),
        (Where(area="CH/north", point=Point(lat=30.015, lon=104.005)), "CH/north/mill/g002", "by the position"),
        (
            Where(area="CH/north/hill", point=Point(lat=30.015, lon=104.005)),
            "CH/north/hill",
            "though the position lies",
        ),
        (Where(area="CH/north", point=Point(lat=31, lon=104.005)), "CH/north", "no grid of it"),
        (Where(area="CH/gone/g009", point=Point(lat=30.005, lon=104.001)), f"{GRID}/s01", "by the position"),
    ],
)
def test_a_report_lies_in_the_grid_it_names_or_else_in_the_one_around_its_position(
    place: Where, area: str, why: str
) -> None:
    found = assess(report(place=place), RULES)
    assert (found.area, found.place.area) == (area, area)
    assert why in found.rules[0]


@pytest.mark.parametrize(
    "place", [Where(), Where(address="by the river"), Where(area="XX/gone"), Where(point=Point(lat=31, lon=104.005))]
)
def test_a_report_that_lies_nowhere_waits_for_a_person(place: Where) -> None:
    story = Story()
    [step] = story.hear(report(place=place))
    assert isinstance(step, Progressed)
    assert (step.step, step.reason, step.area, step.category) == ("awaiting_ruling", "unlocated", None, MAIN)
    assert step.due_at == NOW + timedelta(minutes=POLICY.file_minutes)
    assert story.state.status == "awaiting_ruling"


# what


def test_the_reporters_category_counts_where_the_catalogue_has_it() -> None:
    assert assess(report(POTHOLE, text="爆管 burst main"), RULES).category == POTHOLE


def test_else_the_words_decide_and_the_explanation_names_them() -> None:
    found = assess(report("gone.gone", title="自来水管爆裂", text="a burst main"), RULES)
    assert found.category == MAIN
    for part in ("burst main 8", "爆裂 5", "gone.gone is not in the catalogue"):
        assert part in found.rules[1]


@pytest.mark.parametrize(
    ("title", "why"),
    [
        ("zzz", "none of the words"),
        ("burst", f"{MAIN} with 2 points, 3 are needed"),
        ("street light, pothole", "6 points and to"),
    ],
)
def test_what_the_words_do_not_say_clearly_a_person_classifies(title: str, why: str) -> None:
    [step] = Story().hear(report(None, title=title))
    assert isinstance(step, Progressed)
    assert (step.reason, step.area, step.category) == ("unclassified", GRID, None)
    assert why in (step.note or "")


WORDS = sorted({word for category in CATALOGUE.categories for word in category.keywords})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS) | st.text("ab吵管水1 -", max_size=4), max_size=8),
    st.sampled_from(["", " ", "x", "水", "\n", "-"]),
)
def test_the_one_pass_finds_what_the_plain_rule_finds(pieces: list[str], glue: str) -> None:
    text = glue.join(pieces)
    assert RULES.recognizer.recognize(text).category == KeywordRule(CATALOGUE, POLICY).pick(text)


# how urgent, by whom, until when


def test_a_key_place_raises_the_priority_and_the_ruling_says_so() -> None:
    place = Where(area=GRID, key_place="place:school")
    ruling = only(Story().hear(report(POTHOLE, place=place)))
    assert ruling.priority == CATALOGUE.by_code[POTHOLE].priority - 1
    assert any("raised at place:school" in rule for rule in ruling.explanation.rules)
    assert only(Story().hear(report(MAIN, place=place))).priority == 1


def test_a_partners_position_finds_its_key_place() -> None:
    ruling = only(Story().hear(report(POTHOLE, place=Where(point=Point(lat=30.005, lon=104.005)))))
    assert (ruling.place.key_place, ruling.place.area) == ("place:school", GRID)


def test_a_burst_main_goes_to_water_street_and_fire_brigade_at_once() -> None:
    ruling = only(Story().hear(report()))
    assert [(one.id, one.unit, one.lead) for one in ruling.plan] == [
        (f"{CASE}.1.1", WATER, True),
        (f"{CASE}.1.2", STREET, False),
        (f"{CASE}.1.3", FIRE, False),
    ]
    water = ruling.plan[0]
    assert "Shut the valves" in water.task
    assert water.acknowledge_by == NOW + timedelta(minutes=5)
    assert water.resolve_by == NOW + timedelta(hours=12)
    assert water.extensions == (NOW + timedelta(hours=24), NOW + timedelta(hours=36))
    assert (water.escalated_to, ruling.plan[1].escalated_to) == ((CENTRE,), (CENTRE,))
    assert (ruling.because, ruling.round, ruling.filed_at, ruling.area) == ("first", 1, NOW, GRID)
    assert (ruling.check.method, ruling.check.by, ruling.check.within_minutes) == ("photo", "grid", 120)
    assert ruling.explanation.catalogue == CATALOGUE.version
    words = "\n".join(ruling.explanation.rules)
    for part in ("as reported", "as the reporter chose", "no open case", "priority 1", f"lead {WATER}", "12 hours"):
        assert part in words


@pytest.mark.parametrize("code", sorted(RULES.catalogue.by_code))
def test_every_category_finds_its_units_in_a_grid_and_its_deadlines_run_on_its_clock(code: str) -> None:
    category = CATALOGUE.by_code[code]
    ruling = only(Story().hear(report(code, place=Where(area=f"{GRID}/s01"))))
    limit = category.conditions[0].resolve
    assert len(ruling.plan) == 1 + len(category.supports)
    assert [one.lead for one in ruling.plan] == [True] + [False] * len(category.supports)
    for one in ruling.plan:
        expected = [due(NOW, limit, CALENDAR)]
        for _ in range(POLICY.extend_max):
            expected.append(due(expected[-1], limit, CALENDAR))
        assert [one.resolve_by, *one.extensions] == expected
        assert one.unit.partition(":")[2] in f"{GRID} dept:" or one.unit.startswith(("dept:", "partner:"))


@pytest.mark.parametrize(
    ("hour", "member", "backups"),
    [
        (1, "member:mill-1", ("member:mill-2", "member:mill-3")),
        (15, "member:mill-2", ("member:mill-1", "member:mill-3")),
    ],
)
def test_a_grids_plan_names_who_is_on_duty_and_the_backups_in_order(
    hour: int, member: str, backups: tuple[str, ...]
) -> None:
    assignment = sole(Story(now=NOW.replace(hour=hour)).hear(report(POSTER)))
    assert (assignment.unit, assignment.member, assignment.backups) == (f"grid:{GRID}", member, backups)
    assert assignment.escalated_to == ("community:CH/north/mill", STREET, CENTRE)


def test_in_an_area_too_wide_for_the_role_the_next_on_the_ladder_takes_its_place() -> None:
    ruling = only(Story().hear(report(POSTER, place=Where(area="CH/north"))))
    assert [one.unit for one in ruling.plan] == [STREET]
    assert any("in the place of any grid" in rule for rule in ruling.explanation.rules)
    quarrel = only(Story().hear(report("dispute.neighbour.other", place=Where(area="CH/north"))))
    assert [one.unit for one in quarrel.plan] == [STREET]


def test_an_incompetent_unit_is_passed_over_for_one_above_it() -> None:
    weak = {"competences": ("dispute",)}
    units = tuple(
        Unit.model_validate({**unit.model_dump(), **weak}) if unit.id == f"grid:{GRID}" else unit
        for unit in RULES.units.units
    )
    story = Story(rulebook(units=Units(version="1", units=units)))
    ruling = only(story.hear(report(POSTER)))
    assert [one.unit for one in ruling.plan] == ["community:CH/north/mill"]
    assert any("is not competent" in rule for rule in ruling.explanation.rules)


def test_a_late_entry_is_measured_from_when_it_was_seen_and_raises_no_alarm() -> None:
    seen = NOW - timedelta(days=30)
    ruling = only(Story().hear(report(retrospective=True), when=seen))
    assert ruling.retrospective
    assert (ruling.filed_at, ruling.plan[0].resolve_by) == (seen, seen + timedelta(hours=12))
    waiting = Story()
    waiting.hear(report(None, title="zzz", retrospective=True), when=seen)
    assert waiting.state.waiting is not None
    assert waiting.wait(days=9) == []


# verification


@pytest.mark.parametrize(
    ("channel", "category", "verified"),
    [
        ("citizen", POTHOLE, True),
        ("hotline", POTHOLE, True),
        ("open311", POTHOLE, True),
        ("handset", POTHOLE, False),
        ("sensor", POTHOLE, False),
        ("partner", POTHOLE, False),
        ("citizen", MAIN, False),
    ],
)
def test_citizens_reports_of_verifiable_kinds_are_looked_at_first(channel: Any, category: str, verified: bool) -> None:
    story = Story()
    [fact] = story.hear(report(category, channel=channel))
    assert isinstance(fact, Progressed if verified else Dispatched)
    if isinstance(fact, Progressed):
        assert (fact.step, fact.unit, fact.category, fact.area) == ("verifying", f"grid:{GRID}", POTHOLE, GRID)
        assert fact.due_at == NOW + timedelta(minutes=30)
        assert story.state.status == "verifying"


def verifying(**more: Any) -> Story:
    story = Story()
    story.hear(report(POTHOLE, channel="citizen", **more))
    return story


def test_a_confirmed_report_is_filed_then_and_there() -> None:
    story = verifying()
    later = NOW + timedelta(minutes=20)
    story.now = later
    step, ruling = story.ask(Verify(True, note="40 cm wide"), actor="li")
    assert isinstance(step, Progressed)
    assert (step.step, step.note, step.unit) == ("verified_before_filing", "40 cm wide", f"grid:{GRID}")
    assert isinstance(ruling, Dispatched)
    assert (ruling.category, ruling.filed_at, ruling.because) == (POTHOLE, later, "first")
    assert "verified before filing by li" in ruling.explanation.rules
    assert "no open case" in "\n".join(ruling.explanation.rules)
    assert story.state.status == "dispatched"
    assert refused(story, Verify(True)) == "verification.state"


def test_a_report_that_is_not_confirmed_is_rejected_with_its_reason() -> None:
    story = verifying()
    [fact] = story.ask(Verify(False, why="not_ours", note="private ground"))
    assert isinstance(fact, Rejected)
    assert (fact.why, fact.reason) == ("not_ours", "private ground")
    assert story.state.status == "rejected"
    assert story.hear(Withdrawal(reason="sorry")) == []


def test_nobody_deciding_in_time_is_said_once_also_after_a_long_stop() -> None:
    story = verifying()
    assert story.wait(minutes=29) == []
    [step] = story.wait(days=2)
    assert isinstance(step, Progressed)
    assert (step.step, step.due_at, step.unit) == ("overdue", NOW + timedelta(minutes=30), f"grid:{GRID}")
    assert story.state.status == "verifying"
    assert story.state.waiting is not None
    assert story.state.waiting.overdue
    assert story.decider.due(story.state) is None
    assert story.wait(days=2) == []


# duplicates


def told(place: Where, minutes: float = 0, case: str = OTHER, category: str = MAIN, **more: Any) -> Any:
    """Another report, as an event."""
    made = report(category, place=place, **more)
    return event(made, case=case, when=NOW + timedelta(minutes=minutes), number=99)


def second(place: Where, minutes: float = 0, category: str = MAIN, first: Where | None = None, **more: Any) -> Fact:
    """What follows from a second report, when the first lies at 30.005."""
    story = Story()
    story.hear(report(category, place=first or at(30.005), **more.pop("of_first", {})))
    assert story.near is not None
    again = told(place, minutes, category=category, **more)
    inputs = Inputs(at=NOW, now=NOW, stream=OTHER, gathered=story.near)
    outcome = story.decider.react(again, Case(), inputs)
    assert not isinstance(outcome, Early | Unfit)
    [fact] = outcome
    return fact


METRE = 1 / 111_195
PLACE = at(30.005)


@pytest.mark.parametrize(
    ("place", "minutes", "more", "merged"),
    [
        (at(30.005 + 29 * METRE), 0, {}, True),
        (at(30.005 + 31 * METRE), 0, {}, False),
        (at(30.005, 104.005 + 33 * METRE), 0, {}, True),
        (PLACE, 72 * 60, {}, True),
        (PLACE, 72 * 60 + 1, {}, False),
        (PLACE, -72 * 60, {}, True),
        (PLACE, 0, {"retrospective": True}, False),
        (Where(area=GRID), 0, {}, True),
        (Where(area=f"{GRID}/s01"), 0, {}, True),
        (Where(area="CH/north/mill/g002"), 0, {}, False),
        (Where(area="CH/north/mill"), 0, {}, False),
    ],
)
def test_a_second_report_of_one_thing_is_merged_into_the_first(
    place: Where, minutes: float, more: dict[str, Any], merged: bool
) -> None:
    manhole = "component.public-facilities.manhole"
    fact = second(place, minutes, manhole, **more)
    assert isinstance(fact, Merged if merged else Dispatched)
    if isinstance(fact, Merged):
        assert (fact.into, fact.category) == (CASE, manhole)
        assert f"the same as case {CASE}" in fact.explanation.rules[-1]


def test_two_communities_are_two_matters_also_across_a_street() -> None:
    assert isinstance(second(at(30.0201), first=at(30.0199)), Dispatched)
    assert isinstance(second(at(30.0198), first=at(30.0199)), Merged)


def test_another_category_is_another_matter() -> None:
    story = Story()
    story.hear(report(POTHOLE, place=PLACE))
    assert isinstance(story.decider.react(told(PLACE), Case(), story.inputs()), list)
    near = story.near
    assert near is not None
    assert near.twin(told(PLACE), CATALOGUE.by_code[MAIN], GRID) is None
    assert near.twin(told(PLACE, category=POTHOLE), CATALOGUE.by_code[POTHOLE], GRID) is not None


@pytest.mark.parametrize("category", ["service.finance.tax", "component.greening.other"])
@pytest.mark.parametrize(("whose", "merged"), [("reporter:1", True), ("reporter:2", False), (None, False)])
def test_what_concerns_a_person_is_repeated_by_that_person_only(category: str, whose: str, merged: bool) -> None:
    first = {"reporter_ref": "reporter:1"}
    fact = second(PLACE, category=category, reporter_ref=whose, of_first=first)
    assert isinstance(fact, Merged) == merged


def test_a_case_still_to_be_verified_is_merged_into_as_well() -> None:
    fact = second(PLACE, category=POTHOLE, channel="citizen", of_first={"channel": "citizen"})
    assert isinstance(fact, Merged)


@pytest.mark.parametrize("end", [CLOSED, Withdrawal(reason="dried up")])
def test_nothing_is_merged_into_a_case_that_is_over(end: Fact) -> None:
    story = Story()
    story.hear(report(place=PLACE))
    assert story.near is not None
    assert story.near.twin(told(PLACE), CATALOGUE.by_code[MAIN], GRID) is not None
    story.hear(end)
    assert story.near.twin(told(PLACE), CATALOGUE.by_code[MAIN], GRID) is None


spots = st.builds(
    lambda north, east, point: (
        at(30 + north / 20_000, 104 + east / 20_000) if point else Where(area=square_of(north, east))
    ),
    st.integers(0, 599),
    st.integers(0, 199),
    st.booleans(),
)


def square_of(north: int, east: int) -> str | None:
    return RULES.area_at(30 + north / 20_000, 104 + east / 20_000)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(spots, st.integers(0, 100)), min_size=1, max_size=30), spots, st.integers(0, 100))
def test_the_nearest_twin_is_the_one_a_plain_search_finds(
    others: list[tuple[Where, int]], place: Where, hour: int
) -> None:
    category = CATALOGUE.by_code["component.public-facilities.public-toilet"]
    near = Neighbourhood(RULES)
    cases = []
    for n, (where, seen) in enumerate(others):
        made = told(where, seen * 60, case=f"019e0a9c-1f78-7c3e-8b1a-{n:012x}", category=category.code)
        cases.append(open_case(made.subject, made, category.code, where.area or ""))
    near.add(cases)
    new = told(place, hour * 60, category=category.code)
    area = place.area or ""
    found = []
    for one in cases:
        apart = abs(one.reported_at - new.time) <= timedelta(hours=category.duplicates.window_hours)
        if place.point is not None and one.point is not None:
            metres = metres_between(place.point, one.point)
            close = metres <= category.duplicates.radius_m and one.area.split("/")[:3] == area.split("/")[:3]
        else:
            metres, close = 1e9, one.area.split("/")[:4] == area.split("/")[:4]
        if apart and close:
            found.append((metres, one.reported_at, one.case_id))
    twin = near.twin(new, category, area)
    assert (twin.case_id if twin else None) == (min(found)[2] if found else None)
    for one in cases:
        near.remove(one.case_id)
    assert near.twin(new, category, area) is None


# rulings by people


def waiting(**more: Any) -> Story:
    story = Story()
    story.hear(report(None, **{"title": "zzz", "place": Where(), **more}))
    return story


def test_what_the_rules_could_not_find_a_person_says() -> None:
    story = waiting()
    assert refused(story, File(area=GRID)) == "ruling.category"
    assert refused(story, File(category=MAIN)) == "ruling.area"
    ruling = only(story.ask(File(category=MAIN, condition="b", area=GRID, priority=2, reason="called back")))
    assert (ruling.category, ruling.condition, ruling.area, ruling.place.area) == (MAIN, "b", GRID, GRID)
    assert (ruling.priority, ruling.because) == (2, "first")
    assert ruling.plan[0].resolve_by == NOW + timedelta(hours=6)
    words = "\n".join(ruling.explanation.rules)
    for part in ("ruled by wang", "priority 2 as ruled", "called back", "no position and no area"):
        assert part in words
    assert refused(story, File()) == "ruling.state"


def test_a_person_may_choose_the_units_and_the_first_leads() -> None:
    ruling = only(waiting().ask(File(MAIN, area=GRID, units=(Charge("dept:gas"), Charge(FIRE, "stand by")))))
    assert [(one.unit, one.lead) for one in ruling.plan] == [("dept:gas", True), (FIRE, False)]
    assert "Shut the valves" in ruling.plan[0].task
    assert ruling.plan[1].task == "stand by"


def test_a_person_may_merge_or_reject() -> None:
    assert refused(waiting(), Merge(CASE)) == "merge.self"
    story = waiting()
    [merged] = story.ask(Merge(OTHER, "the same voice"))
    assert isinstance(merged, Merged)
    assert (merged.into, story.state.status, story.state.merged_into) == (OTHER, "merged", OTHER)
    story = waiting()
    [rejected] = story.ask(Reject("incomplete", "no word can be understood"))
    assert isinstance(rejected, Rejected)
    assert (rejected.why, rejected.reason) == ("incomplete", "no word can be understood")


@pytest.mark.parametrize("status", ["merged", "rejected", "withdrawn", "closed"])
def test_into_a_case_that_is_over_nothing_is_merged_by_hand_either(status: Any) -> None:
    with pytest.raises(Refused, match=status):
        refuse_target(OTHER, status)
    refuse_target(OTHER, "dispatched")
    with pytest.raises(Unknown):
        refuse_target(OTHER, None)


@pytest.mark.parametrize("command", [Verify(True), File(), Merge(OTHER), Reject("not_ours", "no")])
def test_a_case_that_does_not_exist_cannot_be_ruled_on(command: Command) -> None:
    with pytest.raises(Unknown):
        Story().ask(command)


# what comes back


def test_returned_work_goes_up_with_its_task_and_never_back() -> None:
    story = filed()
    ruling = only(story.end(f"{CASE}.1.1", "returned"))
    [again] = ruling.plan
    assert (ruling.round, ruling.because, again.id) == (2, "returned", f"{CASE}.2.1")
    assert (again.unit, again.replaces, again.lead, again.task) == (
        CENTRE,
        f"{CASE}.1.1",
        True,
        story.state.works[f"{CASE}.1.1"].task,
    )
    assert "for a reason" in ruling.explanation.rules[0]
    assert story.state.gaps == ()


def returned_twice() -> Story:
    story = filed()
    story.end(f"{CASE}.1.1", "returned")
    [step] = story.end(f"{CASE}.2.1", "returned")
    assert isinstance(step, Progressed)
    assert (step.step, step.reason) == ("awaiting_ruling", "second_return")
    return story


def test_the_second_return_is_the_shift_leaders_who_may_split_the_work() -> None:
    story = returned_twice()
    assert story.state.status == "awaiting_ruling"
    assert refused(story, File(units=(Charge(WATER),))) == "ruling.second_return"
    assert refused(story, Reject("not_ours", "no")) == "ruling.second_return"
    charges = (Charge(WATER), Charge("dept:transport", "excavate"))
    ruling = only(story.ask(File(units=charges, shift_leader=True)))
    assert [(one.unit, one.lead, one.replaces) for one in ruling.plan] == [
        (WATER, True, f"{CASE}.2.1"),
        ("dept:transport", False, f"{CASE}.2.1"),
    ]
    assert (ruling.round, ruling.because, ruling.filed_at) == (3, "manual", NOW)
    assert story.state.status == "dispatched"


def test_two_gaps_are_both_filled_or_the_ruling_is_refused() -> None:
    story = filed()
    story.end(f"{CASE}.1.1", "returned")
    story.end(f"{CASE}.1.2", "returned")
    story.end(f"{CASE}.2.1", "returned")
    assert {work.assignment_id for work in story.state.gaps} == {f"{CASE}.1.2", f"{CASE}.2.1"}
    ask = [Charge(WATER, replaces=f"{CASE}.2.1"), Charge("dept:gas", "watch")]
    assert refused(story, File(units=(ask[0],), shift_leader=True)) == "ruling.incomplete"
    wrong = File(units=(Charge(WATER, replaces=f"{CASE}.1.1"),), shift_leader=True)
    assert refused(story, wrong) == "ruling.replaces"
    extra = Charge("dept:power", "light")
    ruling = only(story.ask(File(units=(*ask, extra), shift_leader=True)))
    assert [(one.unit, one.lead, one.replaces) for one in ruling.plan] == [
        (WATER, True, f"{CASE}.2.1"),
        ("dept:gas", False, f"{CASE}.1.2"),
        ("dept:power", False, None),
    ]


def test_nobody_above_and_nobody_who_returned_is_given_the_work_without_a_person() -> None:
    story = filed()
    story.end(f"{CASE}.1.1", "escalated")
    [step] = story.end(f"{CASE}.2.1", "returned")
    assert isinstance(step, Progressed)
    assert (step.step, step.reason) == ("awaiting_ruling", "no_unit")
    story.end(f"{CASE}.1.2", "returned")
    assert story.state.waiting is not None
    assert story.state.waiting.queue == "second_return"
    named = (Charge(WATER, replaces=f"{CASE}.2.1"), Charge(FIRE))
    with pytest.raises(Refused, match=f"left above {STREET}"):
        story.ask(File(shift_leader=True))
    assert [one.unit for one in only(story.ask(File(units=named, shift_leader=True))).plan] == [WATER, FIRE]


def test_a_policy_that_allows_more_returns_still_never_gives_work_back() -> None:
    policy = POLICY.model_copy(update={"returns_before_shift_leader": 9})
    story = Story(rulebook(policy=policy))
    story.hear(report(POSTER))
    story.end(f"{CASE}.1.1", "escalated")
    assert sole(story.end(f"{CASE}.2.1", "returned")).unit == STREET
    assert sole(story.end(f"{CASE}.3.1", "returned")).unit == CENTRE


def test_escalated_work_goes_up_step_by_step_and_at_the_top_it_is_said_aloud() -> None:
    story = Story()
    story.hear(report(POSTER))
    for number, unit in enumerate(("community:CH/north/mill", STREET, CENTRE), start=1):
        ruling = only(story.end(f"{CASE}.{number}.1", "escalated"))
        assert (ruling.because, ruling.plan[0].unit, ruling.plan[0].lead) == ("escalated", unit, True)
    [step] = story.end(f"{CASE}.4.1", "escalated")
    assert isinstance(step, Progressed)
    assert (step.step, step.unit, step.assignment_id) == ("escalation_failed", CENTRE, f"{CASE}.4.1")
    assert story.state.waiting is not None
    assert story.state.waiting.queue == "escalation_failed"
    assert refused(story, File()) == "ruling.units"
    ruling = only(story.ask(File(units=(Charge(STREET),))))
    assert ruling.plan[0].replaces == f"{CASE}.4.1"


def test_rework_goes_to_the_unit_that_failed_once() -> None:
    story = filed()
    for number in (1, 2, 3):
        assert story.end(f"{CASE}.1.{number}") == []
    story.now = NOW + timedelta(hours=5)
    ruling = only(story.hear(rework(f"{CASE}.1.1")))
    [again] = ruling.plan
    assert (ruling.because, again.unit, again.replaces, again.lead) == ("rework", WATER, f"{CASE}.1.1", True)
    assert again.resolve_by == NOW + timedelta(hours=17)
    assert ruling.filed_at == NOW
    assert story.hear(rework(f"{CASE}.1.1")) == []
    assert only(story.hear(rework(f"{CASE}.2.1"))).round == 3


def test_rework_may_be_heard_of_before_the_result_that_failed() -> None:
    story = filed()
    assert only(story.hear(rework(f"{CASE}.1.1"))).round == 2
    assert story.end(f"{CASE}.1.1") == []
    assert story.end(f"{CASE}.1.1", "returned") == []


@pytest.mark.parametrize("first", ["fixed", "returned", "escalated", "cancelled"])
@pytest.mark.parametrize("later", ["fixed", "returned", "escalated", "cancelled"])
def test_the_first_result_of_an_assignment_counts(first: str, later: str) -> None:
    story = filed()
    story.end(f"{CASE}.1.2", first)
    before = story.state
    assert story.end(f"{CASE}.1.2", later) == []
    assert story.state == before


@pytest.mark.parametrize("over", [CLOSED, Withdrawal(reason="dried up")])
def test_what_ends_after_the_case_leads_to_nothing(over: Fact) -> None:
    story = filed()
    story.hear(over)
    assert story.end(f"{CASE}.1.1", "returned") == []
    assert story.end(f"{CASE}.1.2", "escalated") == []
    assert story.hear(rework(f"{CASE}.1.1")) == []


def test_results_and_verdicts_of_what_is_not_known_yet_wait() -> None:
    unknown: list[Fact] = [rework(f"{CASE}.1.1"), CLOSED, Supplement(text="more"), Withdrawal(reason="no")]
    for fact in unknown:
        outcome = Story().refuses_to_hear(fact)
        assert isinstance(outcome, Early)
        assert outcome.reason.startswith("unknown case")
    assert isinstance(filed().refuses_to_hear(rework(f"{CASE}.7.1")), Early)


def test_a_result_must_be_of_the_assignments_unit_and_of_a_case_that_was_given_out() -> None:
    result = Resolved(assignment_id=f"{CASE}.1.1", unit=FIRE, outcome="fixed")
    outcome = filed().refuses_to_hear(result)
    assert isinstance(outcome, Unfit)
    assert "dept:water's" in outcome.reason
    story = waiting()
    assert isinstance(story.refuses_to_hear(result), Early)
    story.ask(Reject("not_ours", "no"))
    assert isinstance(story.refuses_to_hear(result), Unfit)


# taking back


def test_a_report_taken_back_before_it_is_closed_is_withdrawn() -> None:
    for story in (filed(), verifying(), waiting()):
        [fact] = story.hear(Withdrawal(reason="dried up"))
        assert fact == Withdrawn(reason="dried up")
        assert story.state.status == "withdrawn"
        assert story.hear(Withdrawal(reason="again")) == []
    story = filed()
    story.hear(CLOSED)
    assert story.hear(Withdrawal(reason="too late")) == []


def test_only_the_reporter_takes_it_back() -> None:
    story = filed(reporter_ref="reporter:1")
    assert isinstance(story.refuses_to_hear(Withdrawal(reporter_ref="reporter:2", reason="no")), Unfit)
    assert len(story.hear(Withdrawal(reporter_ref="reporter:1", reason="yes"))) == 1


def test_a_case_into_which_others_were_merged_goes_on() -> None:
    story = filed(place=PLACE)
    assert story.near is not None
    story.near.learn(event(Merged(into=CASE, explanation=only([story.told[1].data]).explanation), case=OTHER))
    [step] = story.hear(Withdrawal(reason="dried up here"))
    assert isinstance(step, Progressed)
    assert step.step == "refused"
    assert story.state.status == "dispatched"


# laws


END = st.sampled_from(["fixed", "returned", "escalated", "cancelled"])
MOVES = st.one_of(
    st.tuples(st.just("end"), END, st.integers(0, 9)),
    st.tuples(st.just("rework"), END, st.integers(0, 9)),
    st.tuples(st.sampled_from(["close", "withdraw", "supplement", "report"]), END, st.just(0)),
    st.tuples(st.sampled_from(["file", "reject", "merge", "confirm", "wait"]), END, st.integers(0, 9)),
)


def step_of(story: Story, move: tuple[str, str, int]) -> None:
    """One thing that may happen to a case at any time."""
    kind, outcome, number = move
    works = list(story.state.works)
    if kind in ("end", "rework") and not works:
        return
    name = works[number % len(works)] if works else ""
    match kind:
        case "end":
            story.end(name, outcome)
        case "rework":
            story.hear(rework(name))
        case "close":
            story.hear(CLOSED)
        case "withdraw":
            story.hear(Withdrawal(reason="no"))
        case "supplement":
            story.hear(Supplement(text="more"))
        case "report":
            assert story.hear(report()) == []
        case "wait":
            story.wait(hours=number)
        case _:
            commands: dict[str, Command] = {
                "file": File(POTHOLE, area=GRID, units=(Charge(FIRE),) * number, shift_leader=True),
                "reject": Reject("not_ours", "no", shift_leader=True),
                "merge": Merge(OTHER, shift_leader=True),
                "confirm": Verify(True),
            }
            try:
                story.ask(commands[kind])
            except Refused:
                return


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([report(), report(POSTER), report(POTHOLE, channel="citizen"), report(None, title="zzz")]),
    st.lists(MOVES, max_size=25),
)
def test_whatever_happens_no_work_is_forgotten_and_the_story_folds_as_it_was_told(
    new: NewReport, moves: list[tuple[str, str, int]]
) -> None:
    story = Story()
    story.hear(new)
    for move in moves:
        step_of(story, move)
        state = story.state
        if state.ended is None:
            assert not state.gaps or state.waiting is not None, "work that nobody does waits for a person"
            led = [work for work in state.works.values() if work.lead and not work.replaced]
            assert len(led) == (1 if state.works else 0), "exactly one leads"
        assert [filed.round for filed in state.rounds] == list(range(1, len(state.rounds) + 1))
    given_out = [one.id for filed in story.state.rounds for one in filed.plan]
    assert len(given_out) == len(set(given_out))
    folded = Case()
    for happened in story.told:
        folded = evolve(folded, happened)
    assert folded == story.state
    [row] = CASES.rows(CASE, folded)
    assert len(row) == len(CASES.columns)
    assert list(CASES.rows(CASE, Case())) == []


@given(st.lists(MOVES, max_size=8), MOVES)
def test_reacting_is_pure_and_saying_the_same_again_changes_nothing(
    moves: list[tuple[str, str, int]], last: tuple[str, str, int]
) -> None:
    story = filed()
    for move in moves:
        step_of(story, move)
    if last[0] not in ("end", "rework", "close", "withdraw"):
        return
    before, known = story.state, len(story.told)
    step_of(story, last)
    heard = story.told[known] if len(story.told) > known else None
    if heard is None:
        return
    inputs = story.inputs()
    facts = story.decider.react(heard, before, inputs)
    assert facts == story.decider.react(heard, before, inputs)
    assert not isinstance(facts, Early | Unfit)
    assert list(facts) == [told.data for told in story.told[known + 1 :]]
    after = story.state
    again = story.decider.react(event(heard.data, number=77), after, inputs)
    assert again == ()


@given(st.permutations([told.data for told in filed().told] + [CLOSED, rework(f"{CASE}.1.1"), Supplement(text="x")]))
def test_evolve_never_refuses(order: list[Fact]) -> None:
    state = Case()
    for fact in order:
        state = evolve(state, event(fact, when=datetime(2026, 1, 1, tzinfo=UTC)))
    assert state.report is not None
    assert state.filed is not None
