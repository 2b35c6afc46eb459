"""Runs the triage service: `python -m services.triage`."""

from chassis.runtime import main
from chassis.settings import Settings
from services.triage.service import build

main(build(Settings()))
