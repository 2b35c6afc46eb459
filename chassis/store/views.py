"""Read models as a function of state: after a transaction a case's rows are what its state says.

Rows that this process wrote last and that are the same now are not written again: nobody else can have changed them
without appending to the case, and then the transaction fails.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from chassis.store.transaction import Connection, Write

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
        return f"INSERT INTO {self.table} ({names}) SELECT * FROM unnest({arrays}) {self._on_conflict}"

    @cached_property
    def stage(self) -> str:
        """A table of the connection's own, through which many rows go: COPY and one INSERT cost half of arrays.

        It is emptied, because a transaction may write more than once.
        """
        stage = f"{self.table}_written"
        return (
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} (LIKE {self.table}) ON COMMIT DELETE ROWS;"
            f" DELETE FROM {stage}"
        )

    @cached_property
    def upsert_staged(self) -> str:
        """`upsert`, from the stage."""
        names = ", ".join(self.columns)
        return f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {self.table}_written {self._on_conflict}"

    @cached_property
    def _on_conflict(self) -> str:
        others = (name for name in self.columns if name not in self.key)
        moved = ", ".join(f"{name} = excluded.{name}" for name in others)
        return f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {moved}"

    def written(self, rows: Sequence[tuple[Any, ...]]) -> Write:
        """These rows, to be written in a transaction."""
        return Write(self.upsert, rows, bulk=partial(self._copy, rows))

    async def write(self, connection: Connection, states: Iterable[tuple[str, S]]) -> None:
        """Writes the rows of these cases now."""
        await self.written([row for case, state in states for row in self.rows(case, state)]).at_once(connection)

    async def _copy(self, rows: Sequence[tuple[Any, ...]], connection: Connection) -> None:
        await connection.execute(self.stage)
        await connection.copy_records_to_table(f"{self.table}_written", records=rows, columns=[*self.columns])
        await connection.execute(self.upsert_staged)
