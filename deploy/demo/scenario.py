"""9 May, Shuangqiao Road: who does what, when, through public APIs and topics only."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.ids import uuid7
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Attachment, Point
from contracts.intake import Rating
from contracts.request import Acknowledge, FileReport, ReportedPlace, RequestExtension, Resolve, SetOut
from contracts.request import Arrive as OnScene
from contracts.request import Note as Remark
from contracts.triage import Assignment, Dispatched, Merged
from deploy.demo.clock import Stage
from deploy.demo.trace import Trace
from deploy.partners import Wanted
from deploy.simulation.city import City, Person, Refusal
from deploy.simulation.partner import PartnerSystem

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
PARTNERS = (
    Wanted("hotline", says=("reports",), name="12345 hotline"),
    Wanted("fire", says=("steps",), units=("dept:fire",), name="Fire brigade"),
    Wanted("water", says=("steps",), units=("dept:water",), name="Water company"),
)
"""Whose own systems play along, over their own topics."""


@dataclass
class Play:
    """What the play leaves behind: the case, the reports that merged into it, and what was refused on the way."""

    case: str = ""
    merged: list[str] = field(default_factory=list)
    citizens: dict[str, Person] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cast:
    """Who else plays: the systems of the three partners, each over its own topics."""

    hotline: PartnerSystem
    fire: PartnerSystem
    water: PartnerSystem


class Scenario:
    """One performance. `district` is the folder of the reference files."""

    def __init__(self, city: City, stage: Stage, trace: Trace, cast: Cast, district: Path) -> None:
        self._city = city
        self._stage = stage
        self._trace = trace
        self._cast = cast
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
        left = [
            c["case_id"]
            for status in ("dispatched", "verifying", "reported")
            for c in await self._cases(leader, status)
        ]
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
        await self._patiently(self._street, "dispatch", f"/assignments/{plan['street'].id}/acknowledge")
        for system, unit in ((self._cast.water, "dept:water"), (self._cast.fire, "dept:fire")):
            await self._says(system, plan[unit], Acknowledge)
        await self._says(self._cast.water, plan["dept:water"], SetOut)

    async def _says(self, system: PartnerSystem, part: Assignment, kind: type[Any], **more: Any) -> None:
        """A partner's system says a step of its unit, as the answer to the notice that gave it the assignment."""
        told = await system.told(self.play.case, "assigned")
        await system.insist(self.play.case, kind(assignment_id=part.id, **more), cause=told.id)

    async def _patiently(self, person: Person, service: str, path: str, **body: Any) -> None:
        """A service may hear of a fact a moment later than whoever reads the topic: until then it does not know of the
        assignment, or takes the case for open.
        """
        for _ in range(100):
            try:
                await person.post(service, path, body)
                return
            except Refusal as refusal:
                if refusal.status != 404 and refusal.problem.get("rule") != "report.open":
                    raise
                await asyncio.sleep(0.1)
        raise TimeoutError(f"{service} never heard of what {path} needs")

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
        """The hotline's own system sends its reports in."""
        for n in range(BY_CITIZENS + BY_ACCEPTOR, BY_CITIZENS + BY_ACCEPTOR + BY_HOTLINE):
            case = uuid7(self._stage.now())
            spot = self._place(n + 1)
            where = ReportedPlace(point=Point(**spot["point"]), address=spot["address"])
            self.play.merged.append(case)
            await self._trace.follow(case, f"resident {n + 1}")
            report = FileReport(channel="hotline", title=RESIDENTS[n % len(RESIDENTS)], place=where)
            await self._cast.hotline.insist(case, report, actor="agent-12")

    async def _supervise(self, plan: dict[str, Assignment]) -> None:
        order = {"level": 2, "reason": "4,000 households without water: ordered by the district's leader"}
        for part in plan.values():
            await self._dispatcher.post("dispatch", f"/assignments/{part.id}/supervise", order)

    async def _work(self, plan: dict[str, Assignment]) -> None:
        part, water, street = plan["dept:water"], self._cast.water, f"/assignments/{plan['street'].id}"
        await self._stage.until(1, "08:45", seconds=3)
        await self._says(water, part, OnScene)
        await self._street.post("dispatch", f"{street}/on-scene", {})
        refusal = "We shut the valves and mend the pipe; the excavation is the metro contractor's, not ours."
        await self._says(water, part, Remark, note=refusal)
        await self._stage.until(1, "09:40", seconds=2)
        ruling = "The contractor digs under your supervision from noon; the water company keeps the lead."
        await self._dispatcher.post("dispatch", f"/assignments/{part.id}/note", {"note": ruling})
        await self._stage.until(1, "15:10", seconds=5)
        lorries = "Twelve tank lorries, 72 m3, five distribution points."
        await self._says(self._cast.fire, plan["dept:fire"], Resolve, note=lorries, handled_by=("crew-3",))
        await self._stage.until(1, "16:30", seconds=3)
        reason = "The DN600 section has to come from Deyang."
        await self._says(water, part, RequestExtension, reason=reason)
        await self._stage.until(1, "16:50", seconds=1)
        granted = {"granted": True, "reason": reason}
        await self._dispatcher.post("dispatch", f"/assignments/{part.id}/decide-extension", granted)
        await water.told(self.play.case, "extended")
        await self._stage.until(1, "19:20", seconds=4)
        explained = {"note": "Grid members went through all courtyards; 31 households in need are supplied by hand."}
        await self._street.post("dispatch", f"{street}/resolve", explained)
        await self._stage.until(2, "07:35", seconds=8)
        photo = Attachment(uri="https://photos.example/main-mended.jpg", media_type="image/jpeg")
        mended = "Main mended, pressure back at 0.3 MPa, road passable."
        await self._says(water, part, Resolve, note=mended, evidence=(photo,), handled_by=("liu",))
        await self._trace.until(self.play.case, _step("checking"), "the check")

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
        thanks = "Somebody came and explained, and the water was back the next day."
        path = f"/reports/{self.play.case}/rating"
        await self._patiently(self._reporter, "intake", path, rating=5, comment=thanks)
        await self._trace.until(self.play.case, _any(Rating), "the rating")
        for n, case in enumerate(self.play.merged):
            await self._trace.until(case, _closed, f"the end of report {n + 1}")
        for case in self.play.merged[-BY_HOTLINE:]:
            outcome = await self._cast.hotline.told(case, "closed")
            if outcome.data.outcome != "fixed":
                raise AssertionError(f"the hotline hears that its report {case} ended as {outcome.data.outcome}")

    def _place(self, n: int) -> dict[str, Any]:
        """Somewhere along the road, within a hundred and fifty metres of the site."""
        shift = (n % 6 - 3) * 0.00012, (n // 6 - 1) * 0.00012
        return {
            "point": {"lat": self._lat + shift[0], "lon": self._lon + shift[1]},
            "address": f"双桥路 {100 + n} 号",
        }


def _any(kind: type[Any]) -> Any:
    return lambda events: any(isinstance(event.data, kind) for event in events)


def _step(step: str) -> Any:
    return lambda events: any(getattr(event.data, "step", None) == step for event in events)


def _closed(events: list[Event[Any]]) -> bool:
    return any(isinstance(event.data, Evaluated) and event.data.verdict == "closed" for event in events)
