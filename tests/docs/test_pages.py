"""Pages are short, linked, and name topics, layers and variables that are there."""

import re
from pathlib import Path

import pytest

from contracts.homes import RECEIVES, SENDS
from contracts.status import SERVICES
from deploy.stack.access import access
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, known_variable, named, page, rows, spans, written

LONGEST = 150


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_page_is_short_and_its_links_lead_somewhere(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LONGEST
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([\w-]+))?\)", text):
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


def test_every_page_can_be_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md" or DOCS not in path.parents:
            continue
        seen.add(path)
        waiting += [(path.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)", path.read_text())]
    assert seen == set(PAGES)


def test_every_variable_that_a_page_names_is_read() -> None:
    for path in PAGES:
        for name in re.findall(r"\b(?:CASEGRID|OTEL)_[A-Z_]+", path.read_text()):
            assert known_variable(name), f"{named(path)}: {name}"


def test_the_topics_are_read_and_written_as_the_architecture_says() -> None:
    told = {row["service"]: row for row in rows(page("architecture.md")) if "alone writes" in row}
    assert list(told) == list(SERVICES)
    for service, row in told.items():
        assert set(spans(row["reads"])) == (set(RECEIVES[service]) if service != "audit" else set())
        assert set(spans(row["alone writes"])) == set(SENDS[service]) - {"Progressed", "to.*"}


def test_the_layers_that_the_architecture_shows_are_there() -> None:
    shown = next(text for _, text in blocks(page("architecture.md")) if "command_line.py" in text)
    names = set(re.findall(r"\b(\w+\.py|\w+/)", shown))
    there = {path.name + ("/" if path.is_dir() else "") for path in (ROOT / "chassis").iterdir()}
    assert names == {name for name in there if not name.startswith("__")}


def test_no_line_of_a_diagram_ends_early() -> None:
    """A semicolon ends a statement of Mermaid, whatever it stands in."""
    diagrams = [text for path in PAGES for language, text in blocks(path.read_text()) if language == "mermaid"]
    assert len(diagrams) == 2
    assert [text for text in diagrams if ";" in text] == []


RELATIVE_TO = (
    *("", "contracts", "contracts/export", "services/triage", "services/dispatch", "services/audit"),
    *("services/triage/domain", "tests/domain", "tests/services/triage"),
)
"""The folders that a recipe speaks of without naming them again."""
EXAMPLES = {"weather", "postponed", "conditions"}
"""Names of what the recipes add."""


def test_the_recipes_name_files_and_names_that_are_there() -> None:
    code = written("contracts/**/*.py", "chassis/**/*.py", "services/**/*.py", "deploy/**/*.py", "tests/**/*.py")
    code += written(
        "deploy/district/*.json", "docker-compose.yml", "chassis/store/schema/*.sql", "services/*/schema/*.sql"
    )
    for span in spans(re.sub(r"```.*?```", "", page("extending.md"), flags=re.DOTALL)):
        path = re.sub(r"services/<name>", "services/triage", span)
        if re.fullmatch(r"[\w./-]+/|[\w./-]+\.(?:py|md|json|lock|yml|toml)", path):
            assert any((ROOT / folder / path).exists() for folder in RELATIVE_TO), span
        elif re.fullmatch(r"[A-Za-z_]\w*=?", span) and span not in EXAMPLES:
            assert re.search(rf"\b{span}", code), span


def test_the_page_on_security_shows_the_rules_as_they_are() -> None:
    """As `deploy.stack.access` makes them, with `<id>` for any partner."""
    table = {spans(row["user"])[0]: row for row in rows(page("security/broker.md")) if "groups" in row}
    assert list(table) == [*SERVICES, "partner.<id>", "admin"]
    made = access(["<id>"])
    for user in (*SERVICES, "partner.<id>"):
        for head, operation, kind in (
            ("writes", "WRITE", "TOPIC"),
            ("reads", "READ", "TOPIC"),
            ("groups", "READ", "GROUP"),
        ):
            allowed = sorted(
                rule.name + "*" * rule.begins
                for rule in made
                if (rule.user, rule.operation, rule.kind) == (user, operation, kind)
            )
            assert spans(table[user][head]) == allowed, f"{user} {head}"


SECURITY = [path for path in PAGES if named(path).startswith("docs/security")]


@pytest.mark.parametrize("path", SECURITY, ids=named)
def test_the_tests_that_a_page_on_security_names_are_there(path: Path) -> None:
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", path.read_text()):
        assert f"def {name}(" in tests, name
