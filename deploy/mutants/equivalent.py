"""Mutants that change no behaviour, as a file lists them, each with the reason.

    # A comment.
    contracts/clocks.py
    - if by == timedelta(0):
    + if by <= timedelta(0):
    Why: a negative one was refused before.

The lines are those that the report shows, without their indentation; every mutant of the file that reads so is meant.
`Why:` goes on to the next empty line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from deploy.mutants.places import Mutant


class Unusable(Exception):
    """The file cannot be used; the message names the entry and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the file."""

    path: str
    before: str
    after: str
    why: str


def read(text: str) -> list[Entry]:
    """The entries of a file. Raises `Unusable`."""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("#")]
    return [_entry(list(block)) for there, block in groupby(lines, bool) if there]


def _entry(block: list[str]) -> Entry:
    match block:
        case [path, before, after, why, *more] if before[:1] == "-" and after[:1] == "+" and why.startswith("Why: "):
            return Entry(path, before[1:].strip(), after[1:].strip(), " ".join((why[5:], *more)))
        case _:
            raise Unusable(
                f"the entry of {block[0]} is not a file, a line with -, a line with + and a reason with Why:"
            )


def listed(entries: Iterable[Entry], mutants: Iterable[Mutant]) -> dict[str, Entry]:
    """Mutant -> the entry that it stands in. Raises `Unusable` where an entry means no mutant."""
    by_lines = {(entry.path, entry.before, entry.after): entry for entry in entries}
    found = {mutant.id: by_lines.get((mutant.path, mutant.before, mutant.after)) for mutant in mutants}
    left = set(by_lines.values()) - set(found.values())
    if left:
        raise Unusable("\n".join(f"no mutant reads so: {each.path}: {each.before} -> {each.after}" for each in left))
    return {name: entry for name, entry in found.items() if entry is not None}
