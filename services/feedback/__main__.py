"""Runs the feedback service: `python -m services.feedback`."""

from chassis.runtime import main
from chassis.settings import Settings
from services.feedback.service import build

if __name__ == "__main__":
    main(build(Settings()))
