"""Triage's wiring: reports, results and verdicts in; rulings and steps out."""

from functools import partial

from chassis.engine.model import Model
from chassis.service import Service, migrations
from chassis.settings import Settings
from chassis.web.application import Routes
from contracts.envelope import AnyEvent
from contracts.intake import Rating, Reopening
from contracts.reading import Knows
from services.triage import api, reference_lists
from services.triage.context import load_context
from services.triage.domain import decider
from services.triage.reference import load
from services.triage.views import CASES

TOPICS = ("ReportFiled", "Resolved", "Evaluated")
MIGRATIONS = migrations("triage", __file__)


def build(settings: Settings) -> Service:
    """The service under the reference files of the settings' district."""
    rules = load(settings.district)
    lists = Routes(reference_lists.router, reference_lists.ROLES, reference_lists.TAGS)
    return Service(
        model=Model(
            name="triage",
            topics=TOPICS,
            parks=TOPICS,
            decider=decider(rules),
            views=(CASES,),
            wants=_wanted,
            load_context=partial(load_context, rules=rules),
        ),
        routes=Routes(api.router, api.ROLES, api.TAGS) | lists,
        migrations=MIGRATIONS,
        reference=rules,
        knows=Knows(
            sensitive=rules.catalogue.sensitive,
            root=rules.territory.root,
            categories=True,
            units=False,
            filers=False,
        ),
        has=lambda case: case.report is not None,
    )


def _wanted(event: AnyEvent) -> bool:
    """Of what is said of a report, what a ruling may depend on: nothing that is said once the case is closed."""
    return not isinstance(event.data, Rating | Reopening)
