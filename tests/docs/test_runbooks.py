"""Runbooks quote the product's own words, and have all that it says when something is wrong."""

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import aiokafka.errors
import asyncpg
import pytest

from chassis.runtime import Runtime
from chassis.settings import Settings
from tests.docs.pages import COMMANDS, OPERATING, ROOT, named, page, rows, spans, written
from tests.support import tally


@dataclass(frozen=True)
class Message:
    """A text of the source with places for what differs each time."""

    where: str
    pattern: str
    needed: bool
    """Whether some runbook must have it."""

    def fits(self, quote: str) -> bool:
        return re.fullmatch(self.pattern, quote) is not None

    def stands_in(self, quote: str) -> bool:
        return re.search(self.pattern, quote) is not None


def pattern_of(node: ast.AST | None) -> str | None:
    """What a string of the source looks like in a log; None of what says too little to be recognised."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = re.split(r"(%[sdr])", node.value)
        pattern = "".join(".+" if part in ("%s", "%d", "%r") else re.escape(part) for part in parts)
    elif isinstance(node, ast.JoinedStr):
        parts = [re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in node.values]  # pyright: ignore
        pattern = "".join(parts)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left = pattern_of(node.left)
        return None if left is None else f"{left}.+"
    else:
        return None
    return pattern if len(re.findall("[A-Za-z]", pattern)) >= 5 and " " in pattern else None


KINDS = ("invalid", "forged", "failed", "behind", "unfit", "unanswered")
RAISED = {"NotNow", "MigrationError", "BadReference", "SystemExit"}
LEVELS = {"warning", "error", "critical", "exception"}


def said_by(node: ast.AST) -> Iterator[ast.AST | None]:
    """The strings by which a node tells an operator that something is wrong."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[first, *rest]):
            yield first if level in LEVELS else rest[0] if level == "log" else None
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=[first, *_])) if name in RAISED:
            yield first
        case ast.Assign(targets=[target], value=value) if is_fault(target):
            yield from (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,)
        case ast.AnnAssign(target=target, value=value) if is_fault(target):
            yield value
        case ast.Tuple(elts=[ast.Constant(value=kind), words]) if kind in KINDS:
            yield words
        case ast.Call(func=ast.Name(id="Question"), args=[_, _, fault]):
            yield fault
        case ast.FunctionDef(name=name) if name.startswith("_reasons"):
            tuples = [inner for inner in ast.walk(node) if isinstance(inner, ast.Tuple) and len(inner.elts) == 2]
            yield from (one.elts[1] for one in tuples)
        case _:
            return


def is_fault(target: ast.AST) -> bool:
    if isinstance(target, ast.Subscript):
        return ast.unparse(target.value) == "found"
    return (target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")) in (
        "fault",
        "words",
        "stands",
    )


@cache
def messages() -> list[Message]:
    found = []
    for path in sorted((*(ROOT / "chassis").rglob("*.py"), *(ROOT / "services").rglob("*.py"))):
        tree = ast.parse(path.read_text())
        needed = {pattern_of(one) for node in ast.walk(tree) for one in said_by(node)}
        if "services" in path.parts and "audit" not in path.parts:
            needed &= {
                pattern_of(one) for node in ast.walk(tree) if isinstance(node, ast.Call) for one in said_by(node)
            }
        every = {pattern_of(node) for node in ast.walk(tree)}
        found += [Message(named(path), pattern, pattern in needed) for pattern in every if pattern is not None]
    return found


def quotes() -> Iterator[tuple[str, str]]:
    """(page, text) of what pages quote: in a table, the column `words` or `reason`."""
    for path in OPERATING:
        for row in rows(path.read_text()):
            for head, cell in row.items():
                if head == "words" or head.startswith("reason"):
                    yield from ((named(path), span) for span in spans(cell))


def bare(quote: str) -> str:
    """Without what stands before a message: a number of findings, or the type of an error."""
    return re.sub(r"^(?:<n> |[A-Z]\w+Error: )(?=[a-z])", "", quote)


QUOTES = [(where, quote) for where, quote in quotes() if " " in quote]


@pytest.mark.parametrize(("where", "quote"), QUOTES)
def test_a_quoted_message_is_one_of_the_source(where: str, quote: str) -> None:
    assert any(message.fits(text) for message in messages() for text in (quote, bare(quote))), quote


def test_every_message_of_the_source_stands_in_a_runbook() -> None:
    texts = {text for _, quote in QUOTES for text in (quote, bare(quote))}
    untold = [
        f"{message.where}: {message.pattern}"
        for message in messages()
        if message.needed and not any(message.stands_in(text) for text in texts)
    ]
    assert untold == []


def test_the_index_leads_from_every_part_that_may_not_be_ready_to_its_runbook() -> None:
    tree = ast.parse(written("chassis/runtime.py", "chassis/worker.py"))
    parts = {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "faults"
        for inner in ast.walk(node)
        for key in ([inner.slice] if isinstance(inner, ast.Subscript) else getattr(inner, "keys", ()))
        if isinstance(key, ast.Constant)
    }
    assert parts == set(re.findall(r"part `(\w+)`", page("operating/index.md")))


def test_every_runbook_stands_in_the_index_and_says_what_to_do_and_what_not() -> None:
    index = page("operating/index.md")
    for path in sorted((ROOT / "docs/operating/alarms").glob("*.md")):
        assert f"(alarms/{path.name}) |" in index, path.name
        text = path.read_text()
        heads = {head for row in rows(text) for head in row}
        assert heads & {"words", "reason"}, path.name
        assert "\n**Do:** " in text, path.name
        assert "\n## What not to do\n" in text, path.name


INFORMATION = (
    *("alive", "service", "version", "role", "now"),
    *("consumer.assigned", "keys.version", "partners.registered", "partners.version"),
    *("requests.at_once", "requests.most", "bodies.bytes", "bodies.most", "connections.open", "connections.most"),
    *("streams.open", "streams.views", "streams.most", "cache.bytes", "cache.most", "cache.streams"),
)
"""Fields of `/health` by whose value alone nothing is wrong."""


def test_every_field_of_health_by_which_something_is_wrong_has_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEGRID_BROKER_KIND", "fallback")
    health = Runtime(tally.TALLY, Settings()).health()
    known = {
        f"{name}.{inner}" if inner else name
        for name, value in health.items()
        for inner in (value if isinstance(value, dict) and name != "passed_over" else [""])
    }
    table = [row["field of `/health`"] for row in rows(page("operating/observe.md")) if "field of `/health`" in row]
    assert {told for cell in table for told in spans(cell)} == known - {*INFORMATION}


def test_every_figure_of_the_database_is_explained() -> None:
    text = page("operating/observe.md")
    queries = [
        command.words[-1] for command in COMMANDS if command.where.endswith("observe.md") and "psql" in command.words
    ]
    figures = {name for query in queries for name in re.findall(r"\bAS (\w+)", query)}
    explained = {told for row in rows(text) if "figure" in row for told in spans(row["figure"])}
    assert figures
    assert figures <= explained


def test_the_errors_that_a_runbook_explains_are_those_of_the_clients() -> None:
    clients = Path(aiokafka.__file__).parent.joinpath("client.py").read_text()
    for path in OPERATING:
        for row in rows(path.read_text()):
            cell = row.get("error in the words", row.get("exception", ""))
            for name, words in re.findall(r'"(\w+(?:Error|Exception))(?:: ([^"]+))?', cell):
                places = (aiokafka.errors, asyncpg, builtins)
                assert any(hasattr(place, name) for place in places), f"{named(path)}: {name}"
                assert not words or name not in dir(aiokafka.errors) or words in clients, f"{named(path)}: {words}"


def test_parked_kinds_and_questions_each_have_a_row() -> None:
    schema = written("chassis/store/schema/*.sql")
    kinds = re.findall(r"'(\w+)'", re.findall(r"kind IN \(([^)]*'behind'[^)]*)\)", schema)[0])
    told = [spans(row["kind"])[0] for row in rows(page("operating/alarms/parked.md")) if "kind" in row]
    assert sorted(told) == sorted(kinds) == sorted(KINDS)
    questions = re.findall(r'^    "(\w+)": Question\(', written("services/audit/questions.py"), re.MULTILINE)
    text = page("operating/alarms/completeness.md")
    assert {spans(row["question"])[0] for row in rows(text) if "question" in row} | {"open_cases"} == set(questions)
    of_log = re.findall(r"def _reasons_of_log.*?\n\n\n", written("services/audit/completeness.py"), re.DOTALL)
    fields = set(re.findall(r'found\["(\w+)"\]', of_log[0]))
    assert {spans(row["field"])[0] for row in rows(text) if "field" in row} == fields
