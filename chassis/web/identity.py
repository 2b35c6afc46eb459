"""Who calls: bearer tokens (JWT) of people, client keys of partner systems.

A token's claims: `sub`, `roles` (list; names that are no role of ours are ignored), `unit`, `areas` (list of area path
prefixes; what they mean, and what none means, depends on the roles: contracts.reading), `exp`, audience `casegrid`. A
client key goes in the header `X-Client-Key`; only its SHA-256 is kept, with the partner's entry.
"""

import asyncio
import hashlib
import hmac
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson
from pydantic import TypeAdapter, ValidationError

from chassis.registry import Registry
from chassis.retry import in_short, in_words
from chassis.settings import Settings
from chassis.web.errors import Unauthenticated, Unready
from contracts.fields import Name, is_list, is_object
from contracts.homes import partner_subject
from contracts.roles import PEOPLE, Role

log = logging.getLogger(__name__)

AUDIENCE = "casegrid"
_KEY_SET_SECONDS = 5.0
"""How long a request waits for the server of the key set."""
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME_RULE = "a name has 1 to 200 characters, some of them visible, and no control characters"
PRIVATE = frozenset({Role.REPORTER})
"""A caller without other roles is a private person: the login is replaced by a keyed hash before any service sees it.
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or a partner system. `source` is set for partners: the CloudEvents source they publish under."""

    subject: str
    roles: frozenset[str]
    unit: str | None = None
    areas: tuple[str, ...] = ()
    source: str | None = None
    believed: bool = True
    """Whether the caller's own times count in a case entered long after the fact: those of staff, and of a partner with
    the right to it. A private person's clock may be wrong, and must not silence an emergency."""


NOBODY = Caller("anonymous", frozenset())


class Identity:
    """Turns a request's credentials into a `Caller`."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._key = settings.jwt_key
        self._jwks = settings.jwks
        self._remote = None
        if settings.jwks is not None and "://" in settings.jwks:
            self._remote = jwt.PyJWKClient(settings.jwks, timeout=_KEY_SET_SECONDS)
        self._registry = registry

    async def caller(self, authorization: str | None, client_key: str | None) -> Caller | None:
        """The caller, or None where no credentials came.

        Raises `Unauthenticated`, and `Unready` where the keys to verify with cannot be had.
        """
        if client_key is not None:
            return self._client(client_key)
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Authorization must be 'Bearer <token>'")
        return self._person(await self._claims(token))

    def _client(self, client_key: str) -> Caller:
        partner = self._registry.partners.by_key.get(hashlib.sha256(client_key.encode()).hexdigest())
        if partner is None and self._registry.blind:
            raise Unready(str(self._registry.fault))
        if partner is None:
            raise Unauthenticated("X-Client-Key is not known")
        unit = partner.units[0] if partner.units else None
        subject, roles = partner_subject(partner.id), frozenset({Role.PARTNER})
        return Caller(subject, roles, unit, (), partner.source, partner.retrospective)

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            key, algorithms = await self._verification_key(token)
            return jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=AUDIENCE,
                options={"require": ["exp", "sub"]},
                leeway=30,
            )
        except jwt.PyJWTError as fault:
            raise Unauthenticated(f"the token is not valid: {fault}") from None

    async def _verification_key(self, token: str) -> tuple[Any, list[str]]:
        if self._jwks is None:
            return self._key, ["HS256"]
        kid = jwt.get_unverified_header(token).get("kid")
        try:
            found = await asyncio.to_thread(self._find, self._jwks, kid)
        except (OSError, ValueError, LookupError, TypeError, jwt.PyJWTError) as fault:
            log.warning("the key set %s is not usable: %s", self._jwks, in_words(fault))
            raise Unready(f"the key set cannot be used: {in_short(fault)}") from None
        if found is None:
            raise jwt.InvalidKeyError(f"no key {kid!r} in the key set")
        return found.key, [found.algorithm_name]

    def _find(self, jwks: str, kid: Any) -> jwt.PyJWK | None:
        """The key of that id; None if the set has none. Raises where there is no usable set."""
        if self._remote is None:
            content = orjson.loads(Path(jwks).read_bytes())
            if not is_object(content):
                raise ValueError("it is not a JSON object")
            return next((key for key in jwt.PyJWKSet.from_dict(content).keys if key.key_id == kid), None)
        self._remote.get_signing_keys()
        try:
            return self._remote.get_signing_key(kid)
        except jwt.PyJWKClientConnectionError:
            raise
        except jwt.PyJWKClientError:  # there is a set, and not this key in it
            return None

    def _person(self, claims: dict[str, Any]) -> Caller:
        subject, unit = claims["sub"], claims.get("unit")
        roles, areas = claims.get("roles", []), claims.get("areas", [])
        if not is_list(roles) or not all(isinstance(role, str) for role in roles):
            raise Unauthenticated("claim roles must be a list of strings")
        if not is_list(areas) or not all(map(_is_name, areas)):
            raise Unauthenticated(f"claim areas must be a list of names; {_NAME_RULE}")
        if unit is not None and not _is_name(unit):
            raise Unauthenticated(f"claim unit must be a name; {_NAME_RULE}")
        if not _is_name(subject):
            raise Unauthenticated(f"claim sub must be a name; {_NAME_RULE}")
        known = frozenset(role for role in roles if role in PEOPLE)
        private = known <= PRIVATE
        if private:
            subject = "reporter:" + hmac.new(self._key.encode(), subject.encode(), "sha256").hexdigest()[:24]
        return Caller(subject, known, unit, tuple(areas), believed=not private)


def _is_name(value: object) -> bool:
    """Whether a claim names somebody or something, so that any record can hold it."""
    try:
        return _CONTROL.search(_NAME.validate_python(value)) is None
    except ValidationError:
        return False
