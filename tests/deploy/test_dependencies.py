"""What is imported is declared and nothing else; licences, known vulnerabilities and the bill of materials."""

import ast
import json
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.dependencies.installed import Package, packages
from deploy.dependencies.licences import EXEMPT, Judged, Verdict, judge
from deploy.dependencies.osv import records, vulnerabilities
from deploy.dependencies.sbom import document

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = {"contracts", "chassis", "services", "deploy", "tests"}
LOADED_BY_NAME = {
    "fastapi-offline": "the folder of its assets is mounted",
    "httptools": "uvicorn's parser, by its name",
    "tzdata": "zoneinfo's data, where the machine has none",
}
TOOLS = ("deploy/lint.py", "deploy/mutants", "deploy/dependencies", "contracts/export")
"""Parts that only developers run, with the packages of the group `dev`."""
PEERS = tuple(f"deploy/bench/peers/{name}.py" for name in ("contract", "faststream_service", "outbox_service"))
"""Run in an environment of their own (tests/deploy/test_bench_peers.py)."""


def declared(group: str | None = None) -> set[str]:
    lines = PROJECT["project"]["dependencies"] if group is None else PROJECT["dependency-groups"][group]
    return {canonicalize_name(Requirement(line).name) for line in lines if isinstance(line, str)}


def imported(*folders: str) -> Iterator[tuple[str, str]]:
    """(file, module) of every import of somebody else's module, also within functions."""
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith((*TOOLS, *PEERS)):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [f"{node.module}.{one.name}" for one in node.names]
            yield from ((name, one) for one in modules if one.partition(".")[0] not in OWN | sys.stdlib_module_names)


@pytest.fixture(scope="module")
def homes() -> dict[str, str]:
    """Module -> the package that it comes from; of a folder that several share, only what is in it."""
    found: dict[str, str] = {}
    for one in distributions():
        found |= dict.fromkeys(modules(one), canonicalize_name(one.name))
    return found


def modules(one: Distribution) -> Iterator[str]:
    for file in one.files or ():
        if file.suffix in (".py", ".pyi", ".so"):
            parts = [*file.parts[:-1], *([] if file.stem == "__init__" else [file.name.partition(".")[0]])]
            yield ".".join(parts)


def home(module: str, homes: dict[str, str]) -> str:
    while module not in homes:
        module, dot, _ = module.rpartition(".")
        assert dot, f"{module} comes from no package"
    return homes[module]


def test_what_a_service_imports_is_a_dependency_at_run_time_and_nothing_else_is(homes: dict[str, str]) -> None:
    found = {home(module, homes) for _, module in imported("chassis", "contracts", "services")}
    assert found | LOADED_BY_NAME.keys() == declared()


def test_what_the_stack_imports_besides_is_in_its_group_and_nothing_else_is(homes: dict[str, str]) -> None:
    found = {home(module, homes) for _, module in imported("deploy")}
    assert found - declared() == declared("stack")


def test_what_only_the_embedded_stack_needs_is_in_no_services_image() -> None:
    """Neither itself nor because something else needs it: the image installs what the dependencies reach."""
    installed = {one.name for one in packages(ROOT) if one.runtime}
    only_stack = {"confluent-kafka", "httpx", "jgo", "psutil", "rich", "supervisor"}
    assert only_stack <= declared("stack")
    assert installed & {*only_stack, "cjdk", "httpcore", "pytest", "testcontainers", "uv", "pip", "setuptools"} == set()
    assert {"aiokafka", "asyncpg", "pydantic-core", "urllib3"} <= installed, "what is reached is counted"


def test_the_development_group_has_the_stack_and_no_package_twice() -> None:
    assert {"include-group": "stack"} in PROJECT["dependency-groups"]["dev"]
    assert (
        declared() & declared("stack") == declared() & declared("dev") == declared("stack") & declared("dev") == set()
    )


def package(*declares: str, name: str = "weather", runtime: bool = True, version: str = "1.5") -> Package:
    return Package(name, version, declares, (), True, runtime)


@pytest.mark.parametrize(
    ("declares", "verdict", "licence"),
    [
        (["MIT"], Verdict.ALLOWED, "MIT"),
        (["mit"], Verdict.ALLOWED, "MIT"),
        (["Apache 2.0"], Verdict.ALLOWED, "Apache-2.0"),
        (["all rights reserved by nobody in particular", "MIT License"], Verdict.ALLOWED, "MIT"),
        (["GPL-3.0-only"], Verdict.NOT_ALLOWED, "GPL-3.0-only"),
        (["GPL-3.0-only", "MIT License"], Verdict.NOT_ALLOWED, "GPL-3.0-only"),
        (["GPL-3.0-only OR MIT"], Verdict.ALLOWED, "GPL-3.0-only OR MIT"),
        (["MIT OR GPL-3.0-only"], Verdict.ALLOWED, "MIT OR GPL-3.0-only"),
        (["GPL-3.0-only AND MIT"], Verdict.NOT_ALLOWED, "GPL-3.0-only AND MIT"),
        (["MIT AND GPL-3.0-only OR ISC"], Verdict.ALLOWED, "MIT AND GPL-3.0-only OR ISC"),
        (["MIT AND (GPL-3.0-only OR ISC)"], Verdict.ALLOWED, "MIT AND (GPL-3.0-only OR ISC)"),
        (["(MIT OR ISC) AND GPL-3.0-only"], Verdict.NOT_ALLOWED, "(MIT OR ISC) AND GPL-3.0-only"),
        (["GPL-2.0-only WITH Classpath-exception-2.0"], Verdict.NOT_ALLOWED, None),
        (["MIT WITH Classpath-exception-2.0"], Verdict.NOT_ALLOWED, None),
        (["see LICENSE"], Verdict.UNKNOWN, "see LICENSE"),
        ([], Verdict.UNKNOWN, ""),
    ],
)
def test_a_licence_is_judged_by_the_first_words_that_mean_one(
    declares: list[str], verdict: Verdict, licence: str | None
) -> None:
    found = judge(package(*declares))
    assert found.verdict == verdict
    assert licence in (None, found.licence)


def test_an_exemption_holds_for_its_licence_only_and_not_in_a_service() -> None:
    name, exempt = "yamllint", EXEMPT["yamllint"]
    assert judge(package(exempt.licence, name=name, runtime=False)).verdict == Verdict.EXEMPT
    assert judge(package(exempt.licence, name=name)).verdict == Verdict.NOT_ALLOWED
    assert judge(package("AGPL-3.0-only", name=name, runtime=False)).verdict == Verdict.NOT_ALLOWED


def test_every_package_here_has_a_licence_that_is_allowed_and_every_exemption_is_used() -> None:
    judged = {one: judge(one) for one in packages(ROOT)}
    assert {one.name: verdict for one, verdict in judged.items() if verdict.verdict not in ("allowed", "exempt")} == {}
    assert {one.name for one, verdict in judged.items() if verdict.verdict == "exempt"} == EXEMPT.keys()


def test_the_packages_are_those_of_the_lock() -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    found = packages(ROOT)
    assert {one.name for one in found} <= {canonicalize_name(name) for name in locked}
    assert {"asyncpg", "cryptography"} <= {one.name for one in found if one.runtime}, "extras are followed"
    assert {"jgo", "psutil", "rich", "supervisor", "testcontainers"} <= {one.name for one in found if not one.runtime}


def record(*, versions: tuple[str, ...] = (), events: tuple[dict[str, str], ...] = (), **more: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    affected = {"package": {"ecosystem": "PyPI", "name": "Weather"}, "versions": list(versions), "ranges": ranges}
    return {"id": "PYSEC-1", "summary": "it rains", "affected": [affected], **more}


FIXED_IN_2: tuple[dict[str, str], ...] = ({"fixed": "2.0"}, {"introduced": "0"})
AGAIN = ({"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.5"}, {"last_affected": "1.10"})


@pytest.mark.parametrize(
    ("version", "found", "concerns"),
    [
        ("1.5", record(versions=("1.4", "1.5")), True),
        ("1.5", record(versions=("1.4",)), False),
        ("1.10", record(events=FIXED_IN_2), True),
        ("2.0", record(events=FIXED_IN_2), False),
        ("2.0rc1", record(events=FIXED_IN_2), True),
        ("1.1", record(events=AGAIN), True),
        ("1.3", record(events=AGAIN), False),
        ("1.5", record(events=AGAIN), True),
        ("1.10", record(events=AGAIN), True),
        ("1.11", record(events=AGAIN), False),
        ("1.5", record(versions=("1.5",), withdrawn="2026-05-09T00:00:00Z"), False),
        (
            "1.5",
            {**record(), "affected": [{"package": {"ecosystem": "npm", "name": "weather"}, "versions": ["1.5"]}]},
            False,
        ),
        (
            "1.5",
            {**record(), "affected": [{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": ["1.5"]}]},
            False,
        ),
    ],
)
def test_a_known_vulnerability_concerns_the_versions_that_it_names(
    version: str, found: dict[str, Any], concerns: bool
) -> None:
    known = vulnerabilities([found], [package("MIT", version=version)])
    assert [(one.package, one.version, one.id) for one in known] == (
        [("weather", version, "PYSEC-1")] if concerns else []
    )


def test_the_archive_that_osv_publishes_and_a_list_are_read(tmp_path: Path) -> None:
    found = record(versions=("1.5",))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("PYSEC-1.json", json.dumps(found))
    (tmp_path / "list.json").write_text(json.dumps([found]))
    assert [*records(tmp_path / "all.zip")] == [*records(tmp_path / "list.json")] == [found]


def test_the_bill_names_every_package_with_its_licence_and_what_it_needs() -> None:
    here = Package("weather", "1.5", ("MIT",), ("clouds",), True, True)
    needed = Package("clouds", "2", ("GPL-3.0",), (), False, False)
    bill = json.loads(document("casegrid", "0.1.0", {here: judge(here), needed: Judged(Verdict.EXEMPT, "GPL-3.0")}))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert [(one["purl"], one["scope"], one["licenses"]) for one in bill["components"]] == [
        ("pkg:pypi/weather@1.5", "required", [{"expression": "MIT"}]),
        ("pkg:pypi/clouds@2", "excluded", [{"license": {"name": "GPL-3.0"}}]),
    ]
    assert bill["dependencies"] == [
        {"ref": "casegrid", "dependsOn": ["pkg:pypi/weather@1.5"]},
        {"ref": "pkg:pypi/weather@1.5", "dependsOn": ["pkg:pypi/clouds@2"]},
        {"ref": "pkg:pypi/clouds@2", "dependsOn": []},
    ]
