"""`python -m deploy.mutants`: see the package. Exit status 0: strong enough; 1: not; 2: nothing could be judged."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.mutants import equivalent, sample
from deploy.mutants.imports import Imports
from deploy.mutants.judge import Judge, Unfit, Verdict
from deploy.mutants.places import Mutant, mutants
from deploy.mutants.report import Report
from deploy.mutants.tests import Uncollectable

TARGETS = (
    "contracts/clocks",
    "contracts/status",
    "contracts/times",
    "contracts/causes",
    "contracts/growing",
    "services/*/domain",
)
TESTS = ("tests/domain", "tests/contracts", "tests/district")
COUNT, SEED, LEAST = 560, 1, 93.0
REPORT = Path(".data/mutants/report.json")
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
_STEPS = 20
"""How often a run says how far it is."""


def main(arguments: Sequence[str]) -> int:
    """Judges, prints, writes the report; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        report = _run(options)
    except (Uncollectable, Unfit, equivalent.Unusable, sample.NotThere) as fault:
        print(fault, file=sys.stderr)
        return 2
    for line in report.text():
        print(line)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(report.json())
    print(f"details: {REPORT}")
    return 0 if report.good else 1


def _run(options: argparse.Namespace) -> Report:
    began, root = time.monotonic(), Path.cwd()
    sources = {path: (root / path).read_bytes() for path in sample.files(root, options.targets)}
    everything = [mutant for path, source in sources.items() for mutant in mutants(path, source)]
    listed = equivalent.listed(equivalent.read(options.equivalent.read_text()), everything)
    wanted = set(sample.files(root, options.files) if options.files else sources)
    eligible = [mutant for mutant in everything if mutant.path in wanted]
    drawn = _named(everything, options.one) if options.one else sample.sample(eligible, options.count, options.seed)
    sampled = [mutant for mutant in drawn if mutant.id not in listed or options.one]
    refusals = [mutant for mutant in eligible if mutant.operator == "refusal" and mutant.id not in listed]
    if options.one:
        refusals = [mutant for mutant in sampled if mutant.operator == "refusal"]
    to_judge = list(dict.fromkeys((*sampled, *refusals)))
    print(
        f"{len(sources)} files have {len(everything):,} mutants, {len(listed)} of them listed as equivalent; "
        f"{len(sampled)} were drawn, with seed {options.seed}; {len(to_judge) - len(sampled)} more drop a refusal"
    )
    verdicts = _judged(options, root, sources, to_judge)
    return Report(
        sampled=[verdicts[mutant.id] for mutant in sampled],
        refusals=[verdicts[mutant.id] for mutant in refusals],
        least=options.least,
        about={
            "seed": options.seed,
            "count": options.count,
            "files": sorted(wanted),
            "equivalent": len(drawn) - len(sampled),
            "seconds": round(time.monotonic() - began),
        },
    )


def _judged(
    options: argparse.Namespace, root: Path, sources: dict[str, bytes], to_judge: Sequence[Mutant]
) -> dict[str, Verdict]:
    began, verdicts = time.monotonic(), dict[str, Verdict]()

    def found(verdict: Verdict) -> None:
        verdicts[verdict.mutant.id] = verdict
        step = max(1, len(to_judge) // _STEPS)
        if len(verdicts) % step == 0 or options.one:
            killed, seconds = sum(each.killed for each in verdicts.values()), time.monotonic() - began
            print(f"{len(verdicts):5} of {len(to_judge)} judged, {killed} killed, {seconds:.0f} s", flush=True)
        if options.one:
            print(f"{verdict.mutant.id}: {'killed by ' if verdict.killed else 'survived: '}{verdict.by}")

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        Judge(
            root=root,
            files=sources,
            imports=Imports(sources),
            tests=options.tests,
            test_imports=Imports({path: (root / path).read_bytes() for path in _beside(root, options.tests)}),
            folder=Path(folder),
            processes=options.processes,
            tell=lambda text: print(text, flush=True),
        ).verdicts(to_judge, found)
    return verdicts


def _beside(root: Path, tests: Sequence[str]) -> list[str]:
    """All Python files below the folders that the tests lie in, for what they are made of."""
    return sample.files(root, sorted({path.partition("/")[0] for path in tests}))


def _named(everything: Sequence[Mutant], names: str) -> list[Mutant]:
    by_id = {mutant.id: mutant for mutant in everything}
    for name in names.split():
        if name not in by_id:
            raise sample.NotThere(f"there is no mutant {name}")
    return [by_id[name] for name in names.split()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.mutants", description="How strong the tests of the rules are."
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=COUNT, help="how many mutants are drawn; 0: all")
    parser.add_argument("--files", nargs="*", default=[], help="only mutants of these files and folders")
    parser.add_argument("--one", default="", metavar="ID", help="only the mutant of that name (or these)")
    parser.add_argument("--least", type=float, default=LEAST, metavar="PERCENT", help="how many must be killed")
    parser.add_argument("--targets", nargs="*", default=TARGETS, help="what may be mutated")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="which tests judge")
    parser.add_argument("--equivalent", type=Path, default=EQUIVALENT)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of what a test does
        os.execve(
            sys.executable,
            [sys.executable, "-m", "deploy.mutants", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    sys.exit(main(sys.argv[1:]))
