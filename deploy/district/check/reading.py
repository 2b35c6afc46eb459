"""The files of a district, read record by record, so that one bad record does not hide what else is wrong."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from contracts.reference import (
    Area,
    Areas,
    Calendar,
    Catalogue,
    Category,
    District,
    Member,
    Members,
    Partner,
    Partners,
    Place,
    Places,
    Policy,
    Reference,
    Unit,
    Units,
)
from contracts.wire import broken

R = TypeVar("R", bound=Reference)

PARTNERS = "../partners.json"
"""Beside the folder, not in it."""
MANIFEST = "manifest.json"
_OPTIONAL = (PARTNERS, MANIFEST)
_MODELS: Mapping[str, type[Reference]] = {
    "areas.json": Areas,
    "units.json": Units,
    "members.json": Members,
    "places.json": Places,
    "catalogue.json": Catalogue,
    "policy.json": Policy,
    "calendar.json": Calendar,
    MANIFEST: District,
    PARTNERS: Partners,
}


@dataclass(frozen=True)
class Finding:
    """Where something is wrong, and the rule that says so."""

    file: str
    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.rule}"


@dataclass(frozen=True)
class Rows(Generic[R]):
    """A file that lists things: those that are valid by themselves, and the names of all."""

    valid: tuple[R, ...] = ()
    names: frozenset[str] | None = None
    """None where the file is not readable at all, so that nothing can be said of what refers to it."""

    def lacks(self, name: str) -> bool:
        """Whether the file is known to hold no such thing."""
        return self.names is not None and name not in self.names


@dataclass(frozen=True)
class Files:
    """What could be read. A file that could not be is empty or None, and a finding says so."""

    folder: Path
    findings: tuple[Finding, ...]
    areas: Rows[Area]
    units: Rows[Unit]
    members: Rows[Member]
    places: Rows[Place]
    catalogue: Rows[Category]
    partners: Rows[Partner]
    policy: Policy | None
    calendar: Calendar | None
    manifest: District | None

    @cached_property
    def grids(self) -> tuple[str, ...]:
        """The paths of the grids."""
        return tuple(area.path for area in self.areas.valid if area.level == "grid")


def read(folder: Path) -> Files:
    """Everything in the folder, and the partners beside it."""
    reader = _Reader(folder)
    files = {
        "areas": reader.rows("areas.json", Area, "path"),
        "units": reader.rows("units.json", Unit, "id"),
        "members": reader.rows("members.json", Member, "id"),
        "places": reader.rows("places.json", Place, "id"),
        "catalogue": reader.rows("catalogue.json", Category, "code"),
        "policy": reader.record("policy.json", Policy),
        "calendar": reader.record("calendar.json", Calendar),
        "manifest": reader.record(MANIFEST, District),
        "partners": reader.rows(PARTNERS, Partner, "id"),
    }
    if (folder / "partners.json").exists():
        reader.note("partners.json", "file", "is not read here: partners are registered in the file beside the folder")
    return Files(folder=folder, findings=tuple(reader.findings), **files)


def refused(files: Files, but: Collection[str]) -> Iterator[Finding]:
    """What the services would still refuse of the files in which nothing was found but in these."""
    for name, model in _MODELS.items():
        path = path_of(files.folder, name)
        if name in but or not path.exists():
            continue
        try:
            model.model_validate_json(path.read_bytes())
        except ValidationError as error:
            yield from _explained(name, "", error)


def path_of(folder: Path, file: str) -> Path:
    """Where a file lies, also that beside the folder, however the folder was named."""
    return folder.resolve().parent / "partners.json" if file == PARTNERS else folder / file


def repeated(file: str, field: str, values: Iterable[str]) -> Iterator[Finding]:
    """What is there more than once, though it must not be."""
    for value, times in Counter(values).items():
        if times > 1:
            yield Finding(file, field, f"{value} is there {times} times, and must be unique")


class _Reader:
    """Reads one file after another, and keeps what it finds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.findings: list[Finding] = []

    def note(self, file: str, field: str, rule: str) -> None:
        self.findings.append(Finding(file, field, rule))

    def rows(self, file: str, kind: type[R], key: str) -> Rows[R]:
        """The records of a file that is an object with a list of them; `key` is the field that names one."""
        content = self._object(file)
        if content is None:
            return Rows()
        whole = _MODELS[file]
        (name,) = (each for each in whole.model_fields if each != "version")
        listed = content.get(name)
        if not isinstance(listed, list):
            self.note(file, name, "must be a list")
            return Rows()
        self._valid(whole, {**content, name: []}, file, "")
        names = [each.get(key) if isinstance(each, dict) else None for each in listed]
        known = [own for own in names if isinstance(own, str)]
        checked = (
            self._valid(kind, each, file, f"{name}[{own if isinstance(own, str) else number}]")
            for number, (each, own) in enumerate(zip(listed, names, strict=True))
        )
        valid = tuple(row for row in checked if row is not None)
        self.findings.extend(repeated(file, f"{name}.{key}", known))
        return Rows(valid, frozenset(known))

    def record(self, file: str, kind: type[R]) -> R | None:
        """A file that is one record."""
        content = self._object(file)
        return None if content is None else self._valid(kind, content, file, "")

    def _object(self, file: str) -> dict[str, Any] | None:
        try:
            content = json.loads(path_of(self._folder, file).read_bytes())
        except FileNotFoundError:
            if file not in _OPTIONAL:
                self.note(file, "file", "is missing")
            return None
        except OSError as fault:
            self.note(file, "file", f"can't be read: {fault.strerror}")
            return None
        except (ValueError, RecursionError) as fault:
            self.note(file, "file", f"is not JSON: {fault}")
            return None
        if not isinstance(content, dict):
            self.note(file, "file", "must be a JSON object")
            return None
        return content

    def _valid(self, kind: type[R], content: Any, file: str, where: str) -> R | None:
        """The record, read as the services read it; None where it is not valid."""
        try:
            return kind.model_validate_json(json.dumps(content))
        except ValidationError as error:
            self.findings.extend(_explained(file, where, error))
            return None


def _explained(file: str, where: str, error: ValidationError) -> Iterator[Finding]:
    for name, rule in broken(error.errors(include_url=False, include_input=False)):
        yield Finding(file, ".".join(part for part in (where, name) if part) or "file", rule)
