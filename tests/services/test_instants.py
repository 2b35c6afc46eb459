"""One bound for all instants: whatever stands in `time` and `recordedtime` of a fact, all five services judge it alike,
and what is counted from it begins when the fact had arrived, at the latest."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from chassis.engine.inbox import Inbox
from chassis.engine.settling import Decision, settle
from chassis.service import Service
from contracts.export.story import Example
from contracts.fields import instant
from tests.services.taking import OF_KIND, Taker, reads, record, story_of, taking
from tests.support.services import Hands

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
ZONE = timedelta(hours=8)


def written() -> Iterator[tuple[object, bool]]:
    """What may stand there, and whether a service takes it now."""
    for at, right in (
        (NOW, True),
        (NOW - timedelta(days=1), True),
        (NOW + HOUR, True),
        (NOW + HOUR + timedelta(minutes=50), False),
        (NOW + ZONE, False),
        (NOW + timedelta(days=365), False),
    ):
        yield instant(at), right
    yield from (
        (NOW.strftime(form), right) for form, right in (("%Y-%m-%dT%H:%M:%SZ", True), ("%Y-%m-%dT%H:%MZ", False))
    )
    yield from ((NOW.strftime(form), False) for form in ("%Y-%m-%dt%H:%M:%SZ", "%Y-%m-%dT%H:%M:%Sz", "%Y-%m-%d"))
    yield from ((f"{NOW:%Y-%m-%dT%H:%M:%S}{end}", False) for end in ("", ".123456789Z", "+14:00", "-23:59", "+08:00"))
    yield from ((text, True) for text in ("1970-01-01T00:00:00Z", "2024-02-29T12:00:00.5Z"))
    yield from ((f"{day}T00:00:00Z", False) for day in ("0001-01-01", "0000-01-01", "1969-12-31", "2023-02-29"))
    yield from ((f"{day}T23:59:59.999999Z", False) for day in ("2199-12-31", "2200-12-31", "9999-12-31"))
    yield from ((text, False) for text in ("2016-12-31T23:59:60Z", "1795780800", "", "yesterday"))
    yield from ((value, False) for value in (1795780800, 1795780800.5, -62135596800, None, True, [], {"at": 1}))


async def test_all_services_take_the_same_instants_in_every_fact(service: Service, url: str) -> None:
    kinds = [kind for kind, example in OF_KIND.items() if reads(service, example)]
    wrong = list[tuple[str, str, object]]()
    async with taking(service, url, Hands(NOW)) as taker:
        for place, (value, right) in enumerate(written()):
            for name in ("time", "recordedtime"):
                kind = kinds[place % len(kinds)]
                story, example = story_of(kind, f"{name} {place}")
                other = instant(NOW) if name == "time" else "1970-01-01T00:00:00Z"
                times = {"time": other, "recordedtime": other, name: value}
                await taker.hear(story)
                await taker.take(record(example, **times))
                if await taken(taker, example) != right:
                    wrong.append((kind, name, value))
    assert wrong == []


async def taken(taker: Taker, example: Example) -> bool:
    """Whether an event took effect; else it must be parked, or counted where another service parks it. Audit stores it
    all the same, and says what is wrong.
    """
    case, event_id = example.event.subject, example.event.id
    if not taker.decides:
        await taker.take(record(OF_KIND["new"]))
        [row] = await taker.store.fetch("SELECT valid FROM log WHERE case_id = $1 AND event_id = $2", case, event_id)
        return row["valid"] and not any("ahead" in fault for fault in await taker.faults(case))
    if event_id in await taker.taken(case):
        return True
    assert isinstance(taker.processor, Inbox)
    passed_over = taker.processor.reader.passed_over
    assert await taker.parked(case) or passed_over[example.topic], case
    passed_over.clear()
    return False


async def test_a_fact_that_lies_ahead_takes_effect_when_its_time_has_come_and_is_retried(
    service: Service, url: str
) -> None:
    clock = Hands(NOW)
    async with taking(service, url, clock) as taker:
        kind = next(kind for kind, example in OF_KIND.items() if reads(service, example))
        story, example = story_of(kind)
        case, ahead = example.event.subject, instant(NOW + ZONE)
        await taker.hear(story)
        await taker.take(record(example, time=ahead, recordedtime=ahead))
        if not taker.decides:
            return
        assert example.event.id not in await taker.taken(case)
        [(parked_as, reason)] = await taker.parked(case)
        assert (parked_as, "the clock of this service" in reason) == ("unfit", True)
        clock.advance(hours=8)
        assert isinstance(taker.processor, Inbox)
        await settle(taker.processor, Decision(1, False, "operator", "its time has come"))
        assert example.event.id in await taker.taken(case)
