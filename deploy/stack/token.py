"""Development tokens: what an identity provider would issue in production."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import jwt

ISSUER = "casegrid-dev"
AUDIENCE = "casegrid"


def issue(
    key: str,
    *,
    subject: str,
    roles: Iterable[str],
    unit: str | None = None,
    areas: Iterable[str] = (),
    ttl_seconds: int = 43_200,
) -> str:
    """A signed token (HS256). `areas` are area path prefixes the person may act in; none means everywhere."""
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "roles": list(roles),
        "unit": unit,
        "areas": list(areas),
        "iat": now,
        "exp": now + timedelta(seconds=ttl_seconds),
    }
    return jwt.encode(claims, key, algorithm="HS256")
