"""The reference data that dispatch decides by."""

from dataclasses import dataclass

from contracts.reference import Policy, Units
from services.dispatch.domain.clock import DeadlineClock


@dataclass(frozen=True)
class Rules:
    """How time is counted, who stands above whom, and the limits of the policy."""

    clock: DeadlineClock
    units: Units
    policy: Policy
