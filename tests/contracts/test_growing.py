"""A set that grows is a set, whichever of its earlier states one goes on from; and it grows at one price."""

import time

from hypothesis import given
from hypothesis import strategies as st

from contracts.growing import Ids


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcdefgh"))))
def test_it_is_a_set_whichever_state_one_goes_on_from(steps: list[tuple[int, str]]) -> None:
    found: list[tuple[Ids, frozenset[str]]] = [(Ids(), frozenset())]
    for place, name in steps:
        ids, names = found[place % len(found)]
        found.append((ids.plus(name), names | {name}))
    for ids, names in found:
        assert (frozenset(ids), len(ids)) == (names, len(names))
        assert [name in ids for name in "abcdefghi"] == [name in names for name in "abcdefghi"]
    for ids, names in found:
        assert [ids == other for other, _ in found] == [names == others for _, others in found]
        assert all(hash(ids) == hash(other) for other, _ in found if ids == other)


def test_what_is_no_id_is_not_in_it() -> None:
    ids = Ids().plus("a").plus("b")
    assert [one in ids for one in ("a", "c", None, 1, ["a"], {"a"})] == [True, False, False, False, False, False]


def test_one_more_costs_the_same_however_many_there_are() -> None:
    def seconds(count: int) -> float:
        began, ids = time.process_time(), Ids()
        for number in range(count):
            ids = ids.plus(str(number))
        return time.process_time() - began

    seconds(1_000)
    assert seconds(50_000) < 50 * seconds(5_000), "ten times as many would cost a hundred times as much, were it copied"
