"""Every example in dispatch's OpenAPI document succeeds, and is answered as the document says."""

from collections.abc import Awaitable, Callable, Mapping

import httpx

from tests.services.dispatch.desk import BODIES, CENTRE, WATER, given_out, listening, post
from tests.support.examples import Preparations, Prepared, make_every_call
from tests.support.services import Running


async def _by_the_centre(dispatch: Running) -> Prepared:
    await given_out(dispatch)
    return Prepared(CENTRE)


def _on_assignment(who: Mapping[str, str], *steps: str) -> Callable[[Running], Awaitable[Prepared]]:
    """On a new assignment, after these steps of its unit."""

    async def prepare(dispatch: Running) -> Prepared:
        case = await given_out(dispatch)
        for step in steps:
            await post(dispatch, f"/assignments/{case}.1.1/{step}", WATER, **BODIES[step])
        return Prepared(who, {"case_id": case, "assignment_id": f"{case}.1.1"})

    return prepare


_ASKED_FOR_TIME = ("acknowledge", "request-extension")
PREPARATIONS: Preparations = {
    "list_assignments": _by_the_centre,
    "list_queue": _by_the_centre,
    "get_assignment": _on_assignment(WATER, *_ASKED_FOR_TIME),
    "list_assignment_actions": _on_assignment(WATER),
    "get_case": _on_assignment(CENTRE, *_ASKED_FOR_TIME),
    "list_actions": _on_assignment(CENTRE, *_ASKED_FOR_TIME),
    "get_board": _by_the_centre,
    "stream_board": _by_the_centre,
    "acknowledge_assignment": _on_assignment(WATER),
    "set_out": _on_assignment(WATER, "acknowledge"),
    "arrive": _on_assignment(WATER, "acknowledge"),
    "resolve_assignment": _on_assignment(WATER, "acknowledge"),
    "return_assignment": _on_assignment(WATER, "acknowledge"),
    "hand_on_assignment": _on_assignment(CENTRE, "acknowledge"),
    "add_note": _on_assignment(WATER),
    "request_extension": _on_assignment(WATER, "acknowledge"),
    "decide_extension": _on_assignment(CENTRE, *_ASKED_FOR_TIME),
    "urge_assignment": _on_assignment(CENTRE),
    "supervise_assignment": _on_assignment(CENTRE),
}


async def test_every_example_succeeds(dispatch: Running) -> None:
    async with listening(dispatch) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        await make_every_call(dispatch, PREPARATIONS, client)
