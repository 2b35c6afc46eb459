"""What is wrong with the server, the schema or a right is no record's fault: the batch waits, and nothing is parked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from chassis.service import Service
from chassis.store.database import TRANSIENT_ERRORS
from chassis.store.migrations import migrate
from contracts.export.examples import scenario
from tests.support.facts import record_of
from tests.support.infrastructure import PASSWORD, Database, execute
from tests.support.services import running

FAULTS = {
    "a right is revoked": ("REVOKE INSERT ON {facts} FROM {role}", "GRANT INSERT ON {facts} TO {role}"),
    "a column is not there yet": (
        "ALTER TABLE {facts} RENAME COLUMN body TO later",
        "ALTER TABLE {facts} RENAME COLUMN later TO body",
    ),
    "a table is not there yet": ("ALTER TABLE {facts} RENAME TO later", "ALTER TABLE {role}.later RENAME TO {table}"),
    "the schema may not be used": (
        "REVOKE USAGE ON SCHEMA {role} FROM {role}",
        "GRANT USAGE ON SCHEMA {role} TO {role}",
    ),
}
"""What is done to the table of facts by an administrator, and undone."""
LOCKED = "a lock is not given in time"


def facts_of(service: str) -> str:
    """The table that its records take effect in."""
    return "log" if service == "audit" else "events"


@asynccontextmanager
async def locked(database: Database, table: str) -> AsyncIterator[None]:
    """Somebody holds the table, and who waits for it is told so soon."""
    other = await asyncpg.connect(database.admin_url)
    try:
        async with other.transaction():
            await other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await other.close()


@asynccontextmanager
async def at_fault(database: Database, service: str, fault: str) -> AsyncIterator[None]:
    table = facts_of(service)
    names = {"facts": f"{service}.{table}", "role": service, "table": table}
    if fault == LOCKED:
        async with locked(database, names["facts"]):
            yield
        return
    broken, mended = FAULTS[fault]
    await execute(database.admin_url, broken.format_map(names))
    try:
        yield
    finally:
        await execute(database.admin_url, mended.format_map(names))


@pytest.mark.parametrize("fault", [*FAULTS, LOCKED])
async def test_the_batch_is_tried_again_and_no_record_is_blamed(
    empty_database: Database, service: Service, fault: str
) -> None:
    await migrate(empty_database.admin_url, service.name, PASSWORD, service.migrations)
    await execute(empty_database.admin_url, f"ALTER DATABASE {empty_database.name} SET lock_timeout = '100ms'")
    records = [record_of(one.raw, one.event.subject, one.topic) for one in scenario() if one.topic in service.topics]
    url = empty_database.url(service.name)
    async with running(service, url) as found:
        worker = found.runtime.worker
        async with at_fault(empty_database, service.name, fault):
            with pytest.raises(TRANSIENT_ERRORS):
                await worker.process(records)
        await worker.process(records)
    stored = await asyncpg.connect(url, server_settings={"search_path": service.name})
    try:
        blamed = (
            "SELECT count(*) FROM log WHERE NOT valid"
            if service.name == "audit"
            else ("SELECT count(*) FROM parked WHERE kind IN ('failed', 'behind')")
        )
        assert await stored.fetchval(blamed) == 0
        assert await stored.fetchval(f"SELECT count(*) FROM {facts_of(service.name)}") > 0
    finally:
        await stored.close()
