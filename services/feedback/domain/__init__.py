"""What feedback decides, and nothing else: no clock, no identifiers, no I/O; right in any order of the topics.

case.py        a case as feedback knows it, folded from facts
assignment.py  an assignment, and which of a case's assignments count
formulas.py    the scores of one case and the definitions of all figures, by name and version
verdicts.py    the verdict that closes a case
commands.py    what people may ask: check, close by force
reactions.py   what follows from rulings and from the ends of assignments
deadlines.py   what follows when nobody has checked in time
"""

from functools import partial

from chassis.engine.decider import Decider
from contracts.reference import Policy
from services.feedback.domain.case import Case, evolve
from services.feedback.domain.commands import Command, counted, decide
from services.feedback.domain.deadlines import due, on_deadline
from services.feedback.domain.reactions import react


def decider(policy: Policy) -> Decider[Command, Case]:
    """Feedback's decider under a policy."""
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=react,
        decide=decide,
        on_deadline=on_deadline,
        due=due,
        counted=partial(counted, policy=policy),
    )
    return found
