"""How the replay answers what the topics say: once each, with the row's own times; and its verdict."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.replay import summary
from deploy.replay.case import Case
from deploy.replay.district import District
from deploy.replay.play import Play, Stuck
from deploy.replay.rows import Reject, Report
from deploy.simulation.city import Person, Refusal

CASE = "01a207d4-0d71-7168-8000-000000000001"
SINCE = datetime(2011, 3, 1, 19, 27, 57, tzinfo=UTC)
ENDED = datetime(2011, 3, 2, 14, 0, tzinfo=UTC)
CATEGORY = "component.public-facilities.street-light"
Event = tuple[str, dict[str, Any]]


def report(**changes: Any) -> Report:
    values = {"category": CATEGORY, "ended_at": ENDED, "closing_words": "a new lamp"} | changes
    return Report(1, "7001", "a lamp is out", "", "hotline", SINCE, **values)


@dataclass
class Town:
    """The services as far as the replay sees them: notes what is asked, and says on the topics what follows."""

    retrospective: bool = True
    ids: list[str] = field(default_factory=lambda: [CASE])
    """Of the cases in the order of their filing; the last one stands for all further."""
    slow_to_answer: bool = False
    """Intake answers when everything that follows has been heard already."""
    answers: Callable[[str, str], None] = lambda service, path: None
    """Raises where a request is to be refused."""
    follows: dict[str, list[Event]] = field(default_factory=dict)
    """How a path ends -> what is published then."""
    queue: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)
    topics: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    async def events(self) -> AsyncIterator[Event]:
        while True:
            yield await self.topics.get()
            self.topics.task_done()

    def publish(self, *events: Event) -> None:
        for event in events:
            self.topics.put_nowait(event)

    def paths(self) -> list[str]:
        return [path.rpartition("/")[2] for _, _, path, _ in self.asked]

    def body(self, path: str) -> dict[str, Any]:
        (found,) = [body for _, _, asked, body in self.asked if asked.endswith(path)]
        return found


@dataclass(frozen=True)
class Somebody:
    subject: str
    town: Town

    async def post(self, service: str, path: str, body: dict[str, Any], *, if_match: str | None = None) -> Any:
        self.town.asked.append((self.subject, service, path, body | ({"if_match": if_match} if if_match else {})))
        self.town.answers(service, path)
        for ending, events in self.town.follows.items():
            if path.endswith(ending):
                self.town.publish(*events)
        if path == "/reports" and self.town.slow_to_answer:
            await self.town.topics.join()
        return {
            "case_id": self.town.ids.pop(0) if len(self.town.ids) > 1 else self.town.ids[0],
            "retrospective": self.town.retrospective,
            "area": None,
        }

    ask = post

    async def get(self, service: str, path: str, **parameters: Any) -> Any:
        return {"items": [item for item in self.town.queue if item["queue"] == parameters["queue"]], "next": None}


@dataclass(frozen=True)
class Everybody:
    town: Town

    def __getattr__(self, role: str) -> Callable[..., Somebody]:
        return lambda *_: Somebody(role, self.town)


def play(town: Town, known: District, *, patience: float = 20, in_flight: int = 8) -> Play:
    return Play("nyc311:x", Everybody(town), known, 4, in_flight, patience, lambda _: None)  # pyright: ignore[reportArgumentType]


async def played(town: Town, known: District, *reports: Report, in_flight: int = 8) -> Play:
    one = play(town, known, in_flight=in_flight)
    await asyncio.wait_for(one.run_all(reports, town), 20)  # pyright: ignore[reportArgumentType]
    return one


def said(topic: str, number: int, case_id: str = CASE, **data: Any) -> Event:
    return topic, {"id": f"event-{number}", "subject": case_id, "source": "/services/x", "data": data}


def dispatched(number: int = 10) -> Event:
    plan = [
        {"id": f"{CASE}.1.{n}", "unit": unit, "lead": n == 1, "acknowledge_by": _Z("04T12"), "resolve_by": _Z("08T12")}
        for n, unit in ((1, "dept:urban-management"), (2, "dept:water"))
    ]
    return said(
        "Assigned", number, ruling="dispatched", category=CATEGORY, area="CH/a/b/g001", plan=plan, check={"by": "grid"}
    )


def _Z(hour: str) -> str:
    return f"2011-03-{hour}:00:00.000000Z"


CHECKING = said("Progressed", 20, step="checking")
CLOSED = said("Evaluated", 30, verdict="closed", outcome="fixed", late_by_seconds=0)
WORK_DONE = {"1.1/resolve": [CHECKING], "/check": [CLOSED]}
"""The lead's work is the last to end."""


async def test_a_report_is_worked_off_with_the_times_of_its_row_and_every_event_is_answered_once(
    known: District,
) -> None:
    town = Town(
        follows={
            "/reports": [said("Progressed", 1, step="verifying", unit="grid:CH/a/b/g001", area="CH/a/b/g001")] * 2,
            "/verification": [dispatched(), dispatched(), dispatched(11)],
            **WORK_DONE,
        }
    )
    one = await played(town, known, report())
    assert town.paths() == ["reports", "verification", "acknowledge", "resolve", "acknowledge", "resolve", "check"]
    assert town.body("1.1/resolve") == {"note": "a new lamp", "at": "2011-03-02T14:00:00.000000Z"}
    assert town.body("1.2/resolve") == {"at": "2011-03-02T14:00:00.000000Z"}
    assert town.body("/reports")["external_ref"] == "nyc311:x:7001"
    assert town.body("/reports")["at"] == "2011-03-01T19:27:57.000000Z"
    case = one.cases[CASE]
    assert (case.outcome, case.late, case.filed, one.closed) == ("fixed", False, True, 1)


async def test_what_is_said_of_the_last_case_before_its_filing_is_answered_is_not_lost(known: District) -> None:
    def at_the_last(_: str, path: str) -> None:
        if path == "/reports" and town.ids == [CASE]:
            town.publish(dispatched())

    town = Town(ids=["first", "second", CASE], slow_to_answer=True, answers=at_the_last, follows=WORK_DONE)
    town.publish(*(said("Evaluated", 1, one, verdict="closed", outcome="withdrawn") for one in ("first", "second")))
    one = await played(town, known, report(), report(), report(), in_flight=1)
    assert one.closed == 3


async def test_a_case_that_is_not_retrospective_lives_now(known: District) -> None:
    town = Town(retrospective=False, follows={"/reports": [dispatched()], **WORK_DONE})
    await played(town, known, report())
    assert all("at" not in body for _, service, _, body in town.asked if service != "intake")


async def test_a_merged_report_needs_nobody(known: District) -> None:
    merged = said("Assigned", 1, ruling="merged", into="another", category=CATEGORY)
    closed = said("Evaluated", 2, verdict="closed", outcome="duplicate")
    town = Town(follows={"/reports": [merged, closed]})
    one = await played(town, known, report())
    assert town.paths() == ["reports"]
    assert one.cases[CASE].merged_into == "another"


async def test_the_acceptor_names_the_version_and_only_what_is_missing(known: District) -> None:
    item = {"case_id": CASE, "etag": '"2"', "queue": "unlocated", "area": None, "category": CATEGORY}
    waiting = said("Progressed", 1, step="awaiting_ruling", queue="unlocated")
    town = Town(follows={"/reports": [waiting], "/ruling": [dispatched()], **WORK_DONE}, queue=[item])
    await played(town, known, report())
    body = town.body("/ruling")
    assert body["if_match"] == '"2"'
    assert body["area"] in {grid.path for grid in known.grids}
    assert "category" not in body


async def test_a_ruling_on_an_old_version_is_made_again_on_the_new_one(known: District) -> None:
    item = {"case_id": CASE, "etag": '"2"', "queue": "unclassified", "area": "CH/a/b/g001", "category": None}
    refused = []

    def once(_: str, path: str) -> None:
        if path.endswith("/ruling") and not refused:
            refused.append(path)
            item["etag"] = '"3"'
            raise Refusal(412, "the case has changed", {})

    waiting = said("Progressed", 1, step="awaiting_ruling", queue="unclassified")
    town = Town(answers=once, follows={"/reports": [waiting], "/ruling": [dispatched()], **WORK_DONE}, queue=[item])
    one = await played(town, known, report())
    assert [body["if_match"] for _, _, path, body in town.asked if path.endswith("/ruling")] == ['"2"', '"3"']
    assert one.closed == 1


async def test_dispatch_may_hear_of_an_assignment_later_than_its_unit(known: District) -> None:
    tries = []

    def later(service: str, path: str) -> None:
        if path.endswith("/acknowledge"):
            tries.append(path)
            if len(tries) < 3:
                raise Refusal(404, "there is no assignment", {})

    town = Town(answers=later, follows={"/reports": [dispatched()], **WORK_DONE})
    one = await played(town, known, report())
    assert (len(tries), one.closed) == (4, 1)


async def test_a_row_that_intake_refuses_is_rejected_with_field_and_rule_and_the_rest_goes_on(known: District) -> None:
    def never_first(_: str, path: str) -> None:
        if path == "/reports" and len(town.asked) == 1:
            raise Refusal(422, "no", {"errors": [{"field": "text", "rule": "must not contain NUL"}]})

    town = Town(answers=never_first, follows={"/reports": [dispatched()], **WORK_DONE})
    one = await played(town, known, report(), report())
    assert one.rejects == [Reject(1, "7001", "text", "must not contain NUL")]
    assert one.closed == 1


async def test_a_step_whose_answer_was_lost_and_that_is_asked_for_again_counts_as_taken(known: District) -> None:
    def lost(_: str, path: str) -> None:
        rules = {"verification": "verification.state", "resolve": "assignment.ended", "check": "case.closed"}
        if (rule := rules.get(path.rpartition("/")[2])) is not None:
            for events in (events for ending, events in town.follows.items() if path.endswith(ending)):
                town.publish(*events)
            raise Refusal(409, "once", {"rule": rule})

    verifying = said("Progressed", 1, step="verifying", unit="grid:CH/a/b/g001", area="CH/a/b/g001")
    town = Town(answers=lost, follows={"/reports": [verifying], "/verification": [dispatched()], **WORK_DONE})
    one = await played(town, known, report())
    assert (one.closed, one.cases[CASE].failure) == (1, None)


async def test_what_a_service_refuses_fails_the_case_and_is_named(known: District) -> None:
    def never(_: str, path: str) -> None:
        if path.endswith("/check"):
            raise Refusal(409, "whoever handled it never checks it", {"rule": "check.separation"})

    town = Town(answers=never, follows={"/reports": [dispatched()], **WORK_DONE})
    one = await played(town, known, report())
    assert one.cases[CASE].failure == "409: whoever handled it never checks it"
    assert one.closed == 0


async def test_a_refusal_that_is_not_the_row_s_fault_ends_the_replay(known: District) -> None:
    def closed_today(_: str, path: str) -> None:
        raise Refusal(403, "needs one of the roles", {})

    town = Town(answers=closed_today)
    with pytest.RaisesGroup(pytest.RaisesExc(Stuck, match="row 1 could not be filed, 403: needs one of the roles")):
        await asyncio.wait_for(play(town, known).run_all([report()], town), 20)  # pyright: ignore[reportArgumentType]


async def test_silence_ends_the_replay(known: District) -> None:
    town = Town()
    with pytest.RaisesGroup(Stuck):
        await asyncio.wait_for(play(town, known, patience=0.1).run_all([report()], town), 20)  # pyright: ignore[reportArgumentType]


def cases() -> dict[str, Case]:
    found = {}
    for number, outcome in enumerate(("fixed", "fixed", "duplicate")):
        case = Case(f"case-{number}", report(), True, CATEGORY, filed=outcome == "fixed", outcome=outcome)
        case.late_by_seconds = 60 * number if outcome == "fixed" else None
        case.merged_into = "case-0" if outcome == "duplicate" else None
        found[case.case_id] = case
    return found


def test_equal_accounts_have_no_differences() -> None:
    ours = summary.counts(cases().values())
    assert (ours["filed"], ours["merged"], ours["closed"], ours["late"]) == (2, 1, 3, 1)
    assert ours["by_outcome"] == {"duplicate": 1, "fixed": 2}
    assert summary.differences(ours, {**ours, "size": 9, "by_status": {"closed": 3}}) == []


@pytest.mark.parametrize("name", summary.COUNTS)
def test_each_figure_that_differs_is_named(name: str) -> None:
    ours = summary.counts(cases().values())
    (words,) = summary.differences(ours, {**ours, name: ours[name] + 1})
    assert words == f"{name}: {ours[name]} seen, {ours[name] + 1} by audit"


def test_outcomes_and_categories_that_differ_are_named() -> None:
    ours = summary.counts(cases().values())
    other = [{**ours["by_category"][0], "late": 0}, {"category": None, "reported": 1}]
    assert summary.differences(ours, {**ours, "by_outcome": {"fixed": 3}, "by_category": other}) == [
        "outcome duplicate: 1 seen, 0 by audit",
        "outcome fixed: 2 seen, 3 by audit",
        f"category {CATEGORY}, late: 1 seen, 0 by audit",
        "category None, reported: 0 seen, 1 by audit",
    ]


class Auditor:
    """Audit's list of cases, in two pages."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    pages = Person.pages

    async def get(self, service: str, path: str, **parameters: Any) -> Any:
        assert (service, path, parameters["external_prefix"]) == ("audit", "/cases", "nyc311:x:")
        return {"items": self.rows[2:], "next": None} if parameters["cursor"] else {"items": self.rows[:2], "next": "2"}


def rows() -> list[dict[str, Any]]:
    names = ("case_id", "outcome", "category", "merged_into", "late", "reworks")
    return [
        {"external_ref": "nyc311:x:7001", "status": "closed", **{name: getattr(case, name) for name in names}}
        for case in cases().values()
    ]


async def test_every_case_is_compared_and_named_where_audit_tells_another_story() -> None:
    async def differences(found: list[dict[str, Any]]) -> list[str]:
        return await summary.case_by_case(cases(), Auditor(found), "nyc311:x:")  # pyright: ignore[reportArgumentType]

    assert await differences(rows()) == []
    one, two, three = rows()
    assert await differences([one, two]) == ["case case-2: seen, but audit does not know it"]
    assert await differences([one, two | {"late": False}, three | {"status": "merged"}]) == [
        "case case-1 (nyc311:x:7001), late: True seen, False by audit",
        "case case-2 (nyc311:x:7001), status: closed seen, open by audit",
    ]
    assert await differences([one, two, three, one | {"case_id": "case-9"}]) == [
        "case case-9 (nyc311:x:7001): not seen, closed by audit"
    ]
