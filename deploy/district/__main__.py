"""Writes the reference files of a district, or checks those of another.

python -m deploy.district --scale full --seed 510108 --out DIR
python -m deploy.district check DIR     names every file, field and rule that is broken; exit status 1 if any is
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files where they are missing or stale; the manifest goes last, so half a district is always stale."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments[:1]) == ["check"]:
        return _check(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m deploy.district", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", choices=("full", "small", "tiny"), default="full")
    parser.add_argument("--seed", type=int, default=510108)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)

    began = time.perf_counter()
    fingerprint = _fingerprint()
    if _current(options.out, options.scale, options.seed, fingerprint):
        print(f"district {options.scale}: up to date in {options.out}")
        return 0

    # Imported only now: the models take longer to load than the check above to run.
    from deploy.district.build import build

    options.out.mkdir(parents=True, exist_ok=True)
    files = build(HERE, options.scale, options.seed, fingerprint)
    for name, content in files.items():
        beside = options.out / f".{name}.new"
        beside.write_bytes(content)
        os.replace(beside, options.out / name)
    counts = json.loads(files["manifest.json"])["counts"]
    print(
        f"district {options.scale}: {counts['streets']} streets, {counts['communities']} communities, "
        f"{counts['grids']} grids, {counts['subgrids']} sub-grids, {counts['units']} units, "
        f"{counts['members_full_time']} + {counts['members_part_time']} members, {counts['categories']} categories "
        f"in {options.out}, {time.perf_counter() - began:.1f} s"
    )
    return 0


def _check(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.district check")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)

    from deploy.district.check import report

    return report(options.folder)


def _fingerprint() -> str:
    """A hash of everything the files are made from: this package and the models they follow."""
    sources = sorted(
        path
        for folder in (HERE, ROOT / "contracts" / "reference")
        for path in folder.iterdir()
        if path.suffix in (".py", ".json")
    )
    digest = hashlib.sha256()
    for path in sources:
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _current(out: Path, scale: str, seed: int, fingerprint: str) -> bool:
    """Whether the folder holds exactly what would be written."""
    try:
        manifest = json.loads((out / "manifest.json").read_bytes())
        if (manifest["scale"], manifest["seed"], manifest["fingerprint"]) != (scale, seed, fingerprint):
            return False
        return all(
            hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
            for name, digest in manifest["files"].items()
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


if __name__ == "__main__":
    sys.exit(main())
