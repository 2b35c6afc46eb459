"""Every example in intake's OpenAPI document succeeds, and is answered as the document says."""

from functools import partial

from chassis.engine.commands import CommandRequest
from contracts.feedback import Evaluated
from services.intake import reporters
from services.intake.bodies import CASE, REPORTER
from services.intake.domain.commands import File
from tests.services.intake.callers import ACCEPTOR, ADMINISTRATOR, LI, file, post, told
from tests.services.intake.desk import GRID
from tests.support.examples import Preparations, Prepared, make_every_call
from tests.support.services import Running


async def _by_reporter(_: Running) -> Prepared:
    return Prepared(LI)


async def _by_staff(_: Running) -> Prepared:
    return Prepared(ADMINISTRATOR)


async def _by_anyone(_: Running) -> Prepared:
    return Prepared()


async def _own_report(intake: Running) -> Prepared:
    return Prepared(LI, {"case_id": (await file(intake, LI, place={"area": GRID}))["case_id"]})


async def _report_of_another(intake: Running) -> Prepared:
    return Prepared(ACCEPTOR, {"case_id": (await file(intake, LI, place={"area": GRID}))["case_id"]})


async def _closed_report(intake: Running) -> Prepared:
    case = (await file(intake, LI, place={"area": GRID}))["case_id"]
    await told(intake, case, Evaluated(verdict="closed", outcome="fixed"))
    return Prepared(LI, {"case_id": case})


async def _judged_report(intake: Running) -> Prepared:
    """A report of which everything has been said."""
    case = (await file(intake, LI, place={"area": GRID}))["case_id"]
    await post(intake, f"/reports/{case}/supplements", LI, {"text": "in the cellars now"})
    await post(intake, f"/reports/{case}/withdrawal", LI, {"reason": "dried up"})
    await told(intake, case, Evaluated(verdict="closed", outcome="withdrawn"))
    await post(intake, f"/reports/{case}/rating", LI, {"rating": 2, "comment": "too slow"})
    await post(intake, f"/reports/{case}/reopening", LI, {"reason": "wet again"})
    return Prepared(LI, {"case_id": case})


async def _own_person(intake: Running) -> Prepared:
    return Prepared(LI, {"reporter_ref": (await file(intake, LI, reporter={"name": "Li Na"}))["reporter_ref"]})


async def _reporter_of_the_example(intake: Running) -> Prepared:
    """The example's body names the case."""
    told = partial(reporters.remember, reporter_ref=REPORTER, name="Li Na", phone="+86 28 5555 0101")
    command = File("hotline", "no water", reporter_ref=REPORTER)
    await intake.runtime.deciding.commands.execute(CASE, command, CommandRequest("wang"), lambda *_: (201, {}), told)
    return Prepared(ADMINISTRATOR, {"reporter_ref": REPORTER})


PREPARATIONS: Preparations = {
    "file_report": _by_reporter,
    "list_reports": _by_staff,
    "get_report": _judged_report,
    "list_actions": _report_of_another,
    "add_supplement": _own_report,
    "withdraw_report": _own_report,
    "rate_report": _closed_report,
    "reopen_report": _closed_report,
    "get_reporter": _own_person,
    "disclose_reporter": _reporter_of_the_example,
    "erase_reporter": _own_person,
    "list_categories": _by_anyone,
    "list_areas": _by_anyone,
    "get_area_polygons": _by_anyone,
}


async def test_every_example_succeeds(intake: Running) -> None:
    await make_every_call(intake, PREPARATIONS)
