"""What the five services stored under their first schema is there, and is read, after every migration since."""

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg
import orjson
import pytest

from chassis.engine.incoming import Reader
from chassis.engine.model import Model
from chassis.service import Service
from chassis.store import database as stores
from chassis.store.derived import rebuild
from chassis.store.migrations import Migration, migrate
from chassis.worker import derived_of
from contracts.export.examples import scenario
from contracts.export.story import Example
from contracts.wire import TOPICS
from services.audit.log import Log
from tests.support.facts import record_of
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import running, token

LATER = ("rating", "reopening", "disclosed", "forged", "accessed")
"""Facts that nobody said under the first schemas."""
AUDITOR = token("li", "auditor", "administrator")
CASE = next(one.event.subject for one in scenario() if one.name == "closed")
SHOWN = {
    "feedback": {"/cases/{}": '"comment":"water is back"'},
    "audit": {"/cases/{}/events": "rated it, 5 of 5", "/completeness?case_id={}": '"wrong_causes":{"count":0,'},
}
"""Where the rating is, and what is said of it."""
RENAMED = {"inbox": "seen"}
"""Tables of the first schemas -> their names now."""


def facts() -> Iterator[tuple[str, Any, bytes]]:
    """(topic, attributes, bytes) of the reference scenario, and a rating as a step."""
    for example in scenario():
        if example.topic in TOPICS and example.name.partition("-")[0] not in LATER:
            yield example.topic, orjson.loads(example.raw), example.raw
            if example.name == "closed":
                raw = rated(example)
                yield "Progressed", orjson.loads(raw), raw


def aged(raw: bytes) -> bytes:
    """As it was before there were rules for links."""
    return raw.replace(b'"uri":"https://', b'"uri":"urn:')


def rated(closed: Example) -> bytes:
    """As feedback published a rating before intake did."""
    verdict = orjson.loads(closed.raw)
    told = {"id": f"{verdict['id'][:-1]}0", "type": "casegrid.Progressed.v1", "causationid": verdict["id"]}
    told |= {"dataschema": "urn:casegrid:schema:Progressed:v1", "actor": "member:g001-1"}
    said = {"time_doubtful": False, "step": "rated", "rating": 5, "comment": "water is back"}
    number = f"{int(verdict['sequence']) + 1:010d}"
    return orjson.dumps({**verdict, **told, "sequence": number, "data": said})


def first(service: Service) -> Sequence[Migration]:
    """The oldest schema that can be upgraded."""
    return [one for one in service.migrations if one.number == 1 and one.component != "every"]


async def fill(service: Service, server: Database) -> None:
    """Stores the facts that concern the service, and what it derives from them."""
    await migrate(server.admin_url, service.name, PASSWORD, service.migrations)
    database = stores.Database(server.url(service.name), service.name, size=2, migrations=service.migrations)
    await database.open()
    if isinstance(model := service.model, Model):
        rows, versions = [], dict[str, int]()
        for topic, event, raw in facts():
            own, case = event["source"] == model.source, event["subject"]
            if own or (topic in model.topics and Reader(model).read(record_of(raw, case, topic))):
                versions[case] = versions.get(case, 0) + 1
                rows.append((case, versions[case], own, topic, event["id"], aged(raw)))
        columns = ("stream_id", "version", "own", "topic", "event_id", "body")
        await database.transact(lambda one: one.copy_records_to_table("events", records=rows, columns=columns))
    else:
        await Log(database).process([record_of(raw, event["subject"], topic) for topic, event, raw in facts()])
    await rebuild(derived_of(service.model), database, lambda *_: None)
    await database.close()


def logged(row: dict[str, Any]) -> dict[str, Any]:
    """A record of the log as audit's version of then stored it."""
    step = {"type": "casegrid.Progressed.v1", "kind": "rated", "label": "rated"} if row["kind"] == "rating" else {}
    return {**row, **step, "body": aged(row["body"])}


async def copy(service: Service, source: Database, target: Database) -> int:
    """Copies what has a place in the target's older tables; returns the number of rows."""
    path = {"search_path": service.name}
    theirs, ours = [await asyncpg.connect(one.admin_url, server_settings=path) for one in (source, target)]
    copied = 0
    for (table,) in await ours.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"):
        query = "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0"
        now = RENAMED.get(table, table)
        old, new = [{row[0] for row in await one.fetch(query, name)} for one, name in ((ours, table), (theirs, now))]
        if table not in ("migrations", "leader"):
            rows = [dict(row) for row in await theirs.fetch(f"SELECT {', '.join(old & new)} FROM {now}")]
            if table == "log":
                rows = [logged(row) for row in rows]
            if rows:
                await ours.copy_records_to_table(table, records=[(*row.values(),) for row in rows], columns=[*rows[0]])
            copied += len(rows)
    await theirs.close()
    await ours.close()
    return copied


@pytest.fixture
async def upgraded(make_database: Any, service: Service) -> Database:
    """A database of the oldest schema with data, after all migrations since, and a rebuild where one is demanded."""
    newest, found = await make_database(None), await make_database(None)
    await fill(service, newest)
    await migrate(found.admin_url, service.name, PASSWORD, first(service))
    assert await copy(service, newest, found) > 10
    if (await migrate(found.admin_url, service.name, PASSWORD, service.migrations)).rebuild:
        await remade(service, found)
    return found


async def remade(service: Service, server: Database) -> dict[str, tuple[int, bool]]:
    """Table -> its rows, and whether they were as they are made anew."""
    database = stores.Database(server.url(service.name), service.name, size=2, migrations=service.migrations)
    await database.open(rebuilt=False)
    tables, _ = await rebuild(derived_of(service.model), database, lambda *_: None)
    await database.close()
    return {one.table: (one.after.rows, one.equal) for one in tables}


async def test_what_was_stored_under_the_first_schema_is_read_after_every_migration(
    service: Service, upgraded: Database
) -> None:
    """A migration that adds to a table of views what older events say as well demands a rebuild."""
    found = await remade(service, upgraded)
    assert {table for table, (_, equal) in found.items() if not equal} == set()
    assert max(rows for rows, _ in found.values()) > 5
    async with running(service, upgraded.url(service.name), role="api") as api:
        for path, words in SHOWN.get(service.name, {}).items():
            answer = await api.client.get(path.format(CASE), headers=AUDITOR)
            assert (answer.status_code, words in answer.text) == (200, True), answer.text
