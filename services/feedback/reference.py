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
        unit = event.data.unit if isinstance(event.data, Resolved) else None
        return self.partners.refusal(event.source, event.type.split(".")[1], unit)


def load(district: Path) -> Reference:
    """The reference files in `district`. Raises OSError where one is missing, ValidationError where one is unusable."""
    return Reference(
        policy=Policy.model_validate_json((district / "policy.json").read_bytes()),
        partners=Partners.model_validate_json((district / "partners.json").read_bytes()),
    )
