"""Intake's rules: what may be said about a report and by whom, what its status is, and where it lies."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decider import Decider, Early, Inputs, Refused, Unfit, Unknown
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact, Point
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.progress import Progressed
from contracts.reference import Area, Areas, Places, Policy
from contracts.reference import Place as KnownPlace
from contracts.triage import Assignment, Check, Dispatched, Explanation, Merged, Rejected, Withdrawn
from contracts.wire import build, parse
from deploy.district import __main__ as district
from services.intake.domain import AddSupplement, Case, Command, File, Withdraw, decider
from services.intake.reference import Territory, UnknownArea
from services.intake.views import REPORTS

POLICY = Policy.model_validate_json((Path(district.__file__).parent / "policy.json").read_bytes())
INTAKE: Decider[Command, Case] = decider(POLICY)
NOW = datetime(2026, 5, 9, 8, 0, tzinfo=UTC)
CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
OTHER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a12"
WHY = Explanation(rules=("reporter's category",), catalogue="2026.1", policy="2026.1")
REPORT = NewReport(channel="citizen", title="water on the road", reporter_ref="reporter:1")


def event(
    data: Fact, *, source: str = "/services/intake", actor: str = "reporter:1", at: datetime = NOW, number: int = 1
) -> Event[Any]:
    """A fact with circumstances that matter little."""
    return build(
        event_id=f"019e0a9c-1f78-7c3e-8b1a-{number:012x}",
        source=source,
        subject=CASE,
        time=at,
        recorded=NOW,
        sequence=number,
        data=data,
        actor=actor,
    )[0]


def case(*facts: Fact | Event[Any]) -> Case:
    """The case after these facts."""
    state = INTAKE.initial
    for fact in facts:
        state = INTAKE.evolve(state, fact if isinstance(fact, Event) else event(fact))
    return state


def inputs(actor: str = "reporter:1", at: datetime = NOW) -> Inputs:
    return Inputs(at=at, now=NOW, stream=CASE, actor=actor)


def dispatched(number: int = 1, **more: Any) -> Dispatched:
    """A round with one assignment."""
    plan = Assignment(
        id=f"{CASE}.{number}.1",
        unit="dept:water",
        lead=True,
        task="repair",
        acknowledge_by=NOW,
        resolve_by=NOW,
        replaces=more.pop("replaces", None),
    )
    base: dict[str, Any] = {
        "round": number,
        "because": "first" if number == 1 else "rework",
        "category": "event.emergency.water-main-burst",
        "condition": "a",
        "priority": 1,
        "title": "water on the road",
        "place": {},
        "area": "CH/a/b/g001",
        "filed_at": NOW,
        "plan": (plan,),
        "check": Check(method="photo", by="grid"),
        "explanation": WHY,
    }
    return Dispatched(**{**base, **more})


CLOSED = Evaluated(verdict="closed", outcome="fixed", checked_by="member:7")
REWORK = Evaluated(verdict="rework", failed=(f"{CASE}.1.1",), reason="still leaking")
MERGED = Merged(into=OTHER, explanation=WHY)
REJECTED = Rejected(why="not_ours", reason="private ground")


# filing


@pytest.mark.parametrize(("hours", "late"), [(0, False), (72, False), (72.001, True)])
def test_a_report_about_a_time_long_past_is_retrospective(hours: float, late: bool) -> None:
    facts = INTAKE.decide(File(REPORT), Case(), inputs(at=NOW - timedelta(hours=hours)))
    assert list(facts) == [REPORT.model_copy(update={"retrospective": late})]


def test_a_case_is_reported_once() -> None:
    with pytest.raises(Refused, match="already") as refusal:
        INTAKE.decide(File(REPORT), case(REPORT), inputs())
    assert refusal.value.rule == "report.once"


# saying more, taking back


def test_whoever_filed_a_report_adds_to_it_under_their_reference() -> None:
    [fact] = INTAKE.decide(AddSupplement("more"), case(REPORT), inputs())
    assert fact == Supplement(reporter_ref="reporter:1", text="more")


def test_an_acceptor_adds_on_behalf_under_no_reference_and_withdraws_under_the_reporters() -> None:
    [added] = INTAKE.decide(AddSupplement("more", on_behalf=True), case(REPORT), inputs("wang"))
    [taken] = INTAKE.decide(Withdraw("by phone", on_behalf=True), case(REPORT), inputs("wang"))
    assert added == Supplement(text="more")
    assert taken == Withdrawal(reporter_ref="reporter:1", reason="by phone")


@pytest.mark.parametrize("command", [AddSupplement("more"), Withdraw("dried up")])
def test_strangers_may_neither_add_nor_withdraw(command: Command) -> None:
    with pytest.raises(Refused) as refusal:
        INTAKE.decide(command, case(REPORT), inputs("reporter:2"))
    assert refusal.value.rule == "report.owner"


@pytest.mark.parametrize("command", [AddSupplement("more"), Withdraw("dried up")])
def test_of_a_report_that_does_not_exist_nothing_can_be_said(command: Command) -> None:
    with pytest.raises(Unknown):
        INTAKE.decide(command, Case(), inputs())


@pytest.mark.parametrize("ruling", [CLOSED, REJECTED, Withdrawn(reason="dried up")])
@pytest.mark.parametrize("command", [AddSupplement("more"), Withdraw("dried up")])
def test_a_report_that_has_ended_takes_nothing_more(ruling: Fact, command: Command) -> None:
    with pytest.raises(Refused) as refusal:
        INTAKE.decide(command, case(REPORT, ruling), inputs())
    assert refusal.value.rule == "report.ended"


def test_a_merged_report_takes_a_supplement_but_no_withdrawal() -> None:
    state = case(REPORT, MERGED, Evaluated(verdict="closed", outcome="duplicate"))
    assert len(INTAKE.decide(AddSupplement("more"), state, inputs())) == 1
    with pytest.raises(Refused, match=OTHER) as refusal:
        INTAKE.decide(Withdraw("dried up"), state, inputs())
    assert refusal.value.rule == "report.merged"


def test_a_report_is_taken_back_once() -> None:
    [taken] = INTAKE.decide(Withdraw("dried up"), case(REPORT), inputs())
    with pytest.raises(Refused) as refusal:
        INTAKE.decide(Withdraw("dried up"), case(REPORT, taken), inputs())
    assert refusal.value.rule == "withdrawal.once"


# what partners say


HOTLINE: dict[str, Any] = {"source": "/partners/hotline", "actor": "agent 7"}


def react(data: Fact, state: Case, **circumstances: Any) -> Any:
    return INTAKE.react(event(data, **circumstances), state, inputs())


@pytest.mark.parametrize("data", [Supplement(text="more"), Withdrawal(reason="dried up")])
def test_what_is_said_about_a_report_that_has_not_come_is_early(data: Fact) -> None:
    assert isinstance(react(data, Case(), **HOTLINE), Early)
    assert isinstance(react(data, case(MERGED), **HOTLINE), Early)
    assert react(data, case(event(REPORT, **HOTLINE)), **HOTLINE) == ()


def test_a_partner_withdraws_only_what_it_filed() -> None:
    outcome = react(Withdrawal(reason="dried up"), case(REPORT), **HOTLINE)
    assert isinstance(outcome, Unfit)
    assert "/partners/hotline" in outcome.reason


def test_a_report_from_the_future_is_parked_but_a_clock_may_be_a_little_ahead() -> None:
    ahead = timedelta(seconds=POLICY.max_future_skew_seconds)
    assert react(REPORT, Case(), **HOTLINE, at=NOW + ahead) == ()
    assert isinstance(react(REPORT, Case(), **HOTLINE, at=NOW + ahead + timedelta(seconds=1)), Unfit)


def test_a_second_report_of_the_same_case_changes_nothing() -> None:
    state = case(REPORT)
    again = event(REPORT.model_copy(update={"title": "something else"}), **HOTLINE, number=2)
    assert react(again.data, state, **HOTLINE) == ()
    assert INTAKE.evolve(state, again) == state


def test_a_partner_owns_what_it_filed_whether_by_topic_or_over_http() -> None:
    filed = case(event(REPORT, **HOTLINE)).filed
    assert filed is not None
    assert filed.by == "partner:hotline"


# status


@pytest.mark.parametrize(
    ("facts", "status", "outcome"),
    [
        ([], "reported", None),
        ([dispatched()], "dispatched", None),
        ([dispatched(), REWORK], "rework", None),
        ([dispatched(), REWORK, dispatched(2, replaces=f"{CASE}.1.1")], "dispatched", None),
        ([dispatched(), REWORK, dispatched(2, replaces=f"{CASE}.1.1"), CLOSED], "closed", "fixed"),
        ([MERGED], "merged", None),
        ([MERGED, Evaluated(verdict="closed", outcome="duplicate")], "merged", "duplicate"),
        ([REJECTED, Evaluated(verdict="closed", outcome="not_ours")], "rejected", "not_ours"),
        ([dispatched(), Withdrawal(reason="dried up")], "dispatched", None),
        ([dispatched(), Withdrawn(reason="dried up")], "withdrawn", None),
        ([MERGED, dispatched()], "dispatched", None),
        ([Progressed(step="retried")], "reported", None),
    ],
)
def test_status_and_outcome_follow_the_topics(facts: list[Fact], status: str, outcome: str | None) -> None:
    state = case(REPORT, *facts)
    assert (state.status, state.outcome) == (status, outcome)


def test_what_was_ruled_goes_before_what_was_reported() -> None:
    [row] = REPORTS.rows(CASE, case(REPORT.model_copy(update={"category": "mine"}), dispatched()))
    shown = dict(zip(REPORTS.columns, row, strict=True))
    assert (shown["category"], shown["area"]) == ("event.emergency.water-main-burst", "CH/a/b/g001")


def test_nobody_sees_a_case_before_its_report_has_come() -> None:
    assert list(REPORTS.rows(CASE, Case())) == []
    assert list(REPORTS.rows(CASE, case(dispatched(), CLOSED))) == []


def test_a_row_never_holds_what_the_database_cannot() -> None:
    odd = NewReport(channel="partner", title="a\0b", category="c\0", external_ref="e\0", reporter_ref="r\0")
    [row] = REPORTS.rows(
        CASE, case(event(odd, source="/partners/hotline", actor="x\0"), Rejected(why="not_ours", reason="\0"))
    )
    assert not any("\0" in value for value in row if isinstance(value, str))


# laws

lines = st.text(min_size=1, max_size=20)
ids = st.integers(1, 3).map(lambda n: f"{CASE}.{n}.1")
reports = st.lists(
    st.one_of(
        st.builds(NewReport, channel=st.sampled_from(["citizen", "hotline"]), title=lines),
        st.builds(Supplement, text=lines),
        st.builds(Withdrawal, reason=lines),
    ),
    max_size=4,
)
rulings = st.lists(
    st.one_of(
        st.builds(dispatched, st.integers(1, 3), replaces=st.none() | ids),
        st.builds(Merged, into=st.sampled_from([CASE, OTHER]), explanation=st.just(WHY)),
        st.builds(Rejected, why=st.sampled_from(["not_ours", "incomplete"]), reason=lines),
        st.builds(Withdrawn, reason=lines),
    ),
    max_size=4,
)
verdicts = st.lists(
    st.one_of(
        st.builds(
            Evaluated, verdict=st.just("closed"), outcome=st.sampled_from(["fixed", "forced"]), reason=st.none() | lines
        ),
        st.builds(Evaluated, verdict=st.just("rework"), failed=st.lists(ids, min_size=1, max_size=2).map(tuple)),
    ),
    max_size=4,
)


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[list[Fact], list[Fact]]:
    """The same facts in two orders, each topic's own order kept."""
    topics = [draw(reports), draw(rulings), draw(verdicts)]
    turns = [number for number, facts in enumerate(topics) for _ in facts]

    def merged(order: list[int]) -> list[Fact]:
        queues = [iter(facts) for facts in topics]
        return [next(queues[number]) for number in order]

    return merged(turns), merged(draw(st.permutations(turns)))


@given(interleavings())
def test_the_order_between_topics_does_not_matter(orders: tuple[list[Fact], list[Fact]]) -> None:
    assert case(*orders[0]) == case(*orders[1])


@given(interleavings())
def test_folding_is_pure_and_step_by_step_as_at_once(orders: tuple[list[Fact], list[Fact]]) -> None:
    facts = orders[1]
    half = len(facts) // 2
    state = case(*facts[:half])
    before = (state, list(REPORTS.rows(CASE, state)))
    for fact in facts[half:]:
        state = INTAKE.evolve(state, event(fact))
    assert state == case(*facts)
    assert before == (case(*facts[:half]), list(REPORTS.rows(CASE, case(*facts[:half]))))


@given(interleavings(), st.sampled_from([AddSupplement("more"), Withdraw("no"), File(REPORT)]), st.booleans())
def test_a_decision_is_the_same_every_time_and_its_facts_survive_the_wire(
    orders: tuple[list[Fact], list[Fact]], command: Command, own: bool
) -> None:
    state = case(*orders[1])

    def outcome() -> Any:
        try:
            return list(INTAKE.decide(command, state, inputs("reporter:1" if own else "x")))
        except Refused as refusal:
            return refusal.rule

    found = outcome()
    assert found == outcome()
    if isinstance(found, list):
        for fact in found:
            built, raw = build(
                event_id=OTHER,
                source="/services/intake",
                subject=CASE,
                time=NOW,
                recorded=NOW,
                sequence=9,
                data=fact,
                actor="reporter:1",
            )
            assert parse("ReportFiled", raw) == built
            INTAKE.evolve(state, built)


# where


def square(path: str, west: float, south: float, side: float, name: str = "") -> Area:
    ring = [(west, south), (west + side, south), (west + side, south + side), (west, south + side), (west, south)]
    level = ("district", "street", "community", "grid", "subgrid")[path.count("/")]
    name = name or path
    return Area(path=path, level=level, name=name, name_en=name, households=1, polygon=tuple(ring))  # pyright: ignore[reportArgumentType]


def known(slug: str, area: str, lon: float, lat: float, steps: int, radius: int = 100) -> KnownPlace:
    return KnownPlace(
        id=f"place:{slug}",
        name=f"{slug}学校",
        name_en=f"{slug} school",
        kind="school",
        point=(lon, lat),
        area=area,
        radius_m=radius,
        priority_raise=steps,
    )


TERRITORY = Territory(
    Areas(
        version="1",
        areas=(
            square("CH", 104, 30, 0.04),
            square("CH/a", 104, 30, 0.04),
            square("CH/a/b", 104, 30, 0.02, "华林社区"),
            square("CH/a/b/g001", 104, 30, 0.01, "华林社区第1网格"),
            square("CH/a/b/g001/s01", 104, 30, 0.005),
            square("CH/a/b/g002", 104.01, 30, 0.01, "华林社区第2网格"),
            square("CH/a/c", 104, 30.02, 0.02, "South Community"),
            square("CH/a/c/g001", 104, 30.02, 0.01, "grid 1"),
            square("CH/a/c/g012", 104.01, 30.02, 0.01, "grid 12"),
        ),
    ),
    Places(
        version="1",
        places=(
            known("near", "CH/a/b/g001", 104.0080, 30.0080, 1),
            known("nearer", "CH/a/b/g001", 104.0083, 30.0080, 1),
            known("greater", "CH/a/b/g001", 104.0030, 30.0080, 2, 300),
            known("lesser", "CH/a/b/g001", 104.0032, 30.0080, 1, 300),
            known("plain", "CH/a/b/g002", 104.0150, 30.0050, 0),
        ),
    ),
)


def locate(lon: float | None = None, lat: float | None = None, **more: Any) -> tuple[str | None, str | None]:
    point = Point(lon=lon, lat=lat) if lon is not None and lat is not None else None
    place = TERRITORY.locate(point, more.get("address"), more.get("area"))
    return place.area, place.key_place


@pytest.mark.parametrize(
    ("lon", "lat", "area"),
    [
        (104.002, 30.002, "CH/a/b/g001/s01"),
        (104.007, 30.001, "CH/a/b/g001"),
        (104.015, 30.001, "CH/a/b/g002"),
        (104.005, 30.002, "CH/a/b/g001"),  # on the sub-grid's edge, inside its grid
        (104.01, 30.005, None),  # on the edge between two grids
        (104.035, 30.035, None),  # in the street, in no grid
        (121.47, 31.23, None),
    ],
)
def test_a_point_lies_in_the_deepest_area_or_in_none(lon: float, lat: float, area: str | None) -> None:
    assert locate(lon, lat)[0] == area
    assert locate(lon, lat, area="CH/a/b/g002", address="华林社区第2网格")[0] == area


@pytest.mark.parametrize(
    ("lon", "lat", "place"),
    [
        (104.0081, 30.0080, "place:near"),
        (104.00825, 30.0080, "place:nearer"),
        (104.0033, 30.0080, "place:greater"),
        (104.0060, 30.0080, "place:greater"),
        (104.0150, 30.0050, None),
        (104.0095, 30.0080, None),  # beyond the radius of the nearest, though others reach as far
        (104.0081, 30.0020, None),
    ],
)
def test_a_point_is_at_the_key_place_that_matters_most_then_the_nearest(
    lon: float, lat: float, place: str | None
) -> None:
    assert locate(lon, lat)[1] == place


@pytest.mark.parametrize(
    ("address", "area"),
    [
        ("华林社区第2网格，近路口", "CH/a/b/g002"),
        ("华林社区", None),
        ("Grid  12, South community", "CH/a/c/g012"),
        ("GRID 1", "CH/a/c/g001"),
        ("grid 123", None),
        ("near school, gate 3", "CH/a/b/g001"),
        ("near school, grid 12", None),
        ("linear school", None),
        ("somewhere", None),
        (" ", None),
    ],
)
def test_an_address_counts_where_its_names_agree_on_one_grid(address: str, area: str | None) -> None:
    assert locate(address=address)[0] == area


def test_an_address_names_the_key_place_but_an_area_that_was_named_goes_first() -> None:
    assert locate(address="near学校") == ("CH/a/b/g001", "place:near")
    assert locate(address="plain学校") == ("CH/a/b/g002", None)
    assert locate(address="near学校", area="CH/a") == ("CH/a", None)


def test_an_area_that_is_not_of_the_district_is_refused() -> None:
    with pytest.raises(UnknownArea, match="CH/z"):
        locate(area="CH/z")


def test_in_a_generated_district_every_point_lies_where_its_polygon_says(tmp_path: Path) -> None:
    district.main(["--scale", "tiny", "--out", str(tmp_path)])
    areas = Areas.model_validate_json((tmp_path / "areas.json").read_bytes())
    territory = Territory(areas, Places.model_validate_json((tmp_path / "places.json").read_bytes()))
    leaves = [area for area in areas.areas if area.level in ("grid", "subgrid")]
    lons, lats = zip(*(corner for area in leaves for corner in area.polygon), strict=True)
    random, inside = Random(7), 0
    for _ in range(500):
        lon, lat = random.uniform(min(lons), max(lons)), random.uniform(min(lats), max(lats))
        around = [area.path for area in leaves if _winds_around(area, lon, lat)]
        expected = max(around, key=len, default=None)
        assert territory.area_at(Point(lon=lon, lat=lat)) == expected
        inside += expected is not None
    assert inside > 100


def _winds_around(area: Area, lon: float, lat: float) -> bool:
    """The even-odd rule, written without the library under test."""
    odd = False
    for (x1, y1), (x2, y2) in zip(area.polygon, area.polygon[1:], strict=False):
        if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1):
            odd = not odd
    return odd
