"""Partners' systems: who is registered, what each may say and for which units. A file beside the district."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import StringConstraints, field_validator, model_validator

from contracts.actors import KINDS
from contracts.fields import PartnerId
from contracts.homes import partner_source
from contracts.reference.base import Reference, Text, UnitId, unique

Says = Literal["reports", "steps"]
"""`reports`: reports and what is said of them later, which intake takes. `steps`: what its units do, for dispatch."""


_TAKEN = KINDS | {"member", "staff"}
"""What others' names begin with where facts say who acted: `member:g012-1`. A partner's people are `<id>:<name>`."""


class Partner(Reference):
    """A system that writes `from.<id>` and reads `to.<id>`."""

    id: PartnerId
    name: Text
    units: tuple[UnitId, ...] = ()
    """Whose assignments it is told of, and whose steps it may say."""
    says: tuple[Says, ...] = ()
    """Nothing: it is registered no longer. Its topics are still read, so that nothing on them is lost, and what it asks
    is refused.
    """
    retrospective: bool = False
    """Whether its own times count in a report entered long after the fact."""
    client_key_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the key it sends in `X-Client-Key` where it calls the services' APIs."""

    @field_validator("id")
    @classmethod
    def _no_other_kind(cls, value: str) -> str:
        if value in _TAKEN:
            raise ValueError(f"must not be one of {', '.join(sorted(_TAKEN))}: facts name people and partners that way")
        return value

    @property
    def source(self) -> str:
        """The CloudEvents source of what it says."""
        return partner_source(self.id)


class Partners(Reference):
    """All that are registered. A unit answers through one partner at most."""

    partners: tuple[Partner, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> "Partners":
        unique("partners.id", (partner.id for partner in self.partners))
        unique("partners.units", (unit for partner in self.partners for unit in partner.units))
        unique(
            "partners.client_key_sha256",
            (partner.client_key_sha256 for partner in self.partners if partner.client_key_sha256),
        )
        return self

    @cached_property
    def by_id(self) -> Mapping[str, Partner]:
        return {partner.id: partner for partner in self.partners}

    @cached_property
    def registered(self) -> Mapping[str, Partner]:
        """Those that are registered still, by id: who is told what happens. The others are only answered."""
        return {partner.id: partner for partner in self.partners if partner.says}

    @cached_property
    def by_unit(self) -> Mapping[str, Partner]:
        return {unit: partner for partner in self.partners for unit in partner.units}

    @cached_property
    def by_key(self) -> Mapping[str, Partner]:
        """SHA-256 of a client key -> whose it is."""
        return {partner.client_key_sha256: partner for partner in self.partners if partner.client_key_sha256}


NO_PARTNERS = Partners()
