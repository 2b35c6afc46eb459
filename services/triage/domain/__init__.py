"""What triage decides, and nothing else: no clock, no identifiers, no I/O.

rulebook.py     the reference data that rulings are made by
recognition.py  words -> category
assessment.py   report -> where and what it is, and why
neighbours.py   open cases near a report: what it may be a duplicate of
planning.py     category and area -> assignments with deadlines
case.py         a case as triage knows it, folded from facts
commands.py     what people may ask: verify, dispatch, merge, reject
reactions.py    what follows from reports, withdrawals, results and verdicts
deadlines.py    what follows when nobody has decided in time
"""

from functools import partial

from chassis.engine.decider import Decider
from services.triage.domain.case import Case, evolve
from services.triage.domain.commands import Command, counted, decide
from services.triage.domain.deadlines import due, on_deadline
from services.triage.domain.reactions import react
from services.triage.domain.rulebook import Rulebook


def decider(rules: Rulebook) -> Decider[Command, Case]:
    """Triage's decider under these rules."""
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=partial(react, rules=rules),
        decide=partial(decide, rules=rules),
        on_deadline=on_deadline,
        due=due,
        counted=partial(counted, rules=rules),
    )
    return found
