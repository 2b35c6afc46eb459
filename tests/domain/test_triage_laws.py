"""Laws of triage's decider that hold for any history, and of what it says may be done with a case."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.engine.decider import Refused, Unfit, refusal
from contracts.fields import Fact
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.triage import Upheld
from services.triage.domain.case import Assignment, Case, evolve
from services.triage.domain.commands import Action, By, Command, Dispatch, Merge, NamedUnit, Reject, Verify, actions
from services.triage.views import CASES
from tests.domain.triage_story import (
    CASE,
    CLOSED,
    FIRE,
    GRID,
    LEADER,
    MAIN,
    OTHER,
    POSTER,
    POTHOLE,
    WATER,
    Story,
    event,
    filed,
    report,
    returned_twice,
    rework,
    verifying,
    waiting,
)

END = st.sampled_from(["fixed", "returned", "cancelled"])
MOVES = st.one_of(
    st.tuples(st.just("end"), END, st.integers(0, 9)),
    st.tuples(st.just("rework"), END, st.integers(0, 9)),
    st.tuples(st.sampled_from(["close", "withdraw", "supplement", "report"]), END, st.just(0)),
    st.tuples(st.sampled_from(["file", "reject", "merge", "confirm", "wait"]), END, st.integers(0, 9)),
)


def step_of(story: Story, move: tuple[str, str, int]) -> None:
    """One thing that may happen to a case at any time."""
    kind, outcome, number = move
    names = list(story.state.assignments)
    if kind in ("end", "rework") and not names:
        return
    name = names[number % len(names)] if names else ""
    assignment = story.state.assignments.get(name)
    if kind == "rework" and (story.status == "closed" or (assignment and assignment.outcome not in (None, "fixed"))):
        return  # feedback's closing is its last word, and only what is fixed fails at a check
    if assignment is not None and assignment.failed:
        outcome = "fixed"
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
                "file": Dispatch(POTHOLE, area=GRID, units=(NamedUnit(FIRE),) * number, by=LEADER),
                "reject": Reject("not_ours", "no", by=LEADER),
                "merge": Merge(OTHER, by=LEADER),
                "confirm": Verify(True),
            }
            try:
                story.ask(commands[kind])
            except Refused:
                return


def failed_and_resolved(state: Case) -> tuple[Assignment, ...]:
    """What failed, once all of it has been resolved."""
    return () if any(one.outcome is None for one in state.failed) else state.failed


STATE_RULES = ("verification.state", "ruling.state", "ruling.second_return")
REPORTS = st.sampled_from([report(), report(POSTER), report(POTHOLE, channel="citizen"), report(None, title="zzz")])


@settings(max_examples=300, deadline=None)
@given(REPORTS, st.lists(MOVES, max_size=25))
def test_whatever_happens_no_work_is_forgotten_and_the_story_folds_as_it_was_told(
    new: NewReport, moves: list[tuple[str, str, int]]
) -> None:
    story = Story()
    story.hear(new)
    for move in moves:
        step_of(story, move)
        state = story.state
        if not state.over:
            assert not state.gaps or state.waiting is not None, "work that nobody does waits for a person"
            assert failed_and_resolved(state) == (), "what failed is done again"
            leads = [one for one in state.assignments.values() if one.plan.lead and not one.replaced]
            assert len(leads) == (1 if state.assignments else 0), "exactly one leads"
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
    assert not isinstance(facts, Unfit)
    assert list(facts) == [told.data for told in story.told[known + 1 :]]
    after = story.state
    again = story.decider.react(event(heard.data, number=77), after, inputs)
    upheld = [fact for fact in facts if isinstance(fact, Upheld)]  # every withdrawal is answered
    assert again == (upheld or ())


@given(st.permutations([told.data for told in filed().told] + [CLOSED, rework(f"{CASE}.1.1"), Supplement(text="x")]))
def test_evolve_never_refuses(order: list[Fact]) -> None:
    state = Case()
    for fact in order:
        state = evolve(state, event(fact, when=datetime(2026, 1, 1, tzinfo=UTC)))
    assert state.report is not None
    assert state.dispatched is not None


def complete(action: Action, by: By, state: Case) -> list[Command]:
    """Entries that break no rule about what is entered."""
    if action == "verify":
        return [Verify(True), Verify(False, note="nothing to be seen at the address")]
    units = tuple(NamedUnit(WATER, replaces=gap.plan.id) for gap in state.gaps) or (NamedUnit(FIRE),)
    return [
        Dispatch(MAIN, area=GRID, units=units, by=by),
        Merge(OTHER, by=by),
        Reject("not_ours", "lies in the next district", by=by),
    ]


def incomplete(action: Action, by: By) -> list[Command]:
    """Entries that may break such a rule."""
    wrong = (NamedUnit(FIRE, replaces=f"{CASE}.9.9"),)
    return [Dispatch(by=by), Dispatch(units=wrong, by=by), Merge(CASE, by=by)] if action == "rule" else []


@settings(max_examples=300, deadline=None)
@given(REPORTS, st.lists(MOVES, max_size=12), st.sampled_from([By(), LEADER]))
def test_an_action_is_refused_by_the_rule_that_refuses_its_command_whatever_is_entered(
    new: NewReport, moves: list[tuple[str, str, int]], by: By
) -> None:
    story = Story()
    story.hear(new)
    for move in moves:
        step_of(story, move)
    inputs, decide = story.inputs("wang"), story.decider.decide
    for action, refused in actions(by, story.state, inputs).items():
        right = [refusal(decide, command, story.state, inputs) for command in complete(action, by, story.state)]
        wrong = [refusal(decide, command, story.state, inputs) for command in incomplete(action, by)]
        if refused is None:
            assert right == [None] * len(right)
            assert not {one.rule for one in wrong if one} & {"unknown", *STATE_RULES}
        else:
            assert refused.rule in STATE_RULES
            assert {(one.rule, str(one)) for one in (*right, *wrong) if one} == {(refused.rule, str(refused))}
            assert None not in (*right, *wrong)


def test_nothing_may_be_done_with_a_case_that_does_not_exist() -> None:
    story = Story()
    assert {str(one) for one in actions(LEADER, story.state, story.inputs()).values()} == {f"there is no case {CASE}"}


@pytest.mark.parametrize(
    ("story", "by", "rules"),
    [
        (verifying, By(), (None, None)),
        (waiting, By(), ("verification.state", None)),
        (filed, LEADER, ("verification.state", "ruling.state")),
        (returned_twice, By(), ("verification.state", "ruling.second_return")),
        (returned_twice, LEADER, ("verification.state", None)),
    ],
)
def test_what_may_be_done_depends_on_what_the_case_waits_for(
    story: Callable[[], Story], by: By, rules: tuple[str | None, str | None]
) -> None:
    told = story()
    found = actions(by, told.state, told.inputs("wang"))
    assert tuple(one.rule if one else None for one in found.values()) == rules
