"""Feedback's own copy of the reference files it needs: the policy, and the partners that may publish."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.reference import Partners, Policy


@dataclass(frozen=True)
class Reference:
    """What is known of the district."""

    policy: Policy
    partners: Partners

    def admit(self, event: Event[Any]) -> str | None:
        """Why a partner's event is not to be trusted; None where it is."""
        partner = self.partners.by_source.get(event.source)
        if partner is None:
            return f"source: {event.source} is not registered"
        topic = event.type.split(".")[1]
        if topic not in partner.topics:
            return f"type: {event.source} may not publish {topic}"
        if isinstance(event.data, Resolved) and not partner.may_act_for(event.data.unit):
            return f"data.unit: {event.source} may not act for {event.data.unit}"
        return None


def load(district: Path) -> Reference:
    """The reference files in `district`. Raises OSError where one is missing, ValidationError where one is unusable."""
    return Reference(
        policy=Policy.model_validate_json((district / "policy.json").read_bytes()),
        partners=Partners.model_validate_json((district / "partners.json").read_bytes()),
    )
