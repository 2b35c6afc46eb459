"""Audit's wiring: all five topics in, a log instead of decisions, one table of cases."""

from pathlib import Path

from chassis.service import Service
from chassis.settings import Settings
from contracts.wire import TOPICS
from services.audit.api import ROLES, router
from services.audit.domain.case import DECIDER
from services.audit.log import Log
from services.audit.reference import admission, load


def build(settings: Settings) -> Service:
    """The service, with the partners of the settings' district."""
    admit = admission(load(settings.district))
    return Service(
        name="audit",
        topics=tuple(TOPICS),
        decider=DECIDER,
        views=(),
        router=router,
        roles=ROLES,
        schema=Path(__file__).with_name("schema.sql"),
        admit=admit,
        processor=lambda runtime: Log(runtime.database, admit),
    )
