"""Intake's wiring: rulings, verdicts and what partners ask in; reports, and notices to partners out."""

from pathlib import Path

from chassis.partners import EVERY_FROM
from chassis.service import Service
from chassis.settings import Settings
from services.intake import api, domain, merges, reference, views
from services.intake.requests import REQUESTS


def build(settings: Settings) -> Service:
    """The service on the reference district that the settings name."""
    district = reference.load(settings.district)
    return Service(
        name="intake",
        topics=("Assigned", "Evaluated", EVERY_FROM),
        parks=(EVERY_FROM,),
        decider=domain.decider(district.policy, district.territory.locate),
        views=(views.REPORTS,),
        router=api.router,
        roles=api.ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        gather=merges.read,
        requests=REQUESTS,
    )
