"""What triage decides, and nothing else: no clock, no identifiers, no I/O.

rulebook.py     the reference data a ruling is made by
recognition.py  words -> category
assessment.py   report -> where and what it is, and why
neighbours.py   open cases near a report: what it may be a duplicate of
planning.py     category and area -> assignments with deadlines
case.py         a case as triage knows it, folded from facts
commands.py     what people may ask: verify, file, merge, reject
reactions.py    what follows from reports, results, verdicts and passed deadlines
"""

from chassis.decider import Decider
from services.triage.domain.case import Case, due, evolve
from services.triage.domain.commands import Command, Commanding
from services.triage.domain.reactions import Reacting
from services.triage.domain.rulebook import Rulebook


def decider(rules: Rulebook) -> Decider[Command, Case]:
    """Triage's decider under these rules."""
    reacting = Reacting(rules)
    commanding = Commanding(rules)
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=reacting.react,
        decide=commanding.decide,
        lapse=reacting.lapse,
        due=due,
        counted=commanding.counted,
    )
    return found
