"""The ladder of units: who stands above whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from contracts.reference import Units


@dataclass(frozen=True)
class Ladder:
    """Questions about `units`."""

    units: Units

    @cached_property
    def _above(self) -> Mapping[str, tuple[str, ...]]:
        return {unit.id: self._climbed(unit.superior) for unit in self.units.units}

    def _climbed(self, unit: str | None) -> tuple[str, ...]:
        found: list[str] = []
        while unit is not None:
            found.append(unit)
            unit = self.units.by_id[unit].superior
        return tuple(found)

    def knows(self, unit: str) -> bool:
        """Whether there is such a unit."""
        return unit in self._above

    def above(self, unit: str) -> tuple[str, ...]:
        """The units above that one, lowest first; of an unknown one none."""
        return self._above.get(unit, ())

    def below(self, unit: str, superior: str) -> bool:
        """Whether `unit` stands anywhere below `superior`."""
        return superior in self.above(unit)
