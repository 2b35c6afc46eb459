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
        unit = event.data.unit if isinstance(event.data, Resolved) else None
        return rules.partners.refusal(event.source, event.type.split(".")[1], unit)

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
