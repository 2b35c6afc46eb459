"""`python -m deploy.bench`: benchmarks the stack that is up, prints a table and writes the same as JSON."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import quantiles
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from chassis.kafka.connection import Connection
from chassis.registry import version_of
from contracts.reference import Area, Areas
from deploy.bench import bare, protection, usage
from deploy.bench.chain import PARTNER, UNIT, Partner, Timeline, places
from deploy.partners import Installation, Unacceptable, Wanted, passing
from deploy.simulation.city import Addresses, City
from deploy.stack import secrets
from deploy.stack.plan import from_environment
from deploy.stack.problem import Problem

_DATA = Path(".data")
_ERRORS = Console(stderr=True)


async def _bench(options: argparse.Namespace) -> dict[str, object]:
    """Measures with a partner of its own, which is registered for as long as that takes."""
    installation = Installation.of(from_environment())
    wanted = Wanted(PARTNER, says=("reports", "steps"), units=(UNIT,), name="Benchmark")
    async with passing(installation, wanted) as partner:
        version = version_of(installation.partners.read_bytes())
        async with City(Addresses.of_stack(_DATA)) as city:

            def in_force(health: dict[str, Any]) -> bool:
                return health["partners"]["version"] == version

            await _until(city, "the partners in force", in_force, "intake", "dispatch")
            return await _measure(city, partner, options)


async def _until(city: City, what: str, true: Callable[[dict[str, Any]], bool], *services: str) -> None:
    """Waits until that is true of the health of each of these services. Raises `Problem` after half a minute."""
    deadline = time.monotonic() + 30
    operator = city.person("operator:bench", "administrator")
    for name in services:
        while not true(await operator.get(name, "/health")):
            if time.monotonic() > deadline:
                raise Problem(f"{name}: {what} did not come true in half a minute")
            await asyncio.sleep(0.1)


async def _measure(city: City, broker: Connection, options: argparse.Namespace) -> dict[str, object]:
    """`broker` is the partner's connection."""
    areas = Areas.model_validate_json((options.district / "areas.json").read_bytes()).areas
    await _warm(city, broker, areas, options)
    before = usage.of_stack(_DATA / "run")
    began = time.monotonic()
    partner = Partner(broker, places(areas, options.cases), _progress(options.cases))
    line = await partner.run(rate=options.rate, timeout_seconds=options.timeout)
    closed_after = time.monotonic() - began
    audited_after = await _audited(city, set(line.filed), began, options.timeout)
    after = usage.of_stack(_DATA / "run")
    if line.refused:
        raise Problem(f"{len(line.refused)} requests were refused, the first by {line.refused[0]}")
    messages = line.messages
    produced, consumed = await bare.kafka(city.broker, messages)
    rows = await bare.postgres(options.database, messages)
    costs = await protection.costs(
        city.broker, options.database, messages, secrets.load(_DATA / "run", complete=False).token_key
    )
    return {
        "cases": options.cases,
        "offered_per_second": options.rate,
        "closed_seconds": closed_after,
        "audited_seconds": audited_after,
        "cases_per_second": options.cases / audited_after,
        "filed_to_assigned_ms": _spread(line.filed, line.assigned),
        "filed_to_closed_ms": _spread(line.filed, line.closed),
        "bare": {
            "kafka_produced_per_second": produced,
            "kafka_consumed_per_second": consumed,
            "postgres_rows_per_second": rows,
        },
        "processes": {
            name: {
                "cpu_us_per_case": (after[name].cpu_seconds - before[name].cpu_seconds) / options.cases * 1e6,
                "memory_mib": after[name].memory_bytes / 2**20,
            }
            for name in after
            if name in before
        },
        "protection": [asdict(cost) for cost in costs],
        "cores": os.cpu_count(),
    }


async def _warm(city: City, broker: Connection, areas: Sequence[Area], options: argparse.Namespace) -> None:
    """As many cases beforehand: the broker compiles what it runs often, and a cold one takes a third more."""
    partner = Partner(broker, places(areas, options.warm), lambda _: None)
    await partner.run(rate=None, timeout_seconds=options.timeout)
    await _until(city, "all read", lambda health: not any(health["consumer"]["lag"].values()), *city.urls)


async def _audited(city: City, cases: set[str], began: float, timeout_seconds: float) -> float:
    """Seconds until audit shows every case as closed."""
    auditor, last = city.person("bench", "auditor"), max(cases)
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if (await auditor.get("audit", "/summary", since_case=min(cases), until_case=last))["closed"] >= len(cases):
            return time.monotonic() - began
        await asyncio.sleep(0.5)
    raise TimeoutError(f"audit did not have all {len(cases)} cases closed within {timeout_seconds} s")


def _spread(start: dict[str, float], end: dict[str, float]) -> dict[str, float]:
    values = [(end[case] - start[case]) * 1000 for case in start]
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}


def _progress(cases: int):
    shown = 0.0

    def tell(line: Timeline) -> None:
        nonlocal shown
        if time.monotonic() - shown > 1:
            shown = time.monotonic()
            _ERRORS.print(
                f"filed {len(line.filed)}  assigned {len(line.assigned)}  closed {len(line.closed)} / {cases}"
            )

    return tell


def main() -> None:
    """Parses the options and runs. Exit status 1 where cases were lost or time ran out."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--warm", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=None, help="offered cases a second; default as fast as taken")
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--district", type=Path, default=_DATA / "district" / "full")
    parser.add_argument("--database", default=None, help="for the bare insert; default the stack's own")
    parser.add_argument("--output", type=Path, default=_DATA / "bench" / "summary.json")
    options = parser.parse_args()
    options.database = options.database or os.environ.get("DATABASE_URL") or _own_database()
    try:
        found = uvloop.run(_bench(options))
    except (TimeoutError, Problem, Unacceptable) as fault:
        _ERRORS.print(f"[red]{fault or 'not all cases were closed in time'}[/red]")
        sys.exit(1)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=2))
    _show(found)
    _ERRORS.print(f"as JSON: {options.output}")


def _own_database() -> str:
    password = secrets.load(_DATA / "run", complete=False).postgres["postgres"]
    return f"postgresql://postgres:{password}@127.0.0.1:{os.environ.get('POSTGRES_PORT', '15432')}/casegrid"


def _show(found: dict[str, Any]) -> None:
    console = Console()
    table = Table(title=f"{found['cases']} complete cases, all services and the load on {found['cores']} cores")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_row("complete cases per second (filed to audited)", f"{found['cases_per_second']:.0f}")
    for name in ("filed_to_assigned_ms", "filed_to_closed_ms"):
        spread: dict[str, float] = found[name]
        table.add_row(name.replace("_", " "), "  ".join(f"{key} {value:.0f}" for key, value in spread.items()))
    rates: dict[str, float] = found["bare"]
    for name, rate in rates.items():
        table.add_row("bare: " + name.replace("_", " "), f"{rate:.0f}")
    console.print(table)
    processes: dict[str, dict[str, float]] = found["processes"]
    table = Table(title="where the time goes")
    for column in ("process", "CPU us per case", "memory MiB"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for name, figures in sorted(processes.items(), key=lambda item: -item[1]["cpu_us_per_case"]):
        table.add_row(name, f"{figures['cpu_us_per_case']:.0f}", f"{figures['memory_mib']:.0f}")
    console.print(table)
    _show_protection(console, found["protection"])


def _show_protection(console: Console, costs: Sequence[dict[str, Any]]) -> None:
    table = Table(title="what protection costs, of the same time")
    for column in ("what", "CPU us", "of PostgreSQL, us"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for cost in costs:
        postgres = "" if cost["postgres_us"] is None else f"{cost['postgres_us']:.1f}"
        table.add_row(cost["what"], f"{cost['service_us']:.1f}", postgres)
    console.print(table)


if __name__ == "__main__":
    main()
