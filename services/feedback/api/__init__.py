"""Feedback over HTTP.

messages.py  what goes in and out
routes.py    the check queue, verdicts, ratings, cases, indicators, formulas; and who may use them
"""

from services.feedback.api.routes import ROLES, router

__all__ = ["ROLES", "router"]
