"""Feedback's wiring: topics in, decider, views, routes."""

from pathlib import Path

from chassis.service import Service
from chassis.settings import Settings
from services.feedback import api, reference, views
from services.feedback.domain import decider


def build(settings: Settings) -> Service:
    """The service on the district that the settings name."""
    known = reference.load(settings.district)
    return Service(
        name="feedback",
        topics=("Assigned", "Resolved", "Evaluated"),
        decider=decider(known.policy),
        views=views.VIEWS,
        router=api.router,
        roles=api.ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        admit=known.admit,
    )
