"""`python -m deploy.demo`: plays the reference scenario on the stack that is up, then replays a few city reports.

Exit status 0 only if the case is closed as fixed, every merged report as a duplicate, and nothing is missing or parked.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path

import uvloop
from rich.console import Console

from chassis.kafka.connection import Connection
from deploy.demo import sample
from deploy.demo.clock import CHENGDU, Stage
from deploy.demo.scenario import PARTNERS, Cast, Scenario
from deploy.demo.trace import Trace
from deploy.demo.verdict import Verdict, judge
from deploy.partners import Installation, Unacceptable, Wanted, as_partner, register
from deploy.simulation.city import Addresses, City, Refusal
from deploy.simulation.partner import PartnerSystem
from deploy.stack import accounts
from deploy.stack.plan import from_environment
from deploy.stack.problem import Problem

DATA = Path(".data")
STARTS = datetime(2026, 5, 9, 8, 5, tzinfo=CHENGDU)
RATE = 60.0
"""Of the slow scenes: a minute of the city's a second."""


async def _play(console: Console) -> Verdict:
    installation = Installation.of(from_environment())
    partners = {wanted.id: await system_of(installation, wanted) for wanted in PARTNERS}
    stage = Stage(DATA / "run" / "clock.json", STARTS, RATE)
    try:
        async with (
            City(Addresses.of_stack(DATA)) as city,
            Trace(city.broker, console) as trace,
            cast(partners, stage) as others,
        ):
            scenario = Scenario(city, stage, trace, others, installation.district)
            console.rule("9 May, Shuangqiao Road: as it happens, by the city's clock")
            play = await scenario.perform()
            for refusal in play.refused:
                console.print(f"refused as it must be: {refusal}", style="dim")
            found = await judge(city, play, console)
            console.rule("to look at")
            for name, url in city.urls.items():
                console.print(f"{name:<9} {url}/docs")
            console.print(f"the case  {city.urls['audit']}/cases/{play.case}   (make token ROLE=auditor)")
            return found
    finally:
        stage.close()


async def system_of(installation: Installation, wanted: Wanted) -> Connection:
    """Registers it; one that was registered before gets a new password, for the one it had is kept nowhere."""
    issued = await register(installation, wanted)
    password = issued.password or await accounts.renew(installation.broker, installation.prefix, wanted.id)
    return as_partner(installation, wanted.id, password)


@asynccontextmanager
async def cast(partners: Mapping[str, Connection], stage: Stage) -> AsyncIterator[Cast]:
    """The partners' systems, each with a connection of its own, playing by the stage's clock."""
    async with AsyncExitStack() as stack:
        systems = [
            await stack.enter_async_context(PartnerSystem(broker, partner, clock=stage.now))
            for partner, broker in partners.items()
        ]
        yield Cast(*systems)


def _replay(console: Console) -> int:
    """A few invented reports in the format of a city's open data, through `make replay`'s own program."""
    file = DATA / "demo" / "sample_311.csv"
    sample.write(file)
    console.rule("a replay of city reports")
    command = [sys.executable, "-m", "deploy.replay", "--file", str(file), "--format", "nyc311"]
    return subprocess.run([*command, "--output", str(DATA / "demo" / "replay")], check=False).returncode


def main() -> int:
    """Plays, judges, replays; the exit status."""
    argparse.ArgumentParser(prog="make demo", description=__doc__).parse_args()
    console = Console(highlight=False)
    began = time.monotonic()
    try:
        found = uvloop.run(_play(console))
    except (Refusal, TimeoutError, AssertionError, Problem, Unacceptable, asyncio.CancelledError) as fault:
        console.print(f"the play stopped: {fault}", style="red")
        return 1
    output = DATA / "demo" / "summary.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found.summary, indent=2, ensure_ascii=False))
    for fault in found.faults:
        console.print(f"not as it must be: {fault}", style="red")
    if not found.faults:
        console.print(
            f"closed as fixed; {found.summary['merged']} duplicates merged and closed; audit: complete;"
            f" nothing parked; {time.monotonic() - began:.0f} s",
            style="green",
        )
    return _replay(console) or bool(found.faults)


if __name__ == "__main__":
    sys.exit(main())
