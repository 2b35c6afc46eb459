"""Instants: to the microsecond, from 1970 to 2199, with `Z` in facts and with any offset in what people send."""

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts.fields import EARLIEST, LATEST, ClaimedInstant, Instant, instant
from tests.contracts.strategies import instants

FACT: TypeAdapter[datetime] = TypeAdapter(Instant)
CLAIM: TypeAdapter[datetime] = TypeAdapter(ClaimedInstant)
BOTH = [FACT, CLAIM]

_OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_YEAR = timedelta(days=367)
_INNER = instants().filter(lambda at: EARLIEST + _YEAR < at < LATEST - _YEAR)


def taken(adapter: TypeAdapter[datetime], words: str) -> bool:
    try:
        adapter.validate_json(orjson.dumps(words))
    except ValidationError:
        return False
    return True


@given(instants())
def test_an_instant_survives_the_wire(at: datetime) -> None:
    for adapter in BOTH:
        written = adapter.dump_json(at)
        assert orjson.loads(written) == instant(at)
        assert len(instant(at)) == 27
        read = adapter.validate_json(written)
        assert read == at
        assert read.utcoffset() == timedelta(0)
        assert read.microsecond == at.microsecond


@given(_INNER, _OFFSETS)
def test_an_offset_changes_how_an_instant_is_written_and_not_the_instant(at: datetime, zone: timezone) -> None:
    words = at.astimezone(zone).isoformat(timespec="microseconds")
    assert CLAIM.validate_json(orjson.dumps(words)) == CLAIM.validate_python(words) == at
    assert not taken(FACT, words)
    for adapter in BOTH:
        kept = adapter.validate_python(at.astimezone(zone))
        assert kept == at
        assert kept.tzinfo is UTC


@given(instants(), instants())
def test_the_order_of_the_texts_is_the_order_of_the_instants(one: datetime, other: datetime) -> None:
    assert (instant(one) < instant(other)) is (one < other)


@pytest.mark.parametrize(
    ("words", "fact", "claim"),
    [
        ("1970-01-01T00:00:00Z", True, True),
        ("1969-12-31T23:59:59.999999Z", False, False),
        ("2199-12-31T23:59:59.999999Z", True, True),
        ("2200-01-01T00:00:00Z", False, False),
        ("1971-01-01T00:00:00+23:59", False, True),
        ("1970-12-31T23:59:59-01:00", False, False),
        ("2198-12-31T23:59:59.999999-23:59", False, True),
        ("2199-01-01T00:00:00+01:00", False, False),
        ("2026-05-09T12:00:00.1Z", True, True),
        ("2026-05-09T12:00:00.1234567Z", False, False),
        ("2026-05-09T12:00:00", False, False),
    ],
)
def test_the_bounds(words: str, fact: bool, claim: bool) -> None:
    assert (taken(FACT, words), taken(CLAIM, words)) == (fact, claim)


@pytest.mark.parametrize("adapter", BOTH)
@pytest.mark.parametrize(
    "value",
    [
        EARLIEST - timedelta.resolution,
        LATEST + timedelta.resolution,
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
        EARLIEST.replace(year=2026, tzinfo=None),
        1778328000,
        1778328000.5,
        True,
        None,
    ],
)
def test_what_is_no_instant_of_ours_is_refused_in_python(adapter: TypeAdapter[datetime], value: object) -> None:
    with pytest.raises(ValidationError):
        adapter.validate_python(value)


@pytest.mark.parametrize("adapter", BOTH)
def test_the_first_and_the_last_instant_are_taken_in_python(adapter: TypeAdapter[datetime]) -> None:
    assert (adapter.validate_python(EARLIEST), adapter.validate_python(LATEST)) == (EARLIEST, LATEST)
