"""The light of an assignment at an instant, as a function and as the same in SQL; a test compares the two."""

from datetime import datetime
from typing import Literal

Light = Literal["green", "yellow", "red", "none"]
"""How much of an open assignment's time is used up; `none`: a late entry, which raises no alarm."""

LIGHT = (
    "CASE WHEN NOT open THEN NULL WHEN retrospective THEN 'none' WHEN {0} >= red_at THEN 'red'"
    " WHEN {0} >= yellow_at THEN 'yellow' ELSE 'green' END"
)
"""`light` over the columns of the table of assignments; `{0}` stands for the instant."""


def light(*, open: bool, retrospective: bool, yellow_at: datetime, red_at: datetime, now: datetime) -> Light | None:
    """The light now; None once the assignment has ended."""
    if not open:
        return None
    if retrospective:
        return "none"
    return "red" if now >= red_at else "yellow" if now >= yellow_at else "green"
