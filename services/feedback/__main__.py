"""Runs feedback: `python -m services.feedback`; `python -m services.feedback rebuild` rebuilds its derived tables."""

from chassis.command_line import main
from services.feedback.service import build

if __name__ == "__main__":
    main(build)
