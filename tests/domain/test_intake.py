"""Intake's rules: what may be said about a report and by whom, which time counts, and what its status is."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.engine.decider import Inputs, Refused, Unknown, decided
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Attachment, Fact, Point
from contracts.fields import Place as Located
from contracts.intake import NewReport, Rating, Reopening, Supplement, Withdrawal
from contracts.progress import Retried
from contracts.reference import Partner
from contracts.request import ReportedPlace
from contracts.triage import Merged, Rejected, Upheld, Withdrawn
from contracts.wire import Circumstances, build, parse
from services.intake import bodies
from services.intake.domain.case import Case
from services.intake.domain.commands import (
    MAX_SUPPLEMENTS,
    AddSupplement,
    By,
    Command,
    Disclose,
    File,
    Rate,
    Reopen,
    Withdraw,
    actions,
)
from services.intake.views import REPORTS
from tests.contracts.strategies import of
from tests.domain.intake_story import (
    CASE,
    CLOSED,
    DUPLICATE,
    FILE,
    HOTLINE,
    INTAKE,
    LATE,
    MERGED,
    NOW,
    OTHER,
    REJECTED,
    REPORT,
    REWORK,
    RULES,
    SKEW,
    THEIRS,
    WATER,
    WHY,
    case,
    decide,
    dispatched,
    event,
    inputs,
    refused,
)

# filing


def test_a_report_is_located_and_says_whose_system_sent_it_in() -> None:
    where = ReportedPlace(point=Point(lat=30, lon=104), address="Shuangqiao Road", area="CH/a")
    [fact] = decide(File("hotline", "no water", place=where, by=By("hotline")), Case())
    assert isinstance(fact, NewReport)
    assert (fact.reported_by, fact.retrospective) == ("hotline", False)
    assert fact.place == Located(point=where.point, address=where.address, area=where.area)
    assert decide(FILE, Case()) == [REPORT]


def test_an_area_that_is_not_of_the_district_is_refused_by_name() -> None:
    assert refused(File("citizen", "no water", place=ReportedPlace(area="CH/atlantis")), Case()) == "place.area"


def test_a_case_is_reported_once() -> None:
    assert refused(FILE, case(REPORT)) == "report.once"


# which time counts

ACCEPTOR = By(on_behalf=True)
YES, NO = True, False
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("partner", "claimed", "at", "doubtful", "retrospective"),
    [
        (None, None, NOW, NO, NO),
        (None, NOW, NOW, NO, NO),
        (None, NOW - HOUR, NOW, NO, NO),
        (None, NOW - LATE, NOW, NO, NO),
        (None, NOW - LATE - HOUR, NOW - LATE - HOUR, NO, YES),
        (None, NOW + SKEW, NOW, NO, NO),
        (None, NOW + SKEW + HOUR, NOW, YES, NO),
        (WATER, NOW - LATE - HOUR, NOW - LATE - HOUR, NO, YES),
        (HOTLINE, NOW - HOUR, NOW, NO, NO),
        (HOTLINE, NOW - LATE, NOW, NO, NO),
        (HOTLINE, NOW - LATE - HOUR, NOW, YES, NO),
        (HOTLINE, NOW + SKEW + HOUR, NOW, YES, NO),
    ],
)
def test_a_report_counts_from_its_arrival_unless_it_may_be_about_a_time_long_past(
    partner: Partner | None, claimed: datetime | None, at: datetime, doubtful: bool, retrospective: bool
) -> None:
    asked = inputs(claimed=claimed, believed=partner is None or partner.retrospective)
    by = By(partner.id if partner is not None else None)
    counted, [fact] = decided(INTAKE, File("hotline", "x", by=by), Case(), asked)
    assert isinstance(fact, NewReport)
    assert counted.at == at
    assert fact.claimed_at == (claimed if claimed != at else None)
    assert (fact.time_doubtful, fact.retrospective) == (doubtful, retrospective)


@pytest.mark.parametrize("before", [0 * HOUR, HOUR])
def test_a_record_that_lay_at_the_broker_for_days_is_no_late_entry(before: timedelta) -> None:
    arrived = NOW - LATE - HOUR
    asked = Inputs(at=arrived, now=NOW, stream=CASE, claimed=arrived - before)
    counted, [fact] = decided(INTAKE, File("hotline", "x", by=By("water")), Case(), asked)
    assert isinstance(fact, NewReport)
    assert (counted.at, fact.retrospective) == (arrived, False)
    assert fact.claimed_at == (arrived - before if before else None)


@pytest.mark.parametrize(
    ("retrospective", "claimed", "at", "doubtful"),
    [
        (NO, NOW - HOUR, NOW, NO),
        (NO, NOW - 9 * HOUR, NOW, YES),
        (NO, NOW + HOUR, NOW, YES),
        (YES, NOW - HOUR, NOW - HOUR, NO),
        (YES, NOW - 9 * HOUR, NOW - 2 * HOUR, YES),
        (YES, NOW + HOUR, NOW, YES),
    ],
)
@pytest.mark.parametrize("command", [AddSupplement("more", by=ACCEPTOR), Withdraw("dried up", by=ACCEPTOR)])
def test_what_is_said_later_counts_from_its_arrival_unless_the_case_is_retrospective(
    command: Command, retrospective: bool, claimed: datetime, at: datetime, doubtful: bool
) -> None:
    """The report was seen two hours ago and, where it is not retrospective, came in half an hour ago."""
    seen = NOW - 2 * HOUR
    if retrospective:
        filed = event(REPORT.model_copy(update={"retrospective": True}), at=seen)
    else:
        filed = event(REPORT.model_copy(update={"claimed_at": seen}), at=NOW - HOUR / 2)
    counted, [fact] = decided(INTAKE, command, case(filed), inputs(claimed=claimed))
    assert (counted.at, counted.doubtful) == (at, doubtful)
    assert fact.time_doubtful == doubtful  # pyright: ignore[reportAttributeAccessIssue]  both have it


def test_a_partner_without_the_right_is_not_believed_in_a_retrospective_case_either() -> None:
    filed = event(THEIRS.model_copy(update={"retrospective": True}), at=NOW - 2 * HOUR)
    asked = inputs(claimed=NOW - HOUR, believed=HOTLINE.retrospective)
    counted, _ = decided(INTAKE, AddSupplement("x", by=By("hotline")), case(filed), asked)
    assert (counted.at, counted.claimed_at) == (NOW, NOW - HOUR)


# saying more, taking back


def test_whoever_filed_a_report_adds_to_it_under_their_reference() -> None:
    assert decide(AddSupplement("more"), case(REPORT)) == [Supplement(reporter_ref="reporter:1", text="more")]
    theirs = decide(AddSupplement("more", by=By("hotline")), case(THEIRS), "hotline:agent 7")
    assert theirs == [Supplement(reporter_ref="hotline:9", text="more")]


def test_an_acceptor_adds_on_behalf_under_no_reference_and_withdraws_under_the_reporters() -> None:
    by_telephone = case(event(REPORT, actor="zhao"))
    added = decide(AddSupplement("more", by=ACCEPTOR), case(REPORT), "wang")
    taken = decide(Withdraw("by phone", by=ACCEPTOR), by_telephone, "wang")
    assert added == [Supplement(text="more")]
    assert taken == [Withdrawal(reporter_ref="reporter:1", reason="by phone")]


@pytest.mark.parametrize("filed", [REPORT, THEIRS, NewReport(channel="handset", title="water on the road")])
def test_nobody_withdraws_on_behalf_what_was_filed_with_a_login_or_key_of_its_own(filed: NewReport) -> None:
    assert refused(Withdraw("over", ACCEPTOR), case(filed), "wang") == "report.owner"
    assert decide(AddSupplement("more", by=ACCEPTOR), case(filed), "wang") == [Supplement(text="more")]


UNIT, PARTNER = By(unit="dept:water"), By("hotline", partner_units=("dept:water",))
ABOVE, SUPERIOR = By(unit="district:CH"), dispatched().plan[0].model_copy(update={"escalated_to": ("district:CH",)})


@pytest.mark.parametrize(
    ("filed", "filer", "by", "allowed"),
    [
        (NewReport(channel="handset", title="water"), "member:7", UNIT, NO),
        (NewReport(channel="handset", title="water"), "member:7", ABOVE, NO),
        (NewReport(channel="handset", title="water"), "member:7", By(unit="grid:CH/a/b/g001"), YES),
        (THEIRS, "hotline:agent 7", PARTNER, NO),
        (THEIRS, "hotline:agent 7", By("hotline", partner_units=("dept:fire",)), YES),
        (REPORT, "zhao", replace(ACCEPTOR, unit="dept:water"), NO),
        (REPORT, "zhao", replace(ACCEPTOR, unit="dept:fire"), NO),  # the work may have been handed on to it
        (REPORT, "zhao", ACCEPTOR, YES),
    ],
)
def test_once_work_is_given_out_nobody_withdraws_what_their_unit_may_have_handled(
    filed: NewReport, filer: str, by: By, allowed: bool
) -> None:
    """The case would leave every figure of the unit."""
    reported, given = event(filed, actor=filer), event(dispatched(plan=(SUPERIOR,)), number=2)
    later = event(dispatched(2, because="returned", replaces=f"{CASE}.1.1", unit="dept:gas"), number=3)
    asker = "wang" if by.on_behalf else filer
    assert len(decide(Withdraw("over", by), case(reported), asker)) == 1
    for facts in ([given], [given, later], [later, given]):
        state = case(reported, *facts)
        if allowed:
            assert len(decide(Withdraw("over", by), state, asker)) == 1
        else:
            assert refused(Withdraw("over", by), state, asker) == "withdrawal.separation"


@pytest.mark.parametrize(
    ("filed", "actor", "partner"),
    [
        (REPORT, "reporter:2", None),
        (REPORT, "reporter:1", "hotline"),
        (THEIRS, "water:agent 7", "water"),
        (THEIRS, "partner:hotline", None),
        (THEIRS, "partner:hotline", "water"),
    ],
)
def test_strangers_may_neither_add_nor_withdraw(filed: NewReport, actor: str, partner: str | None) -> None:
    for command in (AddSupplement("more", by=By(partner)), Withdraw("dried up", by=By(partner))):
        assert refused(command, case(filed), actor) == "report.owner"


@pytest.mark.parametrize("command", [AddSupplement("more"), Withdraw("dried up")])
def test_of_a_report_that_does_not_exist_nothing_can_be_said(command: Command) -> None:
    with pytest.raises(Unknown):
        decide(command, Case())


@pytest.mark.parametrize("ruling", [CLOSED, REJECTED, Withdrawn(reason="dried up")])
@pytest.mark.parametrize("command", [AddSupplement("more"), Withdraw("dried up")])
def test_a_report_that_has_ended_takes_nothing_more(ruling: Fact, command: Command) -> None:
    assert refused(command, case(REPORT, ruling)) == "report.ended"


def test_a_report_takes_two_hundred_supplements() -> None:
    state = case(REPORT)
    for number in range(2, 202):
        [more] = decide(AddSupplement("more"), state)
        state = INTAKE.evolve(state, event(more, number=number))
    assert refused(AddSupplement("more"), state) == "supplement.limit"


@pytest.mark.parametrize("facts", [[MERGED], [MERGED, DUPLICATE]])
def test_a_merged_report_takes_a_supplement_but_no_withdrawal(facts: list[Fact]) -> None:
    state = case(REPORT, *facts)
    assert len(decide(AddSupplement("more"), state)) == 1
    assert refused(Withdraw("dried up"), state) == "report.merged"


def test_a_report_is_taken_back_once_also_where_the_case_went_on() -> None:
    [taken] = decide(Withdraw("dried up"), case(REPORT))
    assert refused(Withdraw("dried up"), case(REPORT, taken)) == "withdrawal.once"
    state = case(REPORT, taken, Upheld(reason="a hazard"))
    assert refused(Withdraw("dried up"), state) == "withdrawal.once"
    assert (state.status, state.upheld_reason) == ("reported", "a hazard")


# status


RETRIED = Retried(parked_topic="Assigned", partition=0, offset=7, parked_because="a defect", reason="mended")


@pytest.mark.parametrize(
    ("facts", "status", "outcome"),
    [
        ([], "reported", None),
        ([dispatched()], "dispatched", None),
        ([dispatched(), REWORK], "rework", None),
        ([dispatched(), REWORK, dispatched(2, replaces=f"{CASE}.1.1")], "dispatched", None),
        ([dispatched(), REWORK, dispatched(2, replaces=f"{CASE}.1.1"), CLOSED], "closed", "fixed"),
        ([MERGED], "merged", None),
        ([MERGED, DUPLICATE], "closed", "duplicate"),
        ([REJECTED], "rejected", None),
        ([REJECTED, Evaluated(verdict="closed", outcome="not_ours")], "closed", "not_ours"),
        ([dispatched(), Withdrawal(reason="dried up")], "dispatched", None),
        ([dispatched(), Withdrawn(reason="dried up")], "withdrawn", None),
        ([MERGED, dispatched()], "dispatched", None),
        ([dispatched(), Upheld(reason="a hazard")], "dispatched", None),
        ([RETRIED], "reported", None),
    ],
)
def test_status_and_outcome_follow_the_topics(facts: list[Fact], status: str, outcome: str | None) -> None:
    state = case(REPORT, *facts)
    assert (state.status, state.outcome) == (status, outcome)


def test_a_ruling_or_verdict_that_comes_late_changes_nothing() -> None:
    state = case(REPORT, event(MERGED, number=7), event(CLOSED, number=7))
    assert INTAKE.evolve(state, event(REJECTED, number=6)) == state
    again = INTAKE.evolve(state, event(Evaluated(verdict="closed", outcome="forced"), number=6))
    assert (again.outcome, again.closed_at) == (state.outcome, state.closed_at)
    assert list(INTAKE.react(event(REJECTED, number=6), case(THEIRS, event(MERGED, number=7)), inputs())) == []  # pyright: ignore[reportArgumentType]


def test_what_was_ruled_goes_before_what_was_reported() -> None:
    [row] = REPORTS.rows(CASE, case(REPORT.model_copy(update={"category": "mine"}), dispatched()))
    shown = dict(zip(REPORTS.columns, row, strict=True))
    assert (shown["category"], shown["area"]) == ("event.emergency.water-main", "CH/a/b/g001")


def test_nobody_sees_a_case_before_its_report_has_come() -> None:
    assert list(REPORTS.rows(CASE, Case())) == []
    assert list(REPORTS.rows(CASE, case(dispatched(), CLOSED))) == []


# laws

lines = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).map("a{}".format)  # never blank
ids = st.integers(1, 3).map(lambda n: f"{CASE}.{n}.1")
verdict_ids = st.integers(1, 4).map("019e0a9c-1f78-7c3e-8b1a-{:012x}".format)
reports = st.lists(
    st.one_of(
        st.builds(
            NewReport,
            channel=st.sampled_from(["citizen", "hotline"]),
            title=lines,
            reported_by=st.sampled_from([None, "hotline"]),
        ),
        st.builds(Supplement, text=lines),
        st.builds(Withdrawal, reason=lines),
        st.builds(Rating, verdict_id=verdict_ids, rating=st.integers(1, 5)),
        st.builds(Reopening, verdict_id=verdict_ids, reason=lines),
    ),
    max_size=5,
)
rulings = st.lists(
    st.one_of(
        st.builds(dispatched, st.integers(1, 3), replaces=st.none() | ids),
        st.builds(Merged, into=st.sampled_from([CASE, OTHER]), explanation=st.just(WHY)),
        st.builds(Rejected, why=st.sampled_from(["not_ours", "incomplete"]), reason=lines),
        st.builds(Withdrawn, reason=lines),
        st.builds(Upheld, reason=lines),
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
def interleavings(draw: st.DrawFn) -> tuple[list[Event[Any]], list[Event[Any]]]:
    """The same events in two orders, each topic's own order kept."""
    topics = [
        [event(fact, number=number) for number, fact in enumerate(draw(facts), 1)]
        for facts in (reports, rulings, verdicts)
    ]
    turns = [number for number, facts in enumerate(topics) for _ in facts]

    def merged(order: list[int]) -> list[Event[Any]]:
        queues = [iter(facts) for facts in topics]
        return [next(queues[number]) for number in order]

    return merged(turns), merged(draw(st.permutations(turns)))


@given(interleavings())
def test_the_order_between_topics_does_not_matter(orders: tuple[list[Event[Any]], list[Event[Any]]]) -> None:
    assert case(*orders[0]) == case(*orders[1])


@given(interleavings())
def test_folding_is_pure_and_step_by_step_as_at_once(orders: tuple[list[Event[Any]], list[Event[Any]]]) -> None:
    facts = orders[1]
    half = len(facts) // 2
    state = case(*facts[:half])
    before = (state, list(REPORTS.rows(CASE, state)))
    for fact in facts[half:]:
        state = INTAKE.evolve(state, fact)
    assert state == case(*facts)
    assert before == (case(*facts[:half]), list(REPORTS.rows(CASE, case(*facts[:half]))))


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
attachments = st.lists(of(Attachment), max_size=2).map(tuple)
ENTRIES: Mapping[type[Command], Callable[[By], st.SearchStrategy[Command]]] = {
    AddSupplement: lambda by: st.builds(AddSupplement, texts, attachments, st.just(by)),
    Withdraw: lambda by: st.builds(Withdraw, texts, st.just(by)),
    Rate: lambda by: st.builds(Rate, st.integers(), st.none() | texts, st.just(by)),
    Reopen: lambda by: st.builds(Reopen, texts, st.just(by)),
}
"""Command -> whatever may be entered."""
EXAMPLES: Mapping[type[Command], Callable[[By], Command]] = {
    AddSupplement: lambda by: AddSupplement(bodies.SupplementBody(**example_of(bodies.SupplementBody)).text, by=by),
    Withdraw: lambda by: Withdraw(bodies.WithdrawalBody(**example_of(bodies.WithdrawalBody)).reason, by),
    Rate: lambda by: Rate(bodies.RatingBody(**example_of(bodies.RatingBody)).rating, by=by),
    Reopen: lambda by: Reopen(bodies.ReopeningBody(**example_of(bodies.ReopeningBody)).reason, by),
}


def example_of(body: type[bodies.Body]) -> Any:
    """The first example in a body's own schema."""
    return body.model_json_schema()["examples"][0]


@st.composite
def reachable(draw: st.DrawFn) -> Case:
    """A case after facts of any interleaving; sometimes as full of supplements as a report may be."""
    state = case(*draw(interleavings())[1])
    return replace(state, supplement_count=MAX_SUPPLEMENTS) if draw(st.integers(0, 9)) == 0 else state


speakers = st.tuples(
    st.builds(By, st.sampled_from([None, "hotline", "water"]), st.booleans()), st.sampled_from(["reporter:1", "wang"])
)


@given(st.data(), reachable(), speakers)
def test_an_action_is_refused_by_the_rule_that_refuses_the_command_and_else_allowed(
    data: st.DataObject, state: Case, speaker: tuple[By, str]
) -> None:
    by, actor = speaker
    found = actions(by, state, inputs(actor), RULES)
    assert (
        found.keys() == ENTRIES.keys() == {*get_args(Command)} - {File, Disclose}
    )  # those are about no report, or a person
    for command, refused_by in found.items():
        if refused_by is None:
            assert len(decide(EXAMPLES[command](by), state, actor)) == 1
        else:
            assert refused(data.draw(ENTRIES[command](by)), state, actor) == refused_by.rule


@given(
    interleavings(),
    st.sampled_from([AddSupplement("more"), Withdraw("no"), Rate(1, "bad"), Reopen("again"), FILE]),
    st.booleans(),
)
def test_a_decision_is_the_same_every_time_and_its_facts_survive_the_wire(
    orders: tuple[list[Event[Any]], list[Event[Any]]], command: Command, own: bool
) -> None:
    state = case(*orders[1])

    def outcome() -> Any:
        try:
            return decide(command, state, "reporter:1" if own else "x")
        except Refused as refusal:
            return refusal.rule

    found = outcome()
    assert found == outcome()
    if isinstance(found, list):
        for fact in found:
            built, raw = build(
                fact,
                Circumstances(
                    event_id=OTHER,
                    source="/services/intake",
                    subject=CASE,
                    time=NOW,
                    recorded=NOW,
                    sequence=9,
                    actor="reporter:1",
                ),
            )
            assert parse("ReportFiled", raw) == built
            INTAKE.evolve(state, built)
