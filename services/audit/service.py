"""Audit's wiring: every topic in, a log instead of decisions, one table of cases."""

from pathlib import Path

from chassis.service import Service
from chassis.settings import Settings
from services.audit.api import ROLES, router
from services.audit.domain.case import DECIDER
from services.audit.log import Log
from services.audit.reference import READ


def build(_: Settings) -> Service:
    """The service; it needs nothing of a district."""
    return Service(
        name="audit",
        topics=READ,
        decider=DECIDER,
        views=(),
        router=router,
        roles=ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        processor=lambda runtime: Log(runtime.database),
    )
