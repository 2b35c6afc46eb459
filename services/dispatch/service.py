"""Dispatch wired up: topics in, decider, views, routes."""

from pathlib import Path

from chassis.service import Service
from chassis.settings import Settings
from services.dispatch.api import ROLES, router
from services.dispatch.domain import Reckoning, decider
from services.dispatch.reference import load
from services.dispatch.views import views


def build(settings: Settings) -> Service:
    """The service, under the reference files of the settings' district."""
    files = load(settings.district)
    policy = files.policy
    reckoning = Reckoning(files.catalogue, files.calendar, policy.yellow_percent, policy.red_percent)
    return Service(
        name="dispatch",
        topics=("Assigned", "Resolved", "Evaluated"),
        decider=decider(
            reckoning,
            extend_max=policy.extend_max,
            urge_cooldown_minutes=policy.urge_cooldown_minutes,
            urge_daily_cap=policy.urge_daily_cap,
        ),
        views=views(reckoning),
        router=lambda runtime: router(runtime, files, reckoning),
        roles=ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        admit=files.admit,
        announces=True,
    )
