"""Known vulnerabilities of packages, from a file of the OSV database: its archive for PyPI, or a JSON list."""

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from deploy.dependencies.installed import Package


@dataclass(frozen=True, slots=True)
class Known:
    """A vulnerability that concerns a package in the version that is here."""

    package: str
    version: str
    id: str
    summary: str


def records(path: Path) -> Iterator[Mapping[str, Any]]:
    """The records of a file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield json.loads(archive.read(name))
    else:
        yield from json.loads(path.read_bytes())


def vulnerabilities(found: Iterable[Mapping[str, Any]], packages: Iterable[Package]) -> list[Known]:
    """What these records say of these packages; a record that was withdrawn says nothing."""
    here = {package.name: package for package in packages}
    known = []
    for record in found:
        for affected in record.get("affected", ()) if "withdrawn" not in record else ():
            about = affected.get("package", {})
            package = here.get(canonicalize_name(about.get("name", "")))
            if about.get("ecosystem") == "PyPI" and package is not None and _affects(affected, package.version):
                known.append(Known(package.name, package.version, record["id"], record.get("summary", "")))
    return sorted(set(known), key=lambda one: (one.package, one.id))


def _affects(affected: Mapping[str, Any], version: str) -> bool:
    if version in affected.get("versions", ()):
        return True
    return any(
        _within(span.get("events", ()), Version(version))
        for span in affected.get("ranges", ())
        if span.get("type") == "ECOSYSTEM"
    )


def _within(events: Iterable[Mapping[str, str]], version: Version) -> bool:
    """Whether a version lies in what these events begin and end, as the OSV schema evaluates them."""
    affected = False
    for (event, at), *_ in sorted((list(one.items()) for one in events), key=lambda one: _version(one[0][1])):
        if event == "introduced" and version >= _version(at):
            affected = True
        elif (event == "fixed" and version >= _version(at)) or (event == "last_affected" and version > _version(at)):
            affected = False
    return affected


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:  # "0": from the beginning; others cannot be compared
        return Version("0.dev0")
