"""The roles of whoever calls a service: what each may do, once for tokens, routes and their documentation."""

from enum import StrEnum


class Role(StrEnum):
    """What a caller is to the city. A token bears one or more roles; `partner` comes with a client key only."""

    description: str
    """What the role may do, in one line."""

    def __new__(cls, name: str, description: str) -> "Role":
        role = str.__new__(cls, name)
        role._value_ = name
        role.__doc__ = role.description = description
        return role

    REPORTER = "reporter", "files reports; follows, supplements, withdraws and rates its own, and asks to reopen them"
    GRID_MEMBER = "grid_member", "collects and verifies in its grid; works its assignments; checks what others handled"
    ACCEPTOR = "acceptor", "files reports for others; rules on what waits to be filed, rejected or merged"
    DISPATCHER = "dispatcher", "rules on cases and dispatches them; urges, supervises, hands on, decides on extensions"
    SHIFT_LEADER = "shift_leader", "as a dispatcher; rules on second returns, forces a closing, settles parked records"
    HANDLING_UNIT = "handling_unit", "acknowledges, works, resolves or returns the assignments of its own unit"
    EVALUATOR = "evaluator", "checks and calls back on what others handled; reads scores and the cases behind them"
    AUDITOR = "auditor", "reads every case with its causes and its exact bytes; changes nothing"
    ADMINISTRATOR = "administrator", "runs the installation; settles parked records, erases a reporter's personal data"
    PARTNER = "partner", "a partner's system, with a client key: reports and acts for its units, as far as registered"


PEOPLE = tuple(role for role in Role if role is not Role.PARTNER)
"""The roles that a token may bear."""
