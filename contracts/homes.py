"""Who publishes what: sources by name, the topics of partners, and the home of each topic of facts."""

from collections.abc import Mapping, Sequence

from contracts.actors import PARTNER
from contracts.fields import FROM, TO


def service_source(name: str) -> str:
    """The CloudEvents `source` of a service."""
    return f"/services/{name}"


def partner_source(name: str) -> str:
    """The CloudEvents `source` of a partner."""
    return f"/partners/{name}"


def partner_subject(name: str) -> str:
    """How facts name a partner that acts itself, as the owner of its reports, too."""
    return f"{PARTNER}:{name}"


def publisher_of(source: str) -> str:
    """The name of the service or partner behind a `source`."""
    return source.rpartition("/")[2]


def topic_from(partner: str) -> str:
    """The topic that a partner writes."""
    return FROM + partner


def topic_to(partner: str) -> str:
    """The topic that a partner reads."""
    return TO + partner


EVERY_FROM, EVERY_TO = topic_from("*"), topic_to("*")
"""How a service names the topics of all partners among those it reads or writes."""

HOMES: Mapping[str, str] = {
    "ReportFiled": service_source("intake"),
    "Assigned": service_source("triage"),
    "Resolved": service_source("dispatch"),
    "Evaluated": service_source("feedback"),
}
"""Topic -> the one source that writes it."""
SENDS: Mapping[str, Sequence[str]] = {
    "intake": ("ReportFiled", "Progressed", EVERY_TO),
    "triage": ("Assigned", "Progressed"),
    "dispatch": ("Resolved", "Progressed", EVERY_TO),
    "feedback": ("Evaluated", "Progressed"),
    "audit": (),
    "partner": (EVERY_FROM,),
}
"""Who writes what; `partner` stands for each, on its own topic only."""


def _senders(topic: str) -> frozenset[str]:
    return frozenset(service_source(who) for who, topics in SENDS.items() if topic in topics)


DECIDERS = _senders("Progressed")
"""The services that decide. On Progressed each writes its own steps, what became of a record parked with it, and which
records bear its name but are not its own."""
TELLERS = _senders(EVERY_TO)
"""Who takes partners' requests and writes `to.<partner>`."""

RECEIVES: Mapping[str, Sequence[str]] = {
    "intake": ("Assigned", "Evaluated", EVERY_FROM),
    "triage": ("ReportFiled", "Resolved", "Evaluated"),
    "dispatch": ("ReportFiled", "Assigned", "Evaluated", EVERY_FROM),
    "feedback": ("ReportFiled", "Assigned", "Resolved", "Progressed"),
    "audit": (*HOMES, "Progressed", EVERY_FROM, EVERY_TO),
    "partner": (EVERY_TO,),
}
"""Who reads what. Nobody reads what it writes itself, but to find forgeries there (chassis.engine.forgeries): of
Progressed feedback takes dispatch's steps only."""
