"""Pages of lists: a limit, and an opaque cursor that holds the position behind the last item."""

import base64
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from fastapi import Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chassis.engine.commands import Unusable
from contracts.fields import MAX_INTEGER, ClaimedInstant, instant

PAGE = 200
"""The most items of one page."""

Limit = Annotated[int, Query(ge=1, le=PAGE, description=f"Items of a page, {PAGE} at most.")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]


class PageQuery(BaseModel):
    """Base of a list's filters: which page, and how many items."""

    model_config = ConfigDict(frozen=True)

    limit: Annotated[int, Field(ge=1, le=PAGE, description=f"Items of a page, {PAGE} at most.", examples=[50])] = 50
    cursor: Annotated[str | None, Field(max_length=500, description="`next` of the page before.")] = None


_INSTANT: TypeAdapter[datetime] = TypeAdapter(ClaimedInstant)


Next = Annotated[str | None, Field(description="The `cursor` of the next page; null on the last one.", examples=[None])]


def page(items: list[Any], limit: int, key: Callable[[Any], list[Any]]) -> dict[str, Any]:
    """A page of `items`, of which the caller fetched one more than `limit`; `key` gives the position of an item."""
    more = len(items) > limit
    items = items[:limit]
    return {"items": items, "next": encode_cursor(key(items[-1])) if more else None}


IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="The ETag of the answer you have: 304 if it is still the same.",
        examples=['"5f2c"'],
    ),
]


UNCHANGING: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"description": "Of this answer, for If-None-Match.", "schema": {"type": "string"}}}},
    304: {"description": "The answer that the caller has is still the same."},
}
"""The `responses` of a route that answers with `unchanging`."""


def unchanging(body: bytes, if_none_match: str | None, media_type: str = "application/json") -> Response:
    """An answer that does not change while the process lives, with its ETag; 304 where the caller has it already."""
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if {etag, "*"} & {one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


def unchanging_page(
    items: Sequence[Any],
    query: PageQuery,
    key: Callable[[Any], str],
    if_none_match: str | None,
    shown: type[BaseModel],
) -> Response:
    """A page of records that do not change while the process lives, with an ETag; `items` in the order of `key`.

    `shown` is what stands for an item on the page, with fields of the item's.
    """
    after = position(query.cursor, str)
    rest = items if after is None else items[bisect_right(items, after[0], key=key) :]
    some = [
        shown.model_validate(item, from_attributes=True).model_dump(mode="json") for item in rest[: query.limit + 1]
    ]
    found = page(some, query.limit, lambda _: [])
    if found["next"] is not None:
        found["next"] = encode_cursor([key(rest[query.limit - 1])])
    return unchanging(orjson.dumps(found), if_none_match)


def encode_cursor(key: list[Any]) -> str:
    """A position in a list, opaque to the caller: instants (in UTC), texts and numbers."""
    parts = [instant(part) if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def position(cursor: str | None, *kinds: type[datetime] | type[str] | type[int]) -> Any:
    """The position behind a cursor: a tuple of instants, texts and numbers of these kinds; None without a cursor.

    Raises `Unusable` if no service of ours gave this cursor for such a list.
    """
    if cursor is None:
        return None
    try:
        key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(key, list):
            raise TypeError
        return tuple(_part(part, kind) for part, kind in zip(key, kinds, strict=True))
    except (TypeError, ValueError, OverflowError):
        raise Unusable("cursor", "is not one this service gave") from None


def _part(part: Any, kind: type[Any]) -> Any:
    """One part of a position. Raises `TypeError` or `ValueError` if it is not of that kind."""
    if kind is datetime:
        return _INSTANT.validate_python(part)
    if type(part) is not kind:
        raise TypeError
    if (isinstance(part, int) and not 0 <= part <= MAX_INTEGER) or (isinstance(part, str) and "\0" in part):
        raise ValueError
    return part
