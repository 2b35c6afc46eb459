"""Who calls: bearer tokens (JWT) of people, client keys of partner systems.

A token's claims: `iss`, `aud`, `sub`, `exp`, and of choice `nbf`, `iat`, `roles` (list; names that are no role of ours
are ignored), `unit`, `areas` (list of area path prefixes; what they mean, and what none means, depends on the roles:
contracts.reading); chassis.web.claims has the rules. A client key goes in the header `X-Client-Key`; only its SHA-256
is kept, with the partner's entry.
"""

import hashlib
import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass

import jwt

from chassis.clock import Clock, wall_clock
from chassis.registry import Registry
from chassis.settings import AUDIENCE, Settings
from chassis.web.claims import LEEWAY_SECONDS, Claims, Expired, NotValid, claims_in
from chassis.web.errors import Unauthenticated, Unready
from chassis.web.keys import Keys, keys_of
from contracts import actors
from contracts.homes import partner_subject
from contracts.roles import PEOPLE, Role

__all__ = ["AUDIENCE", "NOBODY", "Caller", "Identity"]

_LONGEST_TOKEN = 8192
_CLIENT_KEY = re.compile(r"[!-~]{1,200}")
_REMEMBERED = 10_000
"""The most tokens and client keys that are known to have been valid, the last used ones."""
_JWS = jwt.PyJWS()
_PRIVATE = frozenset({Role.REPORTER})
"""A caller without other roles is a private person."""


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
    private: bool = False
    """Whether the caller is a private person, whose login is replaced by a keyed hash before any service sees it."""
    until: float | None = None
    """When the caller's token is no longer accepted, in seconds since 1970; None for a client key."""


NOBODY = Caller(actors.NOBODY, frozenset())
NEEDED = "a bearer token or a client key is needed"
"""What a stranger is told."""


class Identity:
    """Turns a request's credentials into a `Caller`, and remembers which were valid."""

    def __init__(
        self, settings: Settings, registry: Registry, keys: Keys | None = None, clock: Clock = wall_clock
    ) -> None:
        self._issuer, self._audience = settings.issuer, settings.audience
        self._pseudonym_key = settings.pseudonym_key.encode()
        self._keys = keys or keys_of(settings)
        self._registry = registry
        self._clock = clock
        self._verified: OrderedDict[bytes, tuple[int, Caller]] = OrderedDict()
        """Hash of a token or client key -> the keys' version by which it was valid, and whose it is."""

    def remembers(self, authorization: str | None, client_key: str | None) -> bool:
        """Whether this token, or client key, was valid before and has not expired."""
        if client_key is not None:
            digest = _digest(b"client key", client_key)
        else:
            digest = _digest(b"token", (authorization or "").partition(" ")[2])
        known = self._verified.get(digest)
        return known is not None and (known[1].until is None or self._clock().timestamp() < known[1].until)

    def seconds_left(self, caller: Caller) -> float | None:
        """For how long the caller's token is still valid; None where that has no end."""
        return None if caller.until is None else max(0.0, caller.until - self._clock().timestamp())

    async def caller(self, authorization: str | None, client_key: str | None) -> Caller | None:
        """The caller, or None where no credentials came.

        Raises `Unauthenticated`, and `Unready` where the keys to verify with cannot be had.
        """
        if client_key is not None and authorization is not None:
            raise Unauthenticated("send a token or a client key, not both")
        if client_key is not None:
            return self._client(client_key)
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Authorization must be 'Bearer <token>'")
        return await self._person(token)

    def _client(self, client_key: str) -> Caller:
        if not _CLIENT_KEY.fullmatch(client_key):
            raise Unauthenticated("X-Client-Key must be 1 to 200 characters of ASCII, and no space")
        digest = _digest(b"client key", client_key)
        partner = self._registry.partners.by_key.get(hashlib.sha256(client_key.encode()).hexdigest())
        if partner is None and self._registry.blind:
            raise Unready(str(self._registry.fault))
        if partner is None:
            self._verified.pop(digest, None)
            raise Unauthenticated("X-Client-Key is not known")
        unit = partner.units[0] if partner.units else None
        subject, roles = partner_subject(partner.id), frozenset({Role.PARTNER})
        caller = Caller(subject, roles, unit, (), partner.source, partner.retrospective)
        self._remember(digest, 0, caller)
        return caller

    async def _person(self, token: str) -> Caller:
        if len(token) > _LONGEST_TOKEN:
            raise Unauthenticated(f"the token has more than {_LONGEST_TOKEN} characters")
        digest, version = _digest(b"token", token), await self._keys.current()
        known = self._verified.get(digest)
        if known is not None and known[0] == version and self._clock().timestamp() < (known[1].until or 0):
            self._verified.move_to_end(digest)
            return known[1]
        self._verified.pop(digest, None)
        try:
            claims = await self._claims(token)
        except (jwt.PyJWTError, NotValid) as fault:
            words = str(fault).encode(errors="backslashreplace").decode()  # a claim may hold what no answer can
            raise Unauthenticated(f"the token is not valid: {words}", expired=isinstance(fault, Expired)) from None
        caller = self._caller(claims)
        self._remember(digest, version, caller)
        return caller

    async def _claims(self, token: str) -> Claims:
        kid = jwt.get_unverified_header(token).get("kid")
        key = await self._keys.find(kid)
        if key is None:
            raise NotValid("no key of the key set has its kid" if kid else "it names no kid")
        payload = _JWS.decode(token, key.value, algorithms=[key.algorithm])
        claims = claims_in(payload, issuer=self._issuer, audience=self._audience, now=self._clock().timestamp())
        owner, colon, _ = claims.sub.partition(":")
        if colon and owner in self._registry.partners.by_id:
            raise NotValid(f"claim sub: must not begin with {owner}:, which facts use for the people of that partner")
        return claims

    def _caller(self, claims: Claims) -> Caller:
        subject = claims.sub
        known = frozenset(role for role in claims.roles if role in PEOPLE)
        private = known <= _PRIVATE
        if private:
            pseudonym = hmac.new(self._pseudonym_key, subject.encode(), "sha256").hexdigest()[:24]
            subject = f"{actors.PRIVATE_PERSON}:{pseudonym}"
        until = claims.exp + LEEWAY_SECONDS
        areas = tuple(claims.areas)
        return Caller(subject, known, claims.unit, areas, believed=not private, private=private, until=until)

    def _remember(self, digest: bytes, version: int, caller: Caller) -> None:
        self._verified[digest] = version, caller
        self._verified.move_to_end(digest)
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)


def _digest(kind: bytes, secret: str) -> bytes:
    return hashlib.sha256(kind + b" " + secret.encode(errors="surrogatepass")).digest()
