"""What dispatch decides, and nothing else: no clock, no identifiers, no I/O.

state.py      a case and its assignments, folded from facts
deadlines.py  which of their deadlines pass when, and what follows
commands.py   what people may ask of an assignment, and the rules about it
reactions.py  what follows from triage's rulings, partners' results and verdicts
"""

from chassis.decider import Decider
from services.dispatch.domain.commands import Command, Commanding
from services.dispatch.domain.deadlines import Deadlines, Reckoning
from services.dispatch.domain.reactions import react
from services.dispatch.domain.state import Case, evolve


def decider(
    reckoning: Reckoning, *, extend_max: int, urge_cooldown_minutes: int, urge_daily_cap: int
) -> Decider[Command, Case]:
    """Dispatch's decider under these limits of the policy."""
    deadlines = Deadlines(reckoning)
    commanding = Commanding(reckoning.calendar, extend_max, urge_cooldown_minutes, urge_daily_cap)
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=react,
        decide=commanding.decide,
        lapse=deadlines.lapse,
        due=deadlines.due,
    )
    return found
