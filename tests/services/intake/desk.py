"""Intake's worker in a test: what partners and other services send it, and what it says."""

import hashlib
import itertools
import json
from dataclasses import dataclass, replace
from typing import Any

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.kafka.records import Record
from contracts.feedback import CaseOutcome, Evaluated
from contracts.fields import Fact
from contracts.reference import Partner, Partners
from contracts.request import AddSupplement, FileReport, Withdraw
from contracts.triage import Explanation, Merged
from tests.support.facts import case_id, fact_record
from tests.support.services import Mortal


def registered(name: str, *says: Any, **more: Any) -> Partner:
    """A partner whose client key is its name and `-key`."""
    key = hashlib.sha256(f"{name}-key".encode()).hexdigest()
    return Partner(id=name, name=name, says=says, client_key_sha256=key, **more)


PARTNERS = Partners(
    partners=(
        registered("hotline", "reports"),
        registered("fire", "steps", units=("dept:fire",)),
        registered("archive", "reports", retrospective=True),
    )
)
GRID = "CH/shuangqiaozi/shuangqiaolubei/g001"
WHY = Explanation(rules=("same street, same hour",), catalogue="2026.1", policy="2026.1")
REPORT = FileReport(title="no water")
MORE, BACK = AddSupplement(text="the neighbours too"), Withdraw(reason="dried up")
_numbers = itertools.count(1)


@dataclass
class Home:
    """Intake's worker, with its store."""

    model: Model
    database: Mortal

    def worker(self, **changed: Any) -> Inbox:
        """A worker that has just begun: it remembers nothing."""
        return Inbox(replace(self.model, **changed), self.database, wall_clock)

    async def take(self, *records: Record) -> None:
        await self.worker().process(records)

    async def ask(self, words: Fact, case: str, **circumstances: Any) -> dict[str, Any]:
        """Lets a partner ask something; the one answer, an event."""
        record = request(words, case, **circumstances)
        await self.take(record)
        [answer] = await self.answers(record)
        return answer

    async def answers(self, record: Record) -> list[dict[str, Any]]:
        """All answers to the request in this record, wherever they stand."""
        asked = json.loads(record.value or b"")["id"]
        return [event for event in await self.notices() if event["data"].get("request") == asked]

    async def events(self, case: str) -> list[dict[str, Any]]:
        """What intake has said about a case, in order."""
        query = "SELECT body FROM events WHERE stream_id = $1 AND own ORDER BY version"
        return [json.loads(row["body"]) for row in await self.database.fetch(query, case)]

    async def notices(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What has been told to partners, each with the topic it goes to."""
        rows = await self.database.fetch(
            "SELECT aggregatetype, payload FROM unpublished WHERE aggregatetype LIKE 'to.%' ORDER BY position"
        )
        found = [json.loads(row["payload"]) | {"topic": row["aggregatetype"]} for row in rows]
        return [one for one in found if kind is None or one["data"]["kind"] == kind]

    async def heard(self, kind: str = "closed") -> list[tuple[str, str]]:
        """(case, outcome or ruling) of all notices of that kind."""
        said = await self.notices(kind)
        return [(one["subject"], one["data"].get("outcome") or one["data"]["ruling"]) for one in said]

    async def parked(self) -> list[tuple[str, str]]:
        rows = await self.database.fetch("SELECT kind, reason FROM parked ORDER BY parked_id")
        return [(row["kind"], row["reason"]) for row in rows]

    async def filed(self, count: int = 1, partner: str = "hotline") -> list[str]:
        """New reports of a partner."""
        cases = [case_id() for _ in range(count)]
        await self.take(*(request(REPORT, case, partner=partner) for case in cases))
        return cases


def request(words: Fact, case: str, *, partner: str = "hotline", **circumstances: Any) -> Record:
    """What a partner says, as a record on its topic."""
    return fact_record(case, words, **{"source": f"/partners/{partner}", "actor": "agent 7", **circumstances})


def ruled(case: str, fact: Fact) -> Record:
    """A ruling or a verdict, as a record; later than those before it."""
    return fact_record(case, fact, sequence=next(_numbers))


def merged(case: str, into: str) -> Record:
    return ruled(case, Merged(into=into, explanation=WHY))


def closed(case: str, outcome: CaseOutcome = "fixed") -> Record:
    return ruled(case, Evaluated(verdict="closed", outcome=outcome, reason="pipe replaced"))


def id_of(record: Record) -> str:
    return json.loads(record.value or b"")["id"]
