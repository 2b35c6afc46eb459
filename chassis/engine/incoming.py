"""A record as one service sees it: an event that it takes, or the reason why it cannot be read."""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from chassis.engine import partner_requests
from chassis.engine.model import Model
from chassis.engine.partner_requests import PartnerRequest
from chassis.kafka.records import Record, read
from chassis.telemetry import Sparing
from contracts.fields import FROM
from contracts.homes import EVERY_FROM
from contracts.wire import Invalid, identity

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Incoming:
    """A record for this service. `event` is None if it could not be read; `kind` and `reason` then say why."""

    record: Record
    event: Any
    kind: str = ""
    reason: str = ""
    request: PartnerRequest | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """What it is deduplicated by: the event's (source, id); of an unreadable record its coordinates."""
        return (self.event.source, self.event.id) if self.event else (self.record.coordinates, "unreadable")

    @property
    def is_fact(self) -> bool:
        """Whether it is another service's fact: its case's stream tells whether it has taken effect."""
        return self.event is not None and self.request is None

    @property
    def digest(self) -> bytes | None:
        """Tells a repetition of what was marked as seen from a different event under the same id."""
        return blake2b(self.record.value or b"", digest_size=16).digest() if self.event or self.request else None


class Reader:
    """Reads records for one service."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._lines = Sparing()
        self.passed_over: Counter[str] = Counter()
        """Topic -> unreadable or forged records that another service parks."""

    def read_or_fail(self, record: Record) -> Incoming | None:
        """As `read`; a record that meets a defect when it is read has failed, alone."""
        try:
            return self.read(record)
        except Exception as fault:
            if self._lines.allows(record.topic):
                log.exception("%s could not be read", record.coordinates)
            return Incoming(record, None, "failed", f"{type(fault).__name__}: {fault}")

    def read(self, record: Record) -> Incoming | None:
        """The record as far as this service is concerned; None if it is not."""
        if record.is_marker:
            return None
        expected = self._model.sources.get(record.topic)
        known = identity(record.value or b"") if expected is not None else None
        if known is not None and known[0] != expected:  # mostly: whose it is can be told before it is parsed
            return None
        try:
            event = read(record)
        except Invalid as finding:
            if not self._parks(record.topic):
                self.passed_over[record.topic] += 1
                return None
            return Incoming(record, None, finding.kind, str(finding))
        if expected is not None and event.source != expected:
            return None
        if record.topic.startswith(FROM):
            handled = self._model.partner_requests
            partners = self._model.registry.partners
            request = partner_requests.request_in(handled, partners, record, event) if handled else None
            return Incoming(record, event, request=request) if request is not None else None
        return Incoming(record, event) if self._model.wants(event) else None

    def _parks(self, topic: str) -> bool:
        return (EVERY_FROM if topic.startswith(FROM) else topic) in self._model.parks


def subjects(items: Iterable[Incoming]) -> set[str]:
    """The cases that these records are about, by event or by key."""
    found = {item.event.subject for item in items if item.event}
    return found | {item.record.stream_id for item in items if item.record.stream_id is not None}
