"""Feedback's wiring: rulings, ends, extensions and ratings in; verdicts and the steps of the check out."""

from chassis.engine.model import Model
from chassis.service import Service, migrations
from chassis.settings import Settings
from chassis.web.application import Routes
from contracts.envelope import AnyEvent
from contracts.homes import service_source
from contracts.intake import Rating, Reopening
from contracts.progress import Extended
from contracts.reading import Knows
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
            topics=("ReportFiled", "Assigned", "Resolved", "Progressed"),
            sources={"Progressed": service_source("dispatch")},
            wants=_wanted,
            decider=decider(district.policy),
            views=views.VIEWS,
        ),
        routes=Routes(api.router, api.ROLES, api.TAGS),
        migrations=MIGRATIONS,
        reference=district,
        knows=Knows(
            sensitive=district.catalogue.sensitive,
            root=district.areas.root,
            categories=False,
            units=True,
            filers=False,
        ),
        has=lambda case: case.known,
    )


def _wanted(event: AnyEvent) -> bool:
    """Of dispatch's steps only extensions: they move deadlines of assignments that have not ended. Of what is said of
    reports only what its reporter says once the case is closed.
    """
    match event.data.name:
        case "Progressed":
            return isinstance(event.data, Extended)
        case "ReportFiled":
            return isinstance(event.data, Rating | Reopening)
        case _:
            return True
