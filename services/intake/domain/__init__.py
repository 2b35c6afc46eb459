"""What intake decides, and nothing else: no clock, no identifiers, no I/O.

case.py       a report and what became of it, folded from facts
commands.py   what people and partners may ask: file, supplement, withdraw, rate, reopen; and staff: who a reporter is
requests.py   a partner's request -> a command
reactions.py  what a partner is told of the reports it filed
merges.py     which reports were merged into which others
"""

from functools import partial

from chassis.engine.decider import Decider
from services.intake.domain.case import Case, evolve
from services.intake.domain.commands import Command, Rules, counted, decide
from services.intake.domain.reactions import on_propagated, propagates_to, react


def decider(rules: Rules) -> Decider[Command, Case]:
    """Intake's decider under these rules."""
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=react,
        decide=partial(decide, rules=rules),
        counted=partial(counted, rules=rules),
        propagates_to=propagates_to,
        on_propagated=on_propagated,
    )
    return found
