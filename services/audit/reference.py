"""What the log is checked against: every topic, and which event may be the cause of which."""

from contracts.causes import CAUSES, REQUEST_CAUSES
from contracts.homes import EVERY_FROM, EVERY_TO
from contracts.wire import TOPICS

ALL_TOPICS = (*TOPICS, EVERY_FROM, EVERY_TO)
"""The five topics, and those of every partner of the registry."""

_SAID_BEFORE = {"rated": ("closed",)}
"""Labels in the log of what is read as another fact now (contracts.superseded.MOVED)."""

ALLOWED = [
    f"{label} < {cause}"
    for label, causes in {**CAUSES, **_SAID_BEFORE, "request": REQUEST_CAUSES}.items()
    for cause in causes
]
"""`effect < cause` for each pair of labels that contracts.causes allows; the cause `any` stands for all."""
