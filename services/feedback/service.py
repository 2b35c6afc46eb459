"""Feedback's wiring: rulings, ends and extensions in; verdicts and the steps of the check out."""

from chassis.engine.model import Model
from chassis.service import Service, migrations
from chassis.settings import Settings
from chassis.web.application import Routes
from contracts.envelope import AnyEvent
from contracts.homes import service_source
from contracts.progress import Extended
from services.feedback import api, views
from services.feedback.domain import decider
from services.feedback.reference import load

MIGRATIONS = migrations("feedback", __file__)


def build(settings: Settings) -> Service:
    """The service on the reference district that the settings name."""
    district = load(settings.district)
    return Service(
        model=Model(
            name="feedback",
            topics=("Assigned", "Resolved", "Progressed"),
            sources={"Progressed": service_source("dispatch")},
            wants=_wanted,
            decider=decider(district.policy),
            views=views.VIEWS,
        ),
        routes=Routes(api.router, api.ROLES, api.TAGS),
        migrations=MIGRATIONS,
        reference=district,
        sensitive=district.catalogue.sensitive,
        matter=api.matter,
    )


def _wanted(event: AnyEvent) -> bool:
    """Of dispatch's steps only extensions: they move deadlines of assignments that have not ended."""
    return event.data.name != "Progressed" or isinstance(event.data, Extended)
