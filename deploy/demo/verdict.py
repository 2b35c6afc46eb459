"""What is true in the end: audit's chain and completeness, what the reporters see, and whether anything is parked."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.text import Text

from contracts.fields import instant
from contracts.homes import publisher_of
from deploy.demo.clock import CHENGDU
from deploy.demo.scenario import Play
from deploy.demo.trace import COLOURS
from deploy.simulation.city import City, Person

_SECONDS = 30


@dataclass
class Verdict:
    """Empty `faults`: the case is closed as fixed, all merged ones as duplicates, nothing is missing or parked."""

    faults: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)


async def judge(city: City, play: Play, console: Console) -> Verdict:
    """Asks audit and the services, prints what they say, and compares it with what must be."""
    found = Verdict()
    auditor = city.person("auditor:wang", "auditor")
    chain = await _settled(auditor, play)
    _show_chain(chain, console)
    await _as_of(auditor, play, chain, console)
    if chain["case"]["outcome"] != "fixed":
        found.faults.append(f"the case is {chain['case']['status']}, outcome {chain['case']['outcome']}, not fixed")
    duplicates = {merged["case_id"] for merged in chain["merged"]}
    if duplicates != set(play.merged):
        found.faults.append(f"{len(duplicates)} reports are merged in audit, {len(play.merged)} were filed")
    complete = await _completeness(auditor, play)
    found.faults += complete
    found.faults += await _reporters(city, play, console)
    found.faults += await city.parked({play.case, *play.merged})
    found.summary = {
        "case_id": play.case,
        "outcome": chain["case"]["outcome"],
        "events": len(chain["events"]),
        "merged": len(play.merged),
        "refused": play.refused,
        "complete": not complete,
        "faults": found.faults,
    }
    return found


async def _settled(auditor: Person, play: Play) -> dict[str, Any]:
    """The chain, as soon as audit has the end of every case of the play."""
    async with asyncio.timeout(_SECONDS):
        while True:
            summary = await auditor.get("audit", "/summary", since_case=min([play.case, *play.merged]))
            if summary["closed"] >= 1 + len(play.merged):
                return await auditor.get("audit", f"/cases/{play.case}", limit=200)
            await asyncio.sleep(0.2)


def _show_chain(chain: dict[str, Any], console: Console) -> None:
    console.rule("the chain, from audit, each event beneath its cause")
    depth: dict[str, int] = {}
    for event in chain["events"]:
        level = depth[event["event_id"]] = depth.get(event["causation_id"], -1) + 1 if event["causation_id"] else 0
        text = Text()
        text.append(f"#{event['index']:<6}", style="dim")
        text.append("   " * level + ("└ " if level else ""))
        text.append(publisher_of(event["source"]), style=COLOURS.get(event["source"], "blue"))
        text.append(f" {event['summary'].splitlines()[0][:150]}")
        if event["delay_ms"] is not None:
            text.append(f"  +{event['delay_ms']} ms of the city's clock", style="dim")
        console.print(text, soft_wrap=True)
    statuses = (f"{period['status']} {_span(period['duration_seconds'])}" for period in chain["statuses"])
    console.print("statuses: " + ", ".join(statuses))


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


async def _as_of(auditor: Person, play: Play, chain: dict[str, Any], console: Console) -> None:
    began = datetime.fromisoformat(chain["case"]["reported_at"])
    at = began + timedelta(hours=4)
    then = await auditor.get("audit", f"/cases/{play.case}", at=instant(at), limit=200)
    stages = ", ".join(f"{part['unit']} {part['stage']}" for part in then["assignments"])
    console.print(
        f"as of {at.astimezone(CHENGDU):%d %b %H:%M}: {then['case']['status']}, {len(then['events'])} events; {stages}"
    )


async def _completeness(auditor: Person, play: Play) -> list[str]:
    found = []
    for case in (play.case, *play.merged):
        verdict = await auditor.get("audit", "/completeness", case_id=case)
        if verdict["verdict"] != "complete":
            found.append(f"case {case} is incomplete: {'; '.join(verdict['reasons'])}")
    return found


async def _reporters(city: City, play: Play, console: Console) -> list[str]:
    """Every citizen hears of the outcome of the case their report was merged into."""
    found = []
    for case, citizen in play.citizens.items():
        report = await citizen.get("intake", f"/reports/{case}")
        if report["outcome"] != "fixed":
            found.append(f"the reporter of {case} sees {report['status']}, {report['outcome']}, not fixed")
    if not found:
        console.print(f"each of the {len(play.citizens)} citizens sees the outcome: fixed")
    return found
