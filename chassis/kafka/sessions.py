"""Fetch sessions: the broker remembers what a client reads, and is told only what has changed (KIP-227).

aiokafka names every partition in every fetch, and is answered for every one, also for those on which nothing has come.
As every Java client does, this opens a session with a fetch that names them all; later ones name what was added, what
goes on at another offset, and what is left out, and the answer has only partitions with something new. Whatever is not
certain ends the session, and the next fetch names all again: a fetch without an answer, an error, new partitions of a
rebalance (their client knows no ends yet), and the lapse of a minute.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.api import Request
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v7, FetchRequestStruct

_LONGEST_SECONDS = 60.0
_FIRST_EPOCH = 0
"""Opens a session, and ends the one that it names."""
_LAST_EPOCH = 2**31 - 1

Send = Callable[..., Awaitable[Any]]
"""`AIOKafkaClient.send`."""
_Place = tuple[str, int]


class _Session:
    """What a broker was told: `epoch` counts its fetches, and both sides must count alike."""

    def __init__(self) -> None:
        self.id = 0
        self.epoch = _FIRST_EPOCH
        self.assignment: object = None
        self.began = time.monotonic()
        self._told: dict[_Place, tuple[int, ...]] = {}

    def restart(self) -> None:
        """The next fetch names all partitions."""
        self.epoch = _FIRST_EPOCH
        self.began = time.monotonic()

    def narrow(self, fetch: Any) -> None:
        """Leaves in a fetch of all partitions what the broker does not know."""
        wanted = {(topic, part[0]): part for topic, parts in fetch.topics for part in parts}
        if self.epoch != _FIRST_EPOCH:
            changed = [place for place, part in wanted.items() if self._told.get(place) != part]
            fetch.topics = _by_topic((topic, wanted[topic, number]) for topic, number in changed)
            fetch.forgotten_topics_data = _by_topic(self._told.keys() - wanted.keys())
        fetch.session_id, fetch.session_epoch = self.id, self.epoch
        self._told = wanted

    def answered(self, response: Any) -> None:
        """Notes that the broker has counted the fetch, and knows the session; or that it does not."""
        if response.error_code or not response.session_id:
            self.restart()
        else:
            self.id = response.session_id
            self.epoch = self.epoch + 1 if self.epoch < _LAST_EPOCH else _FIRST_EPOCH + 1


class _Narrowed(Request[FetchRequestStruct]):
    API_KEY = FetchRequest.API_KEY

    def __init__(self, whole: FetchRequest, session: _Session) -> None:
        self._whole = whole
        self._session = session

    def build(self, request_struct_class: type[FetchRequestStruct]) -> FetchRequestStruct:
        fetch = self._whole.build(request_struct_class)
        self._session.narrow(fetch)
        return fetch


class FetchSessions:
    """Sends what a client sends, its fetches in one session for each broker."""

    def __init__(self, send: Send, assignment: Callable[[], object]) -> None:
        """`assignment` gives another object whenever partitions were assigned anew."""
        self._send = send
        self._assignment = assignment
        self._sessions: dict[Any, _Session] = {}

    async def send(self, node_id: Any, request: Any, **options: Any) -> Any:
        """As `AIOKafkaClient.send`. A client has one fetch under way for each broker."""
        if not isinstance(request, FetchRequest):
            return await self._send(node_id, request, **options)
        session = self._sessions.setdefault(node_id, _Session())
        assignment = self._assignment()
        if session.assignment is not assignment or time.monotonic() - session.began >= _LONGEST_SECONDS:
            session.restart()
            session.assignment = assignment
        try:
            response = await self._send(node_id, _Narrowed(request, session), **options)
        except BaseException:  # the broker may have counted it
            session.restart()
            raise
        if response.API_VERSION >= FetchRequest_v7.API_VERSION:  # an older broker is told all each time
            session.answered(response)
        return response


def fetch_in_sessions(kafka: AIOKafkaConsumer) -> None:
    """Makes a consumer that is not started yet fetch in sessions."""
    client = kafka._client

    def assignment() -> object:
        subscription = kafka._subscription.subscription
        return subscription and subscription.assignment

    client.send = FetchSessions(client.send, assignment).send


def _by_topic(places: Iterable[tuple[str, Any]]) -> list[tuple[str, list[Any]]]:
    found: dict[str, list[Any]] = {}
    for topic, one in places:
        found.setdefault(topic, []).append(one)
    return list(found.items())
