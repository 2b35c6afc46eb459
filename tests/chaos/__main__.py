"""`python -m tests.chaos`: a campaign of faults on a system of its own, and the judgement of it.

Exit status: 0 every promise was kept; 1 violations, which are printed and in the JSON file, or the campaign itself
failed, with a traceback; 130 interrupted.
"""

import argparse
import asyncio
import json
import logging
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deploy.district.__main__ import main as district_files
from tests.chaos.campaign import Campaign
from tests.chaos.checker import Violation, judge
from tests.chaos.faults import draw
from tests.chaos.ground import can_mount, ground
from tests.chaos.history import History

_SHOWN = 20


async def _run(campaign: Campaign, folder: Path, *, disk: bool) -> History:
    if (task := asyncio.current_task()) is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    district = folder / "district" / "small"
    if district_files(["--scale", "small", "--out", str(district)]) != 0:
        raise SystemExit("the district could not be made")
    async with ground(folder, district, disk=disk) as there:
        print(f"everything is ready; logs are in {folder}")
        return await campaign.run(there, district)


def main(arguments: list[str]) -> int:
    """Parses the options, runs and judges."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seed", type=int, default=None, help="draws the faults; without it one is drawn and printed")
    parser.add_argument("--minutes", type=float, default=5.0, help="of load and faults")
    parser.add_argument("--rate", type=float, default=10.0, help="reports a second, 5 to 100")
    parser.add_argument("--rest", type=float, default=120.0, help="seconds in which all must come to rest afterwards")
    parser.add_argument("--wrong-clocks", action="store_true", help="by minutes and a day, not by seconds")
    parser.add_argument("--output", type=Path, default=Path(".data/chaos"))
    parser.add_argument("--judge", type=Path, default=None, help="a history file, to be judged again and nothing else")
    options = parser.parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it tries again
    if options.judge:
        history = History.read(options.judge)
        return _verdict(history, judge(history))
    try:
        return _one(options)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted: nothing is judged", file=sys.stderr)
        return 130


def _one(options: argparse.Namespace) -> int:
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    seconds, disk = options.minutes * 60, can_mount()
    if not disk:
        print("full disks are left out: a disk of limited size can't be mounted here")
    faults = draw(seed, seconds, disk=disk, wrong_clocks=options.wrong_clocks)
    campaign = Campaign(seed, seconds, options.rate, faults, print, options.rest)
    print(f"seed {seed}: {len(faults)} faults in {options.minutes:g} minutes, {options.rate:g} reports a second")
    folder = Path(tempfile.mkdtemp(prefix="casegrid-chaos-"))
    folder.chmod(0o755)  # the user of the database passes through
    try:
        history = asyncio.run(_run(campaign, folder, disk=disk))
    except (KeyboardInterrupt, asyncio.CancelledError):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    violations = judge(history)
    _write(options, campaign, history, violations)
    if not violations:
        shutil.rmtree(folder, ignore_errors=True)
    return _verdict(history, violations)


def _write(options: argparse.Namespace, campaign: Campaign, history: History, violations: Sequence[Violation]) -> None:
    """Writes history and summary, and prints what they hold."""
    summary = {
        "seed": campaign.seed,
        "minutes": options.minutes,
        "rate": options.rate,
        "cases": len(history.states["audit"]),
        "commands": dict(Counter(f"{one.kind} over {one.way}, {one.status}" for one in history.commands)),
        "records": len(history.records),
        "faults": history.faults,
        "planted": len(history.junk),
        "rested_after_seconds": campaign.rested_after,
        "violations": [{"rule": one.rule, "what": one.what} for one in violations],
    }
    file, kept = (options.output / f"{campaign.seed}.{name}" for name in ("json", "history.gz"))
    history.write(kept)
    file.write_text(json.dumps(summary, indent=2))
    after = campaign.rested_after
    rested = f"after {after:.1f} s" if after is not None else f"not in {campaign.rest:g} s"
    print(f"seed {campaign.seed}: {summary['cases']} cases, {len(history.commands)} commands, ", end="")
    print(f"{len(history.records)} records, {len(history.faults)} faults, {len(history.junk)} unreadable records;")
    print(f"  at rest {rested}; as JSON: {file}; the history: {kept}")


def _verdict(history: History, violations: Sequence[Violation]) -> int:
    if not violations:
        print(f"verdict of seed {history.seed}: every promise was kept")
        return 0
    counts = ", ".join(f"{number} {rule}" for rule, number in Counter(one.rule for one in violations).items())
    print(f"verdict of seed {history.seed}: {len(violations)} violations: {counts}")
    for one in violations[:_SHOWN]:
        print(f"  {one}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
