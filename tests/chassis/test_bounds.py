"""What a process keeps of cases, callers and credentials has a bound, however many come."""

from chassis.registry import Registry
from chassis.settings import Settings
from chassis.store.streams import Cache, Stream
from chassis.web.gate import Rate
from chassis.web.identity import Identity
from tests.support.memory import held_by
from tests.support.services import token

MIB = 1024 * 1024


def stream(name: str, size: int, version: int = 1) -> Stream[str]:
    return Stream(name, version, version, version, "state", size=size)


def test_the_cache_of_cases_weighs_no_more_than_it_may_and_keeps_those_used_last() -> None:
    cache = Cache[str](MIB)
    for n in range(1000):
        cache.put([stream(f"{n}", 1000)])
        assert cache.health()["bytes"] <= MIB
    kept = cache.health()["streams"]
    assert 100 < kept < 1000
    assert cache.take("0") is None
    assert cache.take(f"{1000 - kept}") is not None
    assert cache.health()["streams"] == kept - 1


def test_a_case_counts_once_and_what_is_taken_or_forgotten_counts_no_more() -> None:
    cache = Cache[str](MIB)
    for version in range(1, 50):
        cache.put([stream("a", 1000 * version, version)])
    once = Cache[str](MIB)
    once.put([stream("a", 49_000, 49)])
    assert cache.health() == once.health()
    cache.put([stream("b", 10)])
    cache.take("a")
    cache.forget(["b", "c"])
    assert cache.health() == {"streams": 0, "bytes": 0, "most": MIB}


def test_a_case_that_is_too_large_is_not_kept_and_costs_no_other_its_bound() -> None:
    cache = Cache[str](MIB)
    cache.put([stream("small", 10), stream("large", MIB)])
    assert cache.health()["bytes"] <= MIB
    assert cache.take("large") is None


def test_callers_are_remembered_up_to_a_number() -> None:
    rate = Rate(100)

    def come(first: int, last: int) -> int:
        for n in range(first, last):
            rate.take(f"person:{n:09}")
        return held_by([rate], set())

    full = come(0, 10_100)
    assert come(10_100, 20_000) < 1.3 * full
    assert full < 5 * MIB


async def test_credentials_are_remembered_up_to_a_number() -> None:
    settings = Settings()
    identity = Identity(settings, Registry(settings.partners_file))

    async def come(first: int, last: int) -> int:
        for n in range(first, last):
            await identity.caller(token(f"p{n:09}", "acceptor")["authorization"], None)
        return held_by([identity], set())

    full = await come(0, 10_100)
    assert await come(10_100, 13_000) < 1.3 * full
    assert full < 20 * MIB
