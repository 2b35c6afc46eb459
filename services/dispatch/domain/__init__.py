"""What dispatch decides, and nothing else: no clock, no identifiers, no I/O.

state.py      a case, its assignments, and what partners were told
folding.py    the state after one more event
commands.py   what people and partners' systems may ask of an assignment
rules.py      which of it is allowed, and what follows
requests.py   what a partner's system says -> a command
reactions.py  what follows from rulings, verdicts, supplements and other cases
deadlines.py  which deadlines pass when, and what follows
reckoning.py  clock arithmetic on an assignment's limits
notices.py    what partners are told
"""

from chassis.decider import Decider
from contracts.reference import Policy, Units
from services.dispatch.domain.commands import Command
from services.dispatch.domain.deadlines import Deadlines
from services.dispatch.domain.folding import evolve
from services.dispatch.domain.reactions import hear, heard, react
from services.dispatch.domain.reckoning import Reckoning
from services.dispatch.domain.rules import Rules
from services.dispatch.domain.state import Case

__all__ = ["Reckoning", "decider"]


def decider(reckoning: Reckoning, units: Units, policy: Policy) -> Decider[Command, Case]:
    """Dispatch's decider under this policy."""
    deadlines = Deadlines(reckoning, units)
    rules = Rules(reckoning, units, policy)
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=react,
        decide=rules.decide,
        lapse=deadlines.lapse,
        due=deadlines.due,
        counted=rules.counted,
        heard=heard,
        hear=hear,
    )
    return found
