"""Where each partition is read from: what the service itself knows has taken effect decides, not the broker's offsets.

A group's offsets can be moved by anybody, and lost; a topic can lose records before they are read, or be another one
under the old name. So, whenever a partition has no position (it was given to this worker, or the broker does not have
the one that was asked for), four things are compared before anything is read: what has taken effect (the table
`taken`), what the group has committed, where the log starts, and where it ends.

    committed is ahead of what has taken effect    it is read from what has, and said
    committed is behind, or missing                read from there; what comes again has no effect a second time
    the log starts behind what has taken effect    records are gone: the partition waits for a person (`make skip`)
    the log ends before it, or is another topic's  all that is there is read, and said

This stands in the place of aiokafka's own choice of a position, so no record can come before it is made. Of every fetch
it is then asked that it begins where the last one ended.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from chassis.kafka.layout import Topic, layout
from chassis.kafka.records import Record
from chassis.kafka.salvage import behind
from chassis.retry import in_short, in_words
from chassis.store.database import TRANSIENT_ERRORS
from chassis.store.taken import Ledger, Place, Skip, Taken
from contracts.fields import coordinates

log = logging.getLogger(__name__)

GONE = "records are gone from the topic before they were read"
_RETRY_SECONDS = 0.5
_EARLIEST, _LATEST = -2, -1


class Ends(NamedTuple):
    """Where a partition's log starts and ends, and of which topic it is."""

    start: int
    end: int
    topic_id: UUID | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a partition is read on; if `until` is set, the records from `position` up to it are gone."""

    position: int
    until: int | None = None
    words: str | None = None
    """What is remarkable about it."""


def judge(committed: int | None, taken: Taken | None, ends: Ends, *, adopt: bool) -> Verdict:
    """Where to read on. `adopt`: where nothing is known to have taken effect, the group's offset is believed."""
    words = None
    if taken is None:
        reached = committed if adopt and committed is not None and committed <= ends.end else 0
    elif None not in (taken.topic_id, ends.topic_id) and taken.topic_id != ends.topic_id:
        reached, committed = 0, None
        words = f"the topic was made anew: {taken.next} offsets had taken effect of the one before"
    elif taken.next > ends.end:
        words = f"the topic ends at {ends.end}, before the {taken.next} offsets that had taken effect"
        return Verdict(ends.start, words=words)
    else:
        reached = taken.next
    if reached < ends.start:
        return Verdict(reached, ends.start - 1, f"{GONE}: {_span(reached, ends.start - 1)}")
    if committed is not None and committed > reached and words is None:
        words = f"the group's offset {committed} is ahead of the {reached} offsets that have taken effect"
    if committed is not None and committed < reached:
        return Verdict(max(committed, ends.start), words=words)
    return Verdict(reached, words=words)


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


class Positions:
    """Places the partitions of one worker, and keeps what has taken effect."""

    def __init__(self, ledger: Ledger, name: str, skip: Callable[[Record, Skip], Awaitable[None]]) -> None:
        """`skip` lets a service step over a record, durably, in the name of the person who asked for it."""
        self._ledger = ledger
        self._name = name
        self._skip = skip
        self._kafka: AIOKafkaConsumer | None = None
        self._prefix = ""
        self._forget: Callable[[TopicPartition], None] = lambda _: None
        self._assignment: object = None
        self._next: dict[TopicPartition, int] = {}
        """Where the next fetch of a partition begins."""
        self._topics: Mapping[str, UUID | None] = {}
        self._gone: dict[TopicPartition, int] = {}
        """Partition that waits for a person -> the last offset that is gone."""
        self._remarks: dict[TopicPartition, str] = {}
        self._skipped: dict[TopicPartition, list[tuple[int, int]]] = {}
        self.fault: str | None = None
        """Why partitions cannot be placed now."""

    def follow(self, kafka: AIOKafkaConsumer, prefix: str, forget: Callable[[TopicPartition], None]) -> None:
        """From now on it places the partitions of this client; `forget` is called of one that begins anew."""
        self._kafka, self._prefix, self._assignment = kafka, prefix, None
        self._forget = forget
        self.fault = None

    def place_of(self, tp: TopicPartition) -> Place:
        """Topic without the deployment's prefix, and partition."""
        return tp.topic[len(self._prefix) :], tp.partition

    async def place(self, assignment: Any, node_id: Any, partitions: Sequence[TopicPartition]) -> bool:
        """In the place of aiokafka's `Fetcher._update_fetch_positions`: gives partitions that have none a position."""
        with contextlib.suppress(asyncio.CancelledError):  # the assignment has ended; aiokafka waits for its tasks
            try:
                await self._place(assignment, node_id, partitions)
                self.fault = None
            except (KafkaError, *TRANSIENT_ERRORS) as fault:
                self.fault = in_short(fault)
                log.warning("%s cannot tell where to read on: %s", self._name, in_words(fault))
                if isinstance(fault, KafkaError) and self._kafka is not None:
                    self._kafka._client.force_metadata_update()
                await asyncio.sleep(_RETRY_SECONDS)
        return False

    async def _place(self, assignment: Any, node_id: Any, partitions: Sequence[TopicPartition]) -> None:
        assert self._kafka is not None
        if assignment is not self._assignment:
            self._assignment = assignment
            self._next, self._gone, self._remarks, self._skipped = {}, {}, {}, {}
        committed = await self._committed(assignment, partitions)
        found = await layout(self._kafka._client, {tp.topic for tp in partitions})
        ends = await self._ends(node_id, partitions, found)
        taken, done = await self._ledger.read(), await self._ledger.done()
        adopt = any(self.place_of(tp) not in taken for tp in partitions) and await self._ledger.is_older()
        self._topics = {**self._topics, **{topic: one.topic_id for topic, one in found.items()}}
        verdicts: dict[TopicPartition, Verdict] = {}
        kept: dict[Place, Taken] = {}
        for tp in partitions:
            place = self.place_of(tp)
            known = taken.get(place)
            if known is not None:
                known = self._further(tp, known, done)
            verdict = verdicts[tp] = judge(committed.get(tp), known, ends[tp], adopt=adopt)
            now = Taken(verdict.position, ends[tp].topic_id)
            if known is None or known.topic_id != now.topic_id or known.next > ends[tp].end:
                kept[place] = now
                self._forget(tp)
        if kept:
            await self._ledger.write(kept)
        for tp, verdict in verdicts.items():
            self._settle(assignment, tp, verdict, done)

    def _further(self, tp: TopicPartition, known: Taken, done: Sequence[Skip]) -> Taken:
        """What has taken effect beyond what is written down: what was read here, and what was stepped over."""
        reached = max(known.next, self._next.get(tp, 0))
        for one in sorted(done, key=lambda one: one.since):
            same = (one.topic, one.partition, one.topic_id) == (*self.place_of(tp), known.topic_id)
            if same and one.until is not None and one.since <= reached <= one.until:
                reached = one.until + 1
        return Taken(reached, known.topic_id)

    async def _committed(
        self, assignment: Any, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, int | None]:
        asked = [tp for tp in partitions if not assignment.state_value(tp).awaiting_reset]
        answers: list[OffsetAndMetadata] = await asyncio.gather(
            *(assignment.state_value(tp).fetch_committed() for tp in asked)
        )
        return {tp: None if one.offset < 0 else one.offset for tp, one in zip(asked, answers, strict=True)}

    async def _ends(
        self, node_id: Any, partitions: Sequence[TopicPartition], found: Mapping[str, Topic]
    ) -> Mapping[TopicPartition, Ends]:
        kafka: Any = self._kafka
        outer = []
        for which in (_EARLIEST, _LATEST):
            asked: dict[str, list[tuple[int, int]]] = defaultdict(list)
            for tp in partitions:
                asked[tp.topic].append((tp.partition, which))
            outer.append(await kafka._fetcher._proc_offset_request(node_id, asked))
        starts, ends = outer
        ids = {topic: one.topic_id for topic, one in found.items()}
        return {tp: Ends(starts[tp][0], ends[tp][0], ids.get(tp.topic)) for tp in partitions}

    def _settle(self, assignment: Any, tp: TopicPartition, verdict: Verdict, done: Sequence[Skip]) -> None:
        state = assignment.state_value(tp)
        if verdict.words is not None and verdict.words != self._remarks.get(tp):
            self._remarks[tp] = verdict.words
            log.warning("%s, %s/%d: %s; it is read %s", self._name, *self.place_of(tp), verdict.words, _goes(verdict))
        if state.has_valid_position:  # somebody sought meanwhile
            return
        self._next[tp] = verdict.position
        self._skipped[tp] = [
            (one.since, one.until)
            for one in done
            if (one.topic, one.partition) == self.place_of(tp)
            and one.until is not None
            and one.until >= verdict.position
            and one.topic_id == self._topics.get(tp.topic)
        ]
        state.reset_to(verdict.position)
        if verdict.until is not None:
            self._wait(state, tp, verdict.until)

    def _wait(self, state: Any, tp: TopicPartition, until: int) -> None:
        self._gone[tp] = until
        state.pause()

    def continued(self, tp: TopicPartition, batch: list[Any]) -> list[Any]:
        """The batch, as far as it begins where the last one of the partition ended, and has no gap itself.

        Where something is missing the partition waits.
        """
        expected = self._next.get(tp)
        if expected is None:
            return batch
        if batch[0].offset <= expected and behind(batch[-1]) - batch[0].offset == len(batch):
            good = batch
        else:
            good = []
            for one in batch:
                if one.offset > expected:
                    break
                good.append(one)
                expected = max(expected, behind(one))
        if good:
            self._next[tp] = behind(good[-1])
        if len(good) < len(batch):
            self._missing(tp, batch[len(good)].offset - 1)
        if skipped := self._skipped.get(tp):
            good = [one for one in good if not any(since <= one.offset <= until for since, until in skipped)]
        return good

    def _missing(self, tp: TopicPartition, until: int) -> None:
        assert self._kafka is not None
        first = self._next[tp]
        self._kafka.seek(tp, first)
        self._remarks[tp] = f"{GONE}: {_span(first, until)}"
        log.warning("%s, %s/%d: %s; it waits", self._name, *self.place_of(tp), self._remarks[tp])
        self._wait(self._state(tp), tp, until)

    def _state(self, tp: TopicPartition) -> Any:
        assert self._kafka is not None
        subscription: Any = self._kafka._subscription.subscription
        return subscription.assignment.state_value(tp)

    def expected(self, tp: TopicPartition) -> int | None:
        """Where the next fetch of the partition begins; None where it was not placed."""
        return self._next.get(tp)

    def back(self, tp: TopicPartition, offset: int) -> None:
        """Says that the partition is read again from there, whatever was found missing behind it."""
        self._next[tp] = offset
        if self._gone.pop(tp, None) is not None:
            self._state(tp).resume()

    def made_anew(self, topic: str) -> None:
        """Says that a topic is another one now: its partitions are placed again."""
        kafka: Any = self._kafka
        for tp in kafka.assignment() if kafka else ():
            state = self._state(tp)
            if tp.topic != topic or state is None or not state.has_valid_position:
                continue
            kafka._fetcher._records.pop(tp, None)
            if self._gone.pop(tp, None) is not None:
                state.resume()
            state.await_reset(_EARLIEST)

    async def step_over(self, failing: Sequence[Record], stuck: Collection[TopicPartition]) -> None:
        """Steps over what partitions stand at, where somebody has asked for it: what is gone, a record of a batch that
        fails again and again, or the offset at which the broker gives nothing.
        """
        for skip in await self._ledger.asked():
            tp = TopicPartition(self._prefix + skip.topic, skip.partition)
            record = self._at(tp, skip, failing, stuck)
            if record is None:
                continue
            await self._skip(record, skip)
            until = record.next_offset - 1
            found = record.unread or f"a record of {len(record.value or b'')} bytes"
            await self._ledger.finish(skip, until, found, self._topics.get(tp.topic))
            log.warning("%s steps over %s for %s: %s", self._name, record.coordinates, skip.asked_by, skip.reason)
            self._skipped.setdefault(tp, []).append((skip.since, until))
            if self._next.get(tp) == skip.since:
                assert self._kafka is not None
                await self.keep({tp: until + 1})
                self._kafka.seek(tp, until + 1)
                self.back(tp, until + 1)
                self._remarks.pop(tp, None)

    def _at(
        self, tp: TopicPartition, skip: Skip, failing: Sequence[Record], stuck: Collection[TopicPartition]
    ) -> Record | None:
        """What the partition stands at, if it is what was asked for."""
        place = skip.topic, skip.partition, skip.since
        for record in failing:
            if (record.topic, record.partition, record.offset) == place:
                return record
        if self._next.get(tp) != skip.since:
            return None
        if tp in self._gone:
            until = self._gone[tp]
            return Record(*place, None, None, (), None, f"{GONE}: {_span(skip.since, until)}", until)
        if tp in stuck:
            return Record(*place, None, None, (), None, "the broker does not serve what lies there", skip.since)
        return None

    async def keep(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Writes down that all before these offsets has taken effect; durable afterwards."""
        await self._ledger.write(
            {self.place_of(tp): Taken(offset, self._topics.get(tp.topic)) for tp, offset in offsets.items()}
        )

    def gone(self) -> list[str]:
        """What waits for a person, and what to do."""
        found = []
        for tp, until in sorted(self._gone.items()):
            topic, partition = self.place_of(tp)
            first = self._next[tp]
            found.append(
                f"{coordinates(topic, partition, first)}: {GONE}: {_span(first, until)}; bring them back, or "
                f"make skip SERVICE={self._name} TOPIC={topic} PARTITION={partition} OFFSET={first}"
            )
        return found

    def waits(self, tp: TopicPartition) -> bool:
        """Whether the partition waits for a person."""
        return tp in self._gone

    def health(self) -> dict[str, Any]:
        """What waits for a person, and what was remarkable when partitions were placed."""
        remarks = {"{}/{}".format(*self.place_of(tp)): words for tp, words in sorted(self._remarks.items())}
        return {"waiting": self.gone(), "remarks": remarks, "fault": self.fault}


def _goes(verdict: Verdict) -> str:
    return f"from {verdict.position}" if verdict.until is None else "no further"
