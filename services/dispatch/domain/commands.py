"""What people and partners' systems may ask of an assignment, and on whose behalf."""

from dataclasses import dataclass
from datetime import datetime

from contracts.fields import Attachment, lies_in


@dataclass(frozen=True, slots=True)
class By:
    """On whose behalf: the units the caller acts for; its areas (none: everywhere); whether it acts for the centre."""

    units: frozenset[str] = frozenset()
    areas: tuple[str, ...] = ()
    centre: bool = False
    partner: str | None = None
    """Whose system asks, where one does."""

    def covers(self, area: str) -> bool:
        """Whether that area lies in the caller's."""
        return not self.areas or any(lies_in(area, own) for own in self.areas)


@dataclass(frozen=True, slots=True)
class _Asked:
    assignment_id: str
    by: By


@dataclass(frozen=True, slots=True)
class Acknowledge(_Asked):
    """The unit takes it on."""


@dataclass(frozen=True, slots=True)
class SetOut(_Asked):
    """The unit is on its way."""


@dataclass(frozen=True, slots=True)
class Arrive(_Asked):
    """The unit is on the scene; work begins."""


@dataclass(frozen=True, slots=True)
class Resolve(_Asked):
    """The unit has done its task; `handled_by` are others who acted, beside the one who says so."""

    note: str | None = None
    evidence: tuple[Attachment, ...] = ()
    handled_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Return(_Asked):
    """It is not the unit's to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandOn(_Asked):
    """A superior, or the centre, gives it to a unit below."""

    unit: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note(_Asked):
    """A remark, by the unit or by the centre."""

    note: str
    evidence: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Urge(_Asked):
    """Somebody who watches asks the unit to hurry."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Supervise(_Asked):
    """The centre watches it, and may demand a reply by a time."""

    level: int
    reason: str
    reply_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestExtension(_Asked):
    """The unit asks for one more original limit."""

    reason: str


@dataclass(frozen=True, slots=True)
class DecideExtension(_Asked):
    """The centre grants or refuses what the unit asked for; a refusal has a reason."""

    granted: bool
    reason: str | None = None


Command = (
    Acknowledge
    | SetOut
    | Arrive
    | Resolve
    | Return
    | HandOn
    | Note
    | Urge
    | Supervise
    | RequestExtension
    | DecideExtension
)
