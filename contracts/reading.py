"""Who may read a case: the rule of need to know, as a pure function of the caller's roles and of the case.

    district-wide roles   every case; of a token that names areas those in them
    area roles            the cases in the areas of the token, but for sensitive ones; without areas none
    unit people           what their unit has, had or is offered, wherever it lies; of sensitive cases those that it
                          works on, has done or is offered, not what it gave back or on
    partners              the same of their units
    reporters             what they filed; only intake knows that

A caller with several roles sees what any of them sees. A case is sensitive if the catalogue says so of its category;
whoever may not read it is not told that it exists. Whoever may not read a case may not act on it either. `POST /access`
lets staff read one case for an hour; it is no part of the rule, because it is for reading alone.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache

from contracts.fields import lies_in
from contracts.roles import STAFF, Role, Sees

ACCESS_VALID = timedelta(hours=1)
"""How long an exceptional access lasts."""


class Sight(StrEnum):
    """What a caller sees of a case."""

    WHOLE = "whole"
    """The case with all that belongs to it."""
    PART = "part"
    """The case with the assignments of the caller's units, and no others."""
    OUTSIDE = "outside"
    """Nothing; the case lies outside the caller's areas, or is another unit's."""
    HIDDEN = "hidden"
    """Nothing, not even that it exists."""


@dataclass(frozen=True, slots=True)
class Matter:
    """What the rule asks of a case."""

    area: str | None
    category: str | None = None
    """As triage ruled; before that, as the reporter chose."""
    units: frozenset[str] = frozenset()
    """Those that have, had or are offered an assignment of it."""
    working: frozenset[str] = frozenset()
    """Those of them that work on it, have done their work, or are offered it now: not those that returned it or handed
    it on, or whose assignment was cancelled."""
    told: bool = True
    """Whether the service hears of every category. One that hears of it by rulings alone takes a case whose rulings do
    not say it for a sensitive one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The cases that a caller may see."""

    everywhere: bool = False
    """Whether they may lie anywhere in the district, or in none of its areas."""
    areas: tuple[str, ...] = ()
    """Where they may lie."""
    root: str | None = None
    """The area in which all others of the district lie."""
    sensitive: frozenset[str] = frozenset()
    """The categories of sensitive cases."""
    confidential: bool = False
    """Whether sensitive cases are among those."""
    units: frozenset[str] = frozenset()
    """Whose assignments the caller sees beside those."""
    own: bool = False
    """Whether what the caller filed is among those, wherever it lies."""
    staff: bool = False
    """Whether the caller may be told that a case exists which they may not read, unless it is sensitive."""

    @property
    def district(self) -> bool:
        """Whether cases whose area is not known yet are among those: they lie somewhere in the district."""
        return self.everywhere or self.root in self.areas

    @property
    def whole(self) -> bool:
        """Whether there is nothing that the caller may not see."""
        return self.everywhere and self.confidential

    def covers(self, area: str | None) -> bool:
        """Whether cases in that area are for the caller, but for sensitive ones."""
        if self.everywhere:
            return True
        if area is None:
            return self.district
        return any(lies_in(area, own) for own in self.areas)

    def sight(self, matter: Matter) -> Sight:
        """What the caller sees of a case."""
        sensitive = matter.category in self.sensitive or (matter.category is None and not matter.told)
        if self.covers(matter.area) and (self.confidential or not sensitive):
            return Sight.WHOLE
        if self.units & (matter.working if sensitive else matter.units):
            return Sight.PART
        return Sight.OUTSIDE if self.staff and not sensitive else Sight.HIDDEN


_ALL = ~Sees(0)


def scope_of(
    roles: Iterable[str],
    areas: Collection[str] = (),
    units: Iterable[str] = (),
    sensitive: frozenset[str] = frozenset(),
    root: str | None = None,
    by: Sees = _ALL,
) -> Scope:
    """What a caller of these roles sees, whose token names these areas, and who works for these units. `sensitive` are
    the categories that the catalogue says are, `root` is the area in which all others lie, and `by` what of all that a
    role sees can be seen there.
    """
    placed, district, unit, staff = _reach(frozenset(roles), by)
    return Scope(
        everywhere=district and not areas,
        areas=tuple(areas) if placed else (),
        root=root,
        sensitive=sensitive,
        confidential=district,
        units=frozenset(units) if unit else frozenset(),
        own=Sees.OWN in by,
        staff=staff,
    )


@cache
def _reach(roles: frozenset[str], by: Sees) -> tuple[bool, bool, bool, bool]:
    """Whether these roles see cases of areas, of the district, of their unit, and whether they are staff's. Every
    request asks, for one of a few sets of roles.
    """
    held = [Role(role) for role in roles]
    seen = Sees(0)
    for role in held:
        seen |= role.sees
    seen &= by
    district = Sees.DISTRICT in seen
    return district or Sees.AREAS in seen, district, Sees.UNIT in seen, not STAFF.isdisjoint(held)
