"""In every service: who reads raw bytes is recorded before they are answered, for good, and auditors see it."""

import asyncio
import base64
from typing import Any

import asyncpg
import httpx
import pytest

from chassis.engine.model import Model
from contracts.roles import Role
from services.audit.log import Log
from tests.support.facts import case_id, record_of
from tests.support.infrastructure import Database, execute
from tests.support.services import Running, token

BYTES = b"Li Na, +86 28 5555 0101: no record"
CASE = case_id()
BOTH = token("both", "auditor", "administrator")
AUDITOR, OTHER = token("au.dit@example.org", "auditor", "administrator"), token("root", "auditor", "administrator")
_PARK = """
INSERT INTO parked (kind, reason, stream_id, topic, partition, "offset", headers, body)
VALUES ('invalid', 'no JSON', $1, 'Assigned', 3, 17, '[]', $2)
"""


async def holds_bytes(api: Running) -> str:
    """Lets the service hold a record with these bytes; the path that shows them."""
    if isinstance(api.runtime.service.model, Model):
        await api.runtime.database.fetch(_PARK, CASE, BYTES)
        return "/parked/1"
    await Log(api.runtime.database).process([record_of(BYTES, CASE)])
    return "/log/0"


async def get(api: Running, path: str, who: dict[str, str] = AUDITOR, **query: Any) -> httpx.Response:
    return await api.client.get(path, headers=who, params=query)


async def listed(api: Running, **query: Any) -> list[dict[str, Any]]:
    answer = await get(api, "/reads", BOTH, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_who_reads_bytes_is_recorded(api: Running) -> None:
    path = await holds_bytes(api)
    shown = (await get(api, path)).json()
    assert base64.b64decode(shown["body_base64"]) == BYTES
    parked = path.startswith("/parked")
    [entry] = await listed(api)
    assert entry.pop("read_at") > "2026"
    assert entry == {
        "read_id": 1,
        "reader": "au.dit@example.org",
        "route": "GET /parked/{parked_id}" if parked else "GET /log/{index}",
        "case_id": CASE,
        "reporter_ref": None,
        "first": int(path.rpartition("/")[2]),
        "last": int(path.rpartition("/")[2]),
        "coordinates": "Assigned/3@17" if parked else None,
        "reason": None,
    }


async def test_bytes_are_not_answered_where_their_reading_cannot_be_recorded(
    api: Running, empty_database: Database
) -> None:
    path, service = await holds_bytes(api), api.runtime.service.name
    await execute(empty_database.admin_url, f"REVOKE ALL ON {service}.reads FROM {service}")
    answer = await get(api, path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "recorded" in answer.json()["cause"]
    assert "5555" not in answer.text
    assert base64.b64encode(BYTES).decode() not in answer.text
    await execute(empty_database.admin_url, f"ALTER TABLE {service}.reads RENAME TO gone")
    assert (await get(api, path)).status_code == 503


async def test_every_reading_is_recorded_also_of_many_at_once(api: Running) -> None:
    path = await holds_bytes(api)
    answers = await asyncio.gather(*(get(api, path, who) for who in (AUDITOR, OTHER) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(entry["reader"] for entry in await listed(api)) == ["au.dit@example.org"] * 10 + ["root"] * 10


async def test_what_was_not_there_was_not_read(api: Running) -> None:
    parked = isinstance(api.runtime.service.model, Model)
    asked = {"/parked/1": 404, "/parked": 200} if parked else {"/log/0": 404, "/log": 200, f"/cases/{CASE}/events": 404}
    assert {path: (await get(api, path)).status_code for path in asked} == asked
    assert await listed(api) == []


async def test_reads_are_listed_by_reader_and_time_in_pages(api: Running) -> None:
    path = await holds_bytes(api)
    for who in (AUDITOR, OTHER, AUDITOR):
        assert (await get(api, path, who)).status_code == 200
    every = await listed(api)
    assert [entry["read_id"] for entry in every] == [3, 2, 1]
    assert [entry["read_id"] for entry in await listed(api, reader="au.dit@example.org")] == [3, 1]
    middle, newest = every[1]["read_at"], every[0]["read_at"]
    assert [entry["read_id"] for entry in await listed(api, since=middle)] == [3, 2]
    assert [entry["read_id"] for entry in await listed(api, until=middle)] == [1]
    assert [entry["read_id"] for entry in await listed(api, since=middle, until=newest)] == [2]
    assert await listed(api, reader="nobody") == []
    first = (await get(api, "/reads", BOTH, limit=2)).json()
    rest = (await get(api, "/reads", BOTH, limit=2, cursor=first["next"])).json()
    assert [*first["items"], *rest["items"]] == every
    assert rest["next"] is None


@pytest.mark.parametrize("role", Role)
async def test_reads_are_listed_for_auditors_and_administrators_only(api: Running, role: Role) -> None:
    if role == Role.PARTNER:  # no person has it
        return
    answer = await get(api, "/reads", token("x", role))
    assert answer.status_code == (200 if role in (Role.AUDITOR, Role.ADMINISTRATOR) else 403)


@pytest.mark.parametrize("replication", ["origin", "replica"])
@pytest.mark.parametrize("statement", ["UPDATE reads SET reader = 'x'", "DELETE FROM reads", "TRUNCATE reads"])
async def test_not_even_the_administrator_changes_what_was_read(
    api: Running, empty_database: Database, statement: str, replication: str
) -> None:
    await get(api, await holds_bytes(api))
    settings = {"search_path": api.runtime.service.name, "session_replication_role": replication}
    connection = await asyncpg.connect(empty_database.admin_url, server_settings=settings)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="what was read is append-only"):
        await connection.execute(statement)
    await connection.close()
    assert len(await listed(api)) == 1
