"""The software bill of materials as a CycloneDX 1.5 document; the same packages give the same bytes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.dependencies.installed import Package
from deploy.dependencies.licences import Judged, Verdict


def document(name: str, version: str, judged: Mapping[Package, Judged]) -> str:
    """`required`: what a service needs to run; `excluded`: what only the stack, the tests and the checks need."""
    application = {"type": "application", "bom-ref": name, "name": name, "version": version}
    depends = [{"ref": name, "dependsOn": sorted(_url(package) for package in judged if package.direct)}]
    urls = {package.name: _url(package) for package in judged}
    depends += [
        {"ref": _url(package), "dependsOn": sorted(urls[needed] for needed in package.needs if needed in urls)}
        for package in judged
    ]
    found = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": application},
        "components": [_component(package, verdict) for package, verdict in judged.items()],
        "dependencies": depends,
    }
    return json.dumps(found, indent=2) + "\n"


def _component(package: Package, judged: Judged) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _url(package),
        "name": package.name,
        "version": package.version,
        "scope": "required" if package.runtime else "excluded",
        "licenses": _licences(judged),
        "purl": _url(package),
    }


def _licences(judged: Judged) -> Sequence[Mapping[str, Any]]:
    if judged.verdict in (Verdict.EXEMPT, Verdict.UNKNOWN):
        return [{"license": {"name": judged.licence or "unknown"}}]
    return [{"expression": judged.licence}]


def _url(package: Package) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"
