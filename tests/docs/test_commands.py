"""Every command, request and SQL statement of the pages is one that the product takes."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import pytest
import yaml
from jsonschema import Draft202012Validator

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.settings import Settings
from chassis.store.database import Database
from deploy import openapi
from deploy.district.__main__ import main as write_district
from deploy.stack.plan import PORTS, SERVICES
from deploy.stack.secrets import load
from tests.docs.pages import COMMANDS, PAGES, README, ROOT, Command, known_variable, named
from tests.support import tally
from tests.support.facts import case_id, fact_record, report
from tests.support.infrastructure import Database as Server
from tests.support.services import running, token

documents = cache(openapi.documents)
CHEAP = ("help", "status", "token", "partners")
"""Targets that `sh run` blocks may have run; what else they hold is checked only."""
REQUESTS = [one for one in COMMANDS if one.words[0] == "curl"]


FOREIGN: Mapping[str, set[str]] = {
    "pg_dump": {"--format", "--file", "--dbname"},
    "pg_dumpall": {"--roles-only", "--no-role-passwords", "--file", "--dbname"},
    "pg_restore": {"--clean", "--if-exists", "--single-transaction", "--dbname"},
    "kafka-consumer-groups.sh": {
        *("--bootstrap-server", "--command-config", "--describe", "--group", "--all-groups", "--all-topics", "--topic"),
        *("--reset-offsets", "--to-earliest", "--to-offset", "--execute"),
    },
    "tar": {"--create", "--extract", "--gzip", "--file"},
    "grep": {"-h", "-rn"},
    "df": {"-h"},
    "du": {"-sh"},
    "ps": {"-o", "--pid", "--ppid"},
}
"""Programs of others, with the options that were tried."""


def check_make(command: Command) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for word in command.words[1:]:
        name, given, _ = word.partition("=")
        if given:
            assert re.search(rf"\$\(?\$?{name}\b|[ ,]{name}\)", makefile) or known_variable(name), name
        else:
            assert word == "-s" or word in targets, word


@dataclass(frozen=True)
class Request:
    """What a curl command asks of which service."""

    service: str
    method: str
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    body: str | None

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)


def request_of(command: Command) -> Request:
    """Fails for an option that is not understood, and for a port that no service has."""
    url, method, body, headers = "", "GET", None, {}
    rest = iter(command.words[1:])
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(":")
                headers[name.lower()] = value.strip()
            case "-d":
                body = next(rest)
            case "-N":
                pass
            case _:
                assert word.startswith("http://127.0.0.1:"), word
                url = word
    parts = urlsplit(url)
    service = next(name for name in SERVICES if PORTS[name][1] == parts.port)
    return Request(service, method, parts._replace(scheme="", netloc="").geturl(), headers, body)


def check_curl(command: Command) -> None:
    asked = request_of(command)
    document = documents()[asked.service]
    operation = routed(document, urlsplit(asked.target).path)[asked.method.lower()]
    parameters = {one["name"]: one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    for name, value in asked.query:
        kinds = (parameters[name], *parameters[name].get("anyOf", ()))
        choices = [one for kind in kinds for one in kind.get("enum", ())]
        assert not choices or value in choices, f"{name}={value}"
    if operation.get("security"):
        assert "authorization" in asked.headers
        allowed = re.findall(r"`(\w+)`", operation["description"].rpartition("Roles:")[2])
        assert not allowed or command.role in allowed, f"{command.role} is none of {allowed}"
    taken = operation.get("requestBody", {})
    if asked.body is None:
        assert not taken.get("required")
    else:
        assert asked.headers["content-type"] == "application/json"
        schema = {"allOf": [taken["content"]["application/json"]["schema"]], "components": document["components"]}
        Draft202012Validator(schema).validate(json.loads(asked.body))


def routed(document: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The methods of the path of a document that serves this path."""
    for template, methods in document["paths"].items():
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            return methods
    raise AssertionError(f"there is no {path}")


def check_python(command: Command) -> None:
    kind, *rest = command.words[1:]
    if kind == "-c":
        compile(rest[0], command.where, "exec")
    elif kind == "-m":
        understood_by_module(rest[0], rest[1:])
    else:
        compile((ROOT / kind).read_text(), kind, "exec")


def understood_by_module(module: str, arguments: Sequence[str]) -> None:
    spec = find_spec(f"{module}.__main__") or find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None
    if "rgument" not in Path(spec.origin).read_text() and "command_line" not in Path(spec.origin).read_text():
        assert not arguments, f"{module} takes no arguments"  # it would not take --help for what it is
        return
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    options = [word for word in arguments[1:] if word.startswith("-")]
    for word in (*arguments[:1], *options):
        assert re.search(rf"(?<![\w-]){re.escape(word)}\b", done.stdout), f"{module} {word}"


def check_docker(command: Command) -> None:
    assert command.words[1] == "compose"
    words = list(command.words[2:])
    there = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    if words[0] == "--profile":
        assert any(words[1] in service.get("profiles", ()) for service in there.values()), words[1]
        del words[:2]
    verb, *rest = words
    assert verb in ("build", "up", "down", "stop", "run", "exec", "restart"), verb
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        assert option in ("--build", "-d", "--rm", "--no-deps", "--scale")
        if option == "--scale":
            assert rest.pop(0).partition("=")[0] in there
    if verb in ("run", "exec", "restart") or rest:
        assert rest[0] in there, rest[0]
        if rest[1:]:
            understood(Command(command.where, (Path(rest[1]).name, *rest[2:]), command.role))


def check_psql(command: Command) -> None:
    """Its SQL is executed by a test of its own."""
    assert command.words[1] == "$ADMIN"
    assert command.words[2] in ("-c", "-f")
    assert len(command.words) == 4


CHECKS: Mapping[str, Callable[[Command], None]] = {
    "make": check_make,
    "curl": check_curl,
    "docker": check_docker,
    "psql": check_psql,
    **dict.fromkeys(("python", "python3", ".venv/bin/python"), check_python),
}


def understood(command: Command) -> None:
    program = command.words[0]
    assert all(known_variable(name) for name in command.variables), command.variables
    if program in FOREIGN:
        assert set(command.options) <= FOREIGN[program], command.words
        return
    assert program in CHECKS, f"the test does not understand {program}"
    CHECKS[program](command)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.words[0] != "curl"], ids=str)
def test_a_command_is_one_that_the_product_understands(command: Command) -> None:
    understood(command)


@pytest.mark.parametrize("command", REQUESTS, ids=str)
def test_a_request_is_one_that_the_service_describes(command: Command) -> None:
    understood(command)


@pytest.mark.parametrize("service", sorted({request_of(command).service for command in REQUESTS}))
async def test_the_requests_of_the_pages_are_answered(service: str, database: Server, tmp_path: Path) -> None:
    """With an empty database: what is asked for by an id is not there."""
    with contextlib.redirect_stdout(io.StringIO()):
        write_district(["--scale", "tiny", "--out", str(tmp_path)])
    built = import_module(f"services.{service}.service").build(Settings.model_validate({"CASEGRID_DISTRICT": tmp_path}))
    async with running(built, database.url(service), role="api") as api:
        for command in REQUESTS:
            asked = request_of(command)
            if asked.service == service and "-N" not in command.words:  # -N: a stream, which does not end
                headers = {**asked.headers, **token("operator", command.role)}
                answer = await api.client.request(asked.method, asked.target, headers=headers, content=asked.body)
                names_one = re.search(r"/(\d+|\{\w+\})(/|$|\?)|[/=][0-9a-f-]{36}", asked.target)
                assert answer.status_code == 200 or (names_one and answer.status_code in (404, 422)), answer.text


def is_cheap(command: Command) -> bool:
    """Whether it ends by itself at once, and starts and changes nothing."""
    words = tuple(word for word in command.words if word != "-s")
    return words[:2] in [("make", each) for each in CHEAP] or words[-1] == "--help"


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.runs and is_cheap(one)], ids=str)
def test_a_cheap_command_that_is_marked_runs(command: Command, tmp_path: Path) -> None:
    """In a folder of its own, where a stack has run and none runs now.

    `make` takes the environment for made, or it would make it.
    """
    words = [sys.executable if word == ".venv/bin/python" else word for word in command.words]
    if words[0] == "make":
        words[1:1] = ["-o", ".venv/.made-from-lock"]
    environment = {**os.environ, "CASEGRID_DATA": str(tmp_path)}
    load(tmp_path / "run")
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    nothing_runs = "status" in words and "`make up` starts it" in done.stdout
    assert done.returncode == 0 or nothing_runs, done.stderr


@pytest.mark.parametrize("path", [*PAGES, README], ids=named)
def test_a_route_that_a_page_names_is_there(path: Path) -> None:
    paths = {
        re.sub(r"\{\w+\}", "{}", path): methods
        for document in documents().values()
        for path, methods in document["paths"].items()
    }
    for method, url in re.findall(r"`(GET|POST|DELETE) (/[^`\s]*)`", path.read_text()):
        route, _, query = url.partition("?")
        methods = paths.get(re.sub(r"\{\w+\}", "{}", route), {})
        assert method.lower() in methods, url
        if query:
            known = {one["name"] for one in methods[method.lower()].get("parameters", ())}
            assert {name for name, _ in parse_qsl(query, keep_blank_values=True)} <= known, url


SQL = [one for one in COMMANDS if one.words[0] == "psql" and one.words[2] == "-c"]


async def test_every_statement_runs_on_the_schemas(database: Server) -> None:
    connection = await asyncpg.connect(database.admin_url)
    try:
        for command in SQL:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(command.words[3])
            await transaction.rollback()
    finally:
        await connection.close()


async def test_what_was_published_can_be_sent_again(tally_database: str) -> None:
    statement = next(one.words[3] for one in SQL if "INSERT INTO" in one.words[3]).replace("dispatch.", "tally.")
    everything = "SELECT id, aggregatetype, aggregateid, payload FROM unpublished ORDER BY id"
    store = Database(tally_database, "tally", size=2, migrations=tally.MIGRATIONS)
    await store.open()
    await Inbox(tally.MODEL, store, wall_clock).process([fact_record(case_id(), report(title="burst main"))])
    before = await store.fetch(everything)
    assert before
    await store.fetch("UPDATE published SET position = (SELECT max(position) FROM events)")
    assert not await store.fetch(everything)
    await store.fetch(statement)
    assert await store.fetch(everything) == before
    await store.close()


@pytest.mark.parametrize("path", [*PAGES, README], ids=named)
def test_a_variable_of_the_shell_is_set_before_it_is_used(path: Path) -> None:
    """On the same page, or for all pages of `operating` in their index."""
    text = path.read_text()
    shared = (ROOT / "docs/operating/index.md").read_text() if "operating" in path.parts else ""
    for used in re.finditer(r"\$([A-Z_]+)\b", text):
        assert f"export {used[1]}=" in text[: used.start()] + shared, used[0]
