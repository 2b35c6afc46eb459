"""Intake's rules about partners: what they may ask, what they are told, and who hears of the end of which case."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import request
from contracts.feedback import Evaluated
from contracts.fields import Attachment, Fact
from contracts.fields import Place as Located
from contracts.intake import NewReport
from contracts.notice import AcceptanceNotice, OutcomeNotice, RulingNotice
from contracts.request import ReportedPlace
from contracts.triage import Merged, Upheld, Withdrawn
from contracts.wire import Circumstances, build
from deploy.partners.entries import retired
from services.intake.domain import requests
from services.intake.domain.case import Case
from services.intake.domain.commands import AddSupplement, By, File, Rate, Reopen, Withdraw
from services.intake.domain.merges import Merges
from tests.domain.intake_story import (
    CASE,
    CLOSED,
    DUPLICATE,
    HOTLINE,
    INTAKE,
    MERGED,
    NOW,
    OTHER,
    REGISTERED,
    REJECTED,
    REPORT,
    REWORK,
    THEIRS,
    WHY,
    case,
    decide,
    dispatched,
    event,
    inputs,
)

# what partners ask

WORDS: Mapping[type[Any], Any] = {
    request.FileReport: request.FileReport(
        channel="sensor",
        reporter_ref="9",
        title="no water",
        text="none at all",
        category="event.emergency.water-main",
        place=ReportedPlace(address="Shuangqiao Road", area="CH/a"),
        attachments=(Attachment(uri="https://photos.example/7.jpg"),),
        base_records=("facility:9",),
        external_ref="H-1",
    ),
    request.AddSupplement: request.AddSupplement(
        text="more", attachments=(Attachment(uri="https://photos.example/8.jpg"),)
    ),
    request.Withdraw: request.Withdraw(reason="dried up"),
    request.Rate: request.Rate(rating=2, comment="too slow"),
    request.Reopen: request.Reopen(reason="wet again"),
}


def asked(words: Fact) -> Any:
    """What a partner says, as an event on its topic."""
    return build(
        words,
        Circumstances(
            event_id=OTHER,
            source="/partners/hotline",
            subject=CASE,
            time=NOW,
            recorded=NOW,
            sequence=None,
            actor="agent 7",
        ),
    )[0]


def test_every_request_about_reports_is_a_command_and_no_other() -> None:
    assert tuple(WORDS) == request.REPORTS
    commands = [requests.command(asked(words), HOTLINE) for words in WORDS.values()]
    assert [type(command) for command in commands] == [File, AddSupplement, Withdraw, Rate, Reopen]
    step = request.Acknowledge(assignment_id=f"{CASE}.1.1")
    assert requests.command(asked(step), HOTLINE) is None


@pytest.mark.parametrize("kind", request.REPORTS)
def test_every_word_of_a_request_reaches_the_fact(kind: type[Any]) -> None:
    words = WORDS[kind]
    state = case(THEIRS) if kind is not request.FileReport else Case()
    if kind in (request.Rate, request.Reopen):
        state = case(THEIRS, CLOSED)
    command = requests.command(asked(words), HOTLINE)
    assert command is not None
    [fact] = decide(command, state, "hotline:agent 7")
    said = words.model_dump(exclude={"kind", "place"})
    assert set(said) == set(type(words).model_fields) - {"kind", "place"}
    if kind is request.FileReport:
        said |= {"reporter_ref": "hotline:9", "reported_by": "hotline"}
        assert isinstance(fact, NewReport)
        assert fact.place == Located(address="Shuangqiao Road", area="CH/a")
    assert fact.model_dump(include=set(said)) == said


def test_a_partner_need_not_give_a_reference_of_its_own() -> None:
    command = requests.command(asked(request.FileReport(channel="sensor", title="no water")), HOTLINE)
    assert command == File("sensor", "no water", by=By("hotline"))


def test_a_partner_is_involved_where_it_filed_and_remembers_what_it_was_told() -> None:
    state = case(THEIRS, AcceptanceNotice(to="hotline", request=OTHER), AcceptanceNotice(to="water", request=OTHER))
    assert [requests.involved(state, one) for one in ("hotline", "water")] == [True, False]
    assert not requests.involved(Case(), "hotline")
    notice = "019e0a9c-1f78-7c3e-8b1a-000000000002"
    assert [requests.told(state, one, notice) for one in ("hotline", "water")] == [True, False]
    assert not requests.told(state, "hotline", "019e0a9c-1f78-7c3e-8b1a-000000000001")


# what partners are told


def test_nothing_is_told_to_who_is_registered_no_more() -> None:
    gone = inputs(partners=retired(REGISTERED, "hotline"))
    assert INTAKE.react(event(dispatched()), case(THEIRS), gone) == ()
    assert INTAKE.react(event(CLOSED), case(THEIRS), gone) == ()
    assert INTAKE.on_propagated(event(CLOSED), case(THEIRS), gone) == ()


def told(*facts: Fact) -> list[list[Fact]]:
    """What is said to the partner because of each fact on its report, all of one stream."""
    state, found = case(THEIRS), []
    for number, fact in enumerate(facts, 1):
        one = event(fact, number=number)
        notices = INTAKE.react(one, state, inputs())
        assert isinstance(notices, list | tuple)
        state = INTAKE.evolve(state, one)
        for notice in notices:
            state = INTAKE.evolve(state, event(notice, number=100 + number))
        found.append(list(notices))
    return found


def ruled(ruling: Any, reason: str | None = None) -> RulingNotice:
    return RulingNotice(to="hotline", ruling=ruling, reason=reason)


def ended(outcome: Any, reason: str | None = None) -> OutcomeNotice:
    return OutcomeNotice(to="hotline", outcome=outcome, reason=reason)


@pytest.mark.parametrize(
    ("facts", "notices"),
    [
        ([dispatched(), dispatched(2)], [[ruled("dispatched")], []]),
        ([MERGED, Merged(into=CASE, explanation=WHY)], [[ruled("merged")], []]),
        ([dispatched(), MERGED, dispatched(2)], [[ruled("dispatched")], [ruled("merged")], [ruled("dispatched")]]),
        ([REJECTED], [[ruled("rejected", "private ground")]]),
        ([dispatched(), Withdrawn(reason="dry")], [[ruled("dispatched")], [ruled("withdrawn", "dry")]]),
        ([dispatched(), Upheld(reason="a hazard")], [[ruled("dispatched")], [ruled("upheld", "a hazard")]]),
        ([CLOSED], [[ended("fixed")]]),
        ([CLOSED, CLOSED], [[ended("fixed")], []]),
        ([Evaluated(verdict="closed", outcome="forced", reason="by order")], [[ended("forced", "by order")]]),
        ([MERGED, DUPLICATE], [[ruled("merged")], []]),
        ([REWORK], [[]]),
    ],
)
def test_a_partner_hears_of_each_change_of_ruling_and_once_of_the_end(
    facts: list[Fact], notices: list[list[Fact]]
) -> None:
    assert told(*facts) == notices


def test_a_person_hears_nothing_on_a_partners_topic() -> None:
    for fact in (dispatched(), MERGED, REJECTED, Upheld(reason="a hazard"), CLOSED):
        assert list(INTAKE.react(event(fact), case(REPORT), inputs())) == []  # pyright: ignore[reportArgumentType]


# the ends of other cases

A, B, C, D = (f"019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a2{n}" for n in range(4))


def around(*, closed: str | None = None, **merged: str) -> Merges:
    """Merges as read from the store: of `A`, `B` ... each into the case named; reports `B` and `D` are partners'."""
    names = dict(zip("ABCD", (A, B, C, D), strict=True))
    closings = {names[closed]: event(CLOSED, subject=names[closed])} if closed else {}
    into = {names[one]: names[other] for one, other in merged.items()}
    return Merges((A, B, C, D), (A, B, C, D), into, (B, D), closings)


def hears(data: Fact, subject: str, merges: Merges, *, theirs: bool) -> list[tuple[str, str]]:
    """(closed case, report that is to hear of it) because of this fact."""
    one = event(data, subject=subject, number=9)
    state = INTAKE.evolve(case(THEIRS if theirs else REPORT), one)
    return [(found.subject, other) for found, other in INTAKE.propagates_to(one, state, inputs(context=merges))]


def test_of_a_closing_hears_every_partner_whose_report_is_part_of_the_case() -> None:
    assert hears(CLOSED, A, around(B="A", C="A", D="C"), theirs=False) == [(A, B), (A, D)]
    assert hears(CLOSED, C, around(B="A", C="A", D="C"), theirs=False) == [(C, D)]
    assert hears(REWORK, A, around(B="A"), theirs=False) == []


def test_a_duplicate_passes_nothing_on_for_its_own_leader_will() -> None:
    merges = around(C="A", D="C")
    assert hears(DUPLICATE, C, merges, theirs=False) == []
    merges.learn(event(DUPLICATE, subject=C))
    assert hears(Merged(into=C, explanation=WHY), B, merges, theirs=True) == []


def test_of_a_merge_after_the_closing_hears_the_report_and_all_that_is_part_of_it() -> None:
    into_a = Merged(into=A, explanation=WHY)
    assert hears(into_a, B, around(closed="A", C="B", D="C"), theirs=True) == [(A, B), (A, D)]
    assert hears(into_a, C, around(closed="A", D="C"), theirs=False) == [(A, D)]
    assert hears(into_a, B, around(C="B"), theirs=True) == []
    assert hears(into_a, D, around(closed="C", A="B", B="C"), theirs=True) == [(C, D)]


def test_what_took_effect_earlier_in_the_batch_counts() -> None:
    merges = around()
    merges.learn(event(Merged(into=A, explanation=WHY), subject=B))
    assert hears(CLOSED, A, merges, theirs=False) == [(A, B)]
    merges.learn(event(CLOSED, subject=A))
    assert hears(Merged(into=A, explanation=WHY), D, merges, theirs=True) == [(A, D)]
    merges.learn(event(dispatched(), subject=B))
    assert hears(CLOSED, A, merges, theirs=False) == []


def test_a_report_that_is_merged_anew_hears_of_its_new_leader_only() -> None:
    merges = around(B="A")
    merges.learn(event(Merged(into=C, explanation=WHY), subject=B))
    assert hears(CLOSED, A, merges, theirs=False) == []
    assert hears(CLOSED, C, merges, theirs=False) == [(C, B)]


def test_a_circle_of_merges_comes_to_an_end() -> None:
    assert hears(CLOSED, A, around(A="B", B="A"), theirs=False) == [(A, B)]
    assert hears(CLOSED, A, around(A="B", B="C", C="D", D="A"), theirs=False) == [(A, D), (A, B)]
    assert hears(Merged(into=B, explanation=WHY), A, around(A="B", B="A"), theirs=False) == []
    assert hears(Merged(into=B, explanation=WHY), A, around(A="B", B="C", C="B"), theirs=False) == []


def test_a_merge_that_a_later_ruling_overtook_tells_nobody_anything() -> None:
    merge = event(Merged(into=A, explanation=WHY), subject=B, number=5)
    state = case(THEIRS, event(dispatched(), subject=B, number=6), merge)
    assert INTAKE.propagates_to(merge, state, inputs(context=around(closed="A", D="B"))) == []


def test_merges_that_were_not_read_are_not_taken_for_none() -> None:
    with pytest.raises(LookupError, match=A):
        hears(CLOSED, A, Merges(), theirs=False)
    with pytest.raises(LookupError, match=A):
        hears(Merged(into=A, explanation=WHY), B, Merges(), theirs=True)


def test_a_report_hears_of_its_leaders_outcome_once_and_of_nothing_else() -> None:
    closing = event(Evaluated(verdict="closed", outcome="forced", reason="the other reporter agrees"), subject=A)
    assert list(INTAKE.on_propagated(closing, case(THEIRS, MERGED), inputs())) == [ended("forced")]
    assert list(INTAKE.on_propagated(closing, case(THEIRS, MERGED, ended("forced")), inputs())) == []
    assert list(INTAKE.on_propagated(closing, case(REPORT, MERGED), inputs())) == []
    assert list(INTAKE.on_propagated(closing, Case(), inputs())) == []


@given(
    st.dictionaries(st.integers(0, 9), st.integers(0, 9), max_size=10),
    st.sets(st.integers(0, 9)),
    st.sets(st.integers(0, 9)),
    st.integers(0, 9),
)
def test_what_is_read_and_what_is_learned_make_one_picture(
    into: dict[int, int], partners: set[int], read: set[int], leader: int
) -> None:
    names = [f"019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4b{n:02d}" for n in range(10)]
    stored = {names[one]: names[other] for one, other in into.items() if one in read}
    merges = Merges(names, names, stored, [names[one] for one in partners])
    for one, other in into.items():
        if one not in read:
            merges.learn(event(Merged(into=names[other], explanation=WHY), subject=names[one]))

    def part_of(one: int) -> bool:
        seen: set[int] = set()
        while one in into and one not in seen:
            seen.add(one)
            one = into[one]
            if one == leader:
                return True
        return False

    expected = [names[one] for one in sorted(partners) if one != leader and part_of(one)]
    assert sorted(merges.followers(names[leader])) == expected
