"""A small invented file goes through the whole system: dirt is rejected by name, the rest is closed, audit agrees."""

import asyncio
import csv
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from deploy.district.__main__ import main
from deploy.stack.process import ROOT
from deploy.stack.secrets import keys_file, load
from deploy.stack.token import issue
from tests.support.fleet import SERVICES, Fleet
from tests.support.infrastructure import Database

REQUEST = {
    "unique_key": "",
    "created_date": "2011-03-01T14:27:57",
    "closed_date": "2011-03-02T09:00:00",
    "complaint_type": "Street Light Condition",
    "descriptor": "Street Light Out",
    "incident_address": "1 INVENTED ROAD",
    "city": "BROOKLYN",
    "status": "Closed",
    "resolution_description": "A new lamp was put in.",
    "latitude": "40.7024",
    "longitude": "-73.8173",
}
NOWHERE = {"latitude": "", "longitude": ""}


@asynccontextmanager
async def city(kafka: str, prefix: str, database: Database, folder: Path) -> AsyncIterator[dict[str, str]]:
    """A running city; gives the environment of a program that acts in it."""
    district, run = folder / "district", folder / "run"
    assert main(["--scale", "small", "--out", str(district)]) == 0
    run.mkdir()
    load(run)
    databases = {name: database.url(name) for name in SERVICES}
    fleet = Fleet(
        databases=databases,
        kafka=kafka,
        prefix=prefix,
        district=district,
        logs=folder,
        CASEGRID_JWKS=str(keys_file(run)),
    )
    async with fleet:
        await fleet.ready()
        yield {
            **os.environ,
            **{f"{name.upper()}_PORT": str(port) for name, port in fleet.ports.items()},
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "CASEGRID_TOPIC_PREFIX": prefix,
            "CASEGRID_DATA": str(folder),
            "CASEGRID_DISTRICT": str(district),
        }


async def replay(environment: dict[str, str], file: Path, format: str, *more: str) -> tuple[int | None, str]:
    """Exit status and what was printed."""
    command = (sys.executable, "-m", "deploy.replay", "--file", str(file), "--format", format, *more)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


def requests(path: Path, *changes: dict[str, str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, REQUEST)
        writer.writeheader()
        writer.writerows({**REQUEST, "unique_key": str(n), **change} for n, change in enumerate(changes, start=1))
    return path


def written(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    summary = json.loads((folder / "replay" / "summary.json").read_text())
    rejects = (folder / "replay" / "rejects.jsonl").read_text().splitlines()
    return summary, [json.loads(line) for line in rejects]


@pytest.mark.timeout(300)
async def test_files_of_both_formats_run_completely_and_equal_what_audit_says(
    kafka: str,
    topic_prefix: str,
    make_topics: Callable[..., Awaitable[list[str]]],
    database: Database,
    tmp_path: Path,
) -> None:
    await make_topics(topic_prefix)
    an_hour_ago = (datetime.now(ZoneInfo("America/New_York")) - timedelta(hours=1)).replace(tzinfo=None).isoformat()
    file = requests(
        tmp_path / "requests.csv",
        {},
        {"latitude": "40.7025", "created_date": "2011-03-01T14:30:00"},
        {"complaint_type": "Illegal Parking", "descriptor": "Blocked Hydrant"},
        {"complaint_type": "Noise - Residential", "descriptor": "Loud Music"},
        {"complaint_type": "Graffiti", "descriptor": "Graffiti"},
        {"complaint_type": "SCRIE", **NOWHERE},
        {"complaint_type": "Dragon", "descriptor": "Smoke"},
        {"complaint_type": "Dragon", "descriptor": "Fire", **NOWHERE},
        {"closed_date": "1900-01-01T00:00:00", "latitude": "40.7224"},
        {"closed_date": "", "status": "Open", "latitude": "40.7324"},
        {"created_date": an_hour_ago, "closed_date": "", "status": "Open", "latitude": "40.7424"},
        {"unique_key": "1"},
        {"created_date": "never"},
        {"descriptor": "Out\0Out"},
    )
    letters = tmp_path / "messages.jsonl"
    letter = {"user": "U1", "title": "路灯不亮", "text": "门口路灯坏了", "time": "2019-04-25T09:32:09"}
    lines = [{**letter, "id": n, "reply": "已修复", "reply_time": "2019-05-10T14:56:53"} for n in range(1, 6)]
    letters.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {**letter, "id": 9, "time": "?"}]))

    async with city(kafka, topic_prefix, database, tmp_path) as environment:
        status, printed = await replay(environment, file, "nyc311")
        assert status == 0, printed
        first, rejects = written(tmp_path)
        assert [(reject["row"], reject["field"]) for reject in rejects] == [
            (12, "id"),
            (13, "created_date"),
            (14, "title"),
        ]
        assert (first["rows"], first["reported"], first["closed"], first["open"]) == (14, 11, 11, 0)
        assert first["filed"] + first["merged"] == 11
        assert first["by_outcome"]["fixed"] == first["filed"]
        assert first["late"] >= 1
        assert {row["category"] for row in first["by_category"]} >= {
            "event.emergency.fire-lane",
            "event.advertising.poster",
        }
        assert "every case is closed, nothing is parked, and audit says the same of each" in printed

        status, printed = await replay(environment, file, "nyc311", "--limit", "6")
        assert status == 0, printed
        second, _ = written(tmp_path)
        assert (second["rows"], second["closed"], second["merged_into_cases_of_others"]) == (6, 6, 0)
        assert second["run"] != first["run"]

        status, printed = await replay(environment, letters, "messages")
        assert status == 0, printed
        third, rejects = written(tmp_path)
        assert (third["filed"], third["closed"], len(rejects)) == (5, 5, 1)
        await agrees_with_audit(environment, third)


async def agrees_with_audit(environment: dict[str, str], summary: dict[str, Any]) -> None:
    """Asks audit itself: the equality that the replay claims is there."""
    key = load(Path(environment["CASEGRID_DATA"]) / "run").token_key
    headers = {"authorization": "Bearer " + issue(key, subject="auditor", roles=["auditor"])}
    url = f"http://127.0.0.1:{environment['AUDIT_PORT']}"
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        audits = (await client.get("/summary", params={"external_prefix": f"{summary['run']}:"})).json()
    for name in ("reported", "filed", "merged", "rejected", "closed", "open", "late", "rework", "by_outcome"):
        assert summary[name] == audits[name]


async def test_a_stack_that_is_down_or_a_file_that_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    district = tmp_path / "district"
    assert main(["--scale", "tiny", "--out", str(district)]) == 0
    environment = {**os.environ, "CASEGRID_DATA": str(tmp_path), "CASEGRID_DISTRICT": str(district)}
    environment |= {f"{name.upper()}_PORT": str(9 + n) for n, name in enumerate(SERVICES)}
    status, printed = await replay(environment, tmp_path / "nothing.csv", "nyc311")
    assert status == 2
    assert "nothing.csv" in printed
    load(tmp_path / "run")
    status, printed = await replay(environment, requests(tmp_path / "requests.csv", {}), "nyc311")
    assert status == 2
    assert "intake is not ready at http://127.0.0.1:9: make up" in printed
