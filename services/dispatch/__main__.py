"""Runs dispatch: `python -m services.dispatch`; `python -m services.dispatch rebuild` rebuilds its derived tables."""

from chassis.command_line import main
from services.dispatch.service import build

if __name__ == "__main__":
    main(build)
