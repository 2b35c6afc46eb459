"""What dispatch decides, and nothing else: no clock, no identifiers, no I/O.

case.py        a case as dispatch knows it, folded from facts
assignment.py  one assignment of a case, and its state after each step
commands.py    what may be asked of an assignment, and what follows
permissions.py who may ask it now
requests.py    a partner's request as a command
reactions.py   what follows from rulings, verdicts, supplements and other cases
deadlines.py   which deadlines pass when, and what follows
notices.py     what partners are told
rules.py       the reference data that all of this is decided by
clock.py       the instants between an assignment's given deadlines
"""

from functools import partial

from chassis.engine.decider import Decider
from services.dispatch.domain.case import Case, evolve
from services.dispatch.domain.commands import Command, counted, decide
from services.dispatch.domain.deadlines import due, on_deadline
from services.dispatch.domain.reactions import on_propagated, propagates_to, react
from services.dispatch.domain.rules import Rules


def decider(rules: Rules) -> Decider[Command, Case]:
    """Dispatch's decider under these rules."""
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=react,
        decide=partial(decide, rules=rules),
        on_deadline=partial(on_deadline, rules=rules),
        due=partial(due, rules=rules),
        counted=partial(counted, rules=rules),
        propagates_to=propagates_to,
        on_propagated=on_propagated,
    )
    return found
