"""Every example in intake's OpenAPI document succeeds, and is answered as the document says."""

from contracts.feedback import Evaluated
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


async def _person(intake: Running) -> Prepared:
    filed = await file(intake, ACCEPTOR, reporter={"name": "Li Na", "phone": "+86 28 5555 0101"})
    return Prepared(ADMINISTRATOR, {"reporter_ref": filed["reporter_ref"]})


PREPARATIONS: Preparations = {
    "file_report": _by_reporter,
    "list_reports": _by_staff,
    "get_report": _judged_report,
    "list_actions": _report_of_another,
    "add_supplement": _own_report,
    "withdraw_report": _report_of_another,
    "rate_report": _closed_report,
    "reopen_report": _closed_report,
    "get_reporter": _person,
    "erase_reporter": _person,
    "list_categories": _by_anyone,
    "list_areas": _by_anyone,
    "get_area_polygons": _by_anyone,
}


async def test_every_example_succeeds(intake: Running) -> None:
    await make_every_call(intake, PREPARATIONS)
