"""aiokafka's consumer as every reader here uses it: it fetches in sessions, and no record that lies there stops it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.fetch import FetchRequest

from chassis.kafka.connection import ANSWER_MS, answer_in_time
from chassis.kafka.inflating import BATCH_BYTES
from chassis.kafka.sessions import fetch_in_sessions
from chassis.kafka.unpacking import Patience, Unpacked
from chassis.kafka.unserved import OF_THE_FILE, Unserved

_Found = list[tuple[TopicPartition, int, int, bytes]]
"""Partition, the offset that was asked for, the end of its log, and what was found."""


class KafkaReader(AIOKafkaConsumer):
    """Gives records as aiokafka does, and what is no record as `Salvaged`, with the reason. Takes no deserializers."""

    def __init__(self, *, place: Callable[..., Awaitable[bool]] | None = None, **options: Any) -> None:
        """As aiokafka's, without topics. `place` stands for aiokafka's choice of where a partition is read from."""
        self._place = place
        self._patience = Patience()
        self._unserved = Unserved(self, self._patience)
        super().__init__(**options, isolation_level="read_uncommitted", request_timeout_ms=ANSWER_MS)
        answer_in_time(self._client)
        fetch_in_sessions(self)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        """As aiokafka's; of compressed batches at most some 32 MiB at once.

        Raises `KafkaError` where fetching has ended: aiokafka only logs that, and would give nothing for ever.
        """
        self._patience.room = BATCH_BYTES
        if self._fetcher is not None:
            if self._fetcher.error_future.done():
                raise KafkaError("the client has ended fetching by itself")
            await self._unserved.look()
        return await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)

    @property
    def _fetcher(self) -> Fetcher | None:  # pyright: ignore[reportIncompatibleVariableOverride]  made by `start`
        return self._unpacking

    @_fetcher.setter
    def _fetcher(self, fetcher: Fetcher | None) -> None:
        self._unpacking = fetcher
        if fetcher is not None:
            _Unpacking(fetcher, self._patience, self._unserved.refused)
            if self._place is not None:
                cast(Any, fetcher)._update_fetch_positions = self._place


class _Unpacking:
    """Takes the records out of a fetcher's answers before it sees them, and gives them to it unpacked.

    So everything else of an answer, its errors and the ends of the logs, goes aiokafka's own way. A fetcher has one
    fetch under way for each broker.
    """

    def __init__(self, fetcher: Any, patience: Patience, refused: set[TopicPartition]) -> None:
        self._fetcher = fetcher
        self._patience = patience
        self._refused = refused
        self._found: dict[Any, _Found] = {}
        self._send, self._process = fetcher._client.send, fetcher._proc_fetch_request
        fetcher._client.send = self._without_records
        fetcher._proc_fetch_request = self._process_with_records

    async def _without_records(self, node_id: Any, request: Any, **options: Any) -> Any:
        response = await self._send(node_id, request, **options)
        if isinstance(request, FetchRequest):
            asked = {(topic, part[0]): part[1] for topic, parts in request.topics for part in parts}
            self._found[node_id] = self._taken_out(response, asked)
        return response

    async def _process_with_records(self, assignment: Any, node_id: Any, request: Any) -> bool:
        self._found.pop(node_id, None)
        woken = await self._process(assignment, node_id, request)
        fetcher = self._fetcher
        for tp, position, end, raw in self._found.pop(node_id, ()) if assignment.active else ():
            state = assignment.state_value(tp)
            if not state.has_valid_position or state.position != position or tp in fetcher._records:
                continue
            fetcher._records[tp] = FetchResult(
                tp,
                partition_records=Unpacked(tp, raw, position, end, self._patience),
                assignment=assignment,
                backoff=fetcher._prefetch_backoff,
            )
            woken = True
        return woken

    def _taken_out(self, response: Any, asked: Mapping[tuple[str, int], int]) -> _Found:
        """The records in an answer, which are not in it any more; notes which partitions have an error instead."""
        found: _Found = []
        topics = []
        for topic, parts in response.topics:
            topics.append((topic, [(*part[:-1], b"") for part in parts]))
            for number, code, end, *_, raw in parts:
                tp = TopicPartition(topic, number)
                if code:
                    if for_code(code) in OF_THE_FILE:
                        self._refused.add(tp)
                    continue
                self._refused.discard(tp)
                if raw and (topic, number) in asked:
                    found.append((tp, asked[topic, number], end, raw))
        response.topics = topics
        return found
