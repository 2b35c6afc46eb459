"""A spike: for a minute ten times as many lifecycles are begun as the stack can carry, each by a caller of its own.

Nobody slows down for the stack: a caller comes when it is time, on connections of its own, and asks again where the
answer is 429 or 503 with Retry-After. So each lifecycle is through in the end, or has met an error, and each report
that was answered with 201 must be closed and audited. After the minute the callers of before work on beside the rest.

Reports are filed first and closed later, so for minutes the stack may answer as many requests as before, and as soon,
and end fewer lifecycles. Both are told: when it answers as before, and when it ends as many as before.
"""

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from contracts.fields import Place
from deploy.bench.client import Client
from deploy.bench.database import connected
from deploy.bench.http import listening
from deploy.bench.lifecycle import Lifecycles
from deploy.bench.phases import Ground, settled, spread
from deploy.stack.problem import Problem

FACTOR = 10
SECONDS = 60.0
_WINDOW_SECONDS = 5.0
_NEARLY = 0.9
"""Of the rate before: then the stack is back at it."""
_SLOWER = 2.0
"""Times the 95th percentile of an answer before: then it is back, too."""
_SOON_SECONDS = 1.0
"""Or below this."""
_REQUESTS = 6
"""Of a lifecycle: it is filed, acknowledged, resolved, and looked up three times."""
_CLOCK_SECONDS = 0.005
"""By which a sleep may be too short."""
_AFTER_ERROR_SECONDS = 1.0
"""That a steady caller waits: errors come faster than answers."""
_PATIENCE = 1.5
"""Times as long as the stack should need for all that is offered."""
_FINISHERS = 16
_FINISH_SECONDS = 10.0
"""For what a case lacks that met an error."""
_CLOSED = "SELECT case_id FROM audit.cases WHERE case_id = ANY($1) AND status = 'closed'"
_FAULTS = (Problem, OSError, asyncio.IncompleteReadError)


class Spike(Lifecycles):
    """Lifecycles that each have a caller of their own, and what became of them."""

    def __init__(self, ground: Ground, offered: int) -> None:
        """There are places for as many lifecycles of steady callers."""
        super().__init__(ground, 2 * offered)
        self.tell = lambda _: None  # `_until` tells how far it is
        self.offered, self.steady = self._places[:offered], self._places[offered:]
        self.answers: list[tuple[float, float]] = []
        """(when, after how many seconds) of each answer that was not put off."""
        self.errors: Counter[str] = Counter()
        self.ending = False
        """Ends the steady callers."""

    async def offer(self, rate: float) -> None:
        """Begins all of them at that rate; returns when each is through or has met an error."""
        began = time.monotonic()
        running: list[asyncio.Task[bool]] = []
        for n, place in enumerate(self.offered):
            if (ahead := n / rate - (time.monotonic() - began)) > 0:
                await asyncio.sleep(ahead)
            running.append(asyncio.create_task(self._alone(place, n)))
        await asyncio.gather(*running)

    async def go_on(self, callers: int) -> None:
        """Steady callers, each one lifecycle after the other, until `ending`."""
        work = iter(enumerate(self.steady, start=len(self.offered)))

        async def one() -> None:
            for n, place in work:
                if self.ending:
                    return
                if not await self._alone(place, n):
                    await asyncio.sleep(_AFTER_ERROR_SECONDS)

        await asyncio.gather(*(one() for _ in range(callers)))

    async def finish(self, cases: Collection[str]) -> None:
        """Works off the cases of lifecycles that met an error."""
        work = iter(cases)

        async def one() -> None:
            async with Client(self._ground.city.urls["dispatch"]) as dispatch:
                for case in work:
                    try:
                        await asyncio.wait_for(self._work(dispatch, case), _FINISH_SECONDS)
                    except (*_FAULTS, TimeoutError):
                        continue  # it is resolved already, or counts as lost

        await asyncio.gather(*(one() for _ in range(_FINISHERS)))

    async def _alone(self, place: Place, n: int) -> bool:
        """Whether the lifecycle was through."""
        urls = self._ground.city.urls
        intake, dispatch = (Client(urls[name], self.answers) for name in ("intake", "dispatch"))
        async with intake, dispatch:
            try:
                await self._whole(intake, dispatch, place, n)
                through = True
            except _FAULTS as fault:
                self.errors[kind(fault)] += 1
                through = False
            self.retried += intake.retried + dispatch.retried
            return through


def kind(fault: Exception) -> str:
    """What kind of error it is: a status, or how a connection failed."""
    if not isinstance(fault, Problem):
        return type(fault).__name__
    return str(fault).partition(" was answered with ")[2].partition(":")[0] or "put off to the end"


def recovered(
    done: Sequence[float], answers: Sequence[tuple[float, float]], since: float, before: Mapping[str, float]
) -> float | None:
    """Seconds from `since` until as many are done a second as before, and answered as soon; None while they are not.

    `done`: when each was, requests or lifecycles. `before`: the rate of them, and the 95th percentile of an answer in
    seconds. What counts is the first window with both; it must be over.
    """
    ended, answers = sorted(done), sorted(answers)
    bound = max(_SOON_SECONDS, before["p95_seconds"] * _SLOWER)
    begins = since
    while answers and begins + _WINDOW_SECONDS <= answers[-1][0]:
        ends = begins + _WINDOW_SECONDS
        through = bisect_left(ended, ends) - bisect_left(ended, begins)
        took = [seconds for _, seconds in answers[bisect_left(answers, (begins,)) : bisect_left(answers, (ends,))]]
        if through >= before["rate"] * _NEARLY * _WINDOW_SECONDS and len(took) > 1 and spread(took)["p95"] <= bound:
            return begins - since
        begins += 1.0
    return None


async def spike(ground: Ground, steady: Mapping[str, Any], seconds: float = SECONDS) -> dict[str, Any]:
    """The figures of a spike over what `steady`, the lifecycles just before, has shown. Raises `Problem`."""
    await settled(ground)
    before = {"rate": steady["lifecycles_per_second"], "p95_seconds": steady["answer_ms"]["p95"] / 1000}
    asked = {**before, "rate": before["rate"] * _REQUESTS}
    rate = before["rate"] * FACTOR
    load = Spike(ground, round(rate * seconds))
    async with listening(ground.broker, load.notices):
        offering = asyncio.create_task(load.offer(rate))
        began = time.monotonic()
        patience = began + seconds + _PATIENCE * len(load.offered) / before["rate"]
        await _until(ground, load, began + seconds)
        over = time.monotonic()
        during = spread([took * 1000 for _, took in load.answers])
        through = len(load.ended)
        steadily = asyncio.create_task(load.go_on(steady["callers"]))
        back: float | None = None
        ending: float | None = None
        while time.monotonic() < patience and not (back is not None and ending is not None and offering.done()):
            await _until(ground, load, time.monotonic() + _WINDOW_SECONDS)
            if back is None:
                back = recovered([at for at, _ in load.answers], load.answers, over, asked)
            if ending is None:
                ending = recovered(load.ended, load.answers, over, before)
        drained = time.monotonic() - over if offering.done() else None
        load.ending = True
        await asyncio.wait([offering, steadily], timeout=ground.timeout)
        for task in (offering, steadily):
            task.cancel()
        await asyncio.gather(offering, steadily, return_exceptions=True)
        lost = await _lost(ground, load)
    return {
        "offered": len(load.offered),
        "offered_per_second": rate,
        "seconds": seconds,
        "before": before["rate"],
        "during": through / seconds,
        "answer_ms": during,
        "errors": dict(load.errors),
        "put_off": load.retried,
        "acknowledged": len(load.filed),
        "lost": lost,
        "recovered_seconds": back,
        "ending_seconds": ending,
        "drained_seconds": drained,
    }


async def _until(ground: Ground, load: Spike, then: float) -> None:
    while (left := then - time.monotonic()) > _CLOCK_SECONDS:
        ground.tell(
            f"spike: filed {len(load.filed)}  through {len(load.ended)}  errors {load.errors.total()} /"
            f" {len(load.offered)}"
        )
        await asyncio.sleep(min(_WINDOW_SECONDS, left))


async def _lost(ground: Ground, load: Spike) -> int:
    """How many of the reports that were answered with 201 audit never shows as closed."""
    async with connected(ground.database) as connection:
        left = set(load.filed)
        try:
            async with asyncio.timeout(ground.timeout):
                while left:
                    left -= {row["case_id"] for row in await connection.fetch(_CLOSED, list(left))}
                    ground.tell(f"spike: {len(left)} of {len(load.filed)} reports are not closed yet")
                    if left:  # by a lifecycle that met an error, or was not through when patience ended
                        await load.finish(left)
                    await asyncio.sleep(1)
        except TimeoutError:
            pass
        return len(left)
