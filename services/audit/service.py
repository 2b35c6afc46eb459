"""Audit's wiring: every topic in; a log instead of decisions, and one table of cases derived from it."""

from functools import partial

from chassis.reference import read
from chassis.service import Service, migrations
from chassis.settings import Settings
from chassis.web.application import Routes
from chassis.worker import Recorder
from contracts.reading import Knows
from contracts.reference import Areas, Catalogue
from services.audit import api
from services.audit.log import Log
from services.audit.rebuild import DERIVED
from services.audit.reference import ALL_TOPICS

MIGRATIONS = migrations("audit", __file__, decides=False)


def build(settings: Settings) -> Service:
    """The service; of the district that the settings name it needs its own area and which categories are sensitive."""
    return Service(
        model=Recorder(
            name="audit", topics=ALL_TOPICS, processor=partial(Log, raised=settings.partitions_raised), derived=DERIVED
        ),
        routes=Routes(api.router, api.ROLES, api.TAGS),
        migrations=MIGRATIONS,
        knows=Knows(
            sensitive=read(settings.district, Catalogue).sensitive,
            root=read(settings.district, Areas).root,
            categories=True,
            units=False,
            filers=False,
        ),
        has=None,
    )
