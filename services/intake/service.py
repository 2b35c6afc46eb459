"""Intake's wiring: topics in, decider, views, routes."""

from pathlib import Path

from chassis.service import Service
from chassis.settings import Settings
from services.intake import api, domain, reference, views


def build(settings: Settings) -> Service:
    """The service on the reference district that the settings name."""
    district = reference.load(settings.district)
    return Service(
        name="intake",
        topics=("ReportFiled", "Assigned", "Evaluated"),
        decider=domain.decider(district.policy),
        views=(views.REPORTS,),
        router=lambda runtime: api.router(runtime, district),
        roles=api.ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        admit=district.admit,
    )
