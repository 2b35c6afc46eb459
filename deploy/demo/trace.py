"""The five topics, read live as any console would: a line an event, and conditions on what has been seen."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.text import Text

from chassis.kafka.connection import Connection
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import NewReport, Rating, Reopening, Supplement, Withdrawal
from contracts.triage import Dispatched, Merged, Rejected, Upheld, Withdrawn
from contracts.wire import TOPICS, Invalid, parse
from deploy.demo.clock import CHENGDU

COLOURS = {
    "/services/intake": "cyan",
    "/services/triage": "magenta",
    "/services/dispatch": "yellow",
    "/services/feedback": "green",
}


class Trace:
    """Follows the cases it is told of. Use as an async context manager; it begins where the topics end."""

    def __init__(self, broker: Connection, console: Console) -> None:
        self._broker = broker
        self._console = console
        self._told = asyncio.Condition()
        self._names: dict[str, str] = {}
        self._early: list[Event[Any]] = []
        self.events: dict[str, list[Event[Any]]] = {}

    async def __aenter__(self) -> "Trace":
        self._consumer = AIOKafkaConsumer(**self._broker.options(), group_id=None, enable_auto_commit=False)
        await self._consumer.start()
        await self._consumer.topics()
        found = []
        for topic in TOPICS:
            await self._consumer._client.add_topic(topic)  # a consumer without a group knows no topic by itself
            found += [TopicPartition(topic, n) for n in self._consumer.partitions_for_topic(topic) or ()]
        self._consumer.assign(found)
        await self._consumer.seek_to_end()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()

    async def follow(self, case: str, name: str) -> None:
        """Shows this case under that name, and what has been on the topics of it already."""
        self._names[case] = name
        early, self._early = self._early, []
        for event in early:
            await self._take(event)

    async def until(
        self, case: str, test: Callable[[list[Event[Any]]], bool], what: str, *, seconds: float = 40
    ) -> list[Event[Any]]:
        """The case's events as soon as `test` is true of them. Raises `TimeoutError` that names `what`."""
        async with self._told:
            try:
                await asyncio.wait_for(self._told.wait_for(lambda: test(self.events.get(case, []))), seconds)
            except TimeoutError:
                raise TimeoutError(f"{what} did not come within {seconds:.0f} s") from None
            return self.events[case]

    async def _read(self) -> None:
        async for record in self._consumer:
            try:
                event = parse(record.topic, record.value or b"")
            except Invalid:
                continue  # not the demo's; audit and the services' parking show it
            await self._take(event)

    async def _take(self, event: Event[Any]) -> None:
        if event.subject not in self._names:
            self._early.append(event)
            return
        seen = self.events.setdefault(event.subject, [])
        if any(event.id == other.id and event.source == other.source for other in seen):
            return
        self._console.print(line(event, self._names[event.subject]), soft_wrap=True)
        async with self._told:
            seen.append(event)
            self._told.notify_all()


def line(event: Event[Any], name: str) -> Text:
    """When (the city's time), who says it, about what, and what in words."""
    who = event.publisher
    text = Text()
    text.append(event.time.astimezone(CHENGDU).strftime("%d %b %H:%M:%S "), style="dim")
    text.append(f"{who:<9}", style=COLOURS.get(event.source, "blue"))
    text.append(f"{name:<12} ", style="dim")
    what, why = words(event)
    text.append(what)
    if why:
        text.append(f"  ({why})", style="dim")
    return text


def words(event: Event[Any]) -> tuple[str, str]:
    """What happened, and why or by whom."""
    actor = event.actor or ""
    match event.data:
        case NewReport() as report:
            return f"reported by {report.channel}: {report.title}", f"{actor}, {report.place.area or 'area unknown'}"
        case Supplement(text=text):
            return f"more: {text[:80]}", actor
        case Withdrawal(reason=reason):
            return f"taken back: {reason}", actor
        case Rating(rating=rating, comment=comment):
            return f"rated {rating} of 5: {comment or ''}".rstrip(": "), actor
        case Reopening(reason=reason):
            return f"to be reopened: {reason}", actor
        case Dispatched() as ruling:
            plan = "; ".join(
                f"{part.unit} {'leads' if part.lead else 'supports'}: {part.task.rpartition(' / ')[2]}"
                for part in ruling.plan
            )
            return f"round {ruling.round} dispatched, priority {ruling.priority}: {plan}", ruling.because
        case Merged(into=into) as ruling:
            return f"merged into {into}", ruling.explanation.rules[-1]
        case Rejected(reason=reason):
            return "rejected", reason
        case Withdrawn(reason=reason):
            return "withdrawn", reason
        case Upheld(reason=reason):
            return "goes on, though taken back", reason
        case Resolved() as end:
            late = f", {end.late_by_seconds // 60} min late" if end.late_by_seconds else ""
            return f"{end.unit} {end.outcome}{late}: {end.note or ''}".rstrip(": "), end.reason or actor
        case Evaluated() as verdict:
            scores = ", ".join(f"{score.formula} {score.value:g}" for score in verdict.scores[:4])
            return f"{verdict.verdict} {verdict.outcome or ''} {verdict.reason or ''}".strip(), (
                f"checked by {verdict.checked_by}; {scores}" if verdict.checked_by else scores
            )
        case step:
            said = (getattr(step, name, None) for name in ("unit", "to", "said", "reason", "note", "comment"))
            detail = " ".join(part if isinstance(part, str) else ", ".join(part) for part in said if part)
            return f"{step.step.replace('_', ' ')} {detail}"[:220], actor or "follows from what was known"
