"""Triage's wiring: reports, results and verdicts in; rulings and steps out."""

from pathlib import Path
from typing import Any

from chassis.service import Service
from chassis.settings import Settings
from contracts.dispatch import Resolved
from contracts.envelope import Event
from services.triage.api import ROLES, routes
from services.triage.domain import decider
from services.triage.domain.rulebook import Rulebook
from services.triage.reference import load
from services.triage.views import CASES, gathering

TOPICS = ("ReportFiled", "Resolved", "Evaluated")


def build(settings: Settings) -> Service:
    """The service under the reference files of the settings' district."""
    return service_of(load(settings.district))


def service_of(rules: Rulebook) -> Service:
    """The service under these rules."""

    def admit(event: Event[Any]) -> str | None:
        partner = rules.partners.by_source.get(event.source)
        if partner is None:
            return f"source: {event.source} is not a registered partner"
        topic = event.data.topic
        if topic not in partner.topics:
            return f"source: {event.source} may not publish {topic}"
        if isinstance(event.data, Resolved) and not partner.may_act_for(event.data.unit):
            return f"unit: {event.source} may not act for {event.data.unit}"
        return None

    return Service(
        name="triage",
        topics=TOPICS,
        decider=decider(rules),
        views=(CASES,),
        router=lambda runtime: routes(runtime, rules),
        roles=ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        admit=admit,
        gather=gathering(rules),
    )
