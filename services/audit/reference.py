"""What audit holds the log against: the topics there are, and which event may be the cause of which."""

from chassis.partners import EVERY_FROM, EVERY_TO
from contracts.causes import CAUSES, REQUEST_CAUSES
from contracts.wire import TOPICS

READ = (*TOPICS, EVERY_FROM, EVERY_TO)
"""Every topic; those of partners by the registry."""

ALLOWED = [f"{label} < {cause}" for label, causes in {**CAUSES, "request": REQUEST_CAUSES}.items() for cause in causes]
"""`effect < cause` for each pair of labels that contracts.causes allows; the cause `any` stands for all."""
