"""What of the stack runs, and why something does not: a table for people, JSON for programs, an exit status."""

import asyncio
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from deploy.stack import asked, connections, identity, kafka, logs, postgres, readiness
from deploy.stack.plan import INFRASTRUCTURE, MANAGER, Plan
from deploy.stack.problem import Problem
from deploy.stack.secrets import load
from deploy.stack.supervise import Silent, State, Supervisor

ALL_READY, NOT_READY, NOTHING_RUNS = 0, 3, 4
"""The exit status: everything that should run is ready; something is not; nothing runs at all."""

_SECONDS = 4
"""For the manager's, the database's and the broker's answer."""
_RECENTLY_SECONDS = 120
_COLOURS = {"ready": "green", "not ready": "yellow", "down": "red"}


@dataclass(frozen=True)
class Row:
    """One process that should run, or a server of the user's."""

    name: str
    state: str
    """ready, not ready (it runs, or should, but does not answer as it must), or down."""
    pid: int | None
    uptime_seconds: int | None
    memory_mib: int | None
    """Resident, of the process and its children; memory that PostgreSQL's processes share is counted once."""
    address: str
    log: str
    parts: Mapping[str, str] = field(default_factory=dict)
    """Part -> what is wrong with it; `answer` where the process does not answer at all."""
    why: str | None = None
    """Why it is not ready, in a line; None if it is."""
    log_says: str | None = None
    """The last warning or error of its run in its log, where the process itself can't say what is wrong."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """Part -> what will make it fail, though it is ready now."""


async def rows(plan: Plan) -> list[Row]:
    """Of everything that the plan says should run, the manager first; all are asked at the same time."""
    given = {"kafka": plan.kafka, "postgres": plan.database_url}
    manager, states = await _manager(plan)
    names = [*(name for name in INFRASTRUCTURE if name in plan.only), *plan.services]
    async with httpx.AsyncClient() as client:
        found = [_given(plan, name) if given.get(name) else _process(plan, name, states, client) for name in names]
        return [manager, *await asyncio.gather(*found)]


def exit_status(found: Sequence[Row]) -> int:
    """`ALL_READY`, `NOT_READY` or `NOTHING_RUNS`."""
    if all(row.state == "ready" for row in found):
        return ALL_READY
    return NOT_READY if any(row.pid is not None for row in found) else NOTHING_RUNS


def as_json(found: Sequence[Row]) -> list[dict[str, object]]:
    return [asdict(row) for row in found]


def print_table(plan: Plan, found: Sequence[Row]) -> None:
    """The table, and below it the reasons of each process that is not ready."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("process", "state", "pid", "up", "memory", "address"):
        table.add_column(title, justify="right" if title in ("pid", "up", "memory") else "left", overflow="fold")
    for row in found:
        table.add_row(
            row.name,
            f"[{_COLOURS[row.state]}]{row.state}[/]",
            str(row.pid or ""),
            _duration(row.uptime_seconds),
            "" if row.memory_mib is None else f"{row.memory_mib} MiB",
            row.address,
        )
    Console().print(table)
    if exit_status(found) == NOTHING_RUNS and asked.read(plan.run) is None:
        print(f"nothing runs in {plan.folder}: `make up` starts it")
        return
    if exit_status(found) != ALL_READY or any(row.warnings for row in found):
        print()
    for row in found:
        ended_with_manager = row.state == found[0].state == "down" and row is not found[0]
        if row.state != "ready" and not ended_with_manager:
            print(f"{row.name} is {row.state}" + ("" if row.parts else f": {row.why}"))
            reasons = {**row.parts, **({"in its log": row.log_says} if row.log_says else {})}
            for part, fault in reasons.items():
                print(f"  {part:<10}  {fault}")
        if row.warnings:
            print(f"{row.name} is ready, and may not be for long")
            for part, fault in row.warnings.items():
                print(f"  {part:<10}  {fault}")
    print(f"logs in {plan.logs}")


async def _manager(plan: Plan) -> tuple[Row, Mapping[str, State] | None]:
    """And what the manager says of each program; None where it does not answer."""
    pid = identity.noted(plan.run, MANAGER)
    log = plan.log("manager")
    if pid is None:
        why = "what it ran ended with it, and `make up` starts all of it"
        return Row(MANAGER, "down", None, None, None, "", str(log), why=why, log_says=logs.telling(log)), None
    uptime, memory = _measured(pid, with_children=False)
    try:
        states = await Supervisor(plan, _SECONDS).states()
    except (Silent, xmlrpc.client.Fault) as fault:
        parts = {readiness.ANSWER: str(fault)}
        return Row(MANAGER, "not ready", pid, uptime, memory, "", str(log), parts, str(fault)), None
    return Row(MANAGER, "ready", pid, uptime, memory, "", str(log)), states


async def _process(plan: Plan, name: str, states: Mapping[str, State] | None, client: httpx.AsyncClient) -> Row:
    pid = identity.noted(plan.run, name)
    log = plan.log(name)
    address = plan.url(name) if name in plan.services else f"127.0.0.1:{plan.ports[name]}"
    state = states.get(name) if states is not None else None
    history = None if states is None else _history(plan, name, state)
    if pid is None:
        why = history or "nothing runs while the process manager does not: `make up` starts it"
        says = logs.telling(log, since=_since(state) if state else 0)
        return Row(name, "down", None, None, None, address, str(log), why=why, log_says=says)
    uptime, memory = _measured(pid, with_children=True)
    if name in plan.services:
        parts, warnings = await _told(plan, name, client)
    else:
        parts, warnings = await _server_faults(plan, name), {}
    if not parts:
        return Row(name, "ready", pid, uptime, memory, address, str(log), warnings=warnings)
    says = None
    if readiness.ANSWER in parts:
        began = int(time.time() - uptime - 1) if uptime is not None else 0
        says = logs.telling(log, since=_since(state) if history and state else began, ended=bool(history))
    if history:
        parts = {**parts, "process": history}
    return Row(name, "not ready", pid, uptime, memory, address, str(log), parts, readiness.in_words(parts), says)


async def _told(plan: Plan, name: str, client: httpx.AsyncClient) -> tuple[dict[str, str], dict[str, str]]:
    """What a service says of itself: its faults and its warnings. Lost secrets stand beside them."""
    try:
        token, lost = readiness.operator(plan), {}
    except Problem as fault:
        token, lost = None, {"secrets": str(fault)}
    parts, warnings = await readiness.told(client, plan.url(name), token)
    return ({**parts, **lost}, {}) if parts else ({}, {**warnings, **lost})


async def _given(plan: Plan, name: str) -> Row:
    parts = await _server_faults(plan, name)
    state = "not ready" if parts else "ready"
    why = readiness.in_words(parts) or None
    return Row(name, state, None, None, None, "from the environment", "", parts, why)


async def _server_faults(plan: Plan, name: str) -> dict[str, str]:
    try:
        async with asyncio.timeout(2 * _SECONDS):
            if name == "kafka":
                await kafka.answering(connections.administrator(plan), 0)
            else:
                await postgres.answering(plan.database_url or _own_url(plan), 0)
    except TimeoutError:
        return {readiness.ANSWER: f"no answer within {2 * _SECONDS} s"}
    except Problem as fault:
        return {readiness.ANSWER: str(fault)}
    return {}


def _own_url(plan: Plan) -> str:
    """Raises `Problem` where the password is lost."""
    password = load(plan.run, complete=False).postgres[postgres.ADMIN]
    return postgres.Server(plan.folder, plan.ports["postgres"], password).url()


def _history(plan: Plan, name: str, state: State | None) -> str | None:
    """What the manager did of late with a process that is down or not ready; None where that is nothing."""
    if state is None or not (state.running or state.ended_at):
        return "was not started yet: `make up` starts it"
    how = logs.ending(plan.log("manager"), name) or "ended"
    ago = time.time() - state.ended_at
    if state.failing:
        return f"{how}, {ago:.0f} s ago, and is about to be started again"
    if not state.running:
        return f"{how}, {_duration(int(ago))} ago: `make up` starts it"
    if state.ended_at and ago < _RECENTLY_SECONDS:
        return f"{how}, {ago:.0f} s ago, and was started again"
    return None


def _since(state: State) -> float:
    """Since when the log tells of the run that ended last."""
    recently = state.ended_at - _RECENTLY_SECONDS
    return max(recently, state.started_at) if state.started_at <= state.ended_at else recently


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
