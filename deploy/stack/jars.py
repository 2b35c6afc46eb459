"""The broker's code: fetched once from Maven Central, checked against jars.lock, kept in .data/cache.

Maven's client fetches where there is one (it knows the user's mirrors and proxies), else PyPI's jgo, which needs none.
Either way every file must have the hash that jars.lock states; `python -m deploy.stack.jars lock` writes that file.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from deploy.stack.problem import Problem
from deploy.stack.process import ROOT

_SOURCE = ROOT / "deploy" / "kafka"
_POM = _SOURCE / "pom.xml"
_LOCK = _SOURCE / "jars.lock"


@dataclass(frozen=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def locked() -> list[Jar]:
    lines = [line for line in _LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return [Jar(*line.split()[0].split(":"), sha256=line.split()[1]) for line in lines]


def version() -> str:
    """The version of Apache Kafka that pom.xml pins."""
    name = {"m": "http://maven.apache.org/POM/4.0.0"}
    for dependency in ElementTree.parse(_POM).iterfind("m:dependencies/m:dependency", name):
        if dependency.findtext("m:artifactId", None, name) == "kafka_2.13":
            return dependency.findtext("m:version", "", name)
    raise ValueError(f"{_POM} has no kafka_2.13")


def folder(cache: Path | None = None) -> Path:
    """Where the jars are kept: one folder per version of the lock file, so a changed pin never meets an old cache."""
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:8]
    return (cache or ROOT / ".data" / "cache") / "kafka" / f"{version()}-{digest}" / "libs"


def ensure(cache: Path | None = None, maven: str | None = "mvn", mirror: str | None = None) -> Path:
    """The folder with all jars, fetched if need be. Raises `Problem` where they can't be had.

    `maven` is the client's name; None does without. `mirror` (or MAVEN_MIRROR) is the address that jgo asks in place of
    Maven Central; Maven's client has settings of its own. The folder appears only once complete and checked.
    """
    target = folder(cache)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    jars = locked()
    client = shutil.which(maven) if maven is not None else None
    address = mirror or os.environ.get("MAVEN_MIRROR")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="partial-") as partial:
        by_maven, by_jgo = Path(partial) / "by-maven", Path(partial) / "by-jgo"
        faults: list[str] = []
        if client is not None and _tried(lambda: _by_maven(client, jars, by_maven), faults):
            complete = by_maven
        elif _tried(lambda: _by_jgo(jars, by_jgo, Path(partial) / "repository", address), faults):
            complete = by_jgo
        else:
            raise Problem(
                f"Kafka's {len(jars)} jars could not be fetched from Maven Central ({'; '.join(faults)}): "
                "check the connection and try again, or set KAFKA_BOOTSTRAP_SERVERS to a broker of yours"
            )
        try:
            complete.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, with the same files
                raise
    return target


def _tried(fetch: Callable[[], None], faults: list[str]) -> bool:
    try:
        fetch()
    except Problem as fault:
        faults.append(str(fault))
        return False
    return True


def _by_maven(client: str, jars: Sequence[Jar], libs: Path) -> None:
    done = _maven(client, "dependency:copy-dependencies", f"-DoutputDirectory={libs}")
    if done.returncode != 0:
        last = [line for line in done.stdout.splitlines() if "ERROR" in line] or [done.stderr.strip() or "no message"]
        raise Problem(f"mvn: {_plain(last[0])}")
    _check(jars, libs)


def _maven(client: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [client, "-q", "-B", "-f", str(_POM), *arguments], capture_output=True, text=True, timeout=900, check=False
    )


def _by_jgo(jars: Sequence[Jar], libs: Path, repository: Path, mirror: str | None) -> None:
    """jgo downloads each locked coordinate; it is not asked to resolve, the lock already says what is needed."""
    import requests
    from jgo.maven import MavenContext

    remotes = {"mirror": mirror} if mirror else None
    context = MavenContext(repo_cache=repository, remote_repos=remotes, timeout=60)

    libs.mkdir()

    def fetch(jar: Jar) -> None:
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        artifact.resolve().rename(libs / jar.file_name)

    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(fetch, jars))
    except (requests.RequestException, RuntimeError, OSError) as fault:
        raise Problem(f"jgo: {_plain(str(fault))}") from fault
    _check(jars, libs)


def _check(jars: Sequence[Jar], libs: Path) -> None:
    wanted = {jar.file_name: jar.sha256 for jar in jars}
    got = {path.name: _sha256(path) for path in libs.iterdir()}
    if wrong := sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name)):
        raise Problem(f"{', '.join(wrong[:3])} not as in jars.lock")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(text: str) -> str:
    """One short line without terminal codes."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\n", " ")[:200]


def lock() -> None:
    """Writes jars.lock from what Maven resolves for pom.xml."""
    client = shutil.which("mvn")
    if client is None:
        raise Problem("writing jars.lock needs Maven's client: install mvn")
    with tempfile.TemporaryDirectory() as folder_name:
        libs, listing = Path(folder_name) / "libs", Path(folder_name) / "list.txt"
        for goal in (
            ("dependency:copy-dependencies", f"-DoutputDirectory={libs}"),
            ("dependency:list", f"-DoutputFile={listing}"),
        ):
            done = _maven(client, *goal)
            if done.returncode != 0:
                raise Problem(f"mvn {goal[0]} failed: {_plain(done.stdout + done.stderr)}")
        found = sorted(set(re.findall(r"^\s+([\w.-]+):([\w.-]+):jar:([\w.-]+):", listing.read_text(), re.MULTILINE)))
        lines = [f"{':'.join(found)} {_sha256(libs / f'{found[1]}-{found[2]}.jar')}" for found in found]
    _LOCK.write_text(
        "# The broker's jars and their SHA-256, written by `make lock` from pom.xml; nothing else is ever run.\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["lock"]:
            lock()
        case _:
            print(ensure())
