"""`python -m deploy.dependencies` writes the bill of materials, and checks licences and known vulnerabilities.

The bill goes to .data/build/sbom.cdx.json. A licence that is not allowed, or unknown, is a failure. Vulnerabilities are
looked up in the file that CASEGRID_OSV names: the archive that OSV publishes for PyPI, fetched by whoever runs this.
Without one nothing is looked up, and that is said.
"""

import os
import sys
import tomllib
from collections import Counter
from pathlib import Path

from deploy.dependencies.installed import packages
from deploy.dependencies.licences import Verdict, judge
from deploy.dependencies.osv import records, vulnerabilities
from deploy.dependencies.sbom import document

ROOT = Path(__file__).resolve().parents[2]
SBOM = ROOT / ".data" / "build" / "sbom.cdx.json"


def main() -> int:
    """Returns the exit status."""
    judged = {package: judge(package) for package in packages(ROOT)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    SBOM.parent.mkdir(parents=True, exist_ok=True)
    SBOM.write_text(document(project["name"], project["version"], judged))
    wrong = [
        f"{package.name} {package.version}: {one.licence or 'no licence is declared'}: {one.verdict}"
        for package, one in judged.items()
        if one.verdict in (Verdict.NOT_ALLOWED, Verdict.UNKNOWN)
    ]
    counts = Counter(one.verdict for one in judged.values())
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    print(f"{'licences':10} {'failed' if wrong else 'ok'}: {said}; {SBOM.relative_to(ROOT)}", *wrong, sep="\n")
    source = os.environ.get("CASEGRID_OSV")
    if not source:
        print(f"{'osv':10} NOT RUN: CASEGRID_OSV names no file of known vulnerabilities")
        return 1 if wrong else 0
    try:
        known = [
            f"{one.package} {one.version}: {one.id} {one.summary}"
            for one in vulnerabilities(records(Path(source)), judged)
        ]
    except (OSError, ValueError, AttributeError) as fault:
        known = [f"CASEGRID_OSV: {source} is not a file of the OSV database: {fault}"]
    print(f"{'osv':10} {'failed' if known else 'ok'}", *known, sep="\n")
    return 1 if wrong or known else 0


if __name__ == "__main__":
    sys.exit(main())
