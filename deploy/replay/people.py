"""The simulated people: each with a development token of their own, of the role they act in."""

from typing import Any

from deploy.replay.case import Case
from deploy.replay.client import SwiftCity, SwiftPerson
from deploy.replay.district import District
from deploy.replay.rows import Report

DESKS = 4
"""Acceptors at the hotline."""


class People:
    """Knows everybody who acts in a replay; a person is made when first needed."""

    def __init__(self, city: SwiftCity, district: District) -> None:
        self._city = city
        self._district = district
        self._known: dict[tuple[str, str, str | None], SwiftPerson] = {}

    def filer(self, report: Report) -> SwiftPerson:
        """Who files it: the acceptor who took it down, for a reporter's own claim of an old time counts for nothing."""
        return self._person(f"acceptor:replay-{report.row % DESKS}", "acceptor")

    def leader(self) -> SwiftPerson:
        """Who rules on what triage could not, sensitive cases too."""
        return self._person("leader:replay-queue", "shift_leader")

    def verifier(self, unit: str | None, area: str) -> SwiftPerson:
        """The grid member who looks at the place before it is filed."""
        grid = "/".join(area.split("/")[:4])
        return self._person(self._district.member_of(grid), "grid_member", unit=unit or f"grid:{grid}")

    def worker(self, assignment: dict[str, Any]) -> SwiftPerson:
        """Who acts for the assignment's unit: of a grid the member on duty, else the first backup."""
        unit: str = assignment["unit"]
        if unit.startswith("grid:"):
            backups = assignment.get("backups") or [self._district.member_of(unit.removeprefix("grid:"))]
            return self._person(assignment.get("member") or backups[0], "grid_member", unit=unit)
        return self._person(f"staff:{unit}", "handling_unit", unit=unit)

    def checker(self, case: Case) -> SwiftPerson:
        """Who checks the work, none of those who did it: a member of a neighbouring grid, or the call centre."""
        if case.check_by == "grid" and (found := self._district.neighbour(case.area or "", case.units)) is not None:
            member, unit = found
            return self._person(member, "grid_member", unit=unit)
        return self._person("evaluator:replay", "evaluator")

    def auditor(self) -> SwiftPerson:
        """Who asks audit in the end."""
        return self._person("auditor:replay", "auditor")

    def _person(self, subject: str, role: str, unit: str | None = None) -> SwiftPerson:
        key = (subject, role, unit)
        if key not in self._known:
            self._known[key] = self._city.person(subject, role, unit=unit)
        return self._known[key]
