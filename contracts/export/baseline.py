"""What was published before: the schemas and examples at HEAD and at the last release, read from git."""

import io
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDERS = ("contracts/schemas", "contracts/examples")
RELEASES = "v*"
"""The tags that are releases."""


class Unavailable(Exception):
    """There is nothing here to compare with; the message says why."""


def revisions(root: Path) -> Sequence[str]:
    """HEAD and the newest release before it. Raises `Unavailable`."""
    if not (root / ".git").exists():
        raise Unavailable("this is not a git checkout")
    try:
        _git(root, "rev-parse", "--verify", "HEAD")
    except subprocess.CalledProcessError as fault:
        raise Unavailable(f"git has no HEAD to compare with: {fault.stderr.decode().strip()}") from None
    except FileNotFoundError:
        raise Unavailable("git is not installed") from None
    releases = _git(root, "tag", "--merged", "HEAD", "--sort=-creatordate", "--list", RELEASES).decode().split()
    # Until the first release nobody outside depends on these files, so version 1 changes wherever that makes it better:
    # what was merely committed binds nobody. From then on the last commit counts, too, and not only the release.
    if not releases:
        raise Unavailable(f"nothing has been released (no tag {RELEASES}), so version 1 may still change")
    return ["HEAD", releases[0]]


def committed(root: Path, revision: str) -> Mapping[str, bytes]:
    """Path -> content of every schema and example at that revision; empty where there were none yet."""
    there = _git(root, "ls-tree", "-d", "--name-only", revision, *FOLDERS).decode().split()
    if not there:
        return {}
    archive = _git(root, "archive", "--format=tar", revision, *there)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True).stdout
