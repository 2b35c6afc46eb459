"""Which connections a process keeps, how much and how long a request may come in, and what was refused of all that.

Whoever opens connections and says little holds a file descriptor each, and with all of them taken neither new callers
nor the database get one. So a process keeps as many connections as leave a reserve, one address a share of them, and
whatever is only half there has a time by which it must be whole (chassis.web.protocol).
"""

import asyncio
import contextlib
import ipaddress
import logging
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

import orjson

from chassis.web.headers import Header, with_security

log = logging.getLogger(__name__)

RESERVE = 256
"""File descriptors that connections of callers leave to the database, the broker, files, and those who are refused."""
_TELL_SECONDS = 10.0
"""Between two lines of the log while connections are refused or ended."""
_RETRY_SECONDS = 10
"""Whoever is refused is sent away for one of so many seconds, so that they do not all come again at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the connections of one process: how many in all and from one address, how large a request's head may be, how
    many requests may wait for the answer to one before them, and for how many seconds a request's head, its body, and
    an answer that nobody reads may stand still.
    """

    most: int = 4096
    per_address: int = 2048
    url_bytes: int = 16 * 1024
    head_bytes: int = 32 * 1024
    headers: int = 100
    pipelined: int = 16
    head_seconds: float = 10
    body_seconds: float = 30
    unread_seconds: float = 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection is refused or ended, and what it is told: nothing where there is no status."""

    name: str
    """Under which `/health` counts it."""
    words: str
    status: int = 0
    title: str = ""
    rule: str | None = None

    def answer(self, headers: Iterable[Header]) -> bytes:
        """The whole answer, which ends the connection; `headers` are those of the server."""
        if not self.status:
            return b""
        kind = f"urn:casegrid:rule:{self.rule}" if self.rule else "about:blank"
        told = {"type": kind, "title": self.title, "status": self.status, "detail": self.words}
        body = orjson.dumps(told | ({"rule": self.rule} if self.rule else {}))
        own = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            own.append((b"retry-after", b"%d" % random.randint(1, _RETRY_SECONDS)))
        line = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()
        lines = [line, *(name + b": " + value for name, value in [*headers, *with_security(own)])]
        return b"\r\n".join([*lines, b"", body])


FULL = Refusal("full", "this process has as many connections as it may", 503, "Busy", "connections.at_once")
CROWDED = Refusal("crowded", "this address has as many connections as one may have", 503, "Busy", "connections.address")
MALFORMED = Refusal("malformed", "this is not an HTTP/1.1 request", 400, "Bad request")
LONG_URL = Refusal("long_url", "the URL is too long", 414, "URI too long")
LARGE_HEAD = Refusal("large_head", "the request's headers are too many or too large", 431, "Headers too large")
SLOW_HEAD = Refusal("slow_head", "the request's headers did not come in time", 408, "Request timeout")
SLOW_BODY = Refusal("slow_body", "the request's body did not come in time", 408, "Request timeout")
LARGE_BODY = Refusal("large_body", "a request that was answered goes on")
IDLE = Refusal("idle", "no request came")
UNREAD = Refusal("unread", "an answer was not read")
PIPELINED = Refusal("pipelined", "too many requests were sent before the first was answered")

_COMMON = frozenset({IDLE})
"""What clients do that mean no harm: a browser opens a connection before it needs one."""

CallLater = Callable[[float, Callable[[], None]], object]


def _call_later(seconds: float, work: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, work)


class Connections:
    """The connections of a process, counted."""

    def __init__(
        self,
        limits: Limits,
        trusted: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
        call_later: CallLater = _call_later,
    ) -> None:
        """`trusted` says which hosts are proxies, of which each stands for many callers: no share bounds them."""
        self.limits = limits
        self._trusted = trusted
        self._clock = clock
        self._call_later = call_later
        self._open = Counter[str]()
        self._count = 0
        self._refused = Counter[str]()
        self._told = Counter[str]()
        """What had been refused when the log said so last."""
        self._began: tuple[float, Counter[str]] | None = None
        """Since when, and after how many, connections are being refused; None while none is."""
        self._last = ("", 0.0)
        """The address that was refused last, and when."""
        self.lingering = 0
        """Connections that were refused and are not closed yet."""
        self.excess = 0
        """Connections beyond a limit, until they have ended."""

    def health(self) -> Mapping[str, object]:
        """How many connections are open, how many may be, and what was refused or ended by this process, by reason."""
        return {"open": self._count, "most": self.limits.most, "refused": dict(sorted(self._refused.items()))}

    def opened(self, host: str) -> Refusal | None:
        """Counts a connection, also one that is to be refused. `closed` must follow."""
        address = network_of(host)
        self._count += 1
        self._open[address] += 1
        if self._count > self.limits.most:
            return FULL
        if self._open[address] > self.limits.per_address and not self._trusted(host):
            return CROWDED
        return None

    def closed(self, host: str) -> None:
        """The connection has ended."""
        address = network_of(host)
        self._count -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def refused(self, refusal: Refusal, host: str) -> None:
        """Counts what was refused or ended, and tells the log once, and again every ten seconds while it goes on."""
        self._refused[refusal.name] += 1
        if refusal in _COMMON:
            return
        self._last = (network_of(host), self._clock())
        if self._began is None:
            before = self._refused.copy()
            before[refusal.name] -= 1
            self._began, self._told = (self._last[1], before), before
            self._tell()

    def _tell(self) -> None:
        if self._began is None:
            return
        began_at, before = self._began
        found = {name: n for name, n in (self._refused - before).items() if name != IDLE.name}
        counts = ", ".join(f"{name} {n}" for name, n in sorted(found.items()))
        if self._refused - self._told:
            self._told = self._refused.copy()
            words = "connections are refused or ended; so far: %s; the last from %s"
            log.warning(words, counts, self._last[0])
            self._call_later(_TELL_SECONDS, self._tell)
        else:
            seconds = round(self._last[1] - began_at)
            log.info("connections are no longer refused or ended; there were within %d seconds: %s", seconds, counts)
            self._began = None


def raise_descriptor_limit(connections: int) -> None:
    """Lets this process have as many file descriptors as so many connections need, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


def limits_of(connections: int, per_address: int = 0) -> Limits:
    """The limits of this process, by the file descriptors that it may have. With 0 one address gets half."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = connections if soft == resource.RLIM_INFINITY else min(connections, max(soft - RESERVE, soft // 4))
    if most < connections:
        log.warning(
            "%d file descriptors (ulimit -n) are enough for %d connections, not for %d", soft, most, connections
        )
    return Limits(most=most, per_address=min(most, per_address or -(-most // 2)))


def proxies(forwarded_allow_ips: str) -> Callable[[str], bool]:
    """Which hosts uvicorn's FORWARDED_ALLOW_IPS names: `*` for all of them, addresses and networks."""
    named = [one.strip() for one in forwarded_allow_ips.split(",") if one.strip()]
    networks = list[ipaddress.IPv4Network | ipaddress.IPv6Network]()
    for one in named:
        with contextlib.suppress(ValueError):
            networks.append(ipaddress.ip_network(one, strict=False))

    def trusted(host: str) -> bool:
        if "*" in named or host in named:
            return True
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(host)
            return any(address in network for network in networks)
        return False

    return trusted


@lru_cache(maxsize=10_000)
def network_of(host: str) -> str:
    """Where a connection comes from; of IPv6 the network, of which one customer has all addresses."""
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a proxy passed on what its client wrote
        return "?"
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped or parsed.is_loopback:
        return host
    return str(ipaddress.ip_network((parsed, 64), strict=False))
