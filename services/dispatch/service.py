"""Dispatch wired up: topics in, decider, requests, views, routes."""

from pathlib import Path
from typing import Any

from chassis.partners import EVERY_FROM
from chassis.requests import Requests
from chassis.service import Service
from chassis.settings import Settings
from contracts.intake import Supplement
from services.dispatch.api import ROLES, router
from services.dispatch.domain import Reckoning, decider
from services.dispatch.domain.requests import answered, command, involved, told
from services.dispatch.newcomers import tell_newcomers
from services.dispatch.reference import load
from services.dispatch.views import views


def build(settings: Settings) -> Service:
    """The service, under the reference files of the settings' district."""
    files = load(settings.district)
    policy = files.policy
    reckoning = Reckoning(files.catalogue, files.calendar, policy.yellow_percent, policy.red_percent)

    return Service(
        name="dispatch",
        topics=("Assigned", "Evaluated", "ReportFiled", EVERY_FROM),
        decider=decider(reckoning, files.units, policy),
        views=views(reckoning),
        router=lambda runtime: router(runtime, reckoning),
        roles=ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        parks=("Assigned",),
        wants=_wanted,
        requests=Requests(command, involved, told, answered),
        announces=True,
        tasks=(tell_newcomers,),
    )


def _wanted(event: Any) -> bool:
    """Of reports only what is added to them: new ones and withdrawals are triage's to rule on."""
    return event.data.name != "ReportFiled" or isinstance(event.data, Supplement)
