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
    own: bool = False
    """Whether the caller filed it."""


@dataclass(frozen=True, slots=True)
class Knows:
    """What a service knows of what the rule asks, once for all its routes. Nothing has a default: a service that left
    something out would show too much.
    """

    sensitive: frozenset[str]
    """The categories of sensitive cases."""
    root: str | None
    """The area in which all others of the district lie."""
    categories: bool
    """Whether it hears of every category. One that hears of it by rulings alone takes a case whose rulings do
    not say it for a sensitive one."""
    units: bool
    """Whose people work on a case."""
    filers: bool
    """Who filed a report."""

    @property
    def sees(self) -> Sees:
        """What callers can see cases by in the service."""
        return Sees.PLACED | (Sees.UNIT if self.units else Sees(0)) | (Sees.OWN if self.filers else Sees(0))

    def hides(self, category: str | None) -> bool:
        """Whether a case of that category is sensitive."""
        return not self.categories if category is None else category in self.sensitive


@dataclass(frozen=True, slots=True)
class Scope:
    """The cases that a caller may see."""

    knows: Knows
    """What the service knows that applies the rule."""
    everywhere: bool = False
    """Whether they may lie anywhere in the district, or in none of its areas."""
    areas: tuple[str, ...] = ()
    """Where they may lie."""
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
        return self.everywhere or self.knows.root in self.areas

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
        sensitive = self.knows.hides(matter.category)
        if self.own and matter.own:
            return Sight.WHOLE
        if self.covers(matter.area) and (self.confidential or not sensitive):
            return Sight.WHOLE
        if self.units & (matter.working if sensitive else matter.units):
            return Sight.PART
        return Sight.OUTSIDE if self.staff and not sensitive else Sight.HIDDEN


_ALL = ~Sees(0)


def scope_of(
    roles: Iterable[str],
    areas: Collection[str],
    units: Iterable[str],
    knows: Knows,
    by: Sees = _ALL,
) -> Scope:
    """What a caller of these roles sees in a service that knows this, whose token names these areas, and who works for
    these units. `by` narrows what of all that a role sees can be seen there.
    """
    seen, staff = _reach(frozenset(roles))
    seen &= by & knows.sees
    district = Sees.DISTRICT in seen
    placed = district or Sees.AREAS in seen
    return Scope(
        knows=knows,
        everywhere=district and not areas,
        areas=tuple(areas) if placed else (),
        confidential=district,
        units=frozenset(units) if Sees.UNIT in seen else frozenset(),
        own=Sees.OWN in seen,
        staff=staff,
    )


@cache
def _reach(roles: frozenset[str]) -> tuple[Sees, bool]:
    """What these roles see, and whether they are staff's. Every request asks, for one of a few sets of roles."""
    held = [Role(role) for role in roles]
    seen = Sees(0)
    for role in held:
        seen |= role.sees
    return seen, not STAFF.isdisjoint(held)
