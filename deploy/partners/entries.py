"""The rules of an entry. Pure: what is wanted, what is there already and the district's units in, entries out."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from contracts.reference import Partner, Partners


class Unacceptable(ValueError):
    """An entry breaks rules; `findings` names each with its field, and the message is all of them, one a line."""

    def __init__(self, *findings: str) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


@dataclass(frozen=True)
class Wanted:
    """What is asked for, unchecked. What is None stays as it is registered; of a new entry it is empty, or its id."""

    id: str
    says: tuple[str, ...] | None = None
    units: tuple[str, ...] | None = None
    name: str | None = None
    retrospective: bool | None = None


def with_entry(partners: Partners, wanted: Wanted, district: Container[str], new_key: str | None) -> Partners:
    """The partners with one more or a changed one. `new_key`, a SHA-256, takes the place of the key it had, if any.

    `district` holds the ids of the district's units. Raises `Unacceptable`.
    """
    known = partners.by_id.get(wanted.id)
    given = {field: value for field, value in vars(wanted).items() if value is not None}
    fields: dict[str, Any] = {"name": wanted.id, "units": (), "says": (), "retrospective": False}
    fields |= (known.model_dump() if known else {}) | given
    findings = [
        *([] if fields["says"] else [f"says: {_why_nothing(known, wanted)}"]),
        *_repeated("units", fields["units"]),
        *_repeated("says", fields["says"]),
        *_units(partners, wanted.id, fields["units"], district),
    ]
    fields |= {
        "client_key_sha256": new_key or (known.client_key_sha256 if known else None),
    }
    try:
        entry = Partner.model_validate(fields)
    except ValidationError as error:
        raise Unacceptable(*_explained(error), *findings) from None
    if findings:
        raise Unacceptable(*findings)
    if known:
        return Partners(partners=tuple(entry if partner is known else partner for partner in partners.partners))
    return Partners(partners=(*partners.partners, entry))


def _why_nothing(known: Partner | None, wanted: Wanted) -> str:
    if known and wanted.says is None:
        return f"{known.id} is registered no longer: name SAYS and UNITS (--says, --units) to register it again"
    return f"'' {_RULES['says']}"


def retired(partners: Partners, partner: str) -> Partners:
    """The partners, that one registered no longer: for no unit, with nothing to say, without a key.

    Its entry stays, for its topics do: the services go on reading what was on its way, and audit its last notices. The
    same object where there is no such partner.
    """
    known = partners.by_id.get(partner)
    if known is None or not known.says:
        return partners
    left = Partner(id=known.id, name=known.name)
    return Partners(partners=tuple(left if entry is known else entry for entry in partners.partners))


def _units(partners: Partners, wanted: str, units: tuple[str, ...], district: Container[str]) -> list[str]:
    found = []
    for unit in dict.fromkeys(units):
        owner = partners.by_unit.get(unit)
        if unit not in district:
            found.append(f"units: {unit} is not a unit of the district's units.json")
        elif owner is not None and owner.id != wanted:
            found.append(f"units: {unit} answers through {owner.id} already, and a unit has one partner at most")
    return found


def _repeated(field: str, values: tuple[str, ...]) -> list[str]:
    return [f"{field}: {value} is there more than once" for value, times in Counter(values).items() if times > 1]


_RULES = {
    "id": "must be 1 to 50 lower-case letters, digits and hyphens, the first no hyphen",
    "name": "must not be empty",
    "says": "must be reports, steps, or both",
}


def _explained(error: ValidationError) -> list[str]:
    """Each broken field with its rule, once. A malformed unit is named by `_units`: the district has none."""
    found: dict[str, str] = {}
    for item in error.errors(include_url=False, include_context=False):
        field = str(item["loc"][0])
        if field in _RULES and field not in found:
            given = ",".join(item["input"]) if isinstance(item["input"], tuple) else item["input"]
            found[field] = f"{field}: {given!r} {_RULES[field]}"
    return list(found.values())
