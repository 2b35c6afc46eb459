"""What a token says, and the rules that it must keep; each is named where it is broken."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from contracts import actors
from contracts.fields import AreaPath, Name
from contracts.homes import partner_source, service_source
from contracts.reference.base import UnitId
from contracts.roles import Role
from contracts.status import SERVICES
from contracts.wire import Invalid, explain, parse_json

LEEWAY_SECONDS = 30
"""How far the issuer's clock and ours may differ."""
_SOURCES = (service_source(""), partner_source(""))


class NotValid(Exception):
    """A token breaks a rule; the message names it."""


class Expired(NotValid):
    """A token was valid, and is not any more."""


_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Letters, marks and symbols that show nothing: of Unicode's Default_Ignorable_Code_Point what Python prints, and the
blank of Braille.
"""


def _subject(text: str) -> str:
    """The name, if it has no character that is invisible, or that stands for another one (NFKC).

    Letters of two alphabets may still look alike.
    """
    if not text.isprintable() or text != text.strip() or _UNSEEN.search(text):
        raise ValueError("must have printable characters only, and no space at either end")
    plain = unicodedata.normalize("NFKC", text)
    if plain != text:
        raise ValueError("must be in Unicode's form NFKC, in which names that look the same are the same")
    seen = text.casefold()
    if seen.partition(":")[0] in actors.KINDS or seen in SERVICES or seen.startswith(_SOURCES):
        raise ValueError("must not be a name that facts use for somebody else")
    return text


def _roles(names: list[str]) -> list[str]:
    if Role.PARTNER in names:
        raise ValueError("must not hold partner, which comes with a client key only")
    return names


Second = Annotated[float, Field(ge=0, le=2**53 - 1, allow_inf_nan=False)]
"""An instant in seconds since 1970 (RFC 7519, NumericDate)."""


class Claims(BaseModel):
    """The claims that we read; others are ignored, and so are names of roles that are none of ours."""

    model_config = ConfigDict(frozen=True, strict=True)

    iss: str
    aud: str | list[str]
    sub: Annotated[Name, AfterValidator(_subject)]
    exp: Second
    nbf: Second | None = None
    iat: Second | None = None
    roles: Annotated[list[str], AfterValidator(_roles)] = []
    unit: Annotated[UnitId, Field(max_length=200)] | None = None
    areas: list[AreaPath] = []


def claims_in(payload: bytes, *, issuer: str, audience: str, now: float) -> Claims:
    """The claims of a token whose signature was verified; `now` in seconds since 1970. Raises `NotValid`."""
    try:
        claims = Claims.model_validate(parse_json(payload))
    except Invalid as fault:
        raise NotValid(f"its claims: {str(fault).removeprefix('record: ')}") from None
    except ValidationError as fault:
        raise NotValid(f"claim {explain(fault)}") from None
    if claims.iss != issuer:
        raise NotValid(f"claim iss: must be {issuer}")
    if audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
        raise NotValid(f"claim aud: must hold {audience}")
    if claims.exp + LEEWAY_SECONDS <= now:
        raise Expired("claim exp: the token has expired")
    for name, instant in (("nbf", claims.nbf), ("iat", claims.iat)):
        if instant is not None and instant - LEEWAY_SECONDS > now:
            raise NotValid(f"claim {name}: lies in the future")
    return claims
