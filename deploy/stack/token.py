"""Development tokens and the key set that vouches for them: what an identity provider would be in production."""

import base64
import hashlib
import json
import time
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from chassis.settings import AUDIENCE, ISSUER
from chassis.web.claims import NotValid, claims_in
from contracts.reference import Areas, Reference, Units
from contracts.roles import PEOPLE, Role
from deploy.stack.problem import Problem

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
    """A signed token (Ed25519). `areas` are area path prefixes; contracts.reading says what they mean to the roles.

    `key` is the private one, as the stack's secrets have it. Raises `Problem` naming a role that no token may bear, or
    another claim that no service would take.
    """
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "roles": [borne(role) for role in roles],
        "unit": unit,
        "areas": list(areas),
        "iat": now,
        "exp": now + ttl_seconds,
    }
    try:
        claims_in(json.dumps(claims).encode(), issuer=ISSUER, audience=AUDIENCE, now=now)
    except NotValid as fault:
        raise Problem(f"no service would take such a token: {fault}") from None
    return jwt.encode(claims, _private(key), algorithm="EdDSA", headers={"kid": _public(key)["kid"]})


def key_set(key: str) -> str:
    """The JSON Web Key Set with the public half of a private key."""
    return json.dumps({"keys": [_public(key)]}, indent=2) + "\n"


def read_token_key(file: str) -> str:
    """The private key in a file. Raises `Problem`."""
    try:
        return Path(file).read_text().strip()
    except OSError as fault:
        raise Problem(f"CASEGRID_TOKEN_KEY_FILE: {file} can't be read: {fault.strerror}") from None


def _private(key: str) -> Ed25519PrivateKey:
    """The key of 32 bytes in base64url, as `secrets.token_urlsafe(32)` makes them. Raises `Problem`."""
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(key.strip() + "="))
    except ValueError:
        raise Problem("the private key of tokens is not 32 bytes in base64url") from None


def _public(key: str) -> dict[str, str]:
    """As a set has it; its id is its thumbprint (RFC 7638)."""
    x = base64.urlsafe_b64encode(_private(key).public_key().public_bytes_raw()).decode().rstrip("=")
    known = {"crv": "Ed25519", "kty": "OKP", "x": x}
    digest = hashlib.sha256(json.dumps(known, separators=(",", ":"), sort_keys=True).encode()).digest()
    kid = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return {**known, "kid": kid, "use": "sig", "alg": "EdDSA"}


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


def lacks(roles: Collection[Role], unit: str | None) -> list[str]:
    """A warning for each role that can do less without a unit than it is for."""
    return [
        f"warning: without UNIT a {role} can work on no assignment: UNIT={example}"
        for role, example in _UNITS.items()
        if role in roles and unit is None
    ]


def instead_of_areas(roles: Collection[Role], given: Collection[str]) -> str:
    """The warning that a token of these roles needs areas, was to have none, and gets these."""
    said = f"AREAS={','.join(given)}, the whole district" if given else "none, with which it sees no case"
    if Role.GRID_MEMBER in roles:
        return f"warning: a grid_member's AREAS should be its grids, AREAS={_GRID}; this token gets {said}"
    return f"warning: such a token needs AREAS; it gets {said}"


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
