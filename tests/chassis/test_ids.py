"""Identifiers: UUIDs of version 7 that keep the order of the instants they were drawn in."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from chassis.ids import uuid7
from contracts.fields import CASE_ID, EARLIEST

INSTANTS = st.integers(0, 7 * 10**15).map(lambda microseconds: EARLIEST + timedelta(microseconds=microseconds))


@given(INSTANTS)
def test_an_id_is_a_uuid_of_version_7_with_the_milliseconds_of_its_instant(at: datetime) -> None:
    text = uuid7(at)
    found = UUID(text)
    assert CASE_ID.fullmatch(text)
    assert str(found) == text
    assert (found.version, found.variant) == (7, UUID(int=0x8 << 60).variant)
    assert found.int >> 80 == int(at.timestamp() * 1_000_000) // 1000


@given(INSTANTS, st.integers(1, 10**9))
def test_ids_of_different_microseconds_keep_their_order(at: datetime, later: int) -> None:
    assert uuid7(at) < uuid7(at + timedelta(microseconds=later))


def test_ids_of_one_instant_differ() -> None:
    at = datetime(2026, 5, 9, tzinfo=UTC)
    assert len({uuid7(at) for _ in range(1000)}) == 1000
