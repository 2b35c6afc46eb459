"""Which faults strike whom, when and for how long: drawn from a seed, and the same for the same seed. Pure."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.status import SERVICES
from tests.support.dying import POINTS

BROKER, DATABASE = "kafka", "postgres"
SERVERS = (BROKER, DATABASE)
_MEAN_GAP_SECONDS = 3.0
_FIRST_SECONDS = 2.0


@dataclass(frozen=True)
class Fault:
    """`at` is in seconds from the beginning; `detail` the point, the server behind a link, or a number."""

    at: float
    kind: str
    target: str
    seconds: float = 0.0
    detail: str = ""

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind} {self.target}{f' ({self.detail})' if self.detail else ''}{lasting}"


_WEIGHTS: Mapping[str, int] = {
    "kill": 5,
    "kill at a point": 5,
    "freeze": 4,
    "second worker": 3,
    "cut": 4,
    "silence": 4,
    "slow": 3,
    "clock": 2,
    "kill server": 2,
    "restart server": 2,
    "freeze server": 2,
    "disk full": 1,
}
"""What happens how often, beside the others."""
WRONG_CLOCKS = (-600.0, 600.0, 86_400.0)
"""Seconds by which a clock is wrong where that is asked for."""
_CLOCKS = (-1.5, -0.5, 0.5, 1.5)
"""Seconds of a step as a time server makes one."""


def draw(seed: int, seconds: float, *, disk: bool, wrong_clocks: bool) -> list[Fault]:
    """The faults of so many seconds; `disk`: whether a disk can be filled here.

    No two of them strike the same target at once, but several targets may suffer at the same time.
    """
    chance = random.Random(seed)
    found: list[Fault] = []
    free: dict[str, float] = {}
    at = _FIRST_SECONDS
    while at < seconds:
        fault = _one(chance, at, wrong_clocks)
        if (disk or fault.kind != "disk full") and free.get(fault.target, 0.0) <= at:
            end = at + fault.seconds
            if end <= seconds:
                found.append(fault)
                free[fault.target] = end + 1.0
        at += chance.expovariate(1 / _MEAN_GAP_SECONDS)
    return found


def _one(chance: random.Random, at: float, wrong_clocks: bool) -> Fault:
    kind = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    service, server = chance.choice(SERVICES), chance.choice(SERVERS)
    brief, long = round(chance.uniform(0.2, 3.0), 1), round(chance.uniform(2.0, 12.0), 1)
    match kind:
        case "kill":
            return Fault(at, kind, service)
        case "kill at a point":
            point = chance.choice(list(POINTS))
            return Fault(at, kind, chance.choice(POINTS[point][0]), 15.0, point)
        case "freeze":
            return Fault(at, kind, service, long)
        case "second worker":
            return Fault(at, kind, service, long + 3.0, chance.choice(("stopped", "killed")))
        case "cut" | "silence":
            return Fault(at, kind, service, long, server)
        case "slow":
            return Fault(at, kind, service, long, server)
        case "clock":
            by = chance.choice(WRONG_CLOCKS if wrong_clocks else _CLOCKS)
            return Fault(at, kind, service, long, f"{by:+g} s")
        case "kill server" | "restart server":
            return Fault(at, kind, server, brief)
        case "freeze server":
            return Fault(at, kind, server, brief)
        case _:
            return Fault(at, kind, DATABASE, long)
