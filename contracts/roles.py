"""The roles of whoever calls a service: what each may do, once for tokens, routes and their documentation."""

from collections.abc import Iterable
from enum import Flag, StrEnum, auto


class Sees(Flag):
    """Which cases a role sees; contracts.reading has the rule."""

    OWN = auto()
    """The reports that the caller filed: of every role that files some."""
    UNIT = auto()
    """The assignments of the caller's unit, with the cases around them."""
    AREAS = auto()
    """The cases in the areas that the token names, but for sensitive ones. A token that names none sees none."""
    DISTRICT = auto()
    """All cases, sensitive ones too; of a token that names areas those in them."""
    PLACED = AREAS | DISTRICT
    """Cases by where they lie."""


class Role(StrEnum):
    """What a caller is to the city. A token bears one or more roles; `partner` comes with a client key only."""

    description: str
    """What the role may do, in one line."""
    sees: Sees
    """Which cases the role sees."""

    def __new__(cls, name: str, sees: Sees, description: str) -> "Role":
        role = str.__new__(cls, name)
        role._value_ = name
        role.__doc__ = role.description = description
        role.sees = sees
        return role

    REPORTER = (
        "reporter",
        Sees.OWN,
        "files reports; follows, supplements, withdraws and rates its own, and asks to reopen them",
    )
    GRID_MEMBER = (
        "grid_member",
        Sees.OWN | Sees.UNIT | Sees.AREAS,
        "collects and verifies in its grid; works its assignments; checks what others handled",
    )
    ACCEPTOR = (
        "acceptor",
        Sees.OWN | Sees.AREAS,
        "files reports for others; rules on what waits to be filed, rejected or merged",
    )
    DISPATCHER = (
        "dispatcher",
        Sees.OWN | Sees.AREAS,
        "rules on cases and dispatches them; urges, supervises, hands on, decides on extensions",
    )
    SHIFT_LEADER = (
        "shift_leader",
        Sees.OWN | Sees.DISTRICT,
        "as a dispatcher; rules on second returns, forces a closing, settles parked records",
    )
    HANDLING_UNIT = (
        "handling_unit",
        Sees.UNIT,
        "acknowledges, works, resolves or returns the assignments of its own unit",
    )
    EVALUATOR = (
        "evaluator",
        Sees.DISTRICT,
        "checks and calls back on what others handled; reads scores and the cases behind them",
    )
    AUDITOR = "auditor", Sees.DISTRICT, "reads every case with its causes and its exact bytes; changes nothing"
    ADMINISTRATOR = (
        "administrator",
        Sees.DISTRICT,
        "runs the installation; settles parked records, erases a reporter's personal data",
    )
    PARTNER = (
        "partner",
        Sees.OWN | Sees.UNIT,
        "a partner's system, with a client key: reports and acts for its units, as far as registered",
    )


PEOPLE = tuple(role for role in Role if role is not Role.PARTNER)
"""The roles that a token may bear."""
STAFF = frozenset(PEOPLE) - {Role.REPORTER}
"""Who works for the city."""


def needs_areas(roles: Iterable[str]) -> bool:
    """Whether a token of these roles has to name areas, or its bearer sees less than the roles are for."""
    seen = [Role(role).sees for role in roles if role in PEOPLE]
    return any(Sees.AREAS in one for one in seen) and not any(Sees.DISTRICT in one for one in seen)
