"""What a process is told by its environment; every name is in the README's table."""

import ipaddress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEVELOPMENT_KEY = "casegrid-development-key-for-loopback-only"
DEVELOPMENT_PSEUDONYM_KEY = "casegrid-development-pseudonyms-for-loopback-only"
SHORTEST_KEY = 32
"""Of the key of pseudonyms beyond loopback, in bytes: as long as the hash's output (RFC 2104, section 3)."""
ISSUER = "casegrid-dev"
AUDIENCE = "casegrid"


SecurityProtocol = Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def _in_capitals(level: Any) -> Any:
    """The level that was meant, or what was given, so that the error shows it unchanged."""
    capitals = str(level).upper()
    return capitals if capitals in get_args(Level) else level


LogLevel = Annotated[Level, BeforeValidator(_in_capitals)]


class Raised(NamedTuple):
    """Topics had that number of partitions, and have more since `at`: cases that began before that instant stay in the
    first ones.
    """

    number: int
    at: datetime


def _history(text: Any) -> Any:
    """What the setting says, in the order of time: `<count>:<instant>`, as often as partitions were added, with commas
    between.
    """
    if not isinstance(text, str):
        return text
    found: list[Raised] = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        count, _, instant = one.partition(":")
        at = datetime.fromisoformat(instant)
        if int(count) < 1 or at.tzinfo is None:
            raise ValueError(f"{one}: expected <partitions>:<instant with its zone>, such as 6:2026-12-01T00:00:00Z")
        found.append(Raised(int(count), at.astimezone(UTC)))
    found.sort(key=lambda one: one.at)
    if any(later.number <= earlier.number for earlier, later in pairwise(found)):
        raise ValueError("the numbers of partitions must grow with time")
    return tuple(found)


History = Annotated[tuple[Raised, ...], NoDecode, BeforeValidator(_history)]


class Settings(BaseSettings):
    """Raises pydantic's ValidationError naming the variable where a value is not usable."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    database_url: str = "postgresql://127.0.0.1:15432/casegrid"
    database_password_file: Path | None = None
    """Instead of a password in the URL; read anew for every connection."""
    kafka_bootstrap_servers: str = "127.0.0.1:19092"
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    kafka_sasl_mechanism: SaslMechanism = "SCRAM-SHA-256"
    kafka_sasl_username: str = Field(default="", validate_default=True)
    kafka_sasl_password_file: Path | None = Field(default=None, validate_default=True)
    kafka_ssl_ca_file: Path | None = None
    role: Literal["api", "worker", "both"] = Field(default="both", validation_alias="CASEGRID_ROLE")
    district: Path = Field(default=Path(".data/district/full"), validation_alias="CASEGRID_DISTRICT")
    jwt_key: str = Field(default=DEVELOPMENT_KEY, validation_alias="CASEGRID_JWT_KEY")
    """A shared key (HS256), which verifies tokens where `jwks` is not set: on loopback only."""
    jwks: str | None = Field(default=None, min_length=1, validation_alias="CASEGRID_JWKS")
    """The file or the URL of the public keys that tokens are verified with."""
    jwks_seconds: float = Field(default=60, gt=0, le=3600, validation_alias="CASEGRID_JWKS_SECONDS")
    """How often a URL is asked anew: a key that was removed there is accepted for no longer."""
    jwks_stale_seconds: float = Field(default=43_200, gt=0, validation_alias="CASEGRID_JWKS_STALE_SECONDS")
    """How long the keys of the last good answer serve while there is no other."""
    issuer: str = Field(default=ISSUER, min_length=1, validation_alias="CASEGRID_ISSUER")
    """Of every token, its claim `iss`."""
    audience: str = Field(default=AUDIENCE, min_length=1, validation_alias="CASEGRID_AUDIENCE")
    """Of every token, in its claim `aud`."""
    pseudonym_key_file: Path | None = Field(default=None, validation_alias="CASEGRID_PSEUDONYM_KEY_FILE")
    pseudonym_key: str = Field(
        default=DEVELOPMENT_PSEUDONYM_KEY, validation_alias="CASEGRID_PSEUDONYM_KEY", validate_default=True
    )
    """Hashes the logins of private persons, and what is kept of requests with an idempotency key."""
    partners: Path | None = Field(default=None, validation_alias="CASEGRID_PARTNERS")
    """The file of registered partners; by default `partners.json` beside the district's folder."""
    clock_file: Path | None = Field(default=None, validation_alias="CASEGRID_CLOCK_FILE")
    partitions_raised: History = Field(default=(), validation_alias="CASEGRID_PARTITIONS_RAISED")
    topic_prefix: str = Field(default="", validation_alias="CASEGRID_TOPIC_PREFIX")
    broker_kind: Literal["kafka", "fallback"] = Field(default="kafka", validation_alias="CASEGRID_BROKER_KIND")
    log_level: LogLevel = Field(default="INFO", validation_alias="CASEGRID_LOG_LEVEL")
    batch: int = Field(default=1000, ge=1, le=5000, validation_alias="CASEGRID_BATCH")
    """The most records of one transaction; bounds the time between two polls."""
    session_seconds: float = Field(default=10, ge=2, le=300, validation_alias="CASEGRID_SESSION_SECONDS")
    """How long a killed worker's partitions wait before another worker, or its next life, gets them."""
    look_seconds: float = Field(default=1, gt=0, le=60, validation_alias="CASEGRID_LOOK_SECONDS")
    """How often it is looked for passed deadlines: one may be decided that much later than it passed."""
    pool: int = Field(default=8, ge=2, le=100, validation_alias="CASEGRID_POOL")
    requests_per_second: float = Field(default=2000, gt=0, validation_alias="CASEGRID_REQUESTS_PER_SECOND")
    """Of one caller on one process; beyond it 429."""
    requests_at_once: int = Field(default=128, ge=1, le=10_000, validation_alias="CASEGRID_REQUESTS_AT_ONCE")
    """That one process works on; beyond it 503. Streams count until they have begun."""
    connections: int = Field(default=4096, ge=16, le=100_000, validation_alias="CASEGRID_CONNECTIONS")
    """That one process keeps, or as many as its file descriptors allow; beyond it 503."""
    connections_per_address: int = Field(default=0, ge=0, validation_alias="CASEGRID_CONNECTIONS_PER_ADDRESS")
    """Of one address, unless FORWARDED_ALLOW_IPS names it; 0 is half of all."""
    streams: int = Field(default=2000, ge=0, le=100_000, validation_alias="CASEGRID_STREAMS")
    """That one process has open at once; beyond it 503."""
    failures_per_minute: float = Field(default=30, gt=0, validation_alias="CASEGRID_FAILURES_PER_MINUTE")
    """How many wrong tokens and client keys one address may send to one process; beyond it 429."""

    @field_validator("kafka_sasl_username", "kafka_sasl_password_file")
    @classmethod
    def _with_sasl(cls, value: Any, given: ValidationInfo) -> Any:
        protocol = given.data.get("kafka_security_protocol", "")
        if protocol.startswith("SASL_") and not value:
            raise ValueError(f"KAFKA_SECURITY_PROTOCOL={protocol} needs it")
        return value

    @field_validator("pseudonym_key")
    @classmethod
    def _of_its_file(cls, value: str, given: ValidationInfo) -> str:
        file: Path | None = given.data.get("pseudonym_key_file")
        if file is None:
            return value
        if value != DEVELOPMENT_PSEUDONYM_KEY:
            raise ValueError("CASEGRID_PSEUDONYM_KEY and CASEGRID_PSEUDONYM_KEY_FILE are both set: set one of them")
        try:
            return file.read_text().strip()
        except OSError as fault:
            raise ValueError(f"CASEGRID_PSEUDONYM_KEY_FILE: {file} can't be read: {fault.strerror}") from None

    @field_validator("database_password_file")
    @classmethod
    def _one_password(cls, value: Path | None, given: ValidationInfo) -> Path | None:
        if value is not None and urlsplit(given.data.get("database_url", "")).password is not None:
            raise ValueError("DATABASE_URL has a password already: set one of them")
        return value

    @property
    def partners_file(self) -> Path:
        """Where the partners are registered."""
        return self.partners or self.district.parent / "partners.json"

    def loopback(self) -> bool:
        """Whether nobody but this machine can reach the service."""
        return _is_loopback(self.host)

    def refuse_if_unsafe(self) -> None:
        """Raises `SystemExit` where a development setting would be reachable from outside."""
        if self.loopback():
            return
        if self.jwks is None:
            raise SystemExit(
                f"HOST is {self.host}, but CASEGRID_JWKS is not set: name the file or the URL of the public keys,"
                " a shared key is for loopback only"
            )
        where = urlsplit(self.jwks)
        if where.scheme == "http" and not _is_loopback(where.hostname or ""):
            raise SystemExit(
                f"HOST is {self.host}, but CASEGRID_JWKS is a URL of http, so that whoever is on the way could put in"
                " keys of their own: use https, or a file"
            )
        if self.pseudonym_key == DEVELOPMENT_PSEUDONYM_KEY:
            raise SystemExit(
                f"HOST is {self.host}, but CASEGRID_PSEUDONYM_KEY is not set: set a key of your own, and keep it"
            )
        if len(self.pseudonym_key.encode()) < SHORTEST_KEY:
            raise SystemExit(
                f"HOST is {self.host}, but CASEGRID_PSEUDONYM_KEY has fewer than {SHORTEST_KEY} bytes: set a longer one"
            )
        if self.pseudonym_key in (self.jwt_key, DEVELOPMENT_KEY):
            raise SystemExit(
                f"HOST is {self.host}, but CASEGRID_PSEUDONYM_KEY is a key of tokens, too: set a key of its own"
            )
        if self.clock_file is not None:
            raise SystemExit(
                f"HOST is {self.host}, but CASEGRID_CLOCK_FILE moves the clock: it is for development only"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
