"""Which actions a caller may take on a case now, and the rule that forbids each of the others.

A service's domain says which rules of its own forbid a command; the table of routes says which roles it needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from chassis.engine.decider import Refused
from chassis.web.errors import Json
from chassis.web.reading import Reader, sees
from chassis.web.requests import etag
from chassis.web.roles import Roles, lacking_role, routes_of, scope_on
from contracts.reading import Matter

_CASE, _WHY = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11", "needs one of the roles dispatcher, shift_leader"


class ActionItem(BaseModel):
    """An action, and whether the caller may take it now."""

    model_config = ConfigDict(frozen=True)

    action: Annotated[str, Field(description="The operation that takes it.", examples=["withdraw_report"])]
    method: Annotated[str, Field(description="The operation's HTTP method.", examples=["POST"])]
    path: Annotated[str, Field(description="Where to send it.", examples=[f"/reports/{_CASE}/withdrawal"])]
    assignment_id: Annotated[
        str | None, Field(description="The assignment it is about; null if it is about the case.", examples=[None])
    ]
    allowed: Annotated[
        bool,
        Field(
            description="Whether the caller may take it now. What is entered may still break a rule.", examples=[False]
        ),
    ]
    rule: Annotated[
        str | None, Field(description="The rule that forbids it; null if it is allowed.", examples=["caller.role"])
    ]
    reason: Annotated[str | None, Field(description="The rule in words; null if it is allowed.", examples=[_WHY])]


class ActionList(BaseModel):
    """Every action on a case."""

    model_config = ConfigDict(frozen=True)

    case_id: Annotated[str, Field(description="The case.", examples=[_CASE])]
    etag: Annotated[
        str, Field(description="Of the version that this holds for; send it as If-Match.", examples=['"2"'])
    ]
    items: Annotated[list[ActionItem], Field(description="The actions, allowed or not.")]


@dataclass(frozen=True)
class Actions:
    """The actions that the routes of a router are, as one caller may take them."""

    router: APIRouter
    roles: Roles
    reader: Reader

    @cached_property
    def _routes(self) -> Mapping[str, APIRoute]:
        return {route.name: route for route in routes_of(self.router)}

    def item(self, name: str, refused: Refused | None, matter: Matter | None = None, **parameters: Any) -> ActionItem:
        """The action of the route of that name, with these parameters in its path; what refuses it, if the domain does.
        `matter` is the case, where the rule of who may act on it is asked.

        Raises `LookupError` if there is no such route.
        """
        route = self._routes[name]
        method = next(iter(route.methods or ()))
        access, caller = self.roles[method, route.path], self.reader.caller
        lacking = lacking_role(access.roles, caller)
        if lacking is not None:
            refused = Refused("caller.role", lacking)
        elif matter is not None and not sees(scope_on(access, caller, self.reader.process), matter):
            refused = Refused("caller.scope", "the caller may read this, but with these roles not act on it")
        return ActionItem(
            action=name,
            method=method,
            path=route.path.format(**parameters),
            assignment_id=parameters.get("assignment_id"),
            allowed=refused is None,
            rule=refused.rule if refused is not None else None,
            reason=str(refused) if refused is not None else None,
        )


def actions_answer(case_id: str, version: int, items: Sequence[ActionItem]) -> Response:
    """The actions on a case of that version, as `ActionList`."""
    found = ActionList(case_id=case_id, etag=etag(version), items=list(items))
    return Json(found.model_dump(), headers={"ETag": found.etag})
