"""Runs triage: `python -m services.triage`; `python -m services.triage rebuild` rebuilds its derived tables."""

from chassis.command_line import main
from services.triage.service import build

if __name__ == "__main__":
    main(build)
