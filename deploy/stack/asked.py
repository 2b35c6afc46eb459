"""What `up` was asked for: the parts that should run until `down`, and the settings that stay while they run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from deploy.stack.plan import (
    IDENTITY_VARIABLES,
    INFRASTRUCTURE,
    KAFKA_VARIABLES,
    PORTS,
    SERVICES,
    Plan,
    from_environment,
)
from deploy.stack.problem import Problem
from deploy.stack.secrets import unread, write_private

_FILE = "asked.json"
_KEYS = ("CASEGRID_JWT_KEY", "CASEGRID_PSEUDONYM_KEY")


@dataclass(frozen=True)
class Asked:
    """What is noted between `up` and `down`."""

    parts: frozenset[str]
    settings: Mapping[str, str]
    """Variable -> value, empty where it was not set. Changing one would cut the parts off from each other, from their
    data or from who calls, so that only a stack that is down takes another value."""
    passed_on: Mapping[str, str] = field(default_factory=dict)
    """What else the services are told, which a command may change."""

    @classmethod
    def of(cls, plan: Plan, broker: str) -> "Asked":
        """What this plan asks for. `broker` is the kind that runs: kafka or fallback."""
        settings = {**_settings(plan), "CASEGRID_BROKER": broker}
        others = {name: value for name, value in plan.passed_on.items() if name not in (*settings, "CASEGRID_DATA")}
        return cls(plan.only, settings, others)


def read(run: Path) -> Asked | None:
    """What was asked for; None where nothing was since the last `down`. Raises `Problem`."""
    try:
        noted = json.loads((run / _FILE).read_bytes())
        return Asked(frozenset(noted["parts"]), {**noted["settings"]}, {**noted.get("passed_on", {})})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as fault:
        raise Problem(
            f"{run / _FILE}, which says what runs, can't be used: {unread(fault)}: put it back from a backup, or"
            " `make down`, and `make up` with the settings of before"
        ) from None


def note(run: Path, asked: Asked) -> None:
    """For its owner only: the URL of a database may hold a password, and a key may be among the settings."""
    noted = {"parts": sorted(asked.parts), "settings": dict(asked.settings), "passed_on": dict(asked.passed_on)}
    write_private(run / _FILE, noted)


def forget(run: Path) -> None:
    """After this nothing is asked for."""
    (run / _FILE).unlink(missing_ok=True)


def as_asked(plan: Plan) -> Plan:
    """The plan by which the stack in this folder was started; the plan itself where nothing was asked for."""
    asked = read(plan.run)
    if asked is None:
        return plan
    known = {**asked.passed_on, **asked.settings, "CASEGRID_DATA": str(plan.folder)}
    return from_environment(known, only=",".join(asked.parts))


def broker(plan: Plan) -> str:
    """The kind of broker that runs, where the plan leaves it open: kafka, fallback, or auto if nothing runs."""
    running = read(plan.run) if plan.broker == "auto" else None
    return plan.broker if running is None else running.settings.get("CASEGRID_BROKER", plan.broker)


def joined(plan: Plan, running: Asked) -> Plan:
    """The plan for all that runs and what is asked for now.

    What the services are told besides stays as well, unless it is given anew. Raises `Problem` where the plan has
    other settings than what runs.
    """
    differing = [
        f"  {variable} is {_shown(variable, now)} in this command, and {_shown(variable, before, now)} in what runs"
        for variable, now in _settings(plan).items()
        if _concerned(variable, running) and (before := running.settings.get(variable, now)) != now
    ]
    kind = running.settings.get("CASEGRID_BROKER", plan.broker)
    if plan.broker not in ("auto", kind):
        differing.append(f"  CASEGRID_BROKER is {plan.broker} in this command, and {kind} in what runs")
    if differing:
        raise Problem(
            "\n".join(
                [
                    f"the stack in {plan.folder} runs with other settings, so nothing was changed:",
                    *differing,
                    "repeat the command with the settings of what runs, or end it first with `make down`",
                ]
            )
        )
    told = {**running.passed_on, **plan.passed_on}
    return replace(plan, only=plan.only | running.parts, broker=kind, passed_on=told)


def require_servers(plan: Plan) -> None:
    """Raises `Problem` where services are asked for without the servers that they need."""
    missing = [name for name in INFRASTRUCTURE if name not in plan.only]
    if plan.services and missing:
        together = ",".join((*INFRASTRUCTURE, *plan.services))
        raise Problem(
            f"{' and '.join(missing)} would not run, which {', '.join(plan.services)} can't do without: ONLY={together}"
        )


def _settings(plan: Plan) -> dict[str, str]:
    return {
        **{variable: str(plan.ports[name]) for name, (variable, _) in PORTS.items()},
        "DATABASE_URL": plan.database_url or "",
        **{name: plan.kafka_settings.get(name, "") for name in KAFKA_VARIABLES},
        "CASEGRID_TOPIC_PREFIX": plan.topic_prefix,
        "CASEGRID_DISTRICT": str(plan.district),
        "CASEGRID_PARTNERS": str(plan.partners),
        **{name: plan.passed_on.get(name, "") for name in IDENTITY_VARIABLES},
    }


def _concerned(variable: str, running: Asked) -> bool:
    """Whether anything that runs depends on the variable."""
    servers = {"DATABASE_URL": "postgres", **dict.fromkeys(KAFKA_VARIABLES, "kafka")}
    listeners = {variable: name.split()[0] for name, (variable, _) in PORTS.items()}
    if variable in servers:
        return servers[variable] in running.parts
    if variable in listeners:
        given = {part for name, part in servers.items() if running.settings.get(name)}
        return listeners[variable] in running.parts - given
    return not running.parts.isdisjoint(SERVICES)


def _shown(variable: str, value: str, other: str = "") -> str:
    """Without the password that a URL may hold, and without a key."""
    if variable == "DATABASE_URL" and value:
        return f"a server at {urlsplit(value).netloc.rpartition('@')[2]}"
    if variable in _KEYS and value:
        return "another one" if other else "set"
    return value or "not set"
