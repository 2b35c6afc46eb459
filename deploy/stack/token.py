"""Development tokens: what an identity provider would issue in production."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import jwt
from pydantic import ValidationError

from contracts.reference import Areas, Reference, Units
from contracts.roles import PEOPLE, Role
from deploy.stack.problem import Problem

ISSUER = "casegrid-dev"
AUDIENCE = "casegrid"

_GRID = "CH/shuangqiaozi/shuanglin/g001"
_UNITS = {Role.HANDLING_UNIT: "dept:water", Role.GRID_MEMBER: f"grid:{_GRID}"}
"""The roles that work for a unit, and a unit of the reference district for each."""

R = TypeVar("R", bound=Reference)


def issue(
    key: str,
    *,
    subject: str,
    roles: Iterable[str],
    unit: str | None = None,
    areas: Iterable[str] = (),
    ttl_seconds: int = 43_200,
) -> str:
    """A signed token (HS256). `areas` are area path prefixes; what they mean depends on the roles (contracts.reading).

    Raises `Problem` naming a role that no token may bear.
    """
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "roles": [borne(role) for role in roles],
        "unit": unit,
        "areas": list(areas),
        "iat": now,
        "exp": now + timedelta(seconds=ttl_seconds),
    }
    return jwt.encode(claims, key, algorithm="HS256")


def borne(name: str) -> Role:
    """The role of that name. Raises `Problem` where no token may bear it."""
    if name == Role.PARTNER:
        raise Problem(
            "ROLE names 'partner', which no token bears: a partner's system sends its client key (`make partner`)"
        )
    if name not in PEOPLE:
        raise Problem(f"ROLE names {name!r}: choose from {', '.join(PEOPLE)}; several are separated by commas")
    return Role(name)


def require_known(district: Path, unit: str | None, areas: Iterable[str]) -> str | None:
    """Raises `Problem` naming a unit or an area that the district does not have.

    Where there is no district yet, a warning that says so; else None.
    """
    areas = tuple(areas)
    if unit is None and not areas:
        return None
    if not district.exists():
        return f"warning: UNIT and AREAS were not checked, there is no district in {district} yet: `make up` makes it"
    if unit is not None:
        _require("UNIT", unit, _read(district / "units.json", Units).by_id, district / "units.json")
    if areas:
        known = _read(district / "areas.json", Areas).by_path
        for area in areas:
            _require("AREAS", area, known, district / "areas.json")
    return None


def lacks(roles: Collection[Role], unit: str | None, areas: Collection[str]) -> list[str]:
    """A warning for each thing without which a token of these roles can do less, or more, than the role is for."""
    found = [
        f"warning: without UNIT a {role} can work on no assignment: UNIT={example}"
        for role, example in _UNITS.items()
        if role in roles and unit is None
    ]
    if Role.GRID_MEMBER in roles and not areas:
        found.append(f"warning: a grid_member's AREAS should be its grids: AREAS={_GRID}")
    return found


def whole_district(district: Path) -> tuple[str, ...]:
    """The areas of a token that names the district as a whole; none where there is no district yet."""
    if not (district / "areas.json").exists():
        return ()
    return tuple(area.path for area in _read(district / "areas.json", Areas).areas if area.parent is None)


def roles_in_words() -> str:
    """Each role that a token may bear, with what it may do, a line each."""
    return "\n".join(f"  {role:<14}  {role.description}" for role in PEOPLE)


def _require(variable: str, name: str, known: Collection[str], file: Path) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"; near it are {', '.join(near)}" if near else ""
        raise Problem(f"{variable} names {name!r}, which {file} does not have{hint}")


def _read(path: Path, model: type[R]) -> R:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise Problem(f"{path} can't be used: `python -m deploy.district check {path.parent}` says why") from None
