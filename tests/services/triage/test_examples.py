"""Every example in triage's OpenAPI document succeeds, and is answered as the document says."""

from contracts.fields import Place
from contracts.intake import Supplement
from services.triage.examples import GRID, LEADER, WATER_MAIN
from tests.services.triage.desk import ACCEPTOR, CLOSED, MEMBER, filed, hear, report
from tests.support.examples import Preparations, Prepared, make_every_call
from tests.support.services import Running

REMAINDER = "component.public-facilities.other"
"""A category whose reports are verified, and do not merge with each other."""


async def _by_anyone(_: Running) -> Prepared:
    return Prepared()


async def _some_cases(triage: Running) -> Prepared:
    await _to_verify(triage)
    await filed(triage, report(WATER_MAIN, place=Place(area=GRID), external_ref="12345-0007"))
    await filed(triage, report(None, title="zzz"))
    return Prepared(ACCEPTOR)


async def _closed(triage: Running) -> Prepared:
    case = await filed(triage, report(WATER_MAIN, place=Place(area=GRID)), Supplement(text="the cellar is wet"), CLOSED)
    return Prepared(ACCEPTOR, {"case_id": case})


async def _to_verify(triage: Running) -> Prepared:
    case = await filed(triage, report(REMAINDER, channel="citizen", place=Place(area=GRID)))
    return Prepared(MEMBER, {"case_id": case})


async def _to_rule_on(triage: Running) -> Prepared:
    """A case whose category and area are known, so that a ruling may leave them out, and the one to merge it into."""
    await hear(triage, LEADER, report(REMAINDER, place=Place(area=GRID)))
    case = (await _to_verify(triage)).path
    seen = await triage.client.get("/cases/{case_id}".format(**case), headers=ACCEPTOR)
    return Prepared({**ACCEPTOR, "if-match": seen.headers["etag"]}, case)


PREPARATIONS: Preparations = {
    "list_queue": _some_cases,
    "verify_case": _to_verify,
    "rule_on_case": _to_rule_on,
    "list_cases": _some_cases,
    "get_case": _closed,
    "list_actions": _to_verify,
    "list_units": _by_anyone,
}


async def test_every_example_succeeds(triage: Running) -> None:
    await make_every_call(triage, PREPARATIONS)
