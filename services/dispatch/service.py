"""Dispatch's wiring: rulings, verdicts, supplements and partners' requests in; steps, ends and notices out."""

from chassis.engine.model import Model
from chassis.engine.partner_requests import PartnerRequests
from chassis.service import Service, migrations
from chassis.settings import Settings
from chassis.web.application import Routes
from contracts.envelope import AnyEvent
from contracts.homes import EVERY_FROM
from contracts.intake import Supplement
from contracts.reading import Knows
from services.dispatch import api
from services.dispatch.domain import decider, requests
from services.dispatch.newly_responsible import notify_newly_responsible
from services.dispatch.reference import load
from services.dispatch.views import views

MIGRATIONS = migrations("dispatch", __file__)


def build(settings: Settings) -> Service:
    """The service on the reference district that the settings name."""
    district = load(settings.district)
    model = Model(
        name="dispatch",
        topics=("Assigned", "Evaluated", "ReportFiled", EVERY_FROM),
        parks=("Assigned",),
        wants=_wanted,
        decider=decider(district.rules),
        views=views(district.rules.clock),
        partner_requests=PartnerRequests(
            command=requests.command, involved=requests.involved, told=requests.told, answered=requests.answered
        ),
        announces=True,
    )
    return Service(
        model=model,
        routes=Routes(api.router, api.ROLES, api.TAGS),
        migrations=MIGRATIONS,
        reference=district,
        knows=Knows(
            sensitive=district.sensitive,
            root=district.root,
            categories=False,
            units=True,
            filers=False,
        ),
        has=lambda case: case.known,
        tasks=(notify_newly_responsible,),
    )


def _wanted(event: AnyEvent) -> bool:
    """Of reports only supplements: triage rules on new ones and on withdrawals."""
    return event.data.name != "ReportFiled" or isinstance(event.data, Supplement)
