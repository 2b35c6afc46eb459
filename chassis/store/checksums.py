"""Checksums of tables, to tell whether a table that was rebuilt is the same as before."""

from collections.abc import Callable
from dataclasses import dataclass

from chassis.store.database import Connection

Progress = Callable[[int, int], None]
"""(streams done, of all)."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """Number of rows, and the sum of their hashes, which does not depend on their order."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class TableRebuilt:
    """A table before and after its rebuild."""

    table: str
    before: Checksum
    after: Checksum

    @property
    def equal(self) -> bool:
        """Whether the rebuild changed nothing."""
        return self.before == self.after


async def checksum(connection: Connection, table: str) -> Checksum:
    """Of a table as this transaction sees it."""
    row = await connection.fetchrow(
        f"SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS sum FROM {table} AS t"
    )
    assert row is not None
    return Checksum(row["rows"], f"{int(row['sum']) % 2**64:016x}")
