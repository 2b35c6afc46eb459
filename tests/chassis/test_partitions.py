"""Our choice of a partition is Kafka's."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from chassis.kafka.partitions import Partitioner, murmur2


@given(key=st.binary(max_size=80), count=st.integers(1, 100))
def test_a_key_goes_where_any_other_client_would_put_it(key: bytes, count: int) -> None:
    partitions = list(range(count))
    assert Partitioner()(key, partitions, partitions) == DefaultPartitioner()(key, partitions, partitions)


def test_the_hash_is_that_of_the_java_client() -> None:
    """Values from Kafka's own UtilsTest."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, value in known.items():
        assert murmur2(key) == value & 0xFFFFFFFF
