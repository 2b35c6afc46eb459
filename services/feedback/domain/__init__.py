"""Feedback's domain: pure, and right in whatever order the topics bring their facts.

case.py       what is known of a case, and what follows from it
formulas.py   the scores of one case, by name and version
decisions.py  commands, and what is published in answer to them, to facts and to the time that passes
"""

from services.feedback.domain.case import Case, evolve
from services.feedback.domain.decisions import Command, FailCheck, ForceClose, PassCheck, Person, Rate, decider

__all__ = ["Case", "Command", "FailCheck", "ForceClose", "PassCheck", "Person", "Rate", "decider", "evolve"]
