"""Runs intake: `python -m services.intake`; `python -m services.intake rebuild` rebuilds its derived tables."""

from chassis.command_line import main
from services.intake.service import build

if __name__ == "__main__":
    main(build)
