"""Which reports were merged into which others, and how those ended: what it takes to tell all followers an outcome.

A report that was merged is a follower of its leader, the case it was merged into; a leader may be a follower, too.
services.intake.context loads the merges for one transaction. `learn` keeps them current within it, so that a merge and
a closing find each other in either order.
"""

from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.triage import Dispatched, Merged, Rejected, Ruling, Upheld, Withdrawn


def tells_outcome(verdict: Evaluated) -> bool:
    """Whether a verdict tells the outcome; for a duplicate, the verdict on its leader does."""
    return verdict.verdict == "closed" and verdict.outcome != "duplicate"


class Merges:
    """The merges around the cases of a transaction.

    All followers are known of the cases in `with_followers`, all leaders of those in `with_leaders`; `into` maps a
    report to its leader; `partners` are the reports that partners filed; `closings` maps a case to its final verdict.
    """

    def __init__(
        self,
        with_followers: Iterable[str] = (),
        with_leaders: Iterable[str] = (),
        into: Mapping[str, str] | None = None,
        partners: Iterable[str] = (),
        closings: Mapping[str, Event[Evaluated]] | None = None,
    ) -> None:
        self._with_followers = frozenset(with_followers)
        self._with_leaders = frozenset(with_leaders)
        self._leader: dict[str, str] = {}
        self._followers: dict[str, set[str]] = {}
        self._partners = frozenset(partners)
        self._closings = dict(closings or {})
        for case, leader in (into or {}).items():
            self._follow(case, leader)

    def learn(self, event: Event[Any]) -> None:
        """Takes in an event of the same transaction."""
        match event.data:
            case data if isinstance(data, Ruling):
                self._ruled(event.subject, data)
            case Evaluated() as verdict if tells_outcome(verdict):
                self._closings[event.subject] = event
            case _:  # only merges and closings count
                return

    def followers(self, case: str) -> list[str]:
        """The partners' reports merged into a case, directly or through others.

        Raises `LookupError` if the case is not one of `with_followers`.
        """
        _require(case, self._with_followers)
        found: list[str] = []
        queue = [case]
        while queue:
            # A report has one leader, so a circle of merges can only lead back to the case itself.
            fresh = sorted(self._followers.get(queue.pop(), set()) - {case})
            queue += fresh
            found += [follower for follower in fresh if follower in self._partners]
        return found

    def closing(self, case: str) -> Event[Evaluated] | None:
        """The verdict that closed a case or the nearest of its leaders; None while all are open.

        Raises `LookupError` if the case is not one of `with_leaders`.
        """
        _require(case, self._with_leaders)
        seen: set[str] = set()
        at: str | None = case
        while at is not None and at not in seen:
            if at in self._closings:
                return self._closings[at]
            seen.add(at)
            at = self._leader.get(at)
        return None

    def _ruled(self, case: str, ruling: Ruling) -> None:
        match ruling:
            case Merged(into=leader):
                self._leave(case)
                self._follow(case, leader)
            case Dispatched() | Rejected() | Withdrawn():
                self._leave(case)
            case Upheld():  # the case stays where it is
                pass
            case _:
                assert_never(ruling)

    def _leave(self, case: str) -> None:
        leader = self._leader.pop(case, None)
        if leader is not None:
            self._followers[leader].discard(case)

    def _follow(self, case: str, leader: str) -> None:
        self._leader[case] = leader
        self._followers.setdefault(leader, set()).add(case)


def _require(case: str, known: frozenset[str]) -> None:
    """Raises `LookupError` for a case whose merges were not loaded: an answer could leave somebody out."""
    if case not in known:
        raise LookupError(f"the merges of case {case} were not loaded in this transaction")
