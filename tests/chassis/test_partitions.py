"""Our choice of a partition is Kafka's, and a case stays where it began when partitions are added."""

from datetime import UTC, datetime

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chassis.ids import uuid7
from chassis.kafka.partitions import Partitioner, murmur2, place
from chassis.settings import Settings


@given(key=st.binary(max_size=80), count=st.integers(1, 100))
def test_a_key_goes_where_any_other_client_would_put_it(key: bytes, count: int) -> None:
    partitions = list(range(count))
    assert Partitioner()(key, partitions, partitions) == DefaultPartitioner()(key, partitions, partitions)


def test_the_hash_is_that_of_the_java_client() -> None:
    """Values from Kafka's own UtilsTest."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, value in known.items():
        assert murmur2(key) == value & 0xFFFFFFFF


EARLY = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
"""Of a case that began in May 2026."""
RAISED = "6:2026-06-01T00:00:00Z, 12:2026-09-01T00:00:00+08:00"


def settings(text: str) -> Settings:
    return Settings.model_validate({"CASEGRID_PARTITIONS_RAISED": text})


HISTORY = settings(RAISED).partitions_raised


def began(at: datetime) -> bytes:
    return uuid7(at).encode()


def test_a_case_stays_where_it_began_when_partitions_are_added() -> None:
    second = datetime(2026, 7, 1, tzinfo=UTC)
    cases = {6: EARLY.encode(), 12: began(second), 24: began(datetime(2026, 10, 1, tzinfo=UTC))}
    for count, key in cases.items():
        assert {place(key, now, HISTORY) for now in (count, 24) if now >= count} == {place(key, count)}
        partitions = list(range(24))
        assert Partitioner(HISTORY)(key, partitions, partitions) == place(key, count)


@given(key=st.binary(max_size=40), count=st.integers(1, 100))
def test_any_key_has_a_partition_that_there_is(key: bytes, count: int) -> None:
    assert 0 <= place(key, count, HISTORY) < count
    assert place(key, count) == place(key, count, ())


def test_what_is_no_id_with_a_time_is_as_old_as_can_be() -> None:
    keys = (b"", b"x", b"ffffffff-ffff-4fff-8fff-ffffffffffff", b"zzzzzzzz-zzzz-7zzz-8zzz-zzzzzzzzzzzz")
    for key in keys:
        assert place(key, 24, HISTORY) == place(key, 6)


@pytest.mark.parametrize(
    "text",
    [
        "6",
        "6:",
        "x:2026-06-01T00:00:00Z",
        "6:2026-06-01T00:00:00",
        "0:2026-06-01T00:00:00Z",
        "6:2026-06-01T00:00:00Z,6:2026-07-01T00:00:00Z",
    ],
)
def test_a_history_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="CASEGRID_PARTITIONS_RAISED"):
        settings(text)
