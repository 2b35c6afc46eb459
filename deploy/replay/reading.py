"""A file of real reports, read to its end or to a limit: what it says row by row, and what became of every line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from deploy.replay.lines import Lines, opened
from deploy.replay.rows import Reject, Report, Row, reports

R = TypeVar("R")


@dataclass(frozen=True)
class Reading:
    """Iterate over it for the rows, in the file's order."""

    items: Sequence[Report | Reject]
    encoding: str
    notes: tuple[str, ...]
    """What is to be known of the file as a whole."""
    lines: int
    heading: int
    continuation: int
    blank: int

    def __iter__(self) -> Iterator[Report | Reject]:
        return iter(self.items)

    def account(self, rejected_later: int = 0) -> dict[str, int]:
        """What the physical lines were; `all` is the sum of the others. Rows may be rejected later, by intake."""
        rejected = sum(isinstance(item, Reject) for item in self.items) + rejected_later
        return {
            "all": self.lines,
            "heading": self.heading,
            "taken": len(self.items) - rejected,
            "rejected": rejected,
            "continuation": self.continuation,
            "blank": self.blank,
        }


@dataclass(frozen=True)
class How:
    """How to read a file: in a declared encoding, or one that is found; only so many rows, or all."""

    encoding: str | None = None
    limit: int | None = None


def read(
    path: Path,
    how: How,
    rows: Callable[[Lines], Iterable[Row[R]]],
    identify: Callable[[R], str | None],
    adapt: Callable[[Row[R]], Report],
) -> Reading:
    """Reads the file. Raises `Unreadable`."""
    with opened(path, how.encoding) as lines:
        items = list(islice(reports(rows(lines), identify, adapt), how.limit))
        if len(items) == how.limit and (line := lines.take()) is not None:
            lines.give_back([line])
            lines.notes.append(f"only the first {how.limit} rows were read, up to line {lines.number}")
    return Reading(
        items, lines.encoding.name, tuple(lines.notes), lines.number, lines.heading, lines.continuation, lines.blank
    )
