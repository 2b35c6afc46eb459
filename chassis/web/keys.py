"""The keys that tokens are verified with: a shared one, or the public keys of a set in a file or on a server.

A set is read by one task at a time, whoever asks. While it cannot be read, the keys of the last good reading serve for
as long as the settings say; without any the answer is `Unready`. A set holds public keys only, each for one algorithm.
"""

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from chassis.retry import in_short, in_words
from chassis.settings import Settings
from chassis.web.errors import Unready
from contracts.fields import is_list, is_object

log = logging.getLogger(__name__)

ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"},
)
"""The algorithms that a key of a set may be for: whoever can verify with it cannot sign."""
_ANSWER_SECONDS = 5.0
_LOOK_SECONDS = 2.0
"""How often a file is read."""
_UNKNOWN_SECONDS = 10.0
"""How often an unknown key id can make a set be read out of turn."""
_LONGEST_PAUSE_SECONDS = 10.0
_MAX_BYTES = 256 * 1024
_SHORTEST_RSA = 2048


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the one algorithm that it verifies."""

    value: Any
    algorithm: str


class Keys(Protocol):
    """What verifies tokens."""

    @property
    def fault(self) -> str | None:
        """That no key can be had, for everybody. None while there is any."""
        ...

    @property
    def stale(self) -> str | None:
        """That the keys of before serve, and why. None where they are fresh, or there are none."""
        ...

    @property
    def version(self) -> int:
        """Another one with every change: what was verified under an earlier version is to be verified again."""
        ...

    async def current(self) -> int:
        """The version, once keys are there. Raises `Unready`."""
        ...

    async def find(self, kid: str | None) -> Key | None:
        """The key of that id, if there is one. Raises `Unready`."""
        ...

    async def run(self) -> None:
        """Keeps the keys fresh for as long as the process lives."""
        ...


def keys_of(settings: Settings) -> Keys:
    """The key set that the settings name, else their shared key."""
    if settings.jwks is None:
        return SharedKey(settings.jwt_key)
    where = urlsplit(settings.jwks)
    if where.scheme in ("http", "https"):
        return KeySet(settings.jwks, partial(_fetched, where), settings.jwks_seconds, settings.jwks_stale_seconds)
    every = min(_LOOK_SECONDS, settings.jwks_seconds)
    return KeySet(settings.jwks, partial(_read, Path(settings.jwks)), every, settings.jwks_stale_seconds)


class SharedKey:
    """One key for all tokens, which also signs them."""

    fault = None
    stale = None
    version = 0

    def __init__(self, key: str) -> None:
        self._key = Key(key, "HS256")

    async def current(self) -> int:
        return self.version

    async def find(self, kid: str | None) -> Key | None:
        return self._key

    async def run(self) -> None:
        """Nothing changes."""


class KeySet:
    """The keys of a set, by their ids."""

    def __init__(
        self, where: str, load: Callable[[], Awaitable[bytes]], every_seconds: float, stale_seconds: float
    ) -> None:
        self.version = 0
        self._where = where
        self._load = load
        self._every = every_seconds
        self._stale_seconds = stale_seconds
        self._keys: Mapping[str | None, Key] = {}
        self._entries: list[Any] | None = None
        self._serves_until = -math.inf
        self._due = self._unknown_from = -math.inf
        self._failures = 0
        self._fault: str | None = None
        self._said: str | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def fault(self) -> str | None:
        if time.monotonic() < self._serves_until:
            return None
        return self._fault or "the key set has not been read yet"

    @property
    def stale(self) -> str | None:
        if self._fault is None or time.monotonic() >= self._serves_until:
            return None
        return f"{self._fault}; the keys before it serve"

    async def current(self) -> int:
        """The version. A set that is due is read meanwhile; the caller waits for it only where no keys serve."""
        now = time.monotonic()
        if now >= self._serves_until:
            if now >= self._due:
                await asyncio.shield(self._begun())
            self._refuse_without_keys()
        elif now >= self._due:
            self._begun()
        return self.version

    async def find(self, kid: str | None) -> Key | None:
        await self.current()
        found = self._keys.get(kid)
        if found is None and time.monotonic() >= self._unknown_from:
            await asyncio.shield(self._begun())
            found = self._keys.get(kid)
            if found is None and self._fault is not None:  # the key may be a new one
                raise Unready(self._fault, self._pause())
        return found

    async def run(self) -> None:
        """Reads the set again and again, so that a removed key is forgotten though nobody calls."""
        while True:
            await asyncio.shield(self._begun())
            await asyncio.sleep(max(0.01, self._due - time.monotonic()))

    def _refuse_without_keys(self) -> None:
        if time.monotonic() >= self._serves_until:
            raise Unready(self.fault or "", self._pause())

    def _pause(self) -> int:
        return max(1, math.ceil(self._due - time.monotonic()))

    def _begun(self) -> asyncio.Task[None]:
        """The one reading that is under way."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="key set")
        return self._reading

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                raw = await self._load()
            entries = _entries(raw)
            if entries != self._entries:
                self._keys, self._entries = _keys(entries), entries
                self.version += 1
                log.info("the key set has %d usable keys", len(self._keys))
        except Exception as fault:
            self._failed(fault)
        else:
            self._failures, self._fault, self._said = 0, None, None
            self._serves_until = time.monotonic() + self._stale_seconds
            self._next(self._every)

    def _failed(self, fault: Exception) -> None:
        """Whatever a server sends, a set that cannot be used is an outage."""
        self._failures += 1
        self._next(min(2.0 ** min(self._failures - 1, 10), _LONGEST_PAUSE_SECONDS, self._every))
        self._fault = f"the key set cannot be used: {in_short(fault)}"
        serves = "the keys before it serve" if time.monotonic() < self._serves_until else "no key is known"
        if (words := f"the key set {self._where} is not usable, {serves}: {in_words(fault)}") != self._said:
            self._said = words
            log.warning("%s", words)

    def _next(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds
        self._unknown_from = time.monotonic() + min(_UNKNOWN_SECONDS, self._every)


def require_usable(raw: bytes) -> None:
    """Raises `ValueError` where a document is no key set, or none of its keys verifies tokens."""
    _keys(_entries(raw))


def _entries(raw: bytes) -> list[Any]:
    """The entries of a JWK set (RFC 7517, section 5). Raises `ValueError`."""
    document = orjson.loads(raw)
    entries = document.get("keys") if is_object(document) else None
    if not is_list(entries):
        raise ValueError("it is not a JSON object with a list of keys")
    return entries


def _keys(entries: list[Any]) -> dict[str | None, Key]:
    """What is usable of them; of two with the same id the first. Raises `ValueError` where nothing is."""
    found: dict[str | None, Key] = {}
    for entry in entries:
        try:
            kid, key = _key(entry)
            found.setdefault(kid, key)
        except (ValueError, TypeError, LookupError, NotImplementedError, jwt.PyJWTError) as fault:
            log.warning("a key of the key set is left out: %s", in_words(fault))
    if not found:
        raise ValueError("no key of it is usable")
    return found


def _key(entry: Any) -> tuple[str | None, Key]:
    if not is_object(entry):
        raise ValueError("it is no object")
    kid = entry.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("its kid is no text")
    if entry.get("kty") == "oct":
        raise ValueError("it is symmetric: whoever verifies with it could sign, too")
    if "d" in entry:
        raise ValueError("it is a private key")
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        raise ValueError("it is not for signatures")
    known = jwt.PyJWK.from_dict(dict(entry))
    if known.algorithm_name not in ASYMMETRIC:
        raise ValueError("its algorithm is none of those that are accepted")
    if isinstance(known.key, RSAPublicKey) and known.key.key_size < _SHORTEST_RSA:
        raise ValueError(f"it is an RSA key of fewer than {_SHORTEST_RSA} bits")
    return kid, Key(known.key, known.algorithm_name)


async def _read(path: Path) -> bytes:
    return await asyncio.to_thread(path.read_bytes)


async def _fetched(where: SplitResult) -> bytes:
    """The body that a server answers a GET with. No proxy is used and no redirect followed. Raises `OSError`."""
    host, port = where.hostname or "", where.port
    encrypted = ssl.create_default_context() if where.scheme == "https" else None
    reader, writer = await asyncio.open_connection(host, port or (443 if encrypted else 80), ssl=encrypted)
    try:
        target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {where.netloc.rpartition('@')[2]}", "Accept: application/json"]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("ascii"))
        raw = bytearray()
        while len(raw) <= _MAX_BYTES and (part := await reader.read(_MAX_BYTES)):
            raw += part
    finally:
        writer.close()
    if len(raw) > _MAX_BYTES:
        raise OSError(f"the answer has more than {_MAX_BYTES} bytes")
    answer = HTTPResponse(_Received(bytes(raw)))  # pyright: ignore[reportArgumentType]  it only reads from it
    answer.begin()
    if answer.status != 200:
        raise OSError(f"the server answers {answer.status}")
    return answer.read()


class _Received:
    """What came, as a socket from which it is read."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _: str) -> BytesIO:
        return BytesIO(self._raw)
