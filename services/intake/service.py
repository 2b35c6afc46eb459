"""Intake's wiring: rulings, verdicts and partners' requests in; reports, and notices to partners out."""

from chassis.engine.model import Model
from chassis.engine.partner_requests import PartnerRequests
from chassis.service import Service, migrations
from chassis.settings import Settings
from chassis.web.application import Routes
from contracts.homes import EVERY_FROM
from contracts.reading import Knows
from services.intake import api, reference, reference_lists, reporter_names, views
from services.intake.context import load_context
from services.intake.domain import decider, requests

MIGRATIONS = migrations("intake", __file__)


def build(settings: Settings) -> Service:
    """The service on the reference district that the settings name."""
    district = reference.load(settings.district)
    model = Model(
        name="intake",
        topics=("Assigned", "Evaluated", EVERY_FROM),
        parks=(EVERY_FROM,),
        decider=decider(district.rules),
        views=(views.REPORTS,),
        load_context=load_context,
        partner_requests=PartnerRequests(
            requests.command, requests.involved, requests.told, requests.answered, answers_unreadable=True
        ),
    )
    routes = (
        Routes(api.router, api.ROLES, api.TAGS)
        | Routes(reporter_names.router, reporter_names.ROLES, reporter_names.TAGS)
        | Routes(reference_lists.router, reference_lists.ROLES, reference_lists.TAGS)
    )
    return Service(
        model=model,
        routes=routes,
        migrations=MIGRATIONS,
        reference=district,
        knows=Knows(
            sensitive=district.catalogue.sensitive,
            root=district.areas.root,
            categories=True,
            units=False,
            filers=True,
        ),
        has=lambda case: case.report is not None,
    )
