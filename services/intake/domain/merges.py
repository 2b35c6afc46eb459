"""Which reports are part of which others, and how those ended: all it takes to tell whoever is to hear of an end.

Read from the store for the rulings and verdicts of one batch (services.intake.merges), and kept true as they take
effect, so that a merge and a closing find each other in whatever order they come.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn


def ends(verdict: Evaluated) -> bool:
    """Whether a verdict is one to be passed on. Of a duplicate the case that it became part of tells the end."""
    return verdict.verdict == "closed" and verdict.outcome != "duplicate"


class Merges:
    """The merges around the cases of a batch.

    `below` are the cases of which it is known what is part of them, `above` those of which it is known what they are
    part of; `into` says which case a report was merged into; `partners` are the reports that partners filed.
    """

    def __init__(
        self,
        below: Iterable[str] = (),
        above: Iterable[str] = (),
        into: Mapping[str, str] | None = None,
        partners: Iterable[str] = (),
        closings: Mapping[str, Event[Evaluated]] | None = None,
    ) -> None:
        self._below = frozenset(below)
        self._above = frozenset(above)
        self._into: dict[str, str] = {}
        self._parts: dict[str, set[str]] = {}
        self._partners = frozenset(partners)
        self._closings = dict(closings or {})
        for case, leader in (into or {}).items():
            self._move(case, leader)

    def learn(self, event: Event[Any]) -> None:
        """Takes in what took effect later in the same batch."""
        match event.data:
            case Merged(into=leader):
                self._move(event.subject, leader)
            case Dispatched() | Rejected() | Withdrawn():
                self._move(event.subject, None)
            case Evaluated() as verdict if ends(verdict):
                self._closings[event.subject] = event
            case _:
                return

    def parts(self, case: str) -> list[str]:
        """The reports of partners that are part of a case, also through others.

        Raises `LookupError` where the case is not one of `below`.
        """
        _known(case, self._below)
        seen, found, queue = {case}, [], [case]
        while queue:
            fresh = sorted(self._parts.get(queue.pop(), set()) - seen)  # a circle, which should not be, ends here
            seen.update(fresh)
            queue += fresh
            found += [part for part in fresh if part in self._partners]
        return found

    def closing(self, case: str) -> Event[Evaluated] | None:
        """The verdict that closed a case, or the nearest that it is part of; None while all are open.

        Raises `LookupError` where the case is not one of `above`.
        """
        _known(case, self._above)
        seen: set[str] = set()
        at: str | None = case
        while at is not None and at not in seen:
            if at in self._closings:
                return self._closings[at]
            seen.add(at)
            at = self._into.get(at)
        return None

    def _move(self, case: str, leader: str | None) -> None:
        before = self._into.pop(case, None)
        if before is not None:
            self._parts[before].discard(case)
        if leader is not None:
            self._into[case] = leader
            self._parts.setdefault(leader, set()).add(case)


def _known(case: str, cases: frozenset[str]) -> None:
    """Raises `LookupError` where the store was not asked: to answer from nothing would leave somebody out."""
    if case not in cases:
        raise LookupError(f"the merges of case {case} were not read in this transaction")
