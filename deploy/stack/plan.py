"""What the embedded stack runs and where: names, ports, folders, and what the user's environment changes about them."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from chassis.kafka.connection import Connection
from chassis.settings import Settings
from contracts.status import SERVICES
from contracts.wire import rule_of
from deploy.stack import ports
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT

INFRASTRUCTURE = ("postgres", "kafka")
PARTS = INFRASTRUCTURE + SERVICES
"""What ONLY may name."""
MANAGER = "supervisord"
DATABASE = "casegrid"

KAFKA_VARIABLES = (
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SASL_PASSWORD_FILE",
    "KAFKA_SSL_CA_FILE",
)
"""How the administrator reaches a broker of the user's. The services are told the same by the same names."""
PORTS: Mapping[str, tuple[str, int]] = {
    "postgres": ("POSTGRES_PORT", 15432),
    "kafka": ("KAFKA_PORT", 19092),
    "kafka controller": ("KAFKA_CONTROLLER_PORT", 19093),
    "intake": ("INTAKE_PORT", 8001),
    "triage": ("TRIAGE_PORT", 8002),
    "dispatch": ("DISPATCH_PORT", 8003),
    "feedback": ("FEEDBACK_PORT", 8004),
    "audit": ("AUDIT_PORT", 8005),
}
"""What listens -> the variable that sets its port, and the default."""
IDENTITY_VARIABLES = (
    "CASEGRID_JWKS",
    "CASEGRID_JWT_KEY",
    "CASEGRID_ISSUER",
    "CASEGRID_AUDIENCE",
    "CASEGRID_PSEUDONYM_KEY",
    "CASEGRID_PSEUDONYM_KEY_FILE",
)
"""By which a service knows who calls, and finds what private persons filed."""


@dataclass(frozen=True)
class Plan:
    """One stack. Two stacks on one machine need two folders and different ports."""

    folder: Path
    ports: Mapping[str, int]
    district: Path
    partners: Path
    """The file of partners; theirs who registered, so nothing here writes or drops it."""
    partitions: int = 6
    topic_prefix: str = ""
    kafka: Connection | None = None
    """How the administrator reaches a broker of the user's, which stands in for one of ours."""
    kafka_settings: Mapping[str, str] = field(default_factory=dict)
    """The variables that say so, as they were given."""
    database_url: str | None = None
    """An administrator's URL of a server of the user's, instead of one of ours."""
    broker: str = "auto"
    """kafka, fallback, or auto: kafka where it can be had."""
    only: frozenset[str] = frozenset(PARTS)
    passed_on: Mapping[str, str] = field(default_factory=dict)
    """Variables of the user's environment that the services are to see."""

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def infrastructure(self) -> tuple[str, ...]:
        """Which servers we start ourselves."""
        given = {"postgres": self.database_url, "kafka": self.kafka}
        return tuple(name for name in INFRASTRUCTURE if name in self.only and given[name] is None)

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(name for name in SERVICES if name in self.only)

    @property
    def bootstrap(self) -> str:
        return self.kafka.servers if self.kafka else f"{ports.LOOPBACK}:{self.ports['kafka']}"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def url(self, service: str) -> str:
        return f"http://{ports.LOOPBACK}:{self.ports[service]}"


def from_environment(environment: Mapping[str, str] = os.environ, only: str = "") -> Plan:
    """The plan that `make up` follows. Raises `Problem` naming the variable that makes no sense."""
    folder = Path(environment.get("CASEGRID_DATA") or ROOT / ".data").resolve()
    broker = environment.get("CASEGRID_BROKER") or "auto"
    if broker not in ("auto", "kafka", "fallback"):
        raise Problem(f"CASEGRID_BROKER is {broker!r}: kafka, fallback or auto")
    numbers = {name: _number(environment, variable, default, 65535) for name, (variable, default) in PORTS.items()}
    if len(set(numbers.values())) < len(numbers):
        raise Problem(f"two ports are the same: {_same(numbers)}")
    district = Path(environment.get("CASEGRID_DISTRICT") or ROOT / ".data" / "district" / "full").resolve()
    return Plan(
        folder=folder,
        ports=numbers,
        district=district,
        partners=Path(environment.get("CASEGRID_PARTNERS") or district.parent / "partners.json").resolve(),
        partitions=_number(environment, "CASEGRID_PARTITIONS", 6, 1000),
        topic_prefix=environment.get("CASEGRID_TOPIC_PREFIX", ""),
        kafka=broker_of(environment),
        kafka_settings=_kafka_settings(environment),
        database_url=_database(environment, "DATABASE_URL"),
        broker=broker,
        only=_parts(only) if only else frozenset(PARTS),
        passed_on={
            name: value for name, value in environment.items() if value and name.startswith(("CASEGRID_", "OTEL_"))
        },
    )


def require_service(name: str) -> None:
    """Raises `Problem` where there is no such service."""
    if name not in SERVICES:
        raise Problem(f"SERVICE is {name!r}: choose from {', '.join(SERVICES)}")


def source_digest(service: str) -> str:
    """Changes with the code a service runs, so that `up` restarts the services whose code changed."""
    digest = hashlib.sha256((ROOT / "requirements.lock").read_bytes())
    for folder in (ROOT / "contracts", ROOT / "chassis", ROOT / "services" / service):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".sql"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _parts(only: str) -> frozenset[str]:
    named = [name.strip() for name in only.split(",")]
    if unknown := [repr(name) for name in named if name not in PARTS]:
        raise Problem(f"ONLY names {', '.join(unknown)}: choose from {', '.join(PARTS)}, separated by commas")
    return frozenset(named)


def _same(numbers: Mapping[str, int]) -> str:
    values = list(numbers.values())
    return ", ".join(f"{PORTS[name][0]}={value}" for name, value in numbers.items() if values.count(value) > 1)


def _servers(environment: Mapping[str, str], variable: str) -> str | None:
    text = environment.get(variable) or None
    for server in text.split(",") if text else ():
        host, _, port = server.rpartition(":")
        if not host or not port.isdecimal():
            raise Problem(f"{variable} is {text!r}: servers as host:port, separated by commas, e.g. 127.0.0.1:9092")
    return text


def broker_of(environment: Mapping[str, str]) -> Connection | None:
    """How the administrator reaches a broker of the user's. Raises `Problem` naming a variable."""
    given = _kafka_settings(environment)
    if not given:
        return None
    if _servers(given, "KAFKA_BOOTSTRAP_SERVERS") is None:
        names = ", ".join(given)
        raise Problem(f"{names} would say how to reach a broker of yours: set KAFKA_BOOTSTRAP_SERVERS as well")
    try:
        return Connection.of(Settings.model_validate({name.lower(): value for name, value in given.items()}))
    except ValidationError as refused:
        raise Problem(unusable(refused)) from None


def _kafka_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in KAFKA_VARIABLES if environment.get(name)}


def unusable(refused: ValidationError) -> str:
    """The variables that no service could start with, and why, one a line."""
    found = ((str(error["loc"][0]).upper(), error["input"], rule_of(error)) for error in refused.errors())
    return "\n".join(f"{name} is {given!r}: {rule}" for name, given, rule in found)


def _database(environment: Mapping[str, str], variable: str) -> str | None:
    """The URL may hold a password, so that the message does not repeat it."""
    text = environment.get(variable) or None
    if text and not _is_postgresql(text):
        raise Problem(f"{variable} is not a URL of PostgreSQL: postgresql://user:password@host:port/database")
    return text


def _is_postgresql(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("postgresql", "postgres") and parts.port != 0
    except ValueError:  # the port is no number
        return False


def _number(environment: Mapping[str, str], variable: str, default: int, limit: int) -> int:
    text = environment.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) <= limit:
        raise Problem(f"{variable} is {text!r}: a number from 1 to {limit}")
    return int(text)
