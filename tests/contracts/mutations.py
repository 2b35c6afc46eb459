"""Records with something else in a field: what is put there, where, and how it is written."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson

from contracts.export.examples import scenario
from contracts.export.schemas import schema
from contracts.wire import TYPES

EXAMPLES = {f"{example.type}.{example.name}": example for example in scenario()}
SCHEMAS = {name: schema(name) for name in TYPES}
PLACEHOLDER = "\N{BLACK UNIVERSAL RECYCLING SYMBOL}"
TAGS = ("kind", "ruling", "step")
"""What tells the variants of a type apart."""
Path = tuple[str | int, ...]

_TIMES = """
0001-01-01T00:00:00Z 1969-12-31T23:59:59.999999Z 1970-01-01T00:00:00Z 2199-12-31T23:59:59.999999Z
2200-01-01T00:00:00Z 9999-12-31T23:59:59Z 2026-02-29T12:00:00Z 2024-02-29T12:00:00Z 2100-02-29T12:00:00Z
2026-02-30T12:00:00Z 2026-04-31T12:00:00Z 2026-13-01T12:00:00Z 2026-00-10T12:00:00Z 2026-05-00T12:00:00Z
2026-06-30T23:59:60Z 2026-05-09T24:00:00Z 2026-05-09T23:60:00Z 2026-05-09t12:00:00Z 2026-05-09T12:00:00z
2026-05-09T12:00:00 2026-05-09T12:00Z 2026-05-09T12Z 2026-05-09 20260509T120000Z 2026-W19-6T12:00:00Z
2026-129T12:00:00Z 2026-05-09T12:00:00.Z 2026-05-09T12:00:00.1Z 2026-05-09T12:00:00.123456Z
2026-05-09T12:00:00.1234567Z 2026-05-09T12:00:00,5Z 2026-05-09T12:00:00+00:00 2026-05-09T12:00:00-00:00
2026-05-09T20:00:00+08:00 2026-05-09T20:00:00.5-23:59 2026-05-09T20:00:00+24:00 2026-05-09T20:00:00+0800
2026-05-09T20:00:00+08 2026-05-09T20:00:00+08:60 1970-01-01T00:00:00+08:00 1971-01-01T00:00:00+23:59
2199-06-01T00:00:00+08:00 2198-12-31T23:59:59.999999-23:59 +2026-05-09T12:00:00Z 12026-05-09T12:00:00Z
٢٠٢٦-05-09T12:00:00Z 1778328000 1778328000.5
"""
INSIDE = [
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "null", "true", "false", "0", "-0", "1", "-1"),
    *("1.0", "5.0", "5.5", "-0.0", "1e2", "90.0000001", "-180", "180.5", "6", "10000"),
    *("9007199254740991", "9007199254740992", "-9007199254740992", "9007199254740992.0", "9" * 30, "9" * 5000),
    *("1778328000", "1778328000.5", '"30.65"', '"5"', '"yes"', '"true"', '"false"', '"1"', '"null"', '"NaN"'),
    *('"\\ud800"', '"x\\udc00"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\uffff"', '"\\x"', "'x'", '""', '" "', '"x"'),
    *(
        '"unknown"',
        '"X"',
        "[]",
        "[null]",
        "[[]]",
        '["x"]',
        "{}",
        '{"x": 1}',
        '[{"x": 1, "x": 1}]',
        "",
        "01",
        "+1",
        ".5",
    ),
    *(f'"{"x" * size}"' for size in (200, 201, 500, 501, 2_000, 2_001, 20_000, 20_001)),
    *(f'"{"水" * size}"' for size in (200, 201, 500)),
    *("[" * 60 + "]" * 60, '{"x":' * 60 + "1" + "}" * 60),
    '"019e0a4a-ae58-7000-8000-00000000000g"',
    '"019e0a4a-ae58-7000-8000-000000000001.1.1"',
    '"CH/shengdeng/hualin/g012/s01/x"',
    '"/services/audit"',
    '"/partners/water"',
    '"casegrid.Resolved.v2"',
]
"""What is put in place of any value, as it is written."""
TIMES = [f'"{words}"' for words in _TIMES.split()]
"""What is put in place of an instant, beside that."""
UNKNOWN = [
    "1",
    "null",
    "NaN",
    "1e400",
    "9007199254740992",
    '"\\ud800"',
    '{"x": 1, "x": 2}',
    "[[[[{}]]]]",
    '{"\\udc00": 1}',
]
"""What is put in a field that nobody knows."""


def found_at(tree: Any, path: Path) -> Any:
    """What stands at a place."""
    for name in path:
        tree = tree[name]
    return tree


def paths(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Where there is a value in a tree, outermost first."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in children:
        yield (*path, name)
        yield from paths(value, (*path, name))


def changed(tree: Any, path: Path, *, put: str | None) -> bytes:
    """The record with something else at a place, as it is written; `put=None`: with nothing there."""
    tree = orjson.loads(orjson.dumps(tree))
    parent = found_at(tree, path[:-1])
    if put is None:
        del parent[path[-1]]
        return orjson.dumps(tree)
    parent[path[-1]] = PLACEHOLDER
    written = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))  # as `build` writes it
    return written.replace(f'"{PLACEHOLDER}"', put).encode("utf-8", "surrogatepass")


def doubled(tree: Any, path: Path) -> bytes:
    """The record with a field twice, each time with the same value."""
    parent = found_at(tree, path[:-1])
    once = orjson.dumps(parent[path[-1]]).decode()
    return changed(tree, path, put=f'{once}, "{path[-1]}": {once}')


def whole(example_name: str) -> dict[str, Any]:
    """An example with every optional field of its data present, as `null` where it has no value in the story."""
    example = EXAMPLES[example_name]
    return example.event.model_dump(mode="json")


@cache
def places() -> list[tuple[str, Path, bool]]:
    """(example, path, whether it is an instant) of one place for each kind of field.

    Two fields of data with equal schemas, both required or both not, are of one kind; so are two attributes of the same
    name and schema. All tags of one type are alike.
    """
    found: dict[str, tuple[str, Path, bool]] = {}
    for title, example in EXAMPLES.items():
        made, tree = SCHEMAS[example.type], whole(title)
        for path in paths(tree):
            its = _schema_at(made, tree, path) if path[-1] not in TAGS else example.type
            kind = json.dumps([its, path if path[0] != "data" else None], sort_keys=True)
            found.setdefault(kind, (title, path, "Instant" in kind))
    return list(found.values())


def _schema_at(made: Any, tree: Any, path: Path) -> Any:
    """The schema of a value, and whether it must be there."""
    node, value, required = made, tree, True
    for name in path:
        node = _resolved(made, node, value)
        value = value[name]
        if isinstance(name, int):
            node, required = node["items"], False
        else:
            node, required = node["properties"][name], name in node.get("required", ())
    node = {key: word for key, word in node.items() if key not in ("description", "default")}
    return [node, required]


def _resolved(made: Any, node: Any, value: Any) -> Any:
    while "$ref" in node or "oneOf" in node or "anyOf" in node:
        if "$ref" in node:
            node = made["$defs"][node["$ref"].rpartition("/")[2]]
        elif "oneOf" in node:
            variants = [_resolved(made, variant, value) for variant in node["oneOf"]]
            node = next(variant for variant in variants if _tagged(variant, value))
        else:
            node = node["anyOf"][0]
    return node


def _tagged(variant: Any, value: Any) -> bool:
    tags = {name: field["const"] for name, field in variant["properties"].items() if "const" in field}
    return all(value.get(name) == tag for name, tag in tags.items())
