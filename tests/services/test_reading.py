"""Who may read and act on what: every role on every route of the running services, against a rule of a few lines."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from chassis.engine.commands import WORDS_A_DAY
from chassis.service import Service
from chassis.settings import Settings
from chassis.store.conditions import Conditions
from chassis.store.database import Connection
from chassis.store.locks import lock_alone
from chassis.store.migrations import migrate
from chassis.web.roles import ANYONE, SIGNED_IN, Access, Bound, Route
from chassis.worker import Recorder
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place, instant
from contracts.intake import Rating
from contracts.progress import Accessed, Forged
from contracts.reading import Knows, Matter, Scope, Sight, scope_of
from contracts.roles import STAFF as STAFF_ROLES
from contracts.roles import Role, Sees
from contracts.triage import Dispatched, Rejected, Withdrawn
from services.audit.service import build as audit
from services.dispatch.board import LiveBoard, Shown
from services.dispatch.bodies import UnitFilters
from services.dispatch.service import build as dispatch
from services.feedback.service import build as feedback
from services.intake.callers import CHANNELS
from services.intake.service import build as intake
from services.triage.service import build as triage
from tests.docs.pages import page
from tests.services import reading
from tests.services.dispatch.desk import listening, partner, register
from tests.services.every import serving
from tests.support import rulings
from tests.support.facts import case_id, fact_record, report
from tests.support.fleet import SERVICES
from tests.support.infrastructure import PASSWORD, Database, execute
from tests.support.services import Hands, Running, eventually, running, token

OWN, OTHER = "dept:water", "dept:fire"
COMMUNITY = "CH/shuangqiaozi/shuanglin"
INSIDE, OUTSIDE = f"{COMMUNITY}/g001", "CH/shuangqiaozi/shuangqiaolubei/g001"
OPEN_TO_ALL, SENSITIVE = "component.public-facilities.manhole", "dispute.family.violence"
AREAS = {"no areas": (), "its community": (COMMUNITY,), "the district": ("CH",)}
KEY = {"x-client-key": "water"}


@dataclass(frozen=True)
class Kind:
    """What matters of a case."""

    inside: bool
    own: bool
    sensitive: bool

    @property
    def area(self) -> str:
        return INSIDE if self.inside else OUTSIDE

    @property
    def category(self) -> str:
        return SENSITIVE if self.sensitive else OPEN_TO_ALL

    @property
    def unit(self) -> str:
        return OWN if self.own else OTHER


KINDS = [Kind(*each) for each in product((True, False), repeat=3)]


@dataclass(frozen=True)
class Asker:
    """A role with a token that names these areas; of the unit OWN."""

    role: Role
    areas: tuple[str, ...]

    @property
    def headers(self) -> dict[str, str]:
        if self.role is Role.PARTNER:
            return KEY
        return token(f"one {self.role}", self.role, unit=OWN, areas=self.areas)


ASKERS = [
    *(Asker(role, areas) for role in Role if role is not Role.PARTNER for areas in AREAS.values()),
    Asker(Role.PARTNER, ()),
]


def sees(asker: Asker, kind: Kind, service: str) -> bool:
    """The rule, said once more in other words than the code has."""
    within = {(): False, (COMMUNITY,): kind.inside, ("CH",): True}[asker.areas]
    match asker.role:
        case "auditor" | "administrator" | "evaluator" | "shift_leader":
            return within or not asker.areas
        case "acceptor" | "dispatcher":
            return within and not kind.sensitive
        case "grid_member":
            return (within and not kind.sensitive) or (kind.own and service in ("dispatch", "feedback"))
        case "handling_unit" | "partner":
            return kind.own and service in ("dispatch", "feedback")
        case _:
            return False


def refused(asker: Asker, kind: Kind) -> int:
    """The status for who may not."""
    return 404 if kind.sensitive or asker.role in ("reporter", "partner") else 403


def expected(asker: Asker, kind: Kind, service: str) -> int:
    return 200 if sees(asker, kind, service) else refused(asker, kind)


def allowed(asker: Asker, access: Access) -> bool:
    return access.roles in (ANYONE, SIGNED_IN) or asker.role in access.roles


NOW = Hands().at


def given_out(case: str, kind: Kind, **more: Any) -> Dispatched:
    return rulings.dispatched(
        rulings.assignment(f"{case}.{more.get('round', 1)}.1", kind.unit, NOW),
        area=kind.area,
        filed_at=NOW,
        category=kind.category,
        condition="a",
        place=Place(area=kind.area),
        **more,
    )


def ended(case: str, kind: Kind, outcome: str, number: str = "1.1") -> Resolved:
    return Resolved.model_validate(
        {
            "assignment_id": f"{case}.{number}",
            "unit": kind.unit,
            "outcome": outcome,
            "reason": None if outcome == "fixed" else "not ours",
            "handled_by": ("worker",),
            "resolve_by": NOW + timedelta(hours=4),
            "late_by_seconds": 0,
        }
    )


async def told(api: Running, kind: Kind) -> str:
    """A case of that kind, as this service gets to know it. In triage and dispatch it waits in the queue; in feedback
    for its check.
    """
    service = api.runtime.service.name
    if service == "intake":
        body = {"title": "it", "place": {"area": kind.area}, "category": kind.category}
        answer = await api.client.post("/reports", headers=token("filer", "acceptor"), json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["case_id"]
    case = case_id()
    said: list[tuple[Any, int]] = [(given_out(case, kind), 1)]
    if service == "triage":
        said = [(report(category=kind.category, place=Place(area=kind.area)), 1)]
        said += [(ended(case, kind, "returned", f"{n}.{m}"), n * 10 + m) for n in (1, 2) for m in (1, 2, 3)]
    elif service == "feedback":
        said.append((ended(case, kind, "fixed"), 1))
    elif service == "audit":
        said.insert(0, (report(category=kind.category, place=Place(area=kind.area)), 1))
    for fact, sequence in said:
        # A month lies between two of them, so that none is a duplicate of another.
        record = fact_record(case, fact, sequence=sequence, time=NOW - timedelta(days=30) * KINDS.index(kind))
        if service == "audit":
            await api.runtime.worker.process([record])
        else:
            await api.runtime.inbox.process([record])
    return case


@asynccontextmanager
async def served(
    service: Service, database: Database, folder: Path, clock: Hands | None = None, kinds: Sequence[Kind] = KINDS
) -> AsyncIterator[tuple[Running, dict[str, Kind]]]:
    """A service that knows a case of each of these kinds."""
    register(folder / "partners.json", partner("water", OWN))
    await migrate(database.admin_url, service.name, PASSWORD, service.migrations)
    url, file = database.url(service.name), folder / "partners.json"
    more = {"CASEGRID_PARTNERS": file, "CASEGRID_REQUESTS_PER_SECOND": 100_000}
    async with running(service, url, role="api", clock=clock, **more) as api:
        cases = {await told(api, kind): kind for kind in kinds}
        if service.name == "dispatch":
            await api.runtime.database.fetch("UPDATE assignments SET waiting = true")
        yield api, cases


def path_of(route: Route, case: str) -> str:
    values = {"case_id": case, "assignment_id": f"{case}.1.1", "parked_id": "1", "index": "0", "reporter_ref": "x"}
    return route[1].format_map(values)


SKIPPED: set[tuple[str, Route]] = {("dispatch", ("GET", "/board/stream"))}
"""A stream has no end here: `test_the_live_board_counts_what_its_client_may_see` has it."""
ELSEWHERE = {("POST", "/reporters/{reporter_ref}/disclosure")}
"""A route that names its case in the body; services/intake/test_disclosure.py has it."""
QUERIES = {"/indicators/cases": {"population": "ended", "key": "all", "by": "all"}, "/indicators": {"by": "all"}}


async def seen_in(api: Running, route: Route, asker: Asker) -> set[str] | int:
    """The cases of a list, or the number that a route counts."""
    answer = await api.client.get(route[1], headers=asker.headers, params={"limit": 200, **QUERIES.get(route[1], {})})
    if answer.status_code == 422:  # it has no pages
        answer = await api.client.get(route[1], headers=asker.headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    match route[1]:
        case "/board":
            return found["open"]
        case "/summary":
            return found["reported"]
        case "/indicators":
            return sum(group["indicators"]["dispatch_accuracy"]["of"] for group in found["items"])
        case _:
            return {item["case_id"] for item in found["items"]}


def listed(asker: Asker, cases: dict[str, Kind], service: str, path: str) -> set[str] | int:
    """What a list or a count must say."""
    if path == "/checks":  # nobody checks what their own unit handled
        cases = {case: Kind(kind.inside, own=False, sensitive=kind.sensitive) for case, kind in cases.items()}
    found = {case for case, kind in cases.items() if sees(asker, kind, service)}
    return len(found) if path in ("/board", "/summary", "/indicators") else found


async def test_every_role_reads_and_acts_where_the_declarations_say_and_nowhere_else(
    service: Service, empty_database: Database, tmp_path: Path
) -> None:
    wrong: list[str] = []
    async with served(service, empty_database, tmp_path) as (api, cases):
        name = service.name
        routes = {**reading.declared(service), **reading.shared(service)}
        some = next(iter(cases))
        for (route, access), asker in product(routes.items(), ASKERS):
            method, path = route
            if (name, route) in SKIPPED:
                continue
            headers = {**asker.headers, "if-match": '"999999"'}
            whose = f"{asker.role} with {asker.areas}: {method} {path}"
            if not allowed(asker, access):
                answer = await api.client.request(method, path_of(route, some), headers=headers)
                wrong += [f"{whose} is {answer.status_code}"] * (answer.status_code != 403)
                continue
            urging = asker.role is Role.REPORTER and path.endswith("/urge")  # the answer is the same whatever it is
            if access.bound in (Bound.NOTHING, Bound.OWN, Bound.ACCESS) or route in ELSEWHERE or urging:
                continue
            if access.bound is Bound.WHOLE:
                answer = await api.client.request(method, path_of(route, some), headers=headers, json={"reason": "x"})
                may = sees(asker, Kind(False, False, True), name) and not asker.areas
                wrong += [f"{whose} is {answer.status_code}"] * ((answer.status_code == 403) is may)
                continue
            if access.bound is Bound.LIST:
                found, due = await seen_in(api, route, asker), listed(asker, cases, name, path)
                wrong += [f"{whose} shows {found}, not {due}"] * (found != due)
                continue
            for case, kind in cases.items():
                # Nobody checks what they see as their unit's.
                asked = replace(kind, own=False) if path.endswith("/check") else kind
                due = expected(asker, asked, name)
                body = BODIES.get(path.rpartition("/")[2], {}) if method == "POST" else None
                answer = await api.client.request(method, path_of(route, case), headers=headers, json=body)
                got = answer.status_code
                if name == "intake" and asker.role in ("reporter", "partner"):
                    steps_only = asker.role == "partner" and method == "POST"  # it has no right to reports at all
                    right = got == (403 if steps_only else 404)
                elif method == "POST":  # that the version is wrong is said only to who may act
                    right = got in (409, 412) if due == 200 else got == due
                else:
                    right = got == due
                wrong += [f"{whose} of {kind} is {got}, not {due}: {answer.text[:200]}"] * (not right)
    assert wrong == []


BODIES: dict[str, dict[str, Any]] = {
    "return": {"reason": "not ours"},
    "hand-on": {"unit": OTHER, "reason": "near"},
    "note": {"note": "seen"},
    "request-extension": {"reason": "no pipe"},
    "decide-extension": {"granted": True},
    "supervise": {"reason": "ordered"},
    "verification": {"confirmed": True},
    "ruling": {"reject": True, "why": "not_ours", "reason": "private ground"},
    "supplements": {"text": "more"},
    "withdrawal": {"reason": "over"},
    "check": {"passed": True},
    "forced-closing": {"reason": "ordered"},
    "rating": {"rating": 5},
    "reopening": {"reason": "again"},
}


READ: dict[str, Route] = {
    "intake": ("GET", "/reports/{case_id}"),
    "triage": ("GET", "/cases/{case_id}"),
    "dispatch": ("GET", "/cases/{case_id}"),
    "feedback": ("GET", "/cases/{case_id}"),
    "audit": ("GET", "/cases/{case_id}"),
}
ACT = {
    "intake": "/reports/{case_id}/withdrawal",
    "triage": "/cases/{case_id}/ruling",
    "dispatch": "/assignments/{assignment_id}/urge",
    "feedback": "/cases/{case_id}/check",
}
LISTS = {"intake": "/reports", "dispatch": "/assignments", **dict.fromkeys(("triage", "feedback", "audit"), "/cases")}
HEARS_LATE = ("dispatch", "feedback")
DECIDING = pytest.mark.parametrize("service", [name for name in SERVICES if name != "audit"], indirect=True)
"""Audit takes no commands, and grants no access."""
HEARING = pytest.mark.parametrize("service", [name for name in SERVICES if name != "triage"], indirect=True)
"""Triage gives the rulings, and a state of it holds the latest alone."""
CURIOUS = token("curious", "acceptor", "dispatcher", "grid_member", areas=(COMMUNITY,))


@DECIDING
@pytest.mark.parametrize("kind", [Kind(False, False, False), Kind(True, False, True)], ids=["elsewhere", "sensitive"])
async def test_an_access_lets_staff_read_one_case_for_an_hour_and_is_a_step_of_it(
    service: Service, empty_database: Database, tmp_path: Path, kind: Kind
) -> None:
    clock = Hands(NOW)
    async with served(service, empty_database, tmp_path, clock) as (api, cases):
        case = next(case for case, known in cases.items() if known == kind)
        another = case_of(Kind(kind.inside, not kind.own, kind.sensitive), cases)
        path, before = path_of(READ[service.name], case), refused(Asker(Role.DISPATCHER, (COMMUNITY,)), kind)

        async def read(of: str = path, who: dict[str, str] = CURIOUS) -> int:
            return (await api.client.get(of, headers=who)).status_code

        assert await read() == before
        version = (await api.client.get(path, headers=token("au", "auditor"))).headers["etag"]
        granted = await api.client.post(
            "/access", headers=CURIOUS, json={"case_id": case, "reason": "the mayor asks how it stands"}
        )
        assert (granted.status_code, granted.json()["case_id"]) == (201, case)
        assert granted.json()["until"] == instant(NOW + timedelta(hours=1))
        again = await api.client.post("/access", headers=CURIOUS, json={"case_id": case, "reason": "once more"})
        assert (again.status_code, again.json()["rule"]) == (409, "access.once"), "nobody fills a case with accesses"
        assert await read() == 200
        assert await read(who=token("another", "acceptor", "dispatcher", areas=(COMMUNITY,))) == before
        assert await read(path_of(READ[service.name], another)) != 200
        listed_now = await api.client.get(LISTS[service.name], headers=CURIOUS)
        assert case not in {item["case_id"] for item in listed_now.json()["items"]}
        url = path_of(("POST", ACT[service.name]), case)
        body = BODIES.get(url.rpartition("/")[2], {})
        acted = await api.client.post(url, headers={**CURIOUS, "if-match": version}, json=body)
        assert acted.status_code == before, "it is for reading alone"
        [step] = await steps_of(api, case)
        assert (step["actor"], step["data"]["reason"]) == ("curious", "the mayor asks how it stands")
        assert step["data"]["until"] == instant(NOW + timedelta(hours=1))
        assert step["causationid"]
        clock.advance(minutes=59, seconds=59)
        assert await read() == 200
        clock.advance(seconds=1)
        assert await read() == before


REPEATED = """
INSERT INTO {service}.events
SELECT stream_id, version + n, own, topic, event_id, recorded_at, body
  FROM {service}.events, generate_series(1, {times}) n
 WHERE convert_from(body, 'UTF8') LIKE '%the mayor asks%';
UPDATE {service}.streams SET version = version + {times}, sequence = sequence + {times} WHERE stream_id = '{case}'
"""


@DECIDING
async def test_nobody_floods_a_case_with_what_each_is_allowed(
    service: Service, empty_database: Database, tmp_path: Path
) -> None:
    """Accesses stand for all words: each is asked the same."""
    clock, admin = Hands(NOW), empty_database.admin_url
    async with served(service, empty_database, tmp_path, clock) as (api, cases):
        case = case_of(Kind(False, False, False), cases)

        async def ask(who: dict[str, str], reason: str = "the mayor asks") -> tuple[int, str | None]:
            answer = await api.client.post("/access", headers=who, json={"case_id": case, "reason": reason})
            return answer.status_code, answer.json().get("rule")

        assert await ask(CURIOUS) == (201, None)
        await execute(admin, REPEATED.format(service=service.name, times=WORDS_A_DAY - 1, case=case))
        clock.advance(hours=2)
        assert await ask(CURIOUS) == (409, "case.daily_cap")
        assert await ask(token("another", "dispatcher")) == (201, None)
        clock.advance(hours=22)
        assert await ask(CURIOUS) == (201, None), "a day after the first"


@DECIDING
async def test_an_access_is_asked_for_by_staff_with_a_reason_and_of_a_case_that_there_is(
    service: Service, empty_database: Database, tmp_path: Path
) -> None:
    async with served(service, empty_database, tmp_path) as (api, cases):
        case = next(iter(cases))
        for who, body, status in (
            (token("li", "reporter"), {"case_id": case, "reason": "mine"}, 403),
            (KEY, {"case_id": case, "reason": "ours"}, 403),
            (CURIOUS, {"case_id": case_id(), "reason": "x"}, 404),
            (CURIOUS, {"case_id": case}, 422),
            (CURIOUS, {"case_id": case, "reason": " "}, 422),
            ({}, {"case_id": case, "reason": "x"}, 401),
        ):
            assert (await api.client.post("/access", headers=who, json=body)).status_code == status, body
        assert await steps_of(api, case) == []
        rows = await api.runtime.database.fetch("SELECT FROM streams")
        assert len(rows) == len(cases)


@DECIDING
async def test_who_is_granted_an_access_can_use_it_and_nobody_else_is(
    service: Service, empty_database: Database, tmp_path: Path
) -> None:
    hidden = Kind(False, False, True)
    async with served(service, empty_database, tmp_path, kinds=[hidden]) as (api, cases):
        case = case_of(hidden, cases)
        granted: set[str] = set()
        for role in STAFF_ROLES:
            who = token(f"curious {role}", role, areas=(COMMUNITY,))
            answer = await api.client.post("/access", headers=who, json={"case_id": case, "reason": "the mayor asks"})
            assert answer.status_code in (201, 403), answer.text
            read = await api.client.get(path_of(READ[service.name], case), headers=who)
            assert (read.status_code == 200) is (answer.status_code == 201), role
            granted |= {role} if answer.status_code == 201 else set()
        assert STAFF_ROLES - granted == ({Role.HANDLING_UNIT} if service.name == "triage" else set())
        assert len(await steps_of(api, case)) == len(granted)


async def test_audit_honours_the_accesses_that_stand_in_its_log(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    service = audit(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))
    clock = Hands(NOW)
    async with served(service, empty_database, tmp_path, clock) as (api, cases):
        hidden = case_of(Kind(True, False, True), cases)
        who = token("curious", "dispatcher", areas=(COMMUNITY,))

        async def read() -> int:
            return (await api.client.get(f"/cases/{hidden}", headers=who)).status_code

        assert await read() == 404
        step = Accessed(until=NOW + timedelta(hours=1), reason="the mayor asks")
        record = fact_record(hidden, step, source="/services/dispatch", sequence=7, time=NOW, actor="curious")
        await api.runtime.worker.process([record])
        assert await read() == 200
        assert (await api.client.get(f"/cases/{hidden}", headers=token("x", "dispatcher"))).status_code == 404
        shown = (await api.client.get(f"/cases/{hidden}", headers=who)).json()
        assert shown["events"][-1]["summary"].startswith("curious was let read it by exception, until ")
        clock.advance(hours=1)
        assert await read() == 404


async def test_audit_reads_no_chain_for_whom_it_hides_the_case_from(
    empty_database: Database, district_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long chain would take its time, which a case that there is not does not take."""
    service = audit(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))
    async with served(service, empty_database, tmp_path) as (api, cases):
        hidden, asked = case_of(Kind(True, True, True), cases), list[str]()
        fetch = api.runtime.database.fetch

        async def noted(query: str, *arguments: Any) -> Any:
            asked.append(query)
            return await fetch(query, *arguments)

        monkeypatch.setattr(api.runtime.database, "fetch", noted)
        for case, asks in ((hidden, 1), (case_id(), 0)):
            asked.clear()
            answer = await api.client.get(f"/cases/{case}", headers=token("x", "dispatcher"))
            assert (answer.status_code, len(asked)) == (404, asks), "an access is looked up"


async def test_audit_lets_nobody_in_by_a_step_that_is_forged_or_lies_ahead_or_lasts_for_ever(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    service = audit(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))
    clock = Hands(NOW)
    async with served(service, empty_database, tmp_path, clock) as (api, cases):
        hidden, who = case_of(Kind(True, False, True), cases), token("curious", "dispatcher")
        step = Accessed(until=NOW + timedelta(days=36500), reason="for ever")

        async def said(fact: Any, sequence: int, time: Any, actor: str | None) -> Any:
            record = fact_record(hidden, fact, source="/services/dispatch", sequence=sequence, time=time, actor=actor)
            await api.runtime.worker.process([record])
            return record

        async def read() -> int:
            return (await api.client.get(f"/cases/{hidden}", headers=who)).status_code

        await said(step, 7, NOW + timedelta(days=36400), "curious")
        assert await read() == 404
        record = await said(step, 8, NOW, "curious")
        assert await read() == 200
        clock.advance(minutes=59)
        assert await read() == 200
        named = Forged(forged_topic=record.topic, partition=record.partition, offset=record.offset, because="unknown")
        await said(named, 9, NOW, None)
        assert await read() == 404


async def test_an_area_that_the_district_does_not_have_is_not_the_district(
    service: Service, empty_database: Database, tmp_path: Path
) -> None:
    """A case that is not placed yet lies somewhere in the district, and in none of the areas that a token may name."""
    async with served(service, empty_database, tmp_path, kinds=()) as (api, _):
        case, unplaced = case_id(), Place(address="beyond the river")
        match service.name:
            case "intake":
                body = {"title": "it", "place": {"address": "beyond the river"}, "category": OPEN_TO_ALL}
                answer = await api.client.post("/reports", headers=token("filer", "acceptor"), json=body)
                case = answer.json()["case_id"]
            case "audit":
                await api.runtime.worker.process([fact_record(case, report(place=unplaced))])
            case "triage":
                await api.runtime.inbox.process([fact_record(case, report(place=unplaced))])
            case _:  # here a case has its area from the ruling that gives it out
                rejected = Rejected(why="not_ours", reason="it is elsewhere", explanation=rulings.WHY)
                await api.runtime.inbox.process([fact_record(case, rejected)])
        for areas, status in ((("ZZ",), 403), ((COMMUNITY,), 403), (("ZZ", "CH"), 200)):
            who = token("chief", "shift_leader", areas=areas)
            answer = await api.client.get(path_of(READ[service.name], case), headers=who)
            # Feedback and dispatch take it for a sensitive one.
            assert answer.status_code == (404 if status == 403 and service.name in HEARS_LATE else status), areas
            if service.name in LISTS:
                listed = await api.client.get(LISTS[service.name], headers=who)
                found = {item["case_id"] for item in listed.json()["items"]}
                assert found == ({case} if status == 200 and service.name != "dispatch" else set()), areas


ENDINGS: dict[str, Callable[..., Fact]] = {
    "rejected": partial(Rejected, why="not_ours", reason="she took back her words", explanation=rulings.WHY),
    "withdrawn": partial(Withdrawn, reason="she took back her words"),
    "merged": partial(rulings.merged, case_id()),
}


SAID = NOW - timedelta(hours=1)


async def heard(api: Running, case: str, *facts: Fact, since: int = 1) -> None:
    """A service takes in what others said of a case since `SAID`, each a minute later; `since` is the first one's
    number in the case.
    """
    model = api.runtime.service.model
    worker = api.runtime.worker if isinstance(model, Recorder) else api.runtime.inbox
    for n, fact in enumerate(facts, start=since):
        await worker.process([fact_record(case, fact, sequence=n, time=SAID + timedelta(minutes=n))])


async def reported(api: Running, area: str, category: str | None = None) -> str:
    """A case of which intake, where it is asked, and audit know the report."""
    if api.runtime.service.name != "intake":
        case = case_id()
        if api.runtime.service.name == "audit":
            await heard(api, case, report(category=category, place=Place(area=area)))
        return case
    body = {"title": "it", "place": {"area": area}, "category": category}
    answer = await api.client.post("/reports", headers=token("filer", "acceptor"), json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["case_id"]


async def statuses(api: Running, case: str, *askers: Asker) -> list[int]:
    """What each gets who reads the case."""
    path = path_of(READ[api.runtime.service.name], case)
    return [(await api.client.get(path, headers=asker.headers)).status_code for asker in askers]


STAFF = [asker for asker in ASKERS if asker.role in ("dispatcher", "shift_leader", "auditor")]


@HEARING
async def test_a_case_that_ended_before_it_was_given_out_is_read_by_its_place_and_kind(api: Running) -> None:
    """What the ruling says it is, whatever was reported. A ruling of before, that does not say it, hides the case from
    all but district-wide roles in the services that hear of no report.
    """
    name = api.runtime.service.name
    for (ending, ruled), kind in product(ENDINGS.items(), KINDS):
        if kind.own:
            continue
        case = await reported(api, kind.area)
        await heard(api, case, ruled(category=kind.category, area=kind.area))
        due = [expected(asker, kind, "triage") for asker in STAFF]
        assert await statuses(api, case, *STAFF) == due, (ending, kind)
        lists: dict[str, dict[str, str]] = {LISTS[name]: {}} if name != "dispatch" else {}
        if name == "feedback":
            await heard(api, case, Rating(rating=2, verdict_id=case_id()))
            lists["/indicators/cases"] = {"population": "rated", "by": "category", "key": kind.category}
        for asker, (path, query) in product(STAFF, lists.items()):
            found = await api.client.get(path, headers=asker.headers, params={"limit": 200, **query})
            shown = case in {one["case_id"] for one in found.json()["items"]}
            assert shown is sees(asker, kind, "triage"), (ending, asker, kind, path)
    if name in ("dispatch", "feedback"):
        for ending, ruled in ENDINGS.items():
            await heard(api, old := case_id(), ruled())
            whole = [asker.role != "dispatcher" and asker.areas != (COMMUNITY,) for asker in STAFF]
            assert [status == 200 for status in await statuses(api, old, *STAFF)] == whole, ending


LATER = (Kind(True, True, True), Kind(False, True, False))
"""What a case may turn out to be: sensitive, or elsewhere."""


@HEARING
async def test_a_case_is_read_as_what_it_turned_out_to_be_with_all_that_was_before(api: Running) -> None:
    """Audit's case at an instant, dispatch's assignments of earlier rounds."""
    name = api.runtime.service.name
    first = Kind(True, True, False)
    for later in LATER:
        case = await reported(api, first.area)
        await heard(api, case, given_out(case, first), given_out(case, later, round=2))
        due = [expected(asker, later, "triage") for asker in STAFF]
        assert await statuses(api, case, *STAFF) == due, later
        for asker, status in zip(STAFF, due, strict=True):
            for minutes in (1, 3) if name == "audit" else ():  # before and after
                at = {"at": instant(SAID + timedelta(minutes=minutes))}
                answer = await api.client.get(f"/cases/{case}", headers=asker.headers, params=at)
                assert answer.status_code == status, (asker, later, minutes)
            for number in ("1.1", "2.1") if name == "dispatch" else ():
                url = f"/assignments/{case}.{number}"
                assert (await api.client.get(url, headers=asker.headers)).status_code == status, (asker, later, number)
                if asker.role != "auditor":
                    urged = await api.client.post(f"{url}/urge", headers=asker.headers, json={"reason": "it rains"})
                    assert urged.status_code in ((200, 409) if status == 200 else (status,)), (asker, later, number)
            if name == "dispatch":
                page = await api.client.get("/assignments", headers=asker.headers, params={"limit": 200})
                number = sum(one["case_id"] == case for one in page.json()["items"])
                assert number == (2 if status == 200 else 0), (asker, later)


ENDS = {"returned": False, "cancelled": False, "handed on": False, "offered before": False, "fixed": True}
"""How a unit's work ended before the case turned out to be sensitive, and whether it still sees the case."""


@pytest.mark.parametrize("service", HEARS_LATE, indirect=True)
async def test_of_a_case_that_turned_out_to_be_sensitive_a_unit_sees_only_what_it_works_on_or_has_done(
    service: Service, empty_database: Database, tmp_path: Path
) -> None:
    first, later, chief = Kind(True, True, False), Kind(False, False, True), token("chief", "shift_leader")
    people = [
        token("one", "handling_unit", unit=OWN, areas=()),
        token("two", "grid_member", unit=OWN, areas=(COMMUNITY,)),
    ]
    async with served(service, empty_database, tmp_path, kinds=()) as (api, _):
        for how, sees_it in ENDS.items():
            case = case_id()
            at = f"/assignments/{case}.1.1"

            async def hear(fact: Fact, sequence: int, case: str = case) -> None:
                time = SAID + timedelta(minutes=sequence)
                await api.runtime.inbox.process([fact_record(case, fact, sequence=sequence, time=time)])

            async def say(who: dict[str, str], step: str, at: str = at, **body: Any) -> None:
                answer = await api.client.post(f"{at}/{step}", headers=who, json=body)
                assert answer.status_code == 200, answer.text

            if service.name == "feedback" and how in ("handed on", "offered before"):
                continue  # it does not hear of either
            await hear(given_out(case, first), 1)
            if service.name == "feedback":
                await hear(ended(case, first, how), 1)
            elif how == "returned":
                await say(people[0], "return", reason="not ours")
            elif how == "handed on":
                await say(people[0], "acknowledge")
                await say(chief, "hand-on", unit=OTHER, reason="near")
            elif how == "offered before":
                await say(chief, "hand-on", unit=OTHER, reason="near")
                await say(token("ma", "handling_unit", unit=OTHER), "acknowledge")
            elif how == "fixed":
                for step in ("acknowledge", "resolve"):
                    await say(people[0], step)
            await hear(given_out(case, later, round=2), 2)
            if service.name == "dispatch" and how == "cancelled":
                await hear(Withdrawn(reason="it is over"), 3)
            asked = [*people, KEY] if service.name == "dispatch" else people
            for who in asked:
                found = await api.client.get(f"/cases/{case}", headers=who)
                assert found.status_code == (200 if sees_it else 404), (how, who, found.text)
                answer = await api.client.get(f"/cases/{case}/actions", headers=who)
                assert answer.status_code == found.status_code, (how, who)
                lists: list[dict[str, str]] = [{}, {"unit": OWN}] if service.name == "dispatch" else [{}]
                for query in lists:
                    page = await api.client.get(LISTS[service.name], headers=who, params=query)
                    shown = [one["case_id"] for one in page.json()["items"]]
                    assert (case in shown) is sees_it, (how, who, query)
                if service.name == "dispatch":
                    assert (await api.client.get(at, headers=who)).status_code == found.status_code, (how, who)
                elif sees_it:
                    assert found.json()["lead_unit"] is None, "it is another unit's now"
            open_now = await api.client.get(f"/cases/{case}", headers=token("ma", "handling_unit", unit=OTHER))
            assert open_now.status_code == (404 if how == "cancelled" and service.name == "dispatch" else 200), how


@pytest.mark.parametrize("later", LATER, ids=["sensitive", "elsewhere"])
async def test_a_figure_counts_no_case_that_its_list_hides_today(
    empty_database: Database, district_folder: Path, tmp_path: Path, later: Kind
) -> None:
    """Whatever the case was when it was returned, due or rated."""
    first, case, clock = Kind(True, True, False), case_id(), Hands(SAID + timedelta(days=1))
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    async with served(feedback(settings), empty_database, tmp_path, clock, kinds=[]) as (api, _):
        rounds = [(given_out(case, first, round=n), ended(case, first, "returned", f"{n}.1")) for n in (1, 2)]
        await heard(
            api,
            case,
            *(fact for facts in rounds for fact in facts),
            given_out(case, first, round=3),
            Rating(rating=2, verdict_id=case_id()),
        )

        async def figures(who: dict[str, str], **query: Any) -> dict[str, tuple[int, int]]:
            """Indicator -> its number, and how many cases its list has."""
            answer = await api.client.get("/indicators", headers=who, params={"by": "all", **query})
            found: dict[str, tuple[int, int]] = {}
            for group in answer.json()["items"]:
                for name in ("closing_rate", "dispatch_accuracy", "satisfaction"):
                    one = group["indicators"][name]
                    behind = await api.client.get(one["cases"], headers=who)
                    found[name] = (one["of"], len(behind.json()["items"]))
            return found

        dispatcher, chief = token("x", "dispatcher", areas=(COMMUNITY,)), token("chief", "shift_leader")
        everything = {"closing_rate": (1, 1), "dispatch_accuracy": (2, 1), "satisfaction": (1, 1)}
        assert await figures(dispatcher) == everything
        await heard(api, case, given_out(case, later, round=4), since=7)
        assert await figures(dispatcher) == {}
        assert await figures(dispatcher, by="area", level="grid") == {}
        assert (await figures(chief))["dispatch_accuracy"] == (2, 1)


async def test_a_stored_answer_is_not_given_to_who_may_no_longer_read_the_case(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    async with served(dispatch(settings), empty_database, tmp_path) as (api, cases):
        url = f"/assignments/{case_of(Kind(True, True, False), cases)}.1.1/note"

        async def note(*areas: str) -> int:
            headers = {**token("li", "dispatcher", areas=areas), "idempotency-key": "once"}
            return (await api.client.post(url, headers=headers, json={"note": "seen"})).status_code

        assert [await note(COMMUNITY), await note(COMMUNITY)] == [200, 200]
        assert [await note("CH/shengdeng"), await note()] == [403, 403]


async def test_nobody_merges_into_a_case_outside_their_areas(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    async with served(triage(settings), empty_database, tmp_path) as (api, cases):
        case, into = case_id(), case_of(Kind(False, True, False), cases)
        await api.runtime.inbox.process([fact_record(case, report("zzz", place=Place(area=INSIDE)))])
        who = token("wang", "acceptor", areas=(COMMUNITY,))
        headers = {**who, "if-match": (await api.client.get(f"/cases/{case}", headers=who)).headers["etag"]}
        body = {"merge_into": into, "reason": "the same"}
        answer = await api.client.post(f"/cases/{case}/ruling", headers=headers, json=body)
        assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")


async def test_what_is_merged_takes_the_kind_that_its_target_has_at_that_moment(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    """The target is classified by another transaction while the ruling waits for it."""
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    async with served(triage(settings), empty_database, tmp_path, kinds=[Kind(True, False, False)]) as (api, cases):
        case, [into], chief = case_id(), cases, token("chief", "shift_leader")
        await api.runtime.inbox.process([fact_record(case, report("zzz", place=Place(area=INSIDE)))])
        headers = {**chief, "if-match": (await api.client.get(f"/cases/{case}", headers=chief)).headers["etag"]}
        body = {"merge_into": into, "reason": "the same"}
        ruling = api.client.post(f"/cases/{case}/ruling", headers=headers, json=body)

        async def classified(connection: Connection) -> asyncio.Task[httpx.Response]:
            await lock_alone(connection)
            ruled = asyncio.create_task(ruling)
            await eventually(waits_for_a_lock, what="the ruling at the lock")
            await connection.execute("UPDATE cases SET category = $1 WHERE case_id = $2", SENSITIVE, into)
            return ruled

        async def waits_for_a_lock() -> bool:
            row = await api.runtime.database.fetchrow("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return row is not None and row[0] > 0

        answer = await (await api.runtime.database.transact(classified))
        assert answer.json()["ruling"]["category"] == SENSITIVE


async def test_what_is_merged_into_a_case_does_not_give_a_sensitive_one_away(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    """Nor does a number, nor the target of a ruling."""
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    async with served(triage(settings), empty_database, tmp_path) as (api, cases):
        leader, hidden = case_of(Kind(True, True, False), cases), case_of(Kind(True, True, True), cases)
        chief, acceptor = token("chief", "shift_leader"), token("wang", "acceptor")

        async def rule(case: str, into: str, who: dict[str, str]) -> httpx.Response:
            seen = await api.client.get(f"/cases/{case}", headers=chief)
            headers = {**who, "if-match": seen.headers["etag"]}
            body = {"merge_into": into, "reason": "the same"}
            return await api.client.post(f"/cases/{case}/ruling", headers=headers, json=body)

        waiting = case_id()
        await api.runtime.inbox.process([fact_record(waiting, report("zzz", place=Place(area=INSIDE)))])
        for into in (hidden, case_id()):
            answer = await rule(waiting, into, acceptor)
            assert (answer.status_code, answer.json()["detail"]) == (404, f"there is no case {into}")
        assert (await rule(hidden, leader, acceptor)).status_code == 404
        refusal = await rule(hidden, leader, chief)
        assert (refusal.status_code, refusal.json()["rule"]) == (409, "merge.sensitive"), "whoever works there hears it"
        other = case_of(Kind(True, False, True), cases)
        assert (await rule(hidden, other, chief)).status_code == 200
        assert (await rule(waiting, other, chief)).json()["ruling"]["category"] == SENSITIVE
        assert (await api.client.get(f"/cases/{waiting}", headers=acceptor)).status_code == 404
        for who, number in ((chief, 2), (acceptor, 0)):
            found = await api.client.get("/cases", headers=who, params={"merged_into": other})
            assert len(found.json()["items"]) == number


async def test_audit_shows_of_what_was_merged_into_a_case_what_its_reader_may_read(
    empty_database: Database, district_folder: Path
) -> None:
    district = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    async with serving(audit(district), empty_database) as api:
        leader, followers = await reported(api, INSIDE), [await reported(api, INSIDE) for _ in range(3)]
        for case, kind in zip(followers, (Kind(True, True, False), *LATER), strict=True):
            await heard(api, case, rulings.merged(leader, category=kind.category, area=kind.area))
        for role, areas, number in (("dispatcher", (COMMUNITY,), 1), ("dispatcher", ("CH",), 2), ("auditor", (), 3)):
            for query in ({}, {"at": instant(NOW)}):
                answer = await api.client.get(f"/cases/{leader}", headers=token("x", role, areas=areas), params=query)
                shown = [one["case_id"] for one in answer.json()["merged"]]
                assert len(shown) == number, (role, areas, query)


async def test_a_merged_report_does_not_tell_of_a_case_that_its_reader_may_not_read(
    empty_database: Database, district_folder: Path
) -> None:
    """Whoever filed it hears what became of that case, and neither which it is nor what it is about."""
    district = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    chief, filer = token("chief", "shift_leader"), token("li", "reporter")
    acceptor, clerk = (token(name, "acceptor", areas=(COMMUNITY,)) for name in ("wang", "zhao"))
    ordinary = Kind(True, True, False)
    async with serving(intake(district), empty_database) as api:
        for kind, said in (
            (Kind(True, True, True), {"category": SENSITIVE}),
            (Kind(True, True, True), {}),  # it is found to be sensitive only after the merger
            (Kind(False, True, False), {}),
            (ordinary, {}),
        ):
            leader, between = [await reported(api, INSIDE) for _ in range(2)]
            body = {"title": "noise", "place": {"area": INSIDE}, "category": OPEN_TO_ALL}
            case, theirs = [
                (await api.client.post("/reports", headers=who, json=body)).json()["case_id"] for who in (filer, clerk)
            ]
            await heard(api, between, rulings.merged(leader))
            duplicate = Evaluated(verdict="closed", outcome="duplicate", reason=f"it is {between}")
            for one in (case, theirs):
                await heard(api, one, rulings.merged(between, **said), duplicate)
            await heard(api, leader, given_out(leader, kind), Evaluated(verdict="closed", outcome="fixed"))
            seen = None if kind.sensitive else between
            heard_of = "fixed" if kind == ordinary else "duplicate"
            for who, filed, outcomes in (
                (chief, case, [("fixed", said.get("category", OPEN_TO_ALL), between)] * 2),
                (filer, case, [("fixed", OPEN_TO_ALL, None)] * 2),
                (clerk, theirs, [("fixed", OPEN_TO_ALL, seen)] * 2),
                (acceptor, case, [] if said else [(heard_of, OPEN_TO_ALL, seen)] * 2),
            ):
                one = await api.client.get(f"/reports/{filed}", headers=who)
                page = await api.client.get("/reports", headers=who)
                found = [each for each in (one.json(), *page.json()["items"]) if each.get("case_id") == filed]
                assert [(each["outcome"], each["category"], each["merged_into"]) for each in found] == outcomes, kind
                assert [each["reason"] for each in found] == [None] * len(found)
            reporter = (await api.client.get(f"/reports/{case}", headers=chief)).json()["reporter_ref"]
            body = {"case_id": case, "purpose": "call back"}
            asked = await api.client.post(f"/reporters/{reporter}/disclosure", headers=acceptor, json=body)
            assert asked.status_code == (404 if said else 200), kind


async def test_the_live_board_shows_each_of_its_clients_what_they_may_see_and_nobody_elses(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    """All of them watch at once, and every case changes: whoever may see the same shares a view, and nobody else."""
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    people = [asker for asker in ASKERS if asker.role not in (Role.REPORTER, Role.PARTNER)]
    chief = token("chief", "shift_leader")
    async with (
        served(dispatch(settings), empty_database, tmp_path) as (api, cases),
        listening(api) as url,
        httpx.AsyncClient(base_url=url, timeout=20, limits=httpx.Limits(max_connections=None)) as client,
        AsyncExitStack() as stack,
    ):
        boards: list[tuple[Asker, set[str], AsyncIterator[Any]]] = []
        for asker in people:
            seen = {case for case, kind in cases.items() if sees(asker, kind, "dispatch")}
            stream = client.stream("GET", "/board/stream", headers=asker.headers)
            boards.append((asker, seen, messages(await stack.enter_async_context(stream))))
        for asker, seen, board in boards:
            message = await asyncio.wait_for(anext(board), 20)
            assert {one["case_id"] for one in message["assignments"]} == seen, asker
            assert message["board"]["open"] == len(seen), asker
        assert 1 < api.runtime.streams.health()["views"] < len(people)
        for case in cases:
            answer = await api.client.post(f"/assignments/{case}.1.1/note", headers=chief, json={"note": "seen"})
            assert answer.status_code == 200
        for asker, seen, board in boards:
            told = set[str]()
            while told != seen:
                message = await asyncio.wait_for(anext(board), 20)
                told |= {one["case_id"] for one in message["assignments"]}
                assert told <= seen, asker
                assert message["board"]["open"] == len(seen), asker


async def messages(answer: httpx.Response) -> AsyncIterator[Any]:
    """The data of each message of a stream."""
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


OTHER_SCOPES = {
    "knows": Knows(frozenset({SENSITIVE}), "CH", categories=False, units=True, filers=False),
    "everywhere": True,
    "areas": (COMMUNITY,),
    "confidential": True,
    "units": frozenset({OWN}),
    "own": True,
    "staff": True,
}


@pytest.mark.parametrize("name", [one.name for one in fields(Scope)])
def test_whoever_may_see_something_else_has_a_board_of_their_own(name: str) -> None:
    scope = Scope(Knows(frozenset({SENSITIVE}), "CH", categories=True, units=True, filers=True))
    other = replace(scope, **{name: OTHER_SCOPES[name]})
    assert Shown(UnitFilters(), scope) != Shown(UnitFilters(), other)
    assert Shown(UnitFilters(), scope) == Shown(UnitFilters(), replace(scope))


@pytest.mark.parametrize("name", UnitFilters.model_fields)
def test_whoever_asks_for_something_else_has_a_board_of_their_own(name: str) -> None:
    scope = Scope(Knows(frozenset(), "CH", categories=True, units=True, filers=True))
    other = UnitFilters.model_validate({name: "CH/shengdeng"})
    assert Shown(UnitFilters(), scope) != Shown(other, scope)
    assert hash(Shown(other, scope)) == hash(Shown(other.model_copy(), scope))


async def test_the_live_board_says_nothing_of_cases_that_its_client_may_not_see(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    ordinary, hidden = Kind(True, True, False), Kind(True, True, True)
    async with served(dispatch(settings), empty_database, tmp_path, kinds=[ordinary, hidden]) as (api, cases):
        runtime, case, secret = api.runtime, case_of(ordinary, cases), case_of(hidden, cases)
        scope = scope_of([Role.DISPATCHER], [COMMUNITY], [], runtime.knows)
        board = LiveBoard(runtime.database, runtime.clock, Shown(UnitFilters(), scope))
        assert (await board.whole()).event == "snapshot"
        assert await board.after(frozenset({secret})) is None
        said = await board.after(frozenset({secret, case}))
        assert said is not None
        assert said.event == "change"
        assert [one["case_id"] for one in json.loads(said.data)["assignments"]] == [case]
        await runtime.inbox.process([fact_record(case, given_out(case, hidden, round=2), sequence=2)])
        said = await board.after(frozenset({case}))
        assert said is not None, "it is gone, and that is seen"
        data = json.loads(said.data)
        assert (data["assignments"], data["board"]["open"]) == ([], 0)
        assert await board.after(frozenset({case})) is None, "and once is enough"


def test_the_roles_that_file_reports_are_those_that_see_what_they_filed() -> None:
    assert {role for role in Role if Sees.OWN in role.sees} == CHANNELS.keys()


COMBINED = [
    (roles, areas, units, by)
    for roles in ((), *combinations(Role, 1), (Role.DISPATCHER, Role.HANDLING_UNIT), (Role.REPORTER, Role.ACCEPTOR))
    for areas in ((), (COMMUNITY,), ("CH/shuangqiaozi",), ("CH",), ("CH", "CH/shengdeng"))
    for units in ((), (OWN,))
    for by in (~Sees(0), Sees.PLACED)
]


async def test_the_rule_in_sql_finds_the_cases_that_the_rule_shows(empty_database: Database) -> None:
    """Of every kind of row, for every kind of caller, where every category is heard of and where not."""
    values = product(
        (None, "CH", "CH/shuangqiaozi", COMMUNITY, f"{COMMUNITY}x", INSIDE, OUTSIDE, "CH/shengdeng"),
        (None, OPEN_TO_ALL, SENSITIVE),
        ((), (OWN,), (OTHER,)),
        (False, True),
        (False, True),
    )
    matters = [
        Matter(area, kind, frozenset(units), frozenset(units if works else ()), own)
        for area, kind, units, works, own in values
    ]
    connection = await asyncpg.connect(empty_database.admin_url)
    try:
        await connection.execute(
            "CREATE TEMP TABLE known (n int, area text, category text, unit text, works boolean, own boolean)"
        )
        rows = [
            (n, one.area, one.category, next(iter(one.units), None), bool(one.working), one.own)
            for n, one in enumerate(matters)
        ]
        await connection.copy_records_to_table("known", records=rows)
        for told in (True, False):
            knows = Knows(frozenset({SENSITIVE}), "CH", categories=told, units=True, filers=True)
            for roles, areas, theirs, by in COMBINED:
                scope = scope_of(roles, areas, theirs, knows, by)
                wanted = Conditions()
                own = ["own"] if scope.own else []
                if scope.units:
                    plain = wanted.not_sensitive(scope)
                    own.append(f"unit = ANY({wanted.place(sorted(scope.units))}::text[]) AND (works OR {plain})")
                wanted.visible(scope, " OR ".join(own) or None)
                found = await connection.fetch(f"SELECT n FROM known WHERE {wanted.where}", *wanted.arguments)
                due = {n for n, one in enumerate(matters) if scope.sight(one) in (Sight.WHOLE, Sight.PART)}
                assert {row["n"] for row in found} == due, (roles, areas, theirs, by, knows)
    finally:
        await connection.close()


async def test_a_role_that_only_reads_does_not_widen_where_another_acts(
    empty_database: Database, district_folder: Path, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"CASEGRID_DISTRICT": district_folder})
    both = token("both", "auditor", "acceptor", areas=())
    async with served(triage(settings), empty_database, tmp_path) as (api, cases):
        case = case_of(Kind(True, True, False), cases)
        seen = await api.client.get(f"/cases/{case}", headers=both)
        assert seen.status_code == 200
        url, headers = f"/cases/{case}/ruling", {**both, "if-match": seen.headers["etag"]}
        assert (await api.client.post(url, headers=headers, json=BODIES["ruling"])).status_code == 403
        offered = (await api.client.get(f"/cases/{case}/actions", headers=both)).json()["items"]
        assert {one["action"]: one["rule"] for one in offered}["rule_on_case"] == "caller.scope"


def case_of(kind: Kind, cases: dict[str, Kind]) -> str:
    return next(case for case, known in cases.items() if known == kind)


async def steps_of(api: Running, case: str) -> list[dict[str, Any]]:
    """The steps of that case that are accesses."""
    rows = await api.runtime.database.fetch("SELECT body FROM events WHERE stream_id = $1 AND own", case)
    found = [json.loads(row["body"]) for row in rows]
    return [one for one in found if one["data"].get("step") == "accessed"]


def test_the_page_has_the_table_that_the_declarations_give(district_folder: Path) -> None:
    printed, rows = page("security/routes.md"), [*reading.rows(district_folder)]
    missing = [row for row in rows if row not in printed]
    assert missing == [], "`python -m tests.services.reading` prints the table"
    _, table = printed.split("\n403.\n\n")
    assert table.splitlines() == rows, "it is the whole rest of the page"
