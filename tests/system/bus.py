"""An in-memory stand-in for the broker: what the services publish is handed to those that read it, until all is quiet.

The services are the real ones on a real database; only Kafka is left out, so that a test can choose the order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chassis.database import Database
from chassis.inbox import Inbox
from chassis.records import Record
from chassis.service import Service
from chassis.settings import Settings
from contracts.envelope import Event
from contracts.fields import Fact
from services.dispatch import service as dispatch
from services.feedback import service as feedback
from services.intake import service as intake
from services.triage import service as triage
from tests.support.facts import event_of, record_of
from tests.support.infrastructure import Database as Urls
from tests.support.services import Hands

DECIDING = {"intake": intake, "triage": triage, "dispatch": dispatch, "feedback": feedback}
STARTED = datetime(2026, 5, 9, 1, 0, tzinfo=UTC)


def services(district: Path) -> dict[str, Service]:
    """The four services that decide, on the reference files of that folder."""
    settings = Settings.model_validate({"CASEGRID_DISTRICT": str(district)})
    return {name: module.build(settings) for name, module in DECIDING.items()}


@dataclass
class Node:
    """One service with its store; `clock` stands still unless a test moves it."""

    service: Service
    database: Database
    clock: Hands = field(default_factory=lambda: Hands(STARTED))

    @property
    def inbox(self) -> Inbox:
        """An inbox of a process that has just begun: it remembers nothing."""
        return Inbox(self.service, self.database, self.clock)

    async def clear(self) -> None:
        """Makes the store as it was on the first day."""
        rows = await self.database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        for row in rows:
            if row["tablename"] != "schema_version":
                await self.database.pool.execute(f"DELETE FROM {row['tablename']}")

    async def outbox(self) -> list[Record]:
        """What it has published since the last call, as records."""
        rows = await self.database.fetch(
            "WITH gone AS (DELETE FROM outbox RETURNING position, aggregatetype, aggregateid, payload)"
            " SELECT * FROM gone ORDER BY position"
        )
        return [record_of(row["payload"], row["aggregateid"], row["aggregatetype"]) for row in rows]

    async def published(self) -> list[tuple[str, str, str]]:
        """(case, topic, data) of all it has published, sorted: what it said, whenever it said it."""
        rows = await self.database.fetch(
            "SELECT stream_id, topic, (convert_from(body, 'UTF8')::jsonb -> 'data')::text AS data"
            " FROM events WHERE own ORDER BY 1, 2, 3"
        )
        return [tuple(row) for row in rows]

    async def views(self) -> dict[str, list[tuple[Any, ...]]]:
        """The content of its read models."""
        found = {}
        for view in self.service.views:
            columns = ", ".join(view.columns)
            rows = await self.database.fetch(f"SELECT {columns} FROM {view.table} ORDER BY {', '.join(view.key)}")
            found[view.table] = [tuple(row) for row in rows]
        return found


async def nodes(district: Path, urls: Urls) -> dict[str, Node]:
    """The four, each with its store open."""
    found = {}
    for name, service in services(district).items():
        database = Database(urls.url(name), name, size=3)
        await database.open()
        found[name] = Node(service, database)
    return found


class Bus:
    """Carries records between nodes; `log` is every record that was on a topic, in order."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self.log: list[Record] = []

    async def put(self, records: Iterable[Record]) -> None:
        """Puts records on their topics, and goes on until nobody has anything to say."""
        fresh = list(records)
        while fresh:
            self.log += fresh
            for node in self._nodes.values():
                await node.inbox.process([record for record in fresh if record.topic in node.service.topics])
            fresh = [record for node in self._nodes.values() for record in await node.outbox()]

    async def say(self, case: str, fact: Fact, *, sequence: int = 1, cause: str | None = None) -> Event[Any]:
        """A partner's fact, put on its topic."""
        event, raw = event_of(
            case,
            fact,
            source="/partners/bench",
            sequence=sequence,
            time=STARTED,
            cause=cause,
        )
        await self.put([record_of(raw, case, fact.topic)])  # pyright: ignore[reportAttributeAccessIssue]
        return event
