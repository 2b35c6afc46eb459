"""Whether what was started answers, waiting until it does, and saying why where it doesn't."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import httpx

from contracts.roles import Role
from deploy.stack.logs import tail, telling
from deploy.stack.plan import Plan
from deploy.stack.problem import Problem
from deploy.stack.secrets import load
from deploy.stack.supervise import State, Supervisor
from deploy.stack.token import issue

ANSWER = "answer"
"""The part that is named where a process gives no answer from which its own parts could be told."""
_ENDS_TOO_MANY = 3
_SECONDS = 8
"""For one answer; a service asks database and broker meanwhile, and gives each up after two seconds."""


class Watch:
    """Raises `Problem` once a program keeps ending; a single end may be a start that was too early."""

    def __init__(self, plan: Plan, names: Sequence[str]) -> None:
        self._plan = plan
        self._names = names
        self._ended_at: dict[str, set[int]] = {}

    def look(self, states: Mapping[str, State]) -> None:
        failing = [name for name in self._names if self._keeps_ending(states[name])]
        if failing:
            others = f", nor {', '.join(failing[1:])}" if failing[1:] else ""
            log = self._plan.log(failing[0])
            raise Problem(
                f"{failing[0]} does not stay up{others}: {telling(log) or 'its log names no fault'}\n{tail(log)}"
            )

    def _keeps_ending(self, state: State) -> bool:
        ends = self._ended_at.setdefault(state.name, {state.ended_at})
        ends.add(state.ended_at)
        return len(ends) > _ENDS_TOO_MANY


async def services(plan: Plan, supervisor: Supervisor, timeout_seconds: float = 90) -> None:
    """Waits until every service is ready. Raises `Problem` with the reasons of each that is not, and a log's end."""
    waiting = dict.fromkeys(plan.services, "not asked yet")
    watch = Watch(plan, plan.services)
    deadline = time.monotonic() + timeout_seconds
    token = operator(plan)
    async with httpx.AsyncClient() as client:
        while waiting:
            found = await asyncio.gather(*(faults(client, plan.url(name), token) for name in waiting))
            waiting = {name: in_words(parts) for name, parts in zip(waiting, found, strict=True) if parts}
            if waiting:
                watch.look(await supervisor.states())
                if time.monotonic() > deadline:
                    reasons = [f"  {name}: {words}" for name, words in waiting.items()]
                    first = f"{', '.join(waiting)} not ready after {timeout_seconds:.0f} s:"
                    raise Problem("\n".join([first, *reasons, tail(plan.log(next(iter(waiting))))]))
                await asyncio.sleep(0.1)


def operator(plan: Plan) -> str:
    """A token of somebody who may know how the services of this stack are. Raises `Problem`."""
    key = load(plan.run, complete=False).token_key
    return issue(key, subject="operator:stack", roles=[Role.ADMINISTRATOR], ttl_seconds=300)


async def faults(client: httpx.AsyncClient, url: str, token: str) -> dict[str, str]:
    """Part -> what is wrong with it, as the service at the URL says; empty when it is ready."""
    return (await told(client, url, token))[0]


async def told(client: httpx.AsyncClient, url: str, token: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """The same, and part -> what will make it fail, though it is ready now.

    A service that takes others' tokens only (CASEGRID_JWKS of the user's), or is asked without one, tells neither.
    """
    try:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        answer = await client.get(f"{url}/ready", headers=headers, timeout=_SECONDS)
        if answer.status_code == 401:
            answer = await client.get(f"{url}/ready", timeout=_SECONDS)
    except httpx.TimeoutException:
        return {ANSWER: f"GET {url}/ready gives none within {_SECONDS} s"}, {}
    except httpx.HTTPError as fault:
        return {ANSWER: f"GET {url}/ready gives none: {fault or type(fault).__name__}"}, {}
    if answer.status_code == 200:
        return {}, _parts(answer, "warnings")
    return _parts(answer, "parts") or {ANSWER: f"GET {url}/ready says {answer.status_code}: {answer.text[:200]}"}, {}


def in_words(parts: Mapping[str, str]) -> str:
    return "; ".join(f"{part}: {fault}" for part, fault in parts.items())


def _parts(answer: httpx.Response, member: str) -> dict[str, str]:
    """That member of the document; empty where the answer is none of a service's."""
    try:
        document = answer.json()
    except ValueError:
        return {}
    parts = document.get(member) if isinstance(document, dict) else None
    return {str(part): str(fault) for part, fault in parts.items()} if isinstance(parts, dict) else {}
