"""Runs the dispatch service: `python -m services.dispatch`."""

from chassis.runtime import main
from chassis.settings import Settings
from services.dispatch.service import build

main(build(Settings()))
