"""Feedback's wiring: topics in, decider, views, routes."""

from pathlib import Path
from typing import Any

from chassis.service import Service
from chassis.settings import Settings
from contracts.envelope import Event
from contracts.progress import Extended
from services.feedback import api, reference, views
from services.feedback.domain import decider


def build(settings: Settings) -> Service:
    """The service on the district that the settings name."""
    return Service(
        name="feedback",
        topics=("Assigned", "Resolved", "Progressed"),
        decider=decider(reference.load(settings.district)),
        views=views.VIEWS,
        router=api.router,
        roles=api.ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        sources={"Progressed": "/services/dispatch"},
        wants=_wanted,
    )


def _wanted(event: Event[Any]) -> bool:
    """Of dispatch's steps the extensions alone: they move deadlines of which no end has told yet."""
    return event.data.name != "Progressed" or isinstance(event.data, Extended)
