"""Waiting until what was started answers, and saying why where it doesn't."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import httpx

from deploy.stack.plan import Plan
from deploy.stack.problem import Problem
from deploy.stack.process import tail
from deploy.stack.supervise import State, Supervisor

_ENDS_TOO_MANY = 3


class Watch:
    """Raises `Problem` once a program keeps ending; a single end may be a start that was too early."""

    def __init__(self, plan: Plan, names: Sequence[str]) -> None:
        self._plan = plan
        self._names = names
        self._ended_at: dict[str, set[int]] = {}

    def look(self, states: Mapping[str, State]) -> None:
        for name in self._names:
            state = states[name]
            ends = self._ended_at.setdefault(name, {state.ended_at})
            ends.add(state.ended_at)
            if state.given_up or len(ends) > _ENDS_TOO_MANY:
                raise Problem(f"{name} does not stay up ({state.description}); {tail(self._plan.log(name))}")


async def services(plan: Plan, supervisor: Supervisor, timeout_seconds: float = 90) -> None:
    """Waits until every service's /ready says 200. Raises `Problem` with its own reason and the end of its log."""
    waiting = dict.fromkeys(plan.services, "no answer")
    watch = Watch(plan, plan.services)
    deadline = time.monotonic() + timeout_seconds
    async with httpx.AsyncClient(timeout=5) as client:
        while waiting:
            for name in tuple(waiting):
                try:
                    answer = await client.get(f"{plan.url(name)}/ready")
                except httpx.HTTPError as fault:
                    waiting[name] = f"no answer ({type(fault).__name__})"
                    continue
                if answer.status_code == 200:
                    del waiting[name]
                else:
                    waiting[name] = f"{answer.status_code}: {answer.text[:300]}"
            if waiting:
                watch.look(await supervisor.states())
                if time.monotonic() > deadline:
                    name, answer_text = next(iter(waiting.items()))
                    raise Problem(
                        f"{', '.join(waiting)} not ready after {timeout_seconds:.0f} s; {name} says {answer_text}; "
                        + tail(plan.log(name))
                    )
                await asyncio.sleep(0.1)


def ready(plan: Plan, name: str) -> bool:
    """Whether the service's /ready says 200 now."""
    try:
        return httpx.get(f"{plan.url(name)}/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
