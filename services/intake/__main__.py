"""Runs intake: `python -m services.intake`."""

from chassis.runtime import main
from chassis.settings import Settings
from services.intake.service import build

if __name__ == "__main__":
    main(build(Settings()))
