"""An in-memory stand-in for the broker: what the services publish is handed to those that read it, until all is quiet.

The services are the real ones on a real database; only Kafka is left out, so that a test can choose the order.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.engine.timers import Timers
from chassis.kafka.records import Record, read
from chassis.registry import Registry
from chassis.settings import Settings
from chassis.store.database import Database
from chassis.store.streams import Cache
from contracts.fields import FROM, Fact
from contracts.reference import Partner, Partners
from contracts.wire import Invalid
from services.dispatch import service as dispatch
from services.feedback import service as feedback
from services.intake import service as intake
from services.triage import service as triage
from tests.support.facts import event_of, record_of
from tests.support.infrastructure import Database as Urls
from tests.support.infrastructure import execute
from tests.support.services import Hands, all_read

DECIDING = {"intake": intake, "triage": triage, "dispatch": dispatch, "feedback": feedback}
STARTED = datetime(2026, 5, 9, 1, 0, tzinfo=UTC)


def register(district: Path, *partners: Partner) -> Path:
    """Writes the partners beside the district; the file."""
    file = district.parent / "partners.json"
    file.write_text(Partners(partners=partners).model_dump_json())
    return file


def models(district: Path) -> dict[str, Model]:
    """The four services that decide, on the reference files of that folder."""
    settings = Settings.model_validate({"CASEGRID_DISTRICT": str(district)})
    found = {name: module.build(settings).model for name, module in DECIDING.items()}
    return {name: model for name, model in found.items() if isinstance(model, Model)}


@dataclass
class Node:
    """One service with its store; `clock` stands still unless a test moves it."""

    model: Model
    database: Database
    admin_url: str
    clock: Hands = field(default_factory=lambda: Hands(STARTED))

    @property
    def inbox(self) -> Inbox:
        """An inbox of a process that has just begun: it remembers nothing."""
        return Inbox(self.model, self.database, self.clock)

    def reads(self, topic: str) -> bool:
        """Whether the service is given the records of a topic."""
        return (f"{FROM}*" if topic.startswith(FROM) else topic) in self.model.topics

    async def settle(self) -> None:
        """Reaches other cases, and decides deadlines."""
        timers = Timers(self.model, self.database, self.clock, Cache(), all_read)
        while await timers.propagate():
            pass
        while await timers.look():
            pass

    async def clear(self) -> None:
        """Makes the store as it was on the first day, which the service's own role cannot."""
        rows = await self.database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        kept = ("leader", "locks", "migrations", "origin", "published", "reads")
        tables = [row["tablename"] for row in rows if row["tablename"] not in kept]
        await execute(self.admin_url, "; ".join(f"DELETE FROM {self.model.name}.{table}" for table in tables))

    async def outbox(self) -> list[Record]:
        """What it has published since the last call, as records."""
        rows = await self.database.fetch("SELECT * FROM unpublished ORDER BY position")
        if rows:
            await self.database.fetch("UPDATE published SET position = $1", rows[-1]["position"])
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
        for view in self.model.views:
            columns = ", ".join(view.columns)
            rows = await self.database.fetch(f"SELECT {columns} FROM {view.table} ORDER BY {', '.join(view.key)}")
            found[view.table] = [tuple(row) for row in rows]
        return found

    async def statuses(self) -> dict[str, str]:
        """Case -> the status it shows."""
        table = "reports" if self.model.name == "intake" else "cases"
        rows = await self.database.fetch(f"SELECT case_id, status FROM {table}")
        return {row["case_id"]: row["status"] for row in rows}


_MIGRATIONS = {
    "intake": intake.MIGRATIONS,
    "triage": triage.MIGRATIONS,
    "dispatch": dispatch.MIGRATIONS,
    "feedback": feedback.MIGRATIONS,
}


async def nodes(district: Path, urls: Urls, partners: Path | None = None) -> dict[str, Node]:
    """The four, each with its store open."""
    registry = Registry(partners)
    found = {}
    for name, model in models(district).items():
        database = Database(urls.url(name), name, size=3, migrations=_MIGRATIONS[name])
        await database.open()
        found[name] = Node(replace(model, registry=registry), database, urls.admin_url)
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
                await node.inbox.process([record for record in fresh if node.reads(record.topic)])
                await node.settle()
            fresh = [record for node in self._nodes.values() for record in await node.outbox()]

    async def ask(self, case: str, request: Fact, *, cause: str | None = None, partner: str = "bench") -> Any:
        """A partner's request, put on its topic; the answer."""
        source = f"/partners/{partner}"
        event, raw = event_of(case, request, source=source, time=STARTED, cause=cause, actor="system:bench")
        await self.put([record_of(raw, case, f"{FROM}{partner}")])
        return next(one for one in self.events() if getattr(one.data, "request", None) == event.id)

    def events(self, case: str | None = None) -> list[Any]:
        """Every event that was on a topic, of one case or of all; what is none is left out."""
        found = []
        for record in self.log:
            if case is None or record.stream_id == case:
                with contextlib.suppress(Invalid):  # put there by a test of what is none
                    found.append(read(record))
        return found

    def notice(self, case: str, kind: str, number: int = -1) -> Any:
        """A notice of that kind about a case; by default the last."""
        found = [one for one in self.events(case) if one.data.name == "Notice" and one.data.kind == kind]
        return found[number]
