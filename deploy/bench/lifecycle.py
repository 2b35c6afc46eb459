"""The lifecycle by which systems of this kind are compared: filed, assigned, acknowledged, resolved, looked up.

As the load study of DIGIT's complaints has it: create, assign, resolve, search. Here triage assigns by rule, the unit
hears of it on its topic, and the search is three requests: the report, the case, and a list of the reports around it.
"""

import time
from typing import Any

from contracts.fields import Place
from deploy.bench import http
from deploy.bench.client import Client
from deploy.bench.phases import Ground

_LISTED = 20
_SEARCH = ("report", "case", "list")


class Lifecycles(http.Load):
    """Reports whose callers look them up when they have closed them."""

    def __init__(self, ground: Ground, reports: int) -> None:
        super().__init__(ground, reports)
        self.answered |= {name: [] for name in _SEARCH}
        self.ended: list[float] = []
        """When each lifecycle was through, by the monotonic clock."""

    async def _whole(self, intake: Client, dispatch: Client, place: Place, n: int) -> None:
        case = await self._file(intake, place, n)
        await self._work(dispatch, case)
        await self._get("report", intake, f"/reports/{case}", self._acceptor)
        await self._get("case", dispatch, f"/cases/{case}", self._unit)
        await self._get("list", intake, f"/reports?area={place.area}&limit={_LISTED}", self._acceptor)
        self.ended.append(time.monotonic())

    async def _get(self, step: str, client: Client, path: str, headers: dict[str, str]) -> None:
        began = time.monotonic()
        await client.get(path, headers)
        self.answered[step].append(time.monotonic() - began)


async def lifecycles(ground: Ground, callers: int, reports: int) -> dict[str, Any]:
    """The figures of that many lifecycles, by that many callers at once. Raises `Problem` and `TimeoutError`."""
    load = Lifecycles(ground, reports)
    found = await http.closed_by(ground, callers, load)
    began = min(load.filed.values())
    answers = [seconds * 1000 for took in load.answered.values() for seconds in took]
    return {
        "lifecycles_per_second": reports / (max(load.ended) - began),
        "answer_ms": http.spread(answers),
        **found,
    }
