"""Runs audit: `python -m services.audit`; with `rebuild` it rebuilds the table of cases from the log instead."""

from chassis.command_line import main
from services.audit.service import build

if __name__ == "__main__":
    main(build)
