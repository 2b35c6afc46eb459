"""Audit's own copy of the reference files: which partner may say what, so that a stranger's word is no fact."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.reference import Partners

Admit = Callable[[Event[Any]], str | None]
"""The reason not to trust an event of a partner's, or None."""


def load(district: Path) -> Partners:
    """The partners of a district. Raises `OSError` or pydantic's `ValidationError` where the file is not usable."""
    return Partners.model_validate_json((district / "partners.json").read_bytes())


def admission(partners: Partners) -> Admit:
    """The rule every service keeps: a partner publishes on its topics, and ends assignments of its units only."""

    def admit(event: Event[Any]) -> str | None:
        unit = event.data.unit if isinstance(event.data, Resolved) else None
        return partners.refusal(event.source, event.type.split(".")[1], unit)

    return admit
