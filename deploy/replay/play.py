"""Plays the reports: files them, and answers what the topics say with what the people in question would do.

A report occupies a slot from its filing until its case is closed, so that what is in flight is bounded and reports come
in roughly the order of their own times. All that follows is driven by events; only the shift leader looks into the
queue, for a ruling must name the version it was made on.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from contracts.fields import instant
from deploy.replay.case import Case
from deploy.replay.client import SwiftPerson
from deploy.replay.district import District
from deploy.replay.feed import Feed
from deploy.replay.people import People
from deploy.replay.rows import Reject, Report
from deploy.replay.times import Times
from deploy.replay.words import Groups
from deploy.simulation.city import Refusal

QUEUES = ("unlocated", "unclassified")
"""What the simulated shift leader rules on."""
_PAGE = 200
_BEHIND = 0.1
"""Seconds by which dispatch may lag behind who reads the same topic: before the first step, and between two tries."""
_TRIES = 300
_DONE = frozenset({"verification.state", "ruling.state", "assignment.ended", "case.closed"})
"""The rules that refuse a step which has been taken: the answer to it was lost, or somebody else took it."""
_STRANGERS = 5_000
"""The most cases of unknown origin whose events are kept for the answer to a filing that is on its way."""

Told = Callable[["Play"], None]


class Stuck(Exception):
    """The replay cannot go on; the message says why."""


@dataclass
class Play:
    """One replay. `run` names it in every report's external reference."""

    run: str
    people: People
    district: District
    workers: int
    in_flight: int
    patience_seconds: float
    told: Told
    cases: dict[str, Case] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    closed: int = 0
    seconds: float = 0.0
    """From the first filing to the last closing."""

    def __post_init__(self) -> None:
        self._groups = Groups(self.district.catalogue)
        self._gate = asyncio.Semaphore(self.workers)
        self._slots = asyncio.Semaphore(self.in_flight)
        self._strangers: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._waiting: dict[str, str] = {}
        self._stirred = asyncio.Event()
        self._open = 0
        self._filing = 0
        self._all_filed = False
        self._over = asyncio.Event()
        self._news_at = time.monotonic()

    async def run_all(self, reports: Iterable[Report], feed: Feed) -> None:
        """Files every report and returns when all cases are closed, or have failed. Raises groups of `Stuck`."""
        began = self._news_at = time.monotonic()
        async with asyncio.TaskGroup() as self._tasks:
            going = [self._start(part) for part in (self._listen(feed), self._rule(), self._watch())]
            await self._file_all(reports)
            await self._over.wait()
            self.seconds = time.monotonic() - began
            for task in going:
                task.cancel()

    def _start(self, part: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._tasks.create_task(part)

    async def _file_all(self, reports: Iterable[Report]) -> None:
        for report in reports:
            await self._slots.acquire()
            self._open += 1
            self._filing += 1
            self._start(self._file(report))
        self._all_filed = True
        self._settle(0)

    async def _file(self, report: Report) -> None:
        body: dict[str, Any] = {
            "title": report.title,
            "text": report.text,
            "place": dict(report.place),
            "external_ref": f"{self.run}:{report.external_id}",
            "at": instant(report.reported_at),
            "channel": report.channel,
        }
        if report.category is not None:
            body["category"] = report.category
        try:
            async with self._gate:
                answer = await self.people.filer(report).post("intake", "/reports", body)
        except Refusal as fault:
            self.rejects.append(_reject(report, fault))
            self._settle()
            return
        finally:
            self._filing -= 1
        self._news_at = time.monotonic()
        case_id: str = answer["case_id"]
        self.cases[case_id] = Case(case_id, report, answer["retrospective"], report.category, answer["area"])
        self.told(self)
        for topic, event in self._strangers.pop(case_id, ()):
            self._hear(topic, event)

    def _settle(self, cases: int = 1) -> None:
        for _ in range(cases):
            self._open -= 1
            self._slots.release()
        self.told(self)
        if self._all_filed and self._open == 0:
            self._over.set()

    async def _listen(self, feed: Feed) -> None:
        async for topic, event in feed.events():
            case_id = event.get("subject", "")
            if case_id in self.cases:
                self._hear(topic, event)
            elif self._filing > 0:
                self._strangers.setdefault(case_id, []).append((topic, event))
                if len(self._strangers) > _STRANGERS:
                    del self._strangers[next(iter(self._strangers))]

    def _hear(self, topic: str, event: dict[str, Any]) -> None:
        case, data = self.cases[event["subject"]], event["data"]
        if event["id"] in case.heard or case.failure is not None:
            return
        case.heard.add(event["id"])
        self._news_at = time.monotonic()
        match topic:
            case "Assigned":
                self._waiting.pop(case.case_id, None)
                fresh = case.ruled(data)
                if fresh:
                    self._do(case, self._work(case, fresh))
            case "Evaluated":
                case.judged(data)
                if case.closed:
                    self.closed += 1
                    self._settle()
            case _:
                self._step(case, data)

    def _step(self, case: Case, data: dict[str, Any]) -> None:
        match data["step"]:
            case "verifying":
                self._do(case, self._verify(case, data))
            case "awaiting_ruling" if data["queue"] in QUEUES:
                self._waiting[case.case_id] = data["queue"]
                self._stirred.set()
            case "awaiting_ruling":
                self._fail(case, f"it waits in triage's queue {data['queue']}, which nobody in the replay looks at")
            case "checking":
                self._do(case, self._check(case))
            case _:
                pass

    def _do(self, case: Case, action: Coroutine[Any, Any, None]) -> None:
        async def attempt() -> None:
            try:
                await action
            except Refusal as fault:
                if fault.problem.get("rule") not in _DONE:
                    self._fail(case, f"{fault}")

        self._start(attempt())

    def _fail(self, case: Case, why: str) -> None:
        if case.failure is None and not case.closed:
            case.failure = why
            self._waiting.pop(case.case_id, None)
            self._settle()

    async def _verify(self, case: Case, data: dict[str, Any]) -> None:
        body = {"confirmed": True, "note": "as reported", **self._at(case, self._times(case).looked_at())}
        person = self.people.verifier(data.get("unit"), data["area"])
        await self._ask(person, "triage", f"/cases/{case.case_id}/verification", body)

    async def _rule(self) -> None:
        """Looks into the queue while any of this run's cases wait there."""
        leader = self.people.leader()
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while self._waiting:
                for queue in sorted(set(self._waiting.values())):
                    await self._take_up(leader, queue)
                await asyncio.sleep(_BEHIND)

    async def _take_up(self, leader: SwiftPerson, queue: str) -> None:
        cursor = None
        while True:
            async with self._gate:
                page = await leader.get("triage", "/queue", queue=queue, limit=_PAGE, cursor=cursor)
            for item in page["items"]:
                if self._waiting.pop(item["case_id"], None) is not None:
                    case = self.cases[item["case_id"]]
                    self._do(case, self._ruling(leader, case, item))
            cursor = page["next"]
            if cursor is None or queue not in self._waiting.values():
                return

    async def _ruling(self, leader: SwiftPerson, case: Case, item: dict[str, Any]) -> None:
        report = case.report
        body: dict[str, Any] = {"reason": "replayed", **self._at(case, self._times(case).looked_at())}
        if item["area"] is None:
            body["area"] = self.district.grid_for(report.place.get("address") or report.external_id)
        if item["category"] is None:
            body["category"] = self._groups.other_of(report.title, report.text)
        try:
            await self._ask(leader, "triage", f"/cases/{case.case_id}/ruling", body, if_match=item["etag"])
        except Refusal as fault:
            if fault.status != 412:
                raise
            self._waiting[case.case_id] = item["queue"]
            self._stirred.set()

    async def _work(self, case: Case, assignments: list[dict[str, Any]]) -> None:
        """Each unit takes its assignment on and does it; the lead last."""
        times = self._times(case)
        await asyncio.sleep(_BEHIND)
        for assignment in sorted(assignments, key=lambda one: one["lead"]):
            resolved_at = times.resolved_at(datetime.fromisoformat(assignment["resolve_by"]))
            acknowledged_at = times.acknowledged_at(datetime.fromisoformat(assignment["acknowledge_by"]), resolved_at)
            case.resolved_at = max(resolved_at, case.resolved_at or resolved_at)
            worker, path = self.people.worker(assignment), f"/assignments/{assignment['id']}"
            await self._when_known(worker, f"{path}/acknowledge", self._at(case, acknowledged_at))
            words = {"note": case.report.closing_words} if assignment["lead"] and case.report.closing_words else {}
            await self._when_known(worker, f"{path}/resolve", {**words, **self._at(case, resolved_at)})

    async def _when_known(self, worker: SwiftPerson, path: str, body: dict[str, Any]) -> None:
        """Asks dispatch until it has heard of the assignment."""
        for _ in range(_TRIES):
            try:
                await self._ask(worker, "dispatch", path, body)
                return
            except Refusal as fault:
                if fault.problem.get("rule") in _DONE:
                    return
                if fault.status != 404:
                    raise
            await asyncio.sleep(_BEHIND)
        raise Refusal(404, f"dispatch never heard of {path}", {})

    async def _check(self, case: Case) -> None:
        checked_at = self._times(case).checked_at(case.resolved_at or case.report.reported_at)
        body = {"passed": True, "note": "the work is done", **self._at(case, checked_at)}
        await self._ask(self.people.checker(case), "feedback", f"/cases/{case.case_id}/check", body)

    async def _ask(
        self, person: SwiftPerson, service: str, path: str, body: dict[str, Any], *, if_match: str | None = None
    ) -> None:
        async with self._gate:
            await person.ask(service, path, body, if_match=if_match)
        self._news_at = time.monotonic()

    def _times(self, case: Case) -> Times:
        return Times(case.report, datetime.now(UTC))

    @staticmethod
    def _at(case: Case, at: datetime) -> dict[str, str]:
        """When it happened. A case that is not retrospective lives now, whatever the row says."""
        return {"at": instant(at)} if case.retrospective else {}

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            quiet = time.monotonic() - self._news_at
            if quiet > self.patience_seconds:
                raise Stuck(f"nothing has happened for {quiet:.0f} s, {self._open} cases are open")


def _reject(report: Report, fault: Refusal) -> Reject:
    """Intake's refusal of a row. Raises `Stuck` where it is not the row's fault."""
    errors = fault.problem.get("errors")
    if fault.status != 422 or not errors:
        raise Stuck(f"row {report.row} could not be filed, {fault}")
    rule = "; ".join(error["rule"] for error in errors)
    return Reject(report.row, report.external_id, errors[0]["field"], rule, report.line)
