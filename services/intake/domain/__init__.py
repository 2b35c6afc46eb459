"""What intake decides, and nothing else: no clock, no identifiers, no I/O.

case.py       a report and what became of it, folded from facts
commands.py   what people and partners may ask: file, add to, take back
reactions.py  what a partner is told of the reports it filed
merges.py     which reports are part of which others
"""

from datetime import timedelta

from chassis.decider import Decider
from contracts.reference import Policy
from services.intake.domain.case import Case, evolve
from services.intake.domain.commands import Command, Commanding, Locate
from services.intake.domain.reactions import hear, heard, react


def decider(policy: Policy, locate: Locate) -> Decider[Command, Case]:
    """Intake's decider under a policy, in a territory."""
    commanding = Commanding(
        locate,
        late_after=timedelta(hours=policy.retrospective_after_hours),
        skew=timedelta(seconds=policy.max_future_skew_seconds),
    )
    found: Decider[Command, Case] = Decider(
        initial=Case(),
        evolve=evolve,
        react=react,
        decide=commanding.decide,
        counted=commanding.counted,
        heard=heard,
        hear=hear,
    )
    return found
