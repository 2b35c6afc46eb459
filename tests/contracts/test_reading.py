"""The rule of who may read: what several roles see together, and cases that are not placed yet."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.reading import Knows, Matter, Sight, scope_of
from contracts.roles import Role, needs_areas

STREET = "CH/shuangqiaozi"
FAMILY = "dispute.family.violence"
KNOWS = Knows(frozenset({FAMILY}), "CH", categories=True, units=True, filers=True)
ORDER = (Sight.HIDDEN, Sight.OUTSIDE, Sight.PART, Sight.WHOLE)
matters = st.builds(
    Matter,
    st.sampled_from([None, "CH", STREET, f"{STREET}/shuanglin/g001", "CH/shuangqiao", "CH/shengdeng"]),
    st.sampled_from([None, FAMILY, "event.emergency.water-main"]),
    st.frozensets(st.sampled_from(["dept:water", "dept:fire"])),
    st.frozensets(st.sampled_from(["dept:water", "dept:fire"])),
    st.booleans(),
)
tokens = st.tuples(
    st.sampled_from([(), (STREET,), ("CH",), ("CH/shengdeng", STREET)]), st.sampled_from([(), ("dept:water",)])
)


@given(st.sampled_from([*combinations(Role, 2)]), tokens, matters)
def test_two_roles_see_together_what_either_sees_and_no_more(
    roles: tuple[Role, Role], claims: tuple[tuple[str, ...], tuple[str, ...]], matter: Matter
) -> None:
    alone = [scope_of({role}, *claims, KNOWS).sight(matter) for role in roles]
    both = scope_of(roles, *claims, KNOWS).sight(matter)
    assert both is max(alone, key=ORDER.index)


@given(st.sampled_from([*Role]), tokens, matters)
def test_a_sensitive_case_is_never_said_to_lie_elsewhere(
    role: Role, claims: tuple[tuple[str, ...], tuple[str, ...]], matter: Matter
) -> None:
    sight = scope_of({role}, *claims, KNOWS).sight(matter)
    assert not (matter.category == FAMILY and sight is Sight.OUTSIDE)


@pytest.mark.parametrize(
    ("areas", "sees"),
    [((), False), ((STREET,), False), (("ZZ",), False), (("CH",), True), ((STREET, "CH"), True)],
)
def test_a_case_that_is_not_placed_yet_is_for_who_has_the_district(areas: tuple[str, ...], sees: bool) -> None:
    assert (scope_of({"acceptor"}, areas, (), KNOWS).sight(Matter(None)) is Sight.WHOLE) is sees
    assert scope_of({"auditor"}, (), (), KNOWS).sight(Matter(None)) is Sight.WHOLE


@pytest.mark.parametrize(("category", "sight"), [(FAMILY, Sight.HIDDEN), ("dispute.neighbour.quarrel", Sight.PART)])
def test_who_gave_back_the_work_of_a_sensitive_case_does_not_see_it(category: str, sight: Sight) -> None:
    units = frozenset({"dept:water", "dept:fire"})
    matter = Matter(STREET, category, units, working=frozenset({"dept:fire"}))
    for unit, seen in (("dept:water", sight), ("dept:fire", Sight.PART)):
        assert scope_of({"partner"}, (), [unit], KNOWS).sight(matter) is seen


def test_a_path_that_begins_alike_is_another_area() -> None:
    assert scope_of({"dispatcher"}, ("CH/shuangqiao",), (), KNOWS).sight(Matter(STREET)) is Sight.OUTSIDE


@pytest.mark.parametrize(
    ("roles", "needs"),
    [
        (["acceptor"], True),
        (["grid_member", "reporter"], True),
        (["acceptor", "auditor"], False),
        (["reporter"], False),
    ],
)
def test_a_token_needs_areas_where_its_roles_see_none_without(roles: list[str], needs: bool) -> None:
    assert needs_areas(roles) is needs
