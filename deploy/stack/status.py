"""What of the stack runs: a table for people, JSON for programs."""

import time
from dataclasses import asdict, dataclass

import psutil
from rich.console import Console
from rich.table import Table

from deploy.stack import identity, readiness
from deploy.stack.plan import MANAGER, Plan


@dataclass(frozen=True)
class Row:
    name: str
    state: str
    """ready, running, not ready, down, or given (a server of the user's)."""
    pid: int | None
    uptime_seconds: int | None
    memory_mib: int | None
    """Resident, of the process and its children; memory that PostgreSQL's processes share is counted once."""
    address: str
    log: str


def rows(plan: Plan) -> list[Row]:
    given = {"kafka": plan.kafka_bootstrap_servers, "postgres": plan.database_url}
    names = [MANAGER, *(name for name in ("postgres", "kafka") if name in plan.only), *plan.services]
    return [_given(name) if given.get(name) else _row(plan, name) for name in names]


def as_json(plan: Plan) -> list[dict[str, object]]:
    return [asdict(row) for row in rows(plan)]


def print_table(plan: Plan) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("process", "state", "pid", "up", "memory", "address"):
        table.add_column(title, justify="right" if title in ("pid", "up", "memory") else "left", overflow="fold")
    colours = {"ready": "green", "running": "green", "given": "green", "not ready": "yellow", "down": "red"}
    for row in rows(plan):
        table.add_row(
            row.name,
            f"[{colours[row.state]}]{row.state}[/]",
            str(row.pid or ""),
            _duration(row.uptime_seconds),
            "" if row.memory_mib is None else f"{row.memory_mib} MiB",
            row.address,
        )
    Console().print(table)
    print(f"logs in {plan.logs}")


def _row(plan: Plan, name: str) -> Row:
    pid = identity.noted(plan.run, name)
    address = plan.url(name) if name in plan.services else f"127.0.0.1:{plan.ports[name]}" if name in plan.ports else ""
    uptime = memory = None
    state = "down"
    if pid is not None:
        state = "running" if name not in plan.services else "ready" if readiness.ready(plan, name) else "not ready"
        uptime, memory = _measured(pid, with_children=name != MANAGER)
    return Row(name, state, pid, uptime, memory, address, str(plan.log(name)))


def _given(name: str) -> Row:
    return Row(name, "given", None, None, None, "from the environment", "")


def _measured(pid: int, *, with_children: bool) -> tuple[int | None, int | None]:
    try:
        process = psutil.Process(pid)
        memory = process.memory_info().rss
        for child in process.children() if with_children else ():
            details = child.memory_info()
            memory += details.rss - getattr(details, "shared", 0)
        return int(time.time() - process.create_time()), round(memory / 2**20)
    except psutil.NoSuchProcess:
        return None, None


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return ""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
