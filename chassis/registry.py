"""Who is registered as a partner: a file beside the district, read again whenever it changes, without a restart."""

import logging
import time
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from contracts.homes import EVERY_FROM, EVERY_TO
from contracts.reference import NO_PARTNERS, Partners

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0


def version_of(raw: bytes) -> str:
    """A name of the file's content: who has it in force has seen what is written in it."""
    return sha256(raw).hexdigest()[:16]


class Registry:
    """The partners of the file; if it cannot be read, those of its last readable version."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._looked_at: float | None = None
        self._seen: tuple[int, int] | None = None
        self._partners = NO_PARTNERS
        self.version: str | None = None
        """Of the file that is in force, as `version_of` says."""
        self.fault: str | None = None
        """That the file cannot be read, for everybody; the log says where it is and why. None while all is well."""
        self._said: str | None = None

    @property
    def blind(self) -> bool:
        """Whether nothing is known of who is registered: a file is there, and no version of it could be read yet."""
        self._look_if_due()
        return self.fault is not None and self.version is None

    @property
    def partners(self) -> Partners:
        """Who is registered now; a change of the file is seen within two seconds."""
        self._look_if_due()
        return self._partners

    def topics(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """These topics, the partners' among them by name."""
        found: list[str] = []
        for topic in wanted:
            if topic in (EVERY_FROM, EVERY_TO):
                found += [topic[:-1] + partner.id for partner in self.partners.partners]
            else:
                found.append(topic)
        return tuple(found)

    def _look_if_due(self) -> None:
        now = time.monotonic()
        if self._path is not None and (self._looked_at is None or now - self._looked_at >= _LOOK_SECONDS):
            self._looked_at = now
            self._look(self._path)

    def _look(self, path: Path) -> None:
        try:
            status = path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            raw = path.read_bytes()
            self._seen = seen
            self._partners, self.version = Partners.model_validate_json(raw), version_of(raw)
            self.fault = self._said = None
            log.info("%d partners are registered", len(self._partners.partners))
        except (OSError, ValidationError) as fault:
            if isinstance(fault, FileNotFoundError) and self.version is None:
                return  # nobody has been registered yet
            if isinstance(fault, OSError):
                self._seen = None  # what is there when it can be read again is to be read, also if it is the same
            stands = "the version before it stays in force" if self.version else "no version before it is known"
            self.fault = f"the partners' registry cannot be read; {stands}"
            if (words := f"{path} is not usable, {stands}: {fault}") != self._said:
                self._said = words
                log.error("%s", words)
