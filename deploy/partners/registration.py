"""Registering a partner: its topics first, then its entry, so that whoever reads the entry finds the topics."""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from contracts.reference import Partners, Units
from contracts.wire import TOPICS
from deploy.partners import file
from deploy.partners.entries import Wanted, retired, with_entry
from deploy.stack import kafka, topics
from deploy.stack.plan import Plan
from deploy.stack.problem import Problem

_BROKER_SECONDS = 10


@dataclass(frozen=True)
class Installation:
    """Where the partners of an installation are registered."""

    partners: Path
    """The file of partners."""
    district: Path
    bootstrap: str
    prefix: str = ""
    """Before the name of every topic."""

    @classmethod
    def of(cls, plan: Plan) -> "Installation":
        """Of the embedded stack, or of whatever else the plan's environment describes."""
        return cls(plan.partners, plan.district, plan.bootstrap, plan.topic_prefix)


async def register(installation: Installation, wanted: Wanted, *, rotate: bool = False) -> str | None:
    """Registers a partner, or changes its entry. Gives its new client key, kept nowhere; None where it keeps its own.

    With `rotate` it gets a new key in any case, and the one it had is no longer known. The services take note within
    two seconds. Raises `Unacceptable` where the entry breaks a rule, before anything was changed; and `Problem`.
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
    return key if after.by_id[wanted.id].client_key_sha256 == digest else None


def unregister(partners: Path, partner: str) -> bool:
    """Registers a partner no longer; False where it is not registered. Its topics stay, with what they hold.

    Raises `Problem`.
    """
    before, after = file.change(partners, lambda found: retired(found, partner))
    return after != before


async def _make_topics(installation: Installation, partner: str) -> None:
    await kafka.answering(installation.bootstrap, _BROKER_SECONDS)
    facts = installation.prefix + TOPICS[0]
    count = await topics.partitions(installation.bootstrap, facts)
    if count is None:
        raise Problem(f"the broker at {installation.bootstrap} has no topic {facts} yet: `make up` makes it")
    await topics.create(installation.bootstrap, topics.of_partner(partner, installation.prefix), count)


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
