"""`python -m deploy.bench`: benchmarks the stack that is up, prints ratios and figures, and writes them as JSON."""

import argparse
import asyncio
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import uvloop
from aiokafka.errors import KafkaError
from rich.console import Console

from chassis.registry import version_of
from contracts.fields import FROM
from contracts.reference import Areas
from deploy.bench import bare, chart, figures, history, http, leftovers, phases, protection, report, sizes, usage
from deploy.bench.chain import PARTNER, UNIT, places
from deploy.bench.flames import Flames
from deploy.bench.meter import Meter
from deploy.bench.peers import costs as peers
from deploy.bench.phases import Ground
from deploy.partners import Installation, Unacceptable, Wanted, passing
from deploy.simulation.city import Addresses, City, Refusal
from deploy.stack import secrets
from deploy.stack.plan import from_environment
from deploy.stack.problem import Problem

_DATA = Path(os.environ.get("CASEGRID_DATA") or ".data")
_ERRORS = Console(stderr=True)
_RATES = (10, 50, 100)
_CALLERS: Mapping[int, int] = {4: 100, 32: 400, 128: 512}
"""Callers -> reports that they close."""
_FILED = 400
_LIFECYCLES = 400
"""At each size of history."""
_MESSAGES = 10_000
"""For each bare limit, however few cases there are: processor time is counted in hundredths of a second."""
_FAULTS = (
    *(TimeoutError, Problem, Unacceptable, Refusal, OSError, asyncio.IncompleteReadError),
    *(KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError),
)
"""What a run may meet: a service, the broker or the database that is away, or too slow."""
_LEFT = "cases that are left open are closed by the next run"
_SIZE = ("cases", "warm", "seconds", "share")
"""What makes two runs comparable."""
_KEPT = ("peers", "sizes", "protection")
"""What only FULL=1 measures: otherwise the last figures stay."""


async def _bench(options: argparse.Namespace, found: dict[str, Any]) -> None:
    """Measures with a partner of its own, which is registered for as long as that takes; `found` is filled."""
    installation = Installation.of(from_environment())
    wanted = Wanted(PARTNER, says=("reports", "steps"), units=(UNIT,), name="Benchmark")
    async with passing(installation, wanted) as partner:
        version = version_of(installation.partners.read_bytes())
        async with (
            City(Addresses.of_stack(_DATA)) as city,
            Meter(_DATA / "run", city.broker, options.database) as meter,
        ):

            def in_force(health: dict[str, Any]) -> bool:
                return health["partners"]["version"] == version

            def heard(health: dict[str, Any]) -> bool:
                consumer = health["consumer"]
                return not consumer["assigned"] or f"{FROM}{PARTNER}" in consumer["lag"]

            await phases.until(city, "the partners in force", in_force, "intake", "dispatch")
            await phases.until(city, "reading what the partner says", heard, "intake", "dispatch")
            await sizes.refuse_unfit(options.database, options.sizes)
            areas = Areas.model_validate_json((options.district / "areas.json").read_bytes()).areas
            ground = Ground(city, partner, options.database, areas, meter, _ERRORS.print, options.timeout)
            try:
                await leftovers.close(ground)
                await _measure(ground, options, found)
            except BaseException:
                await leftovers.read_out(ground)  # while the partner is registered
                raise


async def _measure(ground: Ground, options: argparse.Namespace, found: dict[str, Any]) -> None:
    # The broker compiles what it runs often, and a cold one takes a third more.
    await phases.offer(ground, "warming up", options.warm, None)
    saturation, messages = await phases.offer(ground, "at once", options.cases, None)
    memory = {name: used.memory_bytes / 2**20 for name, used in usage.of_stack(_DATA / "run").items()}
    found |= {
        "cases": options.cases,
        "cores": os.cpu_count(),
        **{key: saturation[key] for key in saturation if key != "processes"},
        "processes": {name: {**one, "memory_mib": memory[name]} for name, one in saturation["processes"].items()},
        "saturation": saturation,
        "rates": {},
        "http": {},
    }
    half = saturation["cases_per_second"] / 2
    for name, rate in {**{str(rate): float(rate) for rate in _RATES}, "half": half}.items():
        offered = max(20, round(rate * options.seconds))
        what = f"half of the maximum, {rate:.0f} a second" if name == "half" else f"{rate:.0f} a second"
        found["rates"][name], _ = await phases.offer(ground, what, offered, rate)
    for callers, reports in _CALLERS.items():
        load = http.Load(ground, max(2, round(reports * options.share)))
        found["http"][str(callers)] = await http.closed_by(ground, callers, load)
    found["http"]["filing"] = await http.filing(ground, 32, max(2, round(_FILED * options.share)))
    _ERRORS.print("bare limits")
    found["bare"] = await _bare(ground, options, messages)
    found["ratios"] = figures.ratios(saturation, found["rates"], found["http"], found["bare"])
    if options.full:
        key = secrets.load(_DATA / "run", complete=False).token_key
        costs = await protection.costs(ground.city.broker, options.database, messages, key)
        found["protection"] = [asdict(cost) for cost in costs]
        async with Flames(_DATA / "run", options.output.parent / "flames", _ERRORS.print):
            await phases.offer(ground, "profiled", max(20, options.cases // 2), None)
        here = peers.Servers(_DATA / "run", ground.city.broker, options.database, _ERRORS.print)
        found["peers"] = figures.beside_ours(await peers.costs(here, messages))
        lifecycles = max(2, round(_LIFECYCLES * options.share))
        found["sizes"] = {}
        await sizes.at_every_size(ground, options.sizes, lifecycles, found["sizes"], _ERRORS)
        found["ratios"] |= figures.growth(found["sizes"])


async def _bare(ground: Ground, options: argparse.Namespace, messages: list[bytes]) -> dict[str, float]:
    broker = ground.city.broker
    measured = bare.measuring(_DATA / "run", await bare.idle(_DATA / "run"))
    messages = list(islice(cycle(messages), _MESSAGES))
    produced, consumed = await bare.kafka(broker, messages, measured)
    limits = {
        "kafka_produced": produced,
        "kafka_consumed": consumed,
        **await bare.postgres(options.database, messages, measured),
        "loop": await bare.loop(broker, options.database, messages, measured),
        "empty_handler": await bare.handler(orjson.dumps(http.body(places(ground.areas, 1)[0], 0))),
    }
    found: dict[str, float] = {}
    for name, limit in limits.items():
        found |= {f"{name}_per_second": limit.per_second, f"{name}_cpu_us": limit.cpu_us}
    return found


def main() -> None:
    """Parses the options and runs. Exit status 1 where cases were lost, a request was refused or time ran out, and 130
    where it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description=__doc__)
    parser.add_argument("--cases", type=_number(2, int), default=10_000, help="offered at once")
    parser.add_argument("--warm", type=_number(1, int), default=10_000, help="cases beforehand, not measured")
    parser.add_argument("--seconds", type=_number(0.1), default=15, help="of each phase with a rate")
    parser.add_argument(
        "--share",
        type=_number(0.001, float, 1.0),
        default=1.0,
        help="of the reports over HTTP, 1 at most",
    )
    parser.add_argument("--timeout", type=_number(1.0), default=300, help="seconds that a phase may take")
    parser.add_argument(
        "--full",
        action="store_true",
        help="also what changes seldom: protection, peers, a profile, sizes and the spike",
    )
    parser.add_argument(
        "--sizes",
        type=sizes.sizes,
        default=(),
        help="with --full: cases of history, as 100000,1000000, that are generated and loaded; the stack is fit for"
        " nothing else afterwards",
    )
    parser.add_argument(
        "--keep", action="store_true", help=f"adds the ratios to {history.HISTORY}, draws {chart.CHART}"
    )
    parser.add_argument("--district", type=Path, default=_DATA / "district" / "full")
    parser.add_argument("--database", default=None, help="an administrator's URL; default the stack's own")
    parser.add_argument("--output", type=Path, default=_DATA / "bench" / "summary.json")
    options = parser.parse_args()
    if options.sizes and not options.full:
        parser.error("--sizes is measured with --full only (FULL=1 of make)")
    changed = [name for name in _SIZE if getattr(options, name) != parser.get_default(name)]
    if options.keep and changed:
        parser.error(f"--keep keeps whole runs only, which compare: leave out --{changed[0]}")
    options.database = options.database or os.environ.get("DATABASE_URL") or _own_database()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it tries again, as on a topic that is new
    found: dict[str, Any] = {}
    try:
        uvloop.run(_bench(options, found))
    except KeyboardInterrupt:
        _ERRORS.print(f"interrupted: {_unfinished(options.output, found)}, and {_LEFT}", soft_wrap=True)
        sys.exit(130)
    except _FAULTS as fault:
        said = str(fault) or ("not all cases were closed in time" if isinstance(fault, TimeoutError) else repr(fault))
        kept = _unfinished(options.output, found)
        _ERRORS.print(f"{said.rstrip('.')}; {kept}, and {_LEFT}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    last = json.loads(options.output.read_text()) if options.output.exists() else {}
    summary: dict[str, Any] = {name: last.get(name) for name in _KEPT} | found
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(summary, indent=2))
    kept = history.read(history.HISTORY)
    report.show(
        Console(width=None if sys.stdout.isatty() else 150), summary, history.comparison(summary["ratios"], kept)
    )
    if options.keep:
        entry = history.entry(summary, datetime.now(UTC), history.commit())
        drawn = chart.svg([*kept, entry])
        history.append(history.HISTORY, entry)
        chart.CHART.write_text(drawn)
    _ERRORS.print(f"as JSON: {options.output}")


def _unfinished(output: Path, found: dict[str, Any]) -> str:
    """Writes what was measured until now beside the summary; says what has been written."""
    if not found:
        return "nothing is written"
    file = output.with_name("unfinished.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=2))
    return f"what was measured until then is in {file}"


def _number(least: float, kind: Callable[[str], float] = float, most: float = math.inf) -> Callable[[str], float]:
    """A number of an option; argparse says which option it is of, and the bounds."""

    def read(words: str) -> float:
        try:
            value = kind(words)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            bounds = f"{least} or more" + ("" if most == math.inf else f", {most} at most")
            raise argparse.ArgumentTypeError(f"{words} is no number that will do: {bounds}")
        return value

    return read


def _own_database() -> str:
    password = secrets.load(_DATA / "run", complete=False).postgres["postgres"]
    return f"postgresql://postgres:{password}@127.0.0.1:{os.environ.get('POSTGRES_PORT', '15432')}/casegrid"


if __name__ == "__main__":
    main()
