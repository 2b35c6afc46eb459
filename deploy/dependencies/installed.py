"""The packages of this environment as their own metadata describe them."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Package:
    """`declared`: its licence in its own words, the most exact first. `needs`: names of packages, as they are here."""

    name: str
    version: str
    declared: tuple[str, ...]
    needs: tuple[str, ...]
    direct: bool
    """Whether the project itself names it."""
    runtime: bool
    """Whether a service needs it; else it is for the stack, for tests or for checks."""


def packages(project: Path) -> list[Package]:
    """What a project's dependencies and groups lead to, each once, by name. Raises `PackageNotFoundError`."""
    described = tomllib.loads((project / "pyproject.toml").read_text())
    runs = described["project"]["dependencies"]
    groups = [line for group in described["dependency-groups"].values() for line in group if isinstance(line, str)]
    direct = {canonicalize_name(Requirement(line).name) for line in (*runs, *groups)}
    runtime = _reached(runs)
    return [_package(name, name in direct, name in runtime) for name in sorted(runtime | _reached(groups))]


def _reached(requirements: Iterable[str]) -> set[str]:
    """The names of all packages that these lead to."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(one.name), frozenset(one.extras)) for one in map(Requirement, requirements)]
    while waiting:
        name, extras = found = waiting.pop()
        if found not in seen:
            seen.add(found)
            waiting += _needs(name, extras)
    return {name for name, _ in seen}


def _needs(name: str, extras: Iterable[str] = ()) -> list[tuple[str, frozenset[str]]]:
    """(name, extras) of what a package with these extras requires on this machine."""
    found = []
    for line in distribution(name).requires or ():
        one = Requirement(line)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            found.append((canonicalize_name(one.name), frozenset(one.extras)))
    return found


def _package(name: str, direct: bool, runtime: bool) -> Package:
    found = distribution(name)
    needs = tuple(sorted({needed for needed, _ in _needs(name) if _is_here(needed)}))
    return Package(name, found.version, _declared(found.metadata), needs, direct, runtime)


def _is_here(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _declared(metadata: PackageMetadata) -> tuple[str, ...]:
    texts = [*metadata.get_all("License-Expression", ()), *metadata.get_all("License", ())]
    kinds = metadata.get_all("Classifier", ())
    classifiers = [one.split(" :: ")[-1] for one in kinds if one.startswith("License :: ")]
    return tuple(text.splitlines()[0].strip() for text in (*texts, *classifiers) if text.strip())
