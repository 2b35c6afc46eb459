"""The headers of every answer: what a browser may do with it, and that nobody keeps it.

`Strict-Transport-Security` is not among them: who ends TLS, a proxy, sends it.
"""

from collections.abc import Iterable

Header = tuple[bytes, bytes]

_ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_UNLESS_GIVEN: tuple[Header, ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
"""What a route may say otherwise: the page of the API needs scripts, a reference list may be kept."""


def with_security(headers: Iterable[Header]) -> list[Header]:
    """These headers of an answer and the others that every answer has."""
    own = list(headers)
    names = {name.lower() for name, _ in own}
    return [*own, *_ALWAYS, *(header for header in _UNLESS_GIVEN if header[0] not in names)]
