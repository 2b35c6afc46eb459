"""The runs that were kept: a line of JSON each, with the date, the commit and the ratios."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HISTORY = Path("bench") / "history.jsonl"


def read(file: Path) -> list[dict[str, Any]]:
    """All kept runs, the oldest first; none where there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines() if line] if file.exists() else []


def entry(summary: Mapping[str, Any], at: datetime, commit: str) -> dict[str, Any]:
    """What is kept of a run."""
    return {
        "date": at.astimezone(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "cores": summary["cores"],
        "cases_per_second": round(summary["cases_per_second"], 1),
        "cpu_us_per_case": round(summary["cpu_us_per_case"]),
        "ratios": {name: round(value, 3) for name, value in summary["ratios"].items()},
    }


def append(file: Path, kept: Mapping[str, Any]) -> None:
    """Adds a run behind the others."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        lines.write(json.dumps(kept) + "\n")


def comparison(ratios: Mapping[str, float], kept: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Ratio -> the same of the last kept run; of those that both have."""
    if not kept:
        return {}
    before: Mapping[str, float] = kept[-1]["ratios"]
    return {name: before[name] for name in ratios if name in before}


def commit() -> str:
    """The checked-out commit, with a plus where files are changed; `unknown` outside a repository."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found + ("+" if changed else "")
