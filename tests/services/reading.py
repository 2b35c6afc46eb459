"""Who may read what, as the routes declare it: for the table in docs/security/routes.md, and for its test.

`python -m tests.services.reading` prints the table.
"""

from collections.abc import Iterator
from importlib import import_module

from chassis.web.application import ACCESS, OPERATIONS, PARKED, READS
from chassis.web.roles import ANYONE, SIGNED_IN, Access, Bound, Route
from contracts.roles import Role, Sees
from contracts.status import SERVICES

_WORDS = {Sees.DISTRICT: "district", Sees.AREAS: "areas", Sees.UNIT: "unit", Sees.OWN: "own"}


def declared(service: str) -> dict[Route, Access]:
    """The routes of a service with their declarations, without those that every service has."""
    modules = {"intake": ("api", "reporter_names", "reference_lists"), "triage": ("api", "reference_lists")}
    found: dict[Route, Access] = {}
    for name in modules.get(service, ("api",)):
        found |= import_module(f"services.{service}.{name}").ROLES
    return found


def shared(service: str | None = None) -> dict[Route, Access]:
    """The routes that a service has in common with others; of all together without one."""
    every = {**OPERATIONS.roles, **READS.roles}
    return every if service == "audit" else {**every, **PARKED.roles, **ACCESS.roles}


def rows() -> Iterator[str]:
    """The lines of the table."""
    yield "| route | bound | " + " | ".join(f"`{role}`" for role in Role) + " |"
    yield "|---|---|" + "---|" * len(Role)
    common, of_all = shared(), shared("audit")
    deciding = {route: access for route, access in common.items() if route not in of_all}
    for service, routes in (
        ("every", of_all),
        ("every deciding", deciding),
        *((one, declared(one)) for one in SERVICES),
    ):
        for (method, path), access in routes.items():
            cells = " | ".join(_cell(role, access) for role in Role)
            yield f"| {service} `{method} {path}` | {access.bound} | {cells} |"


def _cell(role: Role, access: Access) -> str:
    if access.roles not in (ANYONE, SIGNED_IN) and role not in access.roles:
        return "–"
    if access.bound not in (Bound.LIST, Bound.CASE, Bound.ASSIGNMENT):
        return "yes"
    words = [word for sees, word in _WORDS.items() if sees in role.sees & access.by]
    if Sees.OWN in access.by and "own" not in words:  # whoever files a report sees it
        words.append("own")
    return ", ".join(words) or "nothing"


if __name__ == "__main__":
    print("\n".join(rows()))
