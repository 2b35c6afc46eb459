"""Loads cases of the past into all stores at once, as copies of closed ones, by COPY.

For a stack that is thrown away afterwards: what is loaded was never on a topic. Its events have positions below 0, so
that the relay never sends them, and its records in audit's log have offsets below 0, so audit finds offsets that no
broker has. All else is as if the cases had gone through the services: a rebuild of the tables that are derived changes
nothing. The services may run meanwhile; nothing of the schema is changed.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn

from contracts.status import SERVICES
from deploy.bench.chain import CATEGORY
from deploy.bench.database import connected
from deploy.bench.moving import HEADER, TRAILER, Destination, Row, Table, Template, rows_of
from deploy.stack.problem import Problem

SPACING_SECONDS = 30
"""Between two copies: a million are a year."""
_CHUNK = 500
"""Cases in one transaction."""
_TEMPLATES = 400
_BYTES = 56_000
"""Of disk, for a case in all stores with their indexes."""
_LEFT_BYTES = 5_000_000_000
"""For what the server writes beside the tables, and for all else on the disk."""

_COLUMNS = """
SELECT c.table_schema AS service, c.table_name AS name, c.column_name AS column, c.udt_name AS kind
  FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE c.table_schema = ANY($1) AND t.table_type = 'BASE TABLE' AND c.table_name <> 'reads'
   AND c.is_identity = 'NO' AND c.is_generated = 'NEVER'
 ORDER BY c.table_schema, c.table_name, c.ordinal_position
"""
_KEYS = ("stream_id", "case_id")
_CLOSED = """
SELECT c.case_id FROM audit.cases c
 WHERE c.status = 'closed' AND c.category = $1
   AND NOT EXISTS (SELECT FROM audit.log l WHERE l.case_id = c.case_id
                                             AND (NOT l.valid OR l.duplicate_of IS NOT NULL OR l.topic LIKE 'from.%'
                                                  OR l."offset" < 0))
 ORDER BY c.first_index DESC LIMIT $2
"""
_OTHERS = "SELECT count(*) FROM audit.cases WHERE category IS DISTINCT FROM $1"
_PRESENT = "SELECT count(*) FROM intake.streams"
_LOADED = "SELECT count(*) FROM intake.events WHERE own AND position < 0"
_LOWEST = "SELECT least(min(position), 0) FROM {service}.events WHERE own"
_LOCK = "SELECT FROM audit.locks WHERE number = 0 FOR UPDATE"
_SIZE = "SELECT coalesce(max(index), -1) + 1 FROM audit.log"


@dataclass(frozen=True)
class Layout:
    """A table that holds rows of single cases. `key`: the column that names the case; `columns`: name -> type."""

    service: str
    name: str
    key: str
    columns: Mapping[str, str]

    @property
    def rows(self) -> str:
        """SQL: case and rows of the cases $1, each as the service wrote them."""
        order = next((name for name in ("index", "version") if name in self.columns), self.key)
        table = f"{self.service}.{self.name}"
        return f"SELECT {self.key}, {self._names} FROM {table} WHERE {self.key} = ANY($1) ORDER BY {order}"

    @property
    def _names(self) -> str:
        return ", ".join(f'"{name}"' for name in self.columns)


async def _number(connection: asyncpg.Connection, query: str) -> int:
    found: int | None = await connection.fetchval(query)
    return found or 0


async def present(database: str) -> int:
    """How many cases there are. `database` is an administrator's URL."""
    async with connected(database) as connection:
        return await _number(connection, _PRESENT)


async def refuse_others(connection: asyncpg.Connection) -> None:
    """Raises `Problem` where the stack holds cases of others than the benchmark."""
    if others := await connection.fetchval(_OTHERS, CATEGORY):
        raise Problem(
            f"{others} cases of this stack are not the benchmark's. Generated cases are loaded only into a stack that"
            " is thrown away afterwards: `make reset`, then `make up`, or one of its own in another checkout"
        )


def refuse_without_room(folder: Path, cases: int) -> None:
    """Raises `Problem` where the disk of that folder is too small for so many more."""
    free, needed = shutil.disk_usage(folder).free, cases * _BYTES + _LEFT_BYTES
    if cases and free < needed:
        raise Problem(
            f"{cases:,} cases more take about {needed / 1e9:.0f} GB of disk, what must stay free among it; there are"
            f" {free / 1e9:.0f} GB"
        )


async def load(database: str, cases: int, console: Console) -> None:
    """Loads so many more cases. `database` is an administrator's URL.

    Raises `Problem` where the stack holds cases of others than the benchmark, or no closed one to copy.
    """
    connections = {name: await asyncpg.connect(database) for name in SERVICES}
    try:
        found = await templates(connections["audit"])
        with _shown(console) as progress:
            task = progress.add_task("cases of the past", total=cases)
            async for loaded in _loaded(connections, found, cases):
                progress.update(task, completed=loaded)
        console.print("upkeep of the tables, as after a night")
        await connections["audit"].execute("VACUUM (ANALYZE)")
        await connections["audit"].execute("CHECKPOINT")
    finally:
        for connection in connections.values():
            await connection.close()


async def templates(connection: asyncpg.Connection, most: int = _TEMPLATES) -> list[Template]:
    """Closed cases of the benchmark, the latest first. Raises `Problem`."""
    await refuse_others(connection)
    ids = [row["case_id"] for row in await connection.fetch(_CLOSED, CATEGORY, most)]
    if not ids:
        raise Problem("there is no closed case that was filed over HTTP, to be copied: run `make bench` first")
    found: dict[str, list[Table]] = {case: [] for case in ids}
    for table in await layouts(connection):
        for case, rows in (await _rows(connection, table, ids)).items():
            found[case].append(Table(table.service, table.name, table.columns, rows))
    return [Template.of(tables) for tables in found.values()]


async def layouts(connection: asyncpg.Connection) -> list[Layout]:
    """The tables of all services that hold rows of single cases."""
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for row in await connection.fetch(_COLUMNS, list(SERVICES)):
        columns.setdefault((row["service"], row["name"]), {})[row["column"]] = row["kind"]
    return [
        Layout(service, name, next(key for key in _KEYS if key in found), found)
        for (service, name), found in columns.items()
        if not found.keys().isdisjoint(_KEYS)
    ]


async def _rows(connection: asyncpg.Connection, table: Layout, cases: Sequence[str]) -> dict[str, list[Row]]:
    """Case -> its rows; of those that have some."""
    data = BytesIO()
    await connection.copy_from_query(table.rows, cases, output=data, format="binary")
    found: dict[str, list[Row]] = {}
    for key, *row in rows_of(data.getvalue()):
        found.setdefault((key or b"").decode(), []).append(row)
    return found


async def _loaded(
    connections: Mapping[str, asyncpg.Connection], found: Sequence[Template], cases: int
) -> AsyncIterator[int]:
    """The number of cases that are loaded, after each transaction."""
    columns = {(table.service, table.name): list(table.columns) for table in await layouts(connections["audit"])}
    already = await _number(connections["intake"], _LOADED)
    positions = {
        name: await _number(connections[name], _LOWEST.format(service=name))
        - sum(found[n % len(found)].own.get(name, 0) for n in range(cases))
        for name in SERVICES
        if (name, "events") in columns
    }
    numbers = count()
    for first in range(0, cases, _CHUNK):
        chosen = [found[next(numbers) % len(found)] for _ in range(min(_CHUNK, cases - first))]
        async with AsyncExitStack() as transactions:  # who interrupts it finds whole cases
            for connection in connections.values():
                await transactions.enter_async_context(connection.transaction())
            await connections["audit"].execute(_LOCK)  # nobody else gives indexes until the commit
            index = await _number(connections["audit"], _SIZE)
            rows: dict[tuple[str, str], list[bytes]] = {}
            for n, template in enumerate(chosen, start=first):
                where = Destination((n - cases - already) * SPACING_SECONDS, index, positions)
                for name, copied in template.copies(where).items():
                    rows.setdefault(name, []).append(copied)
                index += template.records
                positions = {name: at + template.own.get(name, 0) for name, at in positions.items()}
            copying = (_copy(connections[name], name, rows, columns) for name in SERVICES)
            for fault in await asyncio.gather(*copying, return_exceptions=True):
                if fault is not None:
                    raise fault
        yield first + len(chosen)


async def _copy(
    connection: asyncpg.Connection,
    service: str,
    rows: Mapping[tuple[str, str], list[bytes]],
    columns: Mapping[tuple[str, str], list[str]],
) -> None:
    for (schema, table), copied in rows.items():
        if schema == service and any(copied):
            await connection.copy_to_table(
                table,
                schema_name=schema,
                columns=columns[schema, table],
                source=BytesIO(b"".join([HEADER, *copied, TRAILER])),
                format="binary",
            )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> str:
        return f"{task.speed or 0:.0f}/s"


def _shown(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    return Progress(*columns, console=console)
