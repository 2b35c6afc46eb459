"""`status` names what is not ready and why, and its exit status says so; stand-ins take the place of the services."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.stack import asked, identity, status
from deploy.stack.asked import Asked
from deploy.stack.plan import from_environment
from deploy.stack.process import ROOT, Specification
from deploy.stack.secrets import FILE, keys_file, load
from deploy.stack.status import ALL_READY, NOT_READY, NOTHING_RUNS, Row
from deploy.stack.supervise import Supervisor
from tests.deploy.stacks import Stack
from tests.deploy.waiting import until
from tests.support.services import eventually

ANSWERS = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.end_headers()
        self.wfile.write(sys.argv[3].encode())

HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
STRICT = ANSWERS.replace("int(sys.argv[2])", 'int(sys.argv[2]) if "authorization" not in self.headers else 401')
PARTS = '{"title": "Not ready", "parts": {"database": "connection refused", "consumer": "stuck: Assigned/3"}}'
WAITS = "import time; print('WARNING waiting for the database: [refused]', flush=True); time.sleep(600)"
FAILS = "raise LookupError('CASEGRID_DISTRICT holds no areas')"


class Standing:
    """A stack of one or two stand-ins, and what `status` says of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.supervisor: Supervisor | None = None

    async def start(self, **programs: tuple[str, ...]) -> None:
        """Starts these as services, and notes that they were asked for."""
        plan = from_environment(self.stack.environment, only=",".join(programs))
        self.supervisor = Supervisor(plan)
        asked.note(plan.run, Asked.of(plan, "kafka"))
        load(plan.run)
        await self.supervisor.apply([Specification(name, (sys.executable, "-c", *it)) for name, it in programs.items()])
        await self.supervisor.start(list(programs))

    def answering(self, service: str, code: int, body: str = "") -> tuple[str, ...]:
        return ANSWERS, str(self.stack.ports[f"{service.upper()}_PORT"]), str(code), body

    async def rows(self) -> dict[str, Row]:
        plan = asked.as_asked(from_environment(self.stack.environment))
        return {row.name: row for row in await status.rows(plan)}

    async def row(self, service: str, words: str) -> Row:
        """Once these words are among its reasons."""

        async def found() -> Row | None:
            row = (await self.rows())[service]
            return row if words in f"{row.why} {row.log_says}" else None

        row = await eventually(found, what=f"{words} said of {service}")
        assert row is not None
        return row


@pytest.fixture
async def standing(tmp_path: Path) -> AsyncIterator[Standing]:
    standing = Standing(Stack(tmp_path))
    yield standing
    if standing.supervisor is not None:
        await standing.supervisor.end()


def test_when_nothing_runs_it_says_so_and_what_starts_it(tmp_path: Path) -> None:
    done = Stack(tmp_path).run("status")
    assert done.returncode == NOTHING_RUNS
    assert f"nothing runs in {tmp_path}: `make up` starts it" in done.stdout
    assert not list(tmp_path.iterdir()), "a look changed something"


async def test_all_is_ready_where_all_that_was_asked_for_is(standing: Standing) -> None:
    await standing.start(audit=standing.answering("audit", 200))
    await until(lambda: standing.stack.run("status").returncode == ALL_READY)
    rows = standing.stack.rows()
    assert {name: row["state"] for name, row in rows.items()} == {"supervisord": "ready", "audit": "ready"}
    assert rows["audit"]["why"] is None
    assert rows["audit"]["parts"] == {}


async def test_the_parts_that_a_service_names_are_shown(standing: Standing) -> None:
    await standing.start(audit=standing.answering("audit", 503, PARTS), triage=standing.answering("triage", 200))
    await standing.row("audit", "stuck")
    shown = standing.stack.run("status")
    assert shown.returncode == NOT_READY
    below = shown.stdout.partition("\naudit is not ready\n")[2].splitlines()
    assert [line.split(maxsplit=1) for line in below[:2]] == [
        ["database", "connection refused"],
        ["consumer", "stuck: Assigned/3"],
    ]
    assert "triage is" not in shown.stdout
    audit = standing.stack.rows()["audit"]
    assert audit["state"] == "not ready"
    assert audit["parts"] == {"database": "connection refused", "consumer": "stuck: Assigned/3"}
    assert audit["why"] == "database: connection refused; consumer: stuck: Assigned/3"


async def test_what_a_service_that_is_ready_warns_of_is_shown(standing: Standing) -> None:
    warns = '{"ready": true, "warnings": {"keys": "the keys before it serve"}}'
    await standing.start(audit=standing.answering("audit", 200, warns))
    await until(lambda: standing.stack.run("status").returncode == ALL_READY)
    shown = standing.stack.run("status").stdout
    assert "audit is ready, and may not be for long\n  keys        the keys before it serve\n" in shown
    assert standing.stack.rows()["audit"]["warnings"] == {"keys": "the keys before it serve"}


async def test_a_look_puts_no_lost_key_set_back_and_lost_or_damaged_secrets_are_shown(standing: Standing) -> None:
    await standing.start(audit=standing.answering("audit", 200), triage=standing.answering("triage", 503, PARTS))
    await standing.row("triage", "stuck")
    run = standing.stack.folder / "run"
    keys_file(run).unlink()
    await until(lambda: standing.stack.run("status", "--only", "audit").returncode == ALL_READY)
    assert not keys_file(run).exists()
    (run / FILE).write_text("{")
    shown = standing.stack.run("status")
    assert (shown.returncode, shown.stderr) == (NOT_READY, "")
    assert f"secrets     {run / FILE} can't be used: it is not what `make up` wrote" in shown.stdout
    assert standing.stack.rows()["audit"]["state"] == "ready"
    (run / FILE).unlink()
    assert "lacks token_key" in standing.stack.rows()["audit"]["warnings"]["secrets"]
    assert not (run / FILE).exists()


async def test_an_answer_that_is_no_services_own_is_shown(standing: Standing) -> None:
    await standing.start(audit=standing.answering("audit", 404, "File not found"))
    row = await standing.row("audit", "404")
    assert row.parts == {"answer": f"GET {row.address}/ready says 404: File not found"}


async def test_a_service_that_takes_others_tokens_only_says_whether_it_is_ready(standing: Standing) -> None:
    """CASEGRID_JWKS named keys that are not the stack's; the service's log has the parts."""
    ports = standing.stack.ports
    not_ready = (STRICT, str(ports["AUDIT_PORT"]), "503", '{"title": "Not ready"}')
    await standing.start(audit=not_ready, triage=(STRICT, str(ports["TRIAGE_PORT"]), "200", ""))
    row = await standing.row("audit", "says 503")
    assert row.parts == {"answer": f'GET {row.address}/ready says 503: {{"title": "Not ready"}}'}
    assert (await standing.row("triage", "None")).state == "ready"


async def test_of_a_process_that_does_not_answer_the_end_of_its_log_is_shown(standing: Standing) -> None:
    await standing.start(audit=(WAITS,))
    row = await standing.row("audit", "waiting for the database")
    assert row.state == "not ready"
    assert row.parts == {"answer": f"GET {row.address}/ready gives none: All connection attempts failed"}
    shown = standing.stack.run("status")
    assert shown.returncode == NOT_READY
    assert "  in its log  WARNING waiting for the database: [refused]\n" in shown.stdout


async def test_of_a_process_that_fails_at_its_start_end_and_reason_are_shown(standing: Standing) -> None:
    await standing.start(audit=(FAILS,))
    row = await standing.row("audit", "exit status 1")
    assert row.state in ("down", "not ready")
    assert row.log_says == "LookupError: CASEGRID_DISTRICT holds no areas"
    shown = standing.stack.run("status")
    assert shown.returncode == NOT_READY
    assert "exit status 1, " in shown.stdout
    assert "LookupError: CASEGRID_DISTRICT holds no areas" in shown.stdout


async def test_a_process_that_was_killed_is_said_to_have_been(standing: Standing) -> None:
    await standing.start(audit=(WAITS,))
    await standing.row("audit", "waiting for the database")
    pid = identity.noted(standing.stack.folder / "run", "audit")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    row = await standing.row("audit", "terminated by SIGKILL")
    assert "terminated by SIGKILL, " in (row.why or "")


async def test_a_killed_manager_is_named_as_the_reason_that_nothing_runs(standing: Standing) -> None:
    await standing.start(audit=standing.answering("audit", 200))
    await until(lambda: standing.stack.run("status").returncode == ALL_READY)
    pid = identity.noted(standing.stack.folder / "run", "supervisord")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: standing.stack.run("status").returncode == NOTHING_RUNS)
    shown = standing.stack.run("status")
    assert "supervisord is down: what it ran ended with it, and `make up` starts all of it" in shown.stdout


async def test_a_manager_that_hangs_is_named_and_not_waited_for(standing: Standing) -> None:
    await standing.start(audit=standing.answering("audit", 200))
    await until(lambda: standing.stack.run("status").returncode == ALL_READY)
    pid = identity.noted(standing.stack.folder / "run", "supervisord")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        rows = await standing.rows()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert rows["supervisord"].state == "not ready"
    assert "the process manager does not answer (timed out)" in (rows["supervisord"].why or "")
    assert rows["audit"].state == "ready"


async def test_a_server_of_the_users_that_does_not_answer_is_named(standing: Standing) -> None:
    standing.stack.environment["KAFKA_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    standing.stack.environment["DATABASE_URL"] = "postgresql://me:secret@127.0.0.1:1/x"
    rows = await standing.rows()
    assert {name: rows[name].state for name in ("kafka", "postgres")} == dict.fromkeys(
        ("kafka", "postgres"), "not ready"
    )
    assert "the broker at 127.0.0.1:1 does not answer: " in rows["kafka"].parts["answer"]
    assert "PostgreSQL at 127.0.0.1:1 does not answer: " in rows["postgres"].parts["answer"]
    assert status.exit_status(list(rows.values())) == NOTHING_RUNS


async def test_it_looks_where_the_stack_was_started_whatever_the_environment_says_now(standing: Standing) -> None:
    await standing.start(audit=standing.answering("audit", 200))
    await until(lambda: standing.stack.run("status").returncode == ALL_READY)
    assert standing.stack.run("status", AUDIT_PORT="1").returncode == ALL_READY


async def test_it_tells_of_those_alone_that_only_names(standing: Standing) -> None:
    await standing.start(audit=standing.answering("audit", 200), triage=standing.answering("triage", 503, PARTS))
    await standing.row("triage", "stuck")
    await until(lambda: standing.stack.run("status", "--only", "audit").returncode == ALL_READY)
    assert "triage" not in standing.stack.run("status", "--only", "audit").stdout
    assert standing.stack.run("status").returncode == NOT_READY
    mistyped = standing.stack.run("status", "--only", "audits")
    assert (mistyped.returncode, "ONLY names 'audits'" in mistyped.stderr) == (1, True)


async def test_what_an_earlier_run_wrote_is_no_reason(standing: Standing) -> None:
    await standing.start(audit=("import time; print('all is well', flush=True); time.sleep(600)",))
    log = standing.stack.folder / "logs" / "audit.log"
    before = datetime.now(UTC) - timedelta(seconds=60)
    log.write_text(f"{before:%Y-%m-%d %H:%M:%S}.000 UTC ERROR of the run before\n")
    row = await standing.row("audit", "gives none")
    assert row.log_says is None


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"]])
def test_who_reads_only_the_head_of_it_gets_no_traceback(tmp_path: Path, arguments: list[str]) -> None:
    stack = Stack(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    command = (sys.executable, "-m", "deploy.stack", *arguments)
    with os.fdopen(writing, "w") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=stack.environment, stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr == ""
