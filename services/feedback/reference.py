"""Feedback's own copy of the one reference file it needs, the policy."""

from pathlib import Path

from contracts.reference import Policy


def load(district: Path) -> Policy:
    """The policy in `district`. Raises OSError where it is missing, ValidationError where it is unusable."""
    return Policy.model_validate_json((district / "policy.json").read_bytes())
