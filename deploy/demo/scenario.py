"""9 May, Shuangqiao Road: who does what, when, through public APIs and topics only."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from chassis.ids import uuid7
from contracts.dispatch import Resolved
from contracts.envelope import CONTENT_TYPE, Event
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place, Point
from contracts.intake import NewReport
from contracts.progress import Progressed
from contracts.triage import Assignment, Dispatched, Merged
from contracts.wire import build
from deploy.demo.clock import Stage
from deploy.demo.trace import Trace
from deploy.simulation.city import City, Person, Refusal

PLACE = "place:shuangqiao-road-metro-site"
CATEGORY = "event.emergency.water-main"
RESIDENTS = (
    "Water main burst, water all over the road",
    "地铁工地旁主管爆裂，满街是水",
    "Burst main at the metro site, a fountain on the road",
    "地铁施工挖断水管，路面喷水",
    "The water main has burst by the building site",
    "双桥路水管爆裂",
)
BY_CITIZENS, BY_ACCEPTOR, BY_HOTLINE = 9, 3, 5


@dataclass
class Play:
    """What the play leaves behind: the case, the reports that merged into it, and what was refused on the way."""

    case: str = ""
    merged: list[str] = field(default_factory=list)
    citizens: dict[str, Person] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


class Scenario:
    """One performance. `district` is the folder of the reference files."""

    def __init__(self, city: City, stage: Stage, trace: Trace, district: Path) -> None:
        self._city = city
        self._stage = stage
        self._trace = trace
        places = json.loads((district / "places.json").read_bytes())["places"]
        site = next(place for place in places if place["id"] == PLACE)
        self._lon, self._lat = site["point"]
        self._area: str = site["area"]
        members = json.loads((district / "members.json").read_bytes())["members"]
        self._members = [member for member in members if member["grid"].startswith(self._area.rpartition("/")[0])]
        self._dispatcher = city.person("dispatcher:chen", "dispatcher")
        self.play = Play()

    async def perform(self) -> Play:
        """Plays it all. Raises `Refusal` or `TimeoutError` where the system does not do its part."""
        await self._tidy()
        await self._report()
        plan = await self._plan()
        await asyncio.gather(self._acknowledge(plan), self._neighbours())
        await self._supervise(plan)
        await self._work(plan)
        await self._check()
        return self.play

    async def _tidy(self) -> None:
        """Closes what a play that was broken off has left open here, or the new report would be a duplicate of it."""
        leader = self._city.person("shift-leader:ma", "shift_leader", "acceptor")
        left: list[str] = []
        for status in ("dispatched", "verifying", "awaiting_ruling"):
            left += [c["case_id"] for c in await self._cases(leader, status)]
        for case in left:
            found = await leader.city.call("GET", "triage", f"/cases/{case}", headers=leader.headers)
            if found.json()["status"] == "dispatched":
                await leader.post("feedback", f"/cases/{case}/forced-closing", {"reason": "the play was broken off"})
            else:
                no = {"reject": True, "why": "incomplete", "reason": "the play was broken off"}
                await leader.post("triage", f"/cases/{case}/ruling", no, if_match=found.headers["etag"])
        for _ in range(200):
            if not left or not await self._cases(leader, "dispatched"):
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("triage did not hear that what was left open is closed")

    async def _cases(self, person: Person, status: str) -> list[dict[str, Any]]:
        street = "/".join(self._area.split("/")[:2])
        page = await person.get("triage", "/cases", status=status, area=street, limit=200)
        return [case for case in page["items"] if case["category"] in (None, CATEGORY)]

    async def _report(self) -> None:
        member = next(member for member in self._members if member["grid"] == self._area and member["order"] == 0)
        self._reporter = self._city.person(member["id"], "grid_member", "reporter", unit=member["unit"])
        answer = await self._reporter.post(
            "intake",
            "/reports",
            {
                "title": "Metro site has broken the water main on Shuangqiao Road",
                "text": "地铁施工挖断供水主管，主管爆裂，路面喷水，约四千户停水。",
                "place": self._place(0),
                "attachments": [{"uri": "https://photos.example/burst-1.jpg", "media_type": "image/jpeg"}],
            },
        )
        self.play.case = answer["case_id"]
        await self._trace.follow(self.play.case, "the burst")

    async def _plan(self) -> dict[str, Assignment]:
        events = await self._trace.until(self.play.case, _any(Dispatched), "the plan")
        plan = next(event.data for event in events if isinstance(event.data, Dispatched)).plan
        return {"street" if part.unit.startswith("street:") else part.unit: part for part in plan}

    async def _acknowledge(self, plan: dict[str, Assignment]) -> None:
        self._street = self._city.person("street:zhao", "handling_unit", unit=plan["street"].unit)
        self._water = self._city.person("water:liu", "handling_unit", unit="dept:water")
        self._fire = self._city.partner("fire")
        for person, unit in ((self._street, "street"), (self._water, "dept:water"), (self._fire, "dept:fire")):
            await self._patiently(person, f"/assignments/{plan[unit].id}/acknowledge")
        await self._water.post("dispatch", f"/assignments/{plan['dept:water'].id}/en-route", {})

    async def _patiently(self, person: Person, path: str) -> None:
        """Dispatch may hear of an assignment a moment later than whoever reads the topic: until then it is unknown."""
        for _ in range(100):
            try:
                await person.post("dispatch", path, {})
                return
            except Refusal as refusal:
                if refusal.status != 404:
                    raise
                await asyncio.sleep(0.1)
        raise TimeoutError(f"dispatch never heard of {path}")

    async def _neighbours(self) -> None:
        """Seventeen residents report the same, by other channels."""
        acceptor = self._city.person("acceptor:sun", "acceptor")
        for n in range(BY_CITIZENS):
            citizen = self._city.person(f"citizen:{self.play.case[-12:]}-{n}", "reporter")
            await self._tell(citizen, n)
            self.play.citizens[self.play.merged[-1]] = citizen
        for n in range(BY_CITIZENS, BY_CITIZENS + BY_ACCEPTOR):
            await self._tell(acceptor, n, reporter={"name": f"Resident {n}", "phone": f"+86 28 5555 01{n:02d}"})
        await self._hotline()
        for n, case in enumerate(self.play.merged):
            await self._trace.until(case, _any(Merged), f"the merging of report {n + 1}")

    async def _tell(self, person: Person, n: int, **more: Any) -> None:
        body = {"title": RESIDENTS[n % len(RESIDENTS)], "place": self._place(n + 1), **more}
        case = (await person.post("intake", "/reports", body))["case_id"]
        self.play.merged.append(case)
        await self._trace.follow(case, f"resident {n + 1}")

    async def _hotline(self) -> None:
        """The hotline's own system publishes its reports itself."""
        async with _Publisher(self._city.servers, "hotline", self._stage) as hotline:
            for n in range(BY_CITIZENS + BY_ACCEPTOR, BY_CITIZENS + BY_ACCEPTOR + BY_HOTLINE):
                case = uuid7(self._stage.now())
                spot = self._place(n + 1)
                place = Place(point=Point(**spot["point"]), address=spot["address"])
                report = NewReport(channel="hotline", title=RESIDENTS[n % len(RESIDENTS)], place=place)
                self.play.merged.append(case)
                await self._trace.follow(case, f"resident {n + 1}")
                await hotline.publish(case, report, 1)

    async def _supervise(self, plan: dict[str, Assignment]) -> None:
        order = {"level": 2, "reason": "4,000 households without water: ordered by the district's leader"}
        for part in plan.values():
            await self._dispatcher.post("dispatch", f"/assignments/{part.id}/supervise", order)

    async def _work(self, plan: dict[str, Assignment]) -> None:
        water, street = f"/assignments/{plan['dept:water'].id}", f"/assignments/{plan['street'].id}"
        await self._stage.until(1, "08:45", seconds=3)
        for person, path in ((self._water, water), (self._street, street)):
            await person.post("dispatch", f"{path}/on-scene", {})
        refusal = "We shut the valves and mend the pipe; the excavation is the metro contractor's, not ours."
        await self._water.post("dispatch", f"{water}/note", {"note": refusal})
        await self._stage.until(1, "09:40", seconds=2)
        ruling = "The contractor digs under your supervision from noon; the water company keeps the lead."
        await self._dispatcher.post("dispatch", f"{water}/note", {"note": ruling})
        await self._stage.until(1, "15:10", seconds=5)
        await self._fire_brigade(plan["dept:fire"])
        await self._stage.until(1, "16:30", seconds=3)
        reason = "The DN600 section has to come from Deyang."
        await self._water.post("dispatch", f"{water}/request-extension", {"reason": reason})
        await self._stage.until(1, "16:50", seconds=1)
        await self._dispatcher.post("dispatch", f"{water}/decide-extension", {"granted": True, "reason": reason})
        await self._stage.until(1, "19:20", seconds=4)
        explained = {"note": "Grid members went through all courtyards; 31 households in need are supplied by hand."}
        await self._street.post("dispatch", f"{street}/resolve", explained)
        await self._stage.until(2, "07:35", seconds=8)
        photo = {"uri": "https://photos.example/main-mended.jpg", "media_type": "image/jpeg"}
        mended = {"note": "Main mended, pressure back at 0.3 MPa, road passable.", "evidence": [photo]}
        await self._water.post("dispatch", f"{water}/resolve", mended)
        await self._trace.until(self.play.case, _step("checking"), "the check")

    async def _fire_brigade(self, part: Assignment) -> None:
        """The fire brigade's own dispatch system publishes the end of its work itself."""
        events = self._trace.events[self.play.case]
        assigned = next(event for event in events if isinstance(event.data, Dispatched))
        end = Resolved(
            assignment_id=part.id,
            unit=part.unit,
            outcome="fixed",
            note="Twelve tank lorries, 72 m3, five distribution points.",
            handled_by=("fire:crew-3",),
        )
        async with _Publisher(self._city.servers, "fire", self._stage) as system:
            await system.publish(self.play.case, end, 1, cause=assigned.id)
        await self._trace.until(self.play.case, _resolved(part.id), "the fire brigade's Resolved")

    async def _check(self) -> None:
        path = f"/cases/{self.play.case}/check"
        try:
            handler = self._city.person("street:zhao", "grid_member", unit=self._street.unit)
            await handler.post("feedback", path, {"passed": True, "note": "we did it, it is fine"})
        except Refusal as refusal:
            if refusal.status != 409:
                raise
            self.play.refused.append(f"a handler's own check: {refusal.problem.get('rule')}, {refusal}")
        else:
            raise AssertionError("a handler was allowed to check its own work")
        await self._stage.until(2, "08:30", seconds=2)
        neighbour = next(m for m in self._members if m["grid"] != self._area and m["full_time"])
        checker = self._city.person(neighbour["id"], "grid_member", unit=neighbour["unit"])
        photos = [{"uri": f"https://photos.example/tap-{n}.jpg", "media_type": "image/jpeg"} for n in range(3)]
        seen = {"passed": True, "note": "Water at every tap I tried, the road is clean.", "evidence": photos}
        await checker.post("feedback", path, seen)
        await self._trace.until(self.play.case, _closed, "the verdict")
        thanks = {"rating": 5, "comment": "Somebody came and explained, and the water was back the next day."}
        await self._reporter.post("feedback", f"/cases/{self.play.case}/rating", thanks)
        await self._trace.until(self.play.case, _step("rated"), "the rating")
        for n, case in enumerate(self.play.merged):
            await self._trace.until(case, _closed, f"the end of report {n + 1}")

    def _place(self, n: int) -> dict[str, Any]:
        """Somewhere along the road, within a hundred and fifty metres of the site."""
        shift = (n % 6 - 3) * 0.00012, (n // 6 - 1) * 0.00012
        return {
            "point": {"lat": self._lat + shift[0], "lon": self._lon + shift[1]},
            "address": f"双桥路 {100 + n} 号",
        }


class _Publisher:
    """A partner's own system on the topics."""

    def __init__(self, servers: str, partner: str, stage: Stage) -> None:
        self._partner = partner
        self._stage = stage
        self._producer = AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True, acks="all")

    async def __aenter__(self) -> "_Publisher":
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def publish(self, case: str, fact: Fact, sequence: int, cause: str | None = None) -> None:
        """Acknowledged by the broker when it returns."""
        now: datetime = self._stage.now()
        _, raw = build(
            event_id=uuid7(now),
            source=f"/partners/{self._partner}",
            subject=case,
            time=now,
            recorded=now,
            sequence=sequence,
            data=fact,
            cause=cause,
            actor=f"partner:{self._partner}",
        )
        topic: str = fact.topic  # pyright: ignore[reportAttributeAccessIssue]  every published fact names its topic
        headers = [("content-type", CONTENT_TYPE)]
        await self._producer.send_and_wait(topic, value=raw, key=case.encode(), headers=headers)


def _any(kind: type[Any]) -> Any:
    return lambda events: any(isinstance(event.data, kind) for event in events)


def _step(step: str) -> Any:
    return lambda events: any(isinstance(e.data, Progressed) and e.data.step == step for e in events)


def _resolved(assignment: str) -> Any:
    return lambda events: any(isinstance(e.data, Resolved) and e.data.assignment_id == assignment for e in events)


def _closed(events: list[Event[Any]]) -> bool:
    return any(isinstance(event.data, Evaluated) and event.data.verdict == "closed" for event in events)
