"""Triage's wiring: reports, results and verdicts in; rulings and steps out."""

from pathlib import Path

from chassis.service import Service
from chassis.settings import Settings
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
    return Service(
        name="triage",
        topics=TOPICS,
        parks=TOPICS,
        decider=decider(rules),
        views=(CASES,),
        router=lambda runtime: routes(runtime, rules),
        roles=ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        gather=gathering(rules),
    )
