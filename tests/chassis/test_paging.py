"""A page's cursor leads to the next page from any position a list can have."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from chassis.engine.commands import Unusable
from chassis.web.paging import encode_cursor, page, position
from contracts.fields import EARLIEST, LATEST, MAX_INTEGER

INSTANTS = [EARLIEST, datetime(1970, 12, 31, 23, 59, 59, 1, UTC), datetime(2026, 5, 9, tzinfo=UTC), LATEST]


@pytest.mark.parametrize("at", INSTANTS)
def test_a_position_at_any_instant_comes_back_as_it_was(at: datetime) -> None:
    next_page = page([(at, "a"), (at, "b")], 1, lambda item: [*item])["next"]
    assert position(next_page, datetime, str) == (at, "a")


@pytest.mark.parametrize("number", [0, 1, MAX_INTEGER])
def test_a_position_at_any_number_comes_back_as_it_was(number: int) -> None:
    assert position(encode_cursor([number, "水"]), int, str) == (number, "水")


@pytest.mark.parametrize(
    "key", [["1969-12-31T23:59:59Z", "x"], ["2200-01-01T00:00:00Z", "x"], ["2026-05-09T08:00:00", "x"], [7, "x"]]
)
def test_a_position_that_is_no_instant_of_ours_is_refused(key: list[Any]) -> None:
    with pytest.raises(Unusable, match="cursor: is not one this service gave"):
        position(encode_cursor(key), datetime, str)


def test_a_list_is_read_to_its_end_by_its_cursors() -> None:
    items = [(at, name) for at in INSTANTS for name in "ab"]
    read: list[tuple[datetime, str]] = []
    cursor = None
    while True:
        after = position(cursor, datetime, str)
        found = page([item for item in items if after is None or item > after][:4], 3, lambda item: [*item])
        read += found["items"]
        cursor = found["next"]
        if cursor is None:
            break
    assert read == items
    assert all(one < other for one, other in pairwise(read))
