"""Field types the reference files share."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from contracts.fields import described

AREA_PATH = r"^[A-Z]{2,4}(/[a-z0-9-]+(/[a-z0-9-]+(/g\d{3}(/s\d{2})?)?)?)?$"
UNIT_ID = r"^(grid|community|street|district|dept|partner|mediator):[A-Za-z0-9/-]+$"
CATEGORY_CODE = r"^(component|event|dispute|service)\.[a-z0-9-]+\.[a-z0-9-]+$"
COMPETENCE = r"^(component|event|dispute|service)(\.[a-z0-9-]+){0,2}$"
ROLE = r"^(grid|community|street|district|mediator|(dept|partner):[a-z0-9-]+)$"

Point = tuple[Annotated[float, Field(ge=-180, le=180)], Annotated[float, Field(ge=-90, le=90)]]
AreaPath = Annotated[str, StringConstraints(pattern=AREA_PATH)]
UnitId = Annotated[str, StringConstraints(pattern=UNIT_ID)]
CategoryCode = Annotated[str, StringConstraints(pattern=CATEGORY_CODE)]
Competence = Annotated[str, StringConstraints(pattern=COMPETENCE)]
Role = Annotated[str, StringConstraints(pattern=ROLE)]
Text = Annotated[str, StringConstraints(min_length=1)]
Weekday = Annotated[int, Field(ge=1, le=7)]
Positive = Annotated[int, Field(gt=0)]
Percent = Annotated[int, Field(gt=0, le=1000)]
Level = Literal["district", "street", "community", "grid", "subgrid"]
PlaceKind = Literal[
    "school", "hospital", "gas_station", "care_home", "market", "metro_station", "construction_site", "park", "road"
]
Scale = Literal["full", "small", "tiny"]
UnitKind = Literal["grid", "community", "street", "district", "department", "partner", "mediator"]
Clock = Literal["continuous", "working_hours", "working_days", "calendar_days"]

LEVELS: tuple[Level, ...] = get_args(Level)
LADDER: tuple[UnitKind, ...] = ("grid", "community", "street", "district")


class Reference(BaseModel):
    """A frozen record of a reference file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return described(cls, handler(schema), handler)


def unique(field: str, values: Iterable[str]) -> None:
    """Raise ValueError naming `field` and the values that occur more than once."""
    repeated = sorted(value for value, times in Counter(values).items() if times > 1)
    if repeated:
        raise ValueError(f"{field} must be unique, repeated: {', '.join(repeated)}")
