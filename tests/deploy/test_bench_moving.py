"""A copy of a case has the same rows at another time: identifiers, instants and indexes are moved, nothing else."""

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.ids import uuid7
from deploy.bench.moving import HEADER, TRAILER, Destination, Row, Table, Template, rows_of

AT = datetime(2026, 5, 9, 1, 0, 0, 123456, tzinfo=UTC)
CASE, FILED, RULED = (uuid7(AT + timedelta(seconds=n)) for n in range(3))
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def number(value: int) -> bytes:
    return struct.pack(">q", value)


def stamp(at: datetime) -> bytes:
    return number((at - EPOCH) // timedelta(microseconds=1))


def body(event: str, cause: str | None = None) -> bytes:
    said = f'{{"id":"{event}","subject":"{CASE}","cause":"{cause}","time":"{AT.isoformat()}","sequence":"0000000001"}}'
    return said.encode()


def case(first_index: int = 41) -> list[Table]:
    events: list[Row] = [[CASE.encode(), number(1), number(7), FILED.encode(), body(FILED), stamp(AT)]]
    received: Row = [CASE.encode(), number(2), None, RULED.encode(), body(RULED, FILED), stamp(AT)]
    state = f'{{"first_index":{first_index},"last_index":{first_index + 8},"at":"{AT.isoformat()}"}}'.encode()
    log: list[Row] = [
        [number(index), number(index + 1000), event.encode(), body(event)]
        for index, event in ((first_index, FILED), (first_index + 8, RULED))
    ]
    named = {"stream_id": "text", "version": "int8", "position": "int8", "event_id": "text", "body": "bytea"}
    return [
        Table(
            "audit",
            "cases",
            {"case_id": "text", "first_index": "int8", "last_index": "int8", "state": "bytea", "since": "timestamptz"},
            [
                [
                    CASE.encode(),
                    number(first_index),
                    number(first_index + 8),
                    state,
                    stamp(datetime(1970, 1, 1, tzinfo=UTC)),
                ]
            ],
        ),
        Table("intake", "events", {**named, "recorded_at": "timestamptz"}, [*events, received]),
        Table("audit", "log", {"index": "int8", "offset": "int8", "event_id": "text", "body": "bytea"}, log),
        Table("intake", "parked", {"stream_id": "text"}, []),
    ]


def copied(place: Destination, tables: list[Table] | None = None) -> dict[str, list[Row]]:
    found = Template.of(tables or case()).copies(place)
    return {name: list(rows_of(HEADER + rows + TRAILER)) for (_, name), rows in found.items()}


DESTINATION = Destination(-86_400 * 40 - 1, 1_000_000, {"intake": -12})


def test_a_copy_at_its_own_place_is_the_case_itself() -> None:
    found = copied(Destination(0, 0, {"intake": 7}))
    own = {table.name: [list(row) for row in table.rows] for table in case()}
    assert found["events"] == own["events"]
    assert found["log"][0][2:] == own["log"][0][2:]
    assert found["parked"] == []


def test_identifiers_and_instants_are_moved_together() -> None:
    found = copied(DESTINATION)
    moved = AT + timedelta(seconds=DESTINATION.seconds)
    case_id, _, _, event_id, said, recorded = found["events"][0]
    assert case_id is not None
    assert event_id is not None
    assert case_id[:13].replace(b"-", b"") == b"%012x" % (int(moved.timestamp() * 1000))
    assert (case_id[13:], event_id[13:]) == (CASE[13:].encode(), FILED[13:].encode())
    assert said == body("EVENT").replace(b"EVENT", event_id).replace(CASE.encode(), case_id).replace(
        AT.isoformat().encode(), moved.isoformat().encode()
    )
    assert recorded == stamp(moved)
    assert event_id in (found["events"][1][4] or b""), "what follows names the moved event as its cause"
    assert found["cases"][0][4] == stamp(datetime(1970, 1, 1, tzinfo=UTC)), "no instant of a case is that old"


def test_the_log_goes_on_and_the_case_names_its_new_indexes() -> None:
    found = copied(DESTINATION)
    assert [row[0] for row in found["log"]] == [number(1_000_000), number(1_000_001)]
    assert found["cases"][0][1:3] == [number(1_000_000), number(1_000_001)]
    assert (found["cases"][0][3] or b"").startswith(b'{"first_index":1000000,"last_index":1000001,"at":"2026-03-30')


def test_nothing_of_a_copy_lies_where_it_could_be_sent_or_come() -> None:
    found = copied(DESTINATION)
    assert found["events"][0][2] == number(-12), "below the position from which events are sent"
    assert found["events"][1][2] is None, "a received event is none to be sent"
    offsets = [row[1] for row in found["log"]]
    assert offsets == [number(-1_000_001), number(-1_000_002)]


@given(st.integers(-(10**8), 10**8), st.integers(0, 10**9), st.integers(-(10**9), -1))
def test_moving_back_gives_the_case_again(seconds: int, index: int, position: int) -> None:
    there = Template.of(case(0)).copies(Destination(seconds, index, {"intake": position}))
    tables = [
        Table(
            table.service, table.name, table.columns, list(rows_of(HEADER + there[table.service, table.name] + TRAILER))
        )
        for table in case(0)
    ]
    back = copied(Destination(-seconds, 0, {"intake": position}), tables)
    assert back == copied(Destination(0, 0, {"intake": position}), case(0))


def test_only_a_binary_copy_is_read() -> None:
    with pytest.raises(ValueError, match="no binary COPY"):
        list(rows_of(b"019e0a9c\t1\n"))
