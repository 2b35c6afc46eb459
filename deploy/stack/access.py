"""Who may do what on the broker, as rules: from the homes of the topics and the registered partners. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from contracts.homes import EVERY_FROM, EVERY_TO, RECEIVES, SENDS, topic_from, topic_to
from contracts.status import SERVICES

_PARTNER = "partner."


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One user may do one thing with one resource; READ and WRITE imply that it may see it."""

    user: str
    operation: Literal["READ", "WRITE"]
    kind: Literal["TOPIC", "GROUP"]
    name: str
    begins: bool = False
    """Whether it holds for everything whose name begins so."""


def service_user(name: str, prefix: str = "") -> str:
    """The user of a service, and its consumer group."""
    return prefix + name


def partner_user(partner: str, prefix: str = "") -> str:
    """The user of a partner. No service and no administrator can have that name, whatever the partner is called."""
    return f"{prefix}{_PARTNER}{partner}"


def belongs(user: str, prefix: str = "") -> bool:
    """Whether it is a user of this installation: of a service, or of a partner that is or was registered."""
    return user in {service_user(name, prefix) for name in SERVICES} or user.startswith(prefix + _PARTNER)


def access(partners: Iterable[str], prefix: str = "") -> frozenset[Rule]:
    """All that the services and the partners with these ids may do; nobody else may do anything.

    A service may read what it writes, to find what others wrote there in its name. Nobody gets transactional ids: facts
    are published without transactions.
    """
    found: set[Rule] = set()
    for name in SERVICES:
        user = service_user(name, prefix)
        found |= {_on_topic(user, "WRITE", topic, prefix) for topic in SENDS[name]}
        found |= {_on_topic(user, "READ", topic, prefix) for topic in (*RECEIVES[name], *SENDS[name])}
        found.add(Rule(user, "READ", "GROUP", user))
    for partner in partners:
        found |= of_partner(partner, prefix)
    return frozenset(found)


def of_partner(partner: str, prefix: str = "") -> frozenset[Rule]:
    """What one partner may do. Its groups are called like its user, or begin with that and a dot."""
    user = partner_user(partner, prefix)
    return frozenset(
        {
            Rule(user, "WRITE", "TOPIC", prefix + topic_from(partner)),
            Rule(user, "READ", "TOPIC", prefix + topic_to(partner)),
            Rule(user, "READ", "GROUP", user),
            Rule(user, "READ", "GROUP", f"{user}.", begins=True),
        }
    )


def _on_topic(user: str, operation: Literal["READ", "WRITE"], topic: str, prefix: str) -> Rule:
    every = topic in (EVERY_FROM, EVERY_TO)
    return Rule(user, operation, "TOPIC", prefix + topic.removesuffix("*"), begins=every)
