"""Triage's rules on a report: where and what it is, who does what by when, and what is looked at first."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.clocks import due
from contracts.fields import Place as Where
from contracts.fields import Point
from contracts.intake import Withdrawal
from contracts.progress import AwaitingRuling, RulingOverdue, VerifiedBeforeFiling, Verifying
from contracts.reference import Unit, Units
from contracts.triage import Dispatched, Rejected
from services.triage.domain.assessment import assess
from services.triage.domain.commands import Verify
from tests.district.keyword_rule import KeywordRule
from tests.domain.triage_story import (
    CALENDAR,
    CASE,
    CATALOGUE,
    CENTRE,
    FIRE,
    GRID,
    MAIN,
    NOW,
    POLICY,
    POSTER,
    POTHOLE,
    RULES,
    STREET,
    WATER,
    Story,
    only,
    refused,
    report,
    rulebook,
    sole,
    verifying,
)

# where


@pytest.mark.parametrize(
    ("place", "area", "why"),
    [
        (Where(area=GRID), GRID, "as reported"),
        (Where(area="CH/north"), "CH/north", "as reported"),
        (Where(point=Point(lat=30.015, lon=104.005)), "CH/north/mill/g002", "by the position"),
        (Where(area="CH/north", point=Point(lat=30.015, lon=104.005)), "CH/north/mill/g002", "by the position"),
        (Where(area="CH/north/hill", point=Point(lat=30.015, lon=104.005)), "CH/north/mill/g002", "by the position"),
        (Where(area=GRID, point=Point(lat=30.015, lon=104.005)), "CH/north/mill/g002", "by the position"),
        (Where(area="CH/gone/g009", point=Point(lat=30.005, lon=104.001)), f"{GRID}/s01", "by the position"),
        (Where(point=Point(lat=30.005, lon=104.002)), GRID, "by the position"),  # on the edge of its sub-grid
    ],
)
def test_a_report_lies_in_the_grid_around_its_position_or_else_in_the_area_it_names(
    place: Where, area: str, why: str
) -> None:
    found = assess(report(place=place), RULES)
    assert (found.area, found.place.area) == (area, area)
    assert why in found.rules[0]


@pytest.mark.parametrize(
    "place",
    [
        Where(),
        Where(address="by the river"),
        Where(area="XX/gone"),
        Where(point=Point(lat=31, lon=104.005)),
        Where(point=Point(lat=30.01, lon=104.005)),  # on the edge between two grids
        Where(area="CH/north", point=Point(lat=31, lon=104.005)),
        Where(area=GRID, point=Point(lat=31, lon=104.005)),
    ],
)
def test_a_report_that_lies_nowhere_waits_for_a_person(place: Where) -> None:
    story = Story()
    [step] = story.hear(report(place=place))
    assert isinstance(step, AwaitingRuling)
    assert (step.queue, step.area, step.category) == ("unlocated", None, MAIN)
    assert step.due_at == NOW + timedelta(minutes=POLICY.file_minutes)
    assert story.status == "reported"


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
    assert isinstance(step, AwaitingRuling)
    assert (step.queue, step.area, step.category) == ("unclassified", GRID, None)
    assert why in step.note


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
    assert isinstance(fact, Verifying if verified else Dispatched)
    if isinstance(fact, Verifying):
        assert (fact.unit, fact.category, fact.area) == (f"grid:{GRID}", POTHOLE, GRID)
        assert fact.due_at == NOW + timedelta(minutes=30)
        assert story.status == "verifying"


def test_a_confirmed_report_is_filed_then_and_there() -> None:
    story = verifying()
    later = NOW + timedelta(minutes=20)
    story.now = later
    step, ruling = story.ask(Verify(True, note="40 cm wide"), actor="li")
    assert isinstance(step, VerifiedBeforeFiling)
    assert (step.note, step.unit) == ("40 cm wide", f"grid:{GRID}")
    assert isinstance(ruling, Dispatched)
    assert (ruling.category, ruling.filed_at, ruling.because) == (POTHOLE, later, "first")
    assert "verified before filing by li" in ruling.explanation.rules
    assert "no open case" in "\n".join(ruling.explanation.rules)
    assert story.status == "dispatched"
    assert refused(story, Verify(True)) == "verification.state"


def test_a_report_that_is_not_confirmed_is_rejected_with_its_reason() -> None:
    story = verifying()
    [fact] = story.ask(Verify(False, why="not_ours", note="private ground"))
    assert isinstance(fact, Rejected)
    assert (fact.why, fact.reason) == ("not_ours", "private ground")
    assert story.status == "rejected"
    assert story.hear(Withdrawal(reason="sorry")) == []


def test_nobody_deciding_in_time_is_said_once_also_after_a_long_stop() -> None:
    story = verifying()
    assert story.wait(minutes=29) == []
    [step] = story.wait(days=2)
    assert step == RulingOverdue(queue="verify", unit=f"grid:{GRID}", due_at=NOW + timedelta(minutes=30))
    assert story.status == "verifying"
    assert story.state.waiting is not None
    assert story.state.waiting.overdue
    assert story.decider.due(story.state) is None
    assert story.wait(days=2) == []
