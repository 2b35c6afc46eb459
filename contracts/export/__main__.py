"""`python -m contracts.export` writes schemas/, asyncapi.yaml and examples/; with `--check` it only compares.

`--check` fails where a file is not what the models say, where the models would break what was committed before, and
where a committed example no longer parses. Exit status 0 or 1.
"""

import argparse
import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import orjson

from contracts.export import baseline
from contracts.export.asyncapi import document
from contracts.export.compatibility import breaking
from contracts.export.examples import scenario
from contracts.export.schemas import schema
from contracts.homes import publisher_of, topic_from, topic_to
from contracts.wire import TYPES, VERSION, Invalid, parse

ROOT = Path(__file__).resolve().parents[2]
_DIFF_LINES = 40


def generated() -> Mapping[str, bytes]:
    """Path in the repository -> content of every file this package writes."""
    examples = scenario()
    return {
        **{schema_path(name): _json(schema(name)) for name in TYPES},
        **{f"contracts/examples/{example.file_name}": _json(orjson.loads(example.raw)) for example in examples},
        "contracts/asyncapi.yaml": document(examples),
    }


def schema_path(name: str) -> str:
    """Where the schema of a type's current version lies."""
    return f"contracts/schemas/{name}.v{VERSION}.json"


def write(root: Path) -> Sequence[str]:
    """Makes the files what the models say; returns the paths that changed."""
    wanted = generated()
    changed = [path for path, content in wanted.items() if _content(root / path) != content]
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(wanted[path])
    stale = _left_over(root, wanted)
    for path in stale:
        (root / path).unlink()
    return [*changed, *stale]


def drift(root: Path) -> Iterator[str]:
    """Each file that is not what the models say, with the difference."""
    wanted = generated()
    for path, content in wanted.items():
        there = _content(root / path)
        if there is None:
            yield f"{path}: is missing"
        elif there != content:
            yield f"{path}: is not what the models say\n{_difference(there, content)}"
    for path in _left_over(root, wanted):
        yield f"{path}: nothing writes it any more"


def broken(files: Mapping[str, bytes], revision: str) -> Iterator[str]:
    """What the models would break of the schemas and examples of an earlier revision."""
    for name in TYPES:
        if (old := files.get(schema_path(name))) is not None:
            for difference in breaking(orjson.loads(old), schema(name)):
                yield f"{name}: {difference} (compared with {revision})"
    for path, raw in files.items():
        if path.startswith("contracts/examples/"):
            try:
                parse(_topic(Path(path).name.partition(".")[0], raw), raw)
            except (Invalid, KeyError) as fault:
                yield f"{path} of {revision} no longer parses: {fault}"


def main(arguments: Sequence[str]) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m contracts.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on any difference")
    if not parser.parse_args(arguments).check:
        for path in write(ROOT):
            print(f"changed {path}")
        return 0
    drifted = list(drift(ROOT))
    breaks: list[str] = []
    try:
        for revision in baseline.revisions(ROOT):
            breaks += broken(baseline.committed(ROOT, revision), revision)
    except baseline.Unavailable as reason:
        print(f"not compared with earlier versions: {reason}")
    for finding in (*drifted, *breaks):
        print(finding)
    if drifted:
        print("`make fix` writes these files anew")
    if breaks:
        print("a breaking change needs a new version and an upcaster")
    return 1 if drifted or breaks else 0


def _topic(name: str, raw: bytes) -> str:
    """Where an example of that type is published."""
    record = orjson.loads(raw)
    if name == "Request":
        return topic_from(publisher_of(record["source"]))
    return topic_to(record["data"]["to"]) if name == "Notice" else name


def _left_over(root: Path, wanted: Mapping[str, bytes]) -> Sequence[str]:
    """Files of an earlier version are not ours to remove: only those of the current one."""
    there = (path for folder in baseline.FOLDERS for path in sorted((root / folder).glob(f"*.v{VERSION}.json")))
    return [name for path in there if (name := path.relative_to(root).as_posix()) not in wanted]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _difference(there: bytes, wanted: bytes) -> str:
    lines = list(
        difflib.unified_diff(
            there.decode().splitlines(), wanted.decode().splitlines(), "committed", "models", lineterm="", n=2
        )
    )
    more = [f"... and {len(lines) - _DIFF_LINES} lines more"] if len(lines) > _DIFF_LINES else []
    return "\n".join([*lines[:_DIFF_LINES], *more])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
