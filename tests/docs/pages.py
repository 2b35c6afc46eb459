"""Reading the pages: their tables, code spans, blocks, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chassis.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OPERATING = sorted((DOCS / "operating").rglob("*.md"))
README = ROOT / "README.md"
PROGRAMS = ("make", "curl", "python", "docker", "psql")
"""What the first word of a command in running text, or of a block without a language, may be."""
_BLOCK = r"^```(?P<language>.*)\n(?P<text>(?:.*\n)*?)```$"
_SPAN = r"``(?P<double>.+?)``|(?<!`)`(?P<single>[^`\n]+)`(?!`)"


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def page(name: str) -> str:
    return (DOCS / name).read_text()


@cache
def written(*globs: str) -> str:
    """The text of files of the product."""
    return "".join(path.read_text() for glob in globs for path in sorted(ROOT.glob(glob)))


def rows(text: str) -> Iterator[dict[str, str]]:
    """The rows of a page's tables: heading -> cell."""
    heads: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        elif not set(line) <= set("|- "):
            yield dict(zip(heads, cells, strict=True))


def spans(text: str) -> list[str]:
    """What stands between backticks, single or double."""
    return [match["double"] or match["single"] for match in re.finditer(_SPAN, text)]


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, text) of the fenced blocks of a page; one without a language is a command if it begins as one."""
    for match in re.finditer(_BLOCK, text, re.MULTILINE):
        yield _language(match["language"], match["text"]), match["text"]


def _language(said: str, text: str) -> str:
    return said or ("sh" if text.split(" ", 1)[0] in PROGRAMS else "")


def known_variable(name: str) -> bool:
    """Whether the services, the stack, compose or OpenTelemetry read it from the environment."""
    fields = Settings.model_fields.items()
    settings = {str(field.validation_alias or own.upper()) for own, field in fields}
    sources = written("chassis/telemetry.py", "deploy/stack/*.py", "docker-compose.yml")
    return name in settings or re.search(rf"\b{name}\b", sources) is not None


@dataclass(frozen=True)
class Command:
    """A command of a page.

    `role`: of the token that the page named last before it; `variables`: set for it alone; `runs`: marked to be run.
    """

    where: str
    words: tuple[str, ...]
    role: str
    variables: tuple[str, ...] = ()
    runs: bool = False

    @property
    def options(self) -> list[str]:
        return [word.partition("=")[0] for word in self.words[1:] if word.startswith("-")]

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.words)}"[:120]


def commands(path: Path) -> Iterator[Command]:
    """The commands of a page, in its blocks and in its running text, and those in `$(...)` before what they are in."""
    role = "shift_leader"  # of TOKEN, as operating/index.md sets it
    for runs, line in _lines(path.read_text()):
        inside = r"\$\(((?:[^()']|'[^']*')*)\)"
        for text in (*re.findall(inside, line), re.sub(inside, "INNER", line)):
            words = shlex.split(text, comments=True)
            role = next((word[5:] for word in words if word.startswith("ROLE=")), role)
            first = next((n for n, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))
            if words[first:] and words[first] != "export":
                variables = tuple(word.partition("=")[0] for word in words[:first])
                yield Command(named(path), tuple(words[first:]), role, variables, runs)


def _lines(text: str) -> Iterator[tuple[bool, str]]:
    """(whether it is marked to be run, line) of what is a command, or names a role, in the order of the page."""
    for match in re.finditer(f"{_BLOCK}|{_SPAN}", text, re.MULTILINE):
        if match["text"] is None:
            span = match["double"] or match["single"]
            if span.startswith("ROLE=") or (re.match(rf"({'|'.join(PROGRAMS)})3? [\w-]", span) and "<" not in span):
                yield False, span
        elif (language := _language(match["language"], match["text"])).split()[:1] == ["sh"]:
            lines = match["text"].replace("\\\n", " ").splitlines()
            yield from ((language == "sh run", line) for line in lines if line.strip())


COMMANDS = [command for path in (*PAGES, README) for command in commands(path)]
