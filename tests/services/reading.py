"""Who may read what, as the running services declare it: for the table in docs/security/routes.md, and for its test.

`python -m tests.services.reading` prints the table.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from chassis.engine.model import Model
from chassis.service import Service
from chassis.settings import Settings
from chassis.web.application import OPERATIONS, PARKED, READS, access_to
from chassis.web.roles import ANYONE, SIGNED_IN, Access, Bound, Route
from contracts.roles import Role, Sees
from contracts.status import SERVICES
from deploy.district import __main__ as district

_WORDS = {Sees.DISTRICT: "district", Sees.AREAS: "areas", Sees.UNIT: "unit", Sees.OWN: "own"}


def declared(service: Service) -> Mapping[Route, Access]:
    """The routes of a service with their declarations, without those that it has in common with others."""
    own = service.routes.roles
    return {**access_to(own).roles, **own} if isinstance(service.model, Model) else own


def shared(service: Service) -> Mapping[Route, Access]:
    """The routes that a service has in common with others."""
    every = {**OPERATIONS.roles, **READS.roles}
    return {**every, **PARKED.roles} if isinstance(service.model, Model) else every


def rows(folder: Path) -> Iterator[str]:
    """The lines of the table; the reference files of a district are in the folder."""
    settings = Settings.model_validate({"CASEGRID_DISTRICT": folder})
    built = [import_module(f"services.{name}.service").build(settings) for name in SERVICES]
    yield "| route | bound | " + " | ".join(f"`{role}`" for role in Role) + " |"
    yield "|---|---|" + "---|" * len(Role)
    for service, routes in (("every", {**OPERATIONS.roles, **READS.roles}), ("every deciding", PARKED.roles)):
        yield from _rows(service, routes, ~Sees(0))
    for one in built:
        yield from _rows(one.name, declared(one), one.knows.sees)


def _rows(service: str, routes: Mapping[Route, Access], knows: Sees) -> Iterator[str]:
    for (method, path), access in routes.items():
        cells = " | ".join(_cell(role, access, knows) for role in Role)
        yield f"| {service} `{method} {path}` | {access.bound} | {cells} |"


def _cell(role: Role, access: Access, knows: Sees) -> str:
    if access.roles not in (ANYONE, SIGNED_IN) and role not in access.roles:
        return "–"
    if access.bound not in (Bound.LIST, Bound.CASE, Bound.ASSIGNMENT):
        return "yes"
    return ", ".join(word for sees, word in _WORDS.items() if sees in role.sees & access.by & knows) or "nothing"


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        with redirect_stdout(sys.stderr):  # what it says of its work is no part of the table
            assert district.main(["--scale", "tiny", "--out", scratch]) == 0
        print("\n".join(rows(Path(scratch))))
