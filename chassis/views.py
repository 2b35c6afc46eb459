"""Read models as a function of state: after a transaction a case's rows are what its state says."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from chassis.database import Connection

S = TypeVar("S")


@dataclass(frozen=True)
class View(Generic[S]):
    """A table of the service's schema, written by the runtime.

    `columns` maps each column to its SQL type, the key columns among them; `rows(case, state)` gives a case's rows in
    that order. A row never disappears: a state that has had a row for a key has one for ever.
    """

    table: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    rows: Callable[[str, S], Iterable[tuple[Any, ...]]]

    @cached_property
    def upsert(self) -> str:
        """One statement for any number of rows, a column to a parameter."""
        names = ", ".join(self.columns)
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(self.columns.values(), start=1))
        others = [name for name in self.columns if name not in self.key]
        return (
            f"INSERT INTO {self.table} ({names}) SELECT * FROM unnest({arrays}) "
            f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in others)
        )

    async def write(self, connection: Connection, states: Iterable[tuple[str, S]]) -> None:
        """Writes the rows of these cases."""
        rows = [row for case, state in states for row in self.rows(case, state)]
        if rows:
            await connection.execute(self.upsert, *map(list, zip(*rows, strict=True)))
