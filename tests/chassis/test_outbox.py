"""Which positions were read and which are missing, in any interleaving of writers, commits, rollbacks and reads."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from chassis.store.outbox import Positions


@dataclass
class Server:
    """Transactions that take ids and positions in order, and end in any."""

    next_id: int = 100
    next_position: int = 1
    running: dict[int, list[int]] = field(default_factory=dict)
    """Id -> the positions that it has taken."""
    visible: set[int] = field(default_factory=set)

    @property
    def oldest(self) -> int:
        return min(self.running, default=self.next_id)


@dataclass
class Reader:
    """Reads what the relay reads, all of it at one instant."""

    server: Server
    positions: Positions = field(default_factory=lambda: Positions(0))
    read: list[int] = field(default_factory=list)

    def look(self, limit: int) -> None:
        server, positions = self.server, self.positions
        oldest = server.oldest
        late = [one for one in sorted(server.visible) if any(gap.first <= one <= gap.last for gap in positions.gaps)]
        positions.filled(late, oldest)
        new = [one for one in sorted(server.visible) if one > positions.high][:limit]
        positions.read(new, server.next_id)  # an id of the reader's own
        server.next_id += 1
        self.read += [*late, *new]


STEPS = st.lists(
    st.one_of(
        st.just(("begin", 0)),
        st.tuples(st.sampled_from(["take", "commit", "roll back"]), st.integers(0, 5)),
        st.tuples(st.just("read"), st.integers(1, 4)),
    ),
    max_size=60,
)


def carried_out(steps: list[tuple[str, int]], reader: Reader) -> Iterator[Reader]:
    server = reader.server
    for step, number in steps:
        if step == "begin":
            server.running[server.next_id] = []
            server.next_id += 1
        elif step == "read":
            reader.look(number)
        elif server.running:
            chosen = sorted(server.running)[number % len(server.running)]
            if step == "take":
                server.running[chosen].append(server.next_position)
                server.next_position += 1
            else:
                positions = server.running.pop(chosen)
                server.visible |= set(positions) if step == "commit" else set()
        yield reader


@given(steps=STEPS)
def test_every_committed_position_is_read_once_and_none_is_passed(steps: list[tuple[str, int]]) -> None:
    reader = Reader(Server())
    server = reader.server
    for _ in carried_out(steps, reader):
        still_to_come = set().union(*server.running.values())
        unread = (server.visible | still_to_come) - set(reader.read)
        assert reader.positions.low < min(unread, default=server.next_position)
    for chosen in list(server.running):
        server.visible |= set(server.running.pop(chosen))
    for _ in range(2 + len(server.visible)):
        reader.look(1_000)
    assert sorted(reader.read) == sorted(server.visible)
    assert reader.positions.gaps == []


@given(steps=STEPS, crashes=st.integers(0, 60))
def test_a_reader_that_begins_anew_where_the_last_one_was_misses_none(
    steps: list[tuple[str, int]], crashes: int
) -> None:
    reader, low = Reader(Server()), 0
    read: set[int] = set()
    for step, _ in enumerate(carried_out(steps, reader)):
        low = max(low, reader.positions.low)
        if step == crashes:
            read |= set(reader.read)
            reader.positions, reader.read = Positions(low), []
    server = reader.server
    for chosen in list(server.running):
        server.visible |= set(server.running.pop(chosen))
    for _ in range(2):
        reader.look(1_000)
    assert read | set(reader.read) == server.visible
