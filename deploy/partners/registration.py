"""Registering a partner: its topics first, then its entry, so that whoever reads the entry finds the topics; then its
user on the broker, with the access rules.
"""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from chassis.kafka.connection import Connection
from contracts.reference import Partners, Units
from contracts.wire import TOPICS
from deploy.partners import file
from deploy.partners.entries import Wanted, retired, with_entry
from deploy.stack import accounts, connections, kafka, topics
from deploy.stack.access import partner_user
from deploy.stack.plan import Plan
from deploy.stack.problem import Problem

_BROKER_SECONDS = 10


@dataclass(frozen=True)
class Installation:
    """Where the partners of an installation are registered."""

    partners: Path
    """The file of partners."""
    district: Path
    broker: Connection
    """As its administrator."""
    prefix: str = ""
    """Before the name of every topic, group and user."""

    @classmethod
    def of(cls, plan: Plan) -> "Installation":
        """Of the embedded stack, or of whatever else the plan's environment describes."""
        return cls(plan.partners, plan.district, connections.administrator(plan), plan.topic_prefix)


@dataclass(frozen=True)
class Issued:
    """What a partner was given, kept nowhere; None where it keeps what it has."""

    client_key: str | None
    password: str | None
    """Of its user on the broker; None also where the broker has no users."""


async def register(installation: Installation, wanted: Wanted, *, rotate: bool = False) -> Issued:
    """Registers a partner, or changes its entry.

    With `rotate` it gets a new key and password in any case, and those it had are no longer known. The services take
    note within two seconds. Raises `Unacceptable` where the entry breaks a rule, before anything was changed; and
    `Problem`.
    """
    units = _units(installation.district)
    key = secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).hexdigest()

    def with_it(partners: Partners) -> Partners:
        known = partners.by_id.get(wanted.id)
        keeps = known is not None and known.client_key_sha256 is not None and not rotate
        return with_entry(partners, wanted, units, None if keeps else digest)

    with_it(file.read(installation.partners))  # so that what breaks a rule leaves no topics either
    await _make_topics(installation, wanted.id)
    _, after = file.change(installation.partners, with_it)
    password = await accounts.renew(installation.broker, installation.prefix, wanted.id, in_any_case=rotate)
    return Issued(key if after.by_id[wanted.id].client_key_sha256 == digest else None, password)


async def unregister(installation: Installation, partner: str) -> bool:
    """Registers a partner no longer, and removes its user; False where it is not registered. Its topics stay, with what
    they hold.

    Raises `Problem`; where the broker does not answer, it is registered no longer all the same.
    """
    before, after = file.change(installation.partners, lambda found: retired(found, partner))
    if after == before:
        return False
    if installation.broker.names_user:
        try:
            await kafka.answering(installation.broker, _BROKER_SECONDS)
            await accounts.remove(installation.broker, installation.prefix, partner)
        except Problem as fault:
            raise Problem(f"{fault}; {partner} is registered no longer, and `make up` removes its user") from None
    return True


def as_partner(installation: Installation, partner: str, password: str | None) -> Connection:
    """How a partner's system connects with what it was given."""
    return connections.as_user(installation.broker, partner_user(partner, installation.prefix), password or "")


async def _make_topics(installation: Installation, partner: str) -> None:
    await kafka.answering(installation.broker, _BROKER_SECONDS)
    facts = installation.prefix + TOPICS[0]
    count = await topics.partitions(installation.broker, facts)
    if count is None:
        raise Problem(f"the broker at {installation.broker.servers} has no topic {facts} yet: `make up` makes it")
    await topics.create(installation.broker, topics.of_partner(partner, installation.prefix), count)


def _units(district: Path) -> frozenset[str]:
    path = district / "units.json"
    try:
        return frozenset(Units.model_validate_json(path.read_bytes()).by_id)
    except OSError as fault:
        raise Problem(
            f"{path} can't be read ({fault.strerror}): `make up` makes it, or set CASEGRID_DISTRICT"
        ) from None
    except ValidationError:
        raise Problem(f"{path} is not usable: `python -m deploy.district check {district}` says why") from None
