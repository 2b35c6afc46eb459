"""What a service keeps in memory of cases is bounded by bytes, and weighs about what it is said to weigh."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from chassis.settings import Settings
from chassis.store.migrations import migrate
from contracts.fields import Fact, Place
from tests.services.dispatch.desk import dispatched
from tests.support.facts import case_id, fact_record, report
from tests.support.infrastructure import PASSWORD, Database
from tests.support.memory import held_by
from tests.support.services import running

CASES = 100
PLACE = Place(area="CH/shuangqiaozi/shuanglin/g001")


def filed(case: str, at: datetime) -> list[Fact]:
    return [report("it comes out of the ground beside the school, and the cellar is full of it", place=PLACE)]


def ruled(case: str, at: datetime) -> list[Fact]:
    return [dispatched(case)]


FACTS: dict[str, Callable[[str, datetime], list[Fact]]] = {"triage": filed, "dispatch": ruled, "feedback": ruled}


@pytest.mark.parametrize("name", FACTS)
async def test_a_case_in_memory_weighs_about_what_is_reckoned(
    name: str, empty_database: Database, district_folder: Path
) -> None:
    service = import_module(f"services.{name}.service").build(
        Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    )
    await migrate(empty_database.admin_url, name, PASSWORD, service.migrations)
    at = datetime.now(UTC) - timedelta(minutes=1)
    async with running(service, empty_database.url(name)) as found:
        cache, known = found.runtime.inbox.cache, set[int]()
        taken: list[object] = []  # kept, or others would get the addresses that are known

        async def weighed() -> float:
            """What cases hold of what is not known yet, as a part of what is reckoned."""
            cases = [case_id() for _ in range(CASES)]
            await found.runtime.inbox.process(
                [fact_record(case, fact, time=at) for case in cases for fact in FACTS[name](case, at)]
            )
            reckoned = cache.health()
            assert reckoned["streams"] == CASES
            entries = [cache.take(case) for case in cases]
            taken.append(entries)
            return held_by(entries, known) / reckoned["bytes"]

        await weighed()  # what all cases share is known afterwards
        assert 0.5 < await weighed() < 1.5
