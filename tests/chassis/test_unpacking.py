"""Batches byte by byte: whatever lies on a topic, each record of it is given or named, and the reading goes on."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from hypothesis import given
from hypothesis import strategies as st

from chassis.kafka.inflating import BATCH_BYTES
from chassis.kafka.records import headers_from_text, record_from
from chassis.kafka.salvage import MARKER, RECORD_BYTES, Salvaged
from chassis.kafka.unpacking import Patience, Unpacked
from tests.support.batches import batch, field, record, varint

PLACE = TopicPartition("from.water", 0)
END = 1_000


def unpacked(raw: bytes, position: int = 0, *, end: int = END) -> list[Any]:
    """What a reader is given of it, which fetches again what is not sound."""
    patience = Patience()
    found: list[Any] = []
    for _ in range(3):
        one = Unpacked(PLACE, raw, position, end, patience)
        found += list(one)
        position = one.next_fetch_offset
    return found


def offsets(found: Sequence[Any]) -> list[tuple[int, bytes | None, str | None]]:
    return [(one.offset, one.value, one.unread if isinstance(one, Salvaged) else None) for one in found]


def good(base: int, *values: bytes) -> bytes:
    return batch([record(place, value) for place, value in enumerate(values)], base=base)


def test_sound_batches_are_aiokafkas_own_records() -> None:
    found = unpacked(good(0, b"a", b"b") + good(2, b"c"))
    assert offsets(found) == [(0, b"a", None), (1, b"b", None), (2, b"c", None)]
    assert not any(isinstance(one, Salvaged) for one in found)


def test_reading_goes_on_in_the_middle_of_a_batch() -> None:
    assert offsets(unpacked(good(0, b"a", b"b", b"c"), 1)) == [(1, b"b", None), (2, b"c", None)]


def test_a_header_name_that_is_not_utf_8_costs_its_record_alone_and_is_kept_byte_by_byte() -> None:
    odd = record(1, b"b", headers=[(b"content-type", b"x"), (b"na\xffme\xc3", b"\xfe"), (b"empty", None)])
    found = unpacked(batch([record(0, b"a"), odd, record(2, b"c")]))
    assert [(one.offset, one.value) for one in found] == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert [bool(record_from("x", 0, one).unread) for one in found] == [False, True, False]
    kept = record_from("from.water", 0, found[1])
    assert kept.unread == r"headers: the name b'na\xffme\xc3' is not UTF-8"
    assert kept.key == b"case"
    headers, unread = headers_from_text(kept.headers_as_text)
    assert headers == kept.headers
    assert unread == kept.unread
    assert headers[1][0].encode("utf-8", "surrogateescape") == b"na\xffme\xc3"


DECODED_WRONGLY = {
    "a key longer than the record": b"\0" + varint(0) + varint(1) + varint(500) + b"k",
    "a value longer than the record": b"\0" + varint(0) + varint(1) + field(b"k") + varint(1 << 40),
    "more headers than there are": b"\0" + varint(0) + varint(1) + field(b"k") + field(b"v") + varint(1 << 50),
    "fewer than no headers": b"\0" + varint(0) + varint(1) + field(b"k") + field(b"v") + varint(-3),
    "a header without a name": b"\0" + varint(0) + varint(1) + field(b"k") + field(b"v") + varint(1) + field(None),
    "bytes too many": b"\0" + varint(0) + varint(1) + field(b"k") + field(b"v") + varint(0) + b"more",
    "a number without an end": b"\0" + b"\xff" * 30,
    "nothing but an attribute": b"\0",
}


@pytest.mark.parametrize("body", DECODED_WRONGLY.values(), ids=DECODED_WRONGLY.keys())
def test_a_record_that_cannot_be_decoded_costs_itself_alone(body: bytes) -> None:
    found = unpacked(batch([record(0, b"a"), varint(len(body)) + body, record(2, b"c")]))
    assert [one.offset for one in found] == [0, 1, 2]
    assert (found[0].value, found[2].value) == (b"a", b"c")
    assert found[1].value == body
    assert (found[1].unread or "").startswith("the record cannot be decoded: ")


@pytest.mark.parametrize("length", [b"\xff" * 12, varint(1 << 30), varint(-7), varint(0)])
def test_where_records_cannot_be_told_apart_the_rest_of_the_batch_is_one_item(length: bytes) -> None:
    found = unpacked(batch([record(0, b"a"), length + b"junk", record(2, b"c")]) + good(3, b"d"))
    assert [(one.offset, one.value) for one in (found[0], found[-1])] == [(0, b"a"), (3, b"d")]
    assert (found[1].offset, found[1].last) == (1, 2)
    assert found[1].value == length + b"junk" + record(2, b"c")
    assert "takes the offsets 1 to 2" in found[1].unread


@pytest.mark.parametrize("claimed", [0, 2, -1, 1 << 30, -(1 << 30)])
def test_a_record_cannot_move_a_reader_by_the_offset_that_it_claims(claimed: int) -> None:
    found = unpacked(batch([record(0, b"a"), record(claimed, b"b"), record(2, b"c")]) + good(3, b"d"))
    assert [(one.offset, one.value) for one in found] == [(0, b"a"), (1, b"b"), (2, b"c"), (3, b"d")]
    assert found[1].unread == f"the record says offset {claimed}, its place 1"


def test_a_compacted_batch_has_fewer_records_than_offsets() -> None:
    found = unpacked(batch([record(1, b"b"), record(3, b"d")], last=4) + good(5, b"e"))
    assert offsets(found) == [(1, b"b", None), (3, b"d", None), (5, b"e", None)]


def damaged(raw: bytes, place: int, to: bytes) -> bytes:
    return raw[:place] + to + raw[place + len(to) :]


DAMAGE = {
    "its value": (70, b"\xff\xff"),
    "its checksum": (17, b"\0\0\0\0"),
    "its version": (16, b"\x07"),
    "an old version": (16, b"\x01"),
    "its length, too long": (8, b"\0\0\x7f\xff"),
    "its length, too short": (8, b"\0\0\0\x03"),
    "its length, negative": (8, b"\xff\xff\xff\xff"),
    "its length, by one": (11, b"\x40"),
    "its first offset, far ahead": (0, b"\0\0\x10\0"),
    "its first offset, negative": (0, b"\xff"),
    "its first offset, before the others": (7, b"\0"),
    "its last offset, far ahead": (23, b"\x7f"),
    "its last offset, negative": (23, b"\xff"),
}


@pytest.mark.parametrize(("place", "to"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_batch_is_named_and_the_next_one_read(place: int, to: bytes) -> None:
    sound = good(1, b"b" * 30, b"c" * 30)
    raw = good(0, b"a") + damaged(sound, place, to) + good(3, b"d", b"e") + good(5, b"f")
    found = unpacked(raw)
    assert [(one.offset, one.value) for one in found if not isinstance(one, Salvaged)] == [
        (0, b"a"),
        (3, b"d"),
        (4, b"e"),
        (5, b"f"),
    ]
    (named,) = [one for one in found if isinstance(one, Salvaged)]
    assert (named.offset, named.last) == (1, 2)
    assert named.value == damaged(sound, place, to)
    assert (named.unread or "").startswith("the batch cannot be read: ")


@pytest.mark.parametrize(("place", "to"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_batch_at_the_end_of_a_log_is_named_and_what_comes_is_read(place: int, to: bytes) -> None:
    raw = good(0, b"a") + damaged(good(1, b"b" * 30), place, to)
    found = unpacked(raw, end=2)
    assert [(one.offset, one.value) for one in found if not isinstance(one, Salvaged)] == [(0, b"a")]
    (named,) = [one for one in found if isinstance(one, Salvaged)]
    assert (named.offset, named.last) == (1, 1)


def test_an_answer_that_ends_within_a_batch_is_fetched_again_and_names_nothing() -> None:
    raw = good(0, b"a") + good(1, b"b" * 30)
    patience = Patience()
    first = Unpacked(PLACE, raw[:-5], 0, END, patience)
    assert offsets(list(first)) == [(0, b"a", None)]
    assert first.next_fetch_offset == 1
    assert offsets(list(Unpacked(PLACE, good(1, b"b" * 30), 1, END, patience))) == [(1, b"b" * 30, None)]


def test_what_is_not_sound_once_is_fetched_again_before_it_is_given_up() -> None:
    patience, sound = Patience(), good(0, b"a" * 30)
    first = Unpacked(PLACE, damaged(sound, 70, b"\xff"), 0, END, patience)
    assert list(first) == []
    assert first.next_fetch_offset == 0
    assert offsets(list(Unpacked(PLACE, sound, 0, END, patience))) == [(0, b"a" * 30, None)]


def test_the_same_damage_is_the_same_item_whenever_it_is_read() -> None:
    raw = good(0, b"a") + damaged(good(1, b"b" * 30, b"c"), 70, b"\xff") + good(3, b"d")
    assert unpacked(raw)[1] == unpacked(raw, 1)[0] == unpacked(raw, 1)[0]


CODECS = {
    "gzip": (1, gzip_encode),
    "snappy of Java": (2, snappy_encode),
    "snappy of C": (2, lambda payload: snappy_encode(payload, xerial_compatible=False)),
    "lz4": (3, lz4_encode),
    "zstd": (4, zstd_encode),
}


@pytest.mark.parametrize(("codec", "encode"), CODECS.values(), ids=CODECS.keys())
def test_all_codecs_are_read(codec: int, encode: Any) -> None:
    records = [record(place, b"%d" % place * 100) for place in range(200)]
    found = unpacked(batch(records, codec=codec, packed=bytes(encode(b"".join(records)))))
    assert offsets(found) == [(place, b"%d" % place * 100, None) for place in range(200)]
    assert not any(isinstance(one, Salvaged) for one in found)


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("packed", [b"", b"junk", b"\x82SNAPPY\0" + bytes(40), bytes(100)])
def test_what_cannot_be_inflated_is_stepped_over(codec: int, packed: bytes) -> None:
    whole = batch([record(0, b"a"), record(1, b"b")], codec=codec, packed=packed)
    found = unpacked(whole + good(2, b"c"))
    assert (found[-1].offset, found[-1].value) == (2, b"c")
    assert isinstance(found[0], Salvaged)
    assert (found[0].offset, found[0].last) == (0, 1)
    assert found[0].unread is not None


@pytest.mark.parametrize(("codec", "encode"), CODECS.values(), ids=CODECS.keys())
def test_what_inflates_to_too_much_is_stepped_over_with_its_bytes(codec: int, encode: Any) -> None:
    packed = bytes(encode(record(0, bytes(BATCH_BYTES))))
    whole = batch([b""], codec=codec, packed=packed)
    found = unpacked(whole + good(1, b"b"))
    assert [one.offset for one in found] == [0, 1]
    assert f"it inflates to more than {BATCH_BYTES} bytes" in found[0].unread
    kept = len(whole) <= RECORD_BYTES
    assert found[0].value == (whole if kept else None)
    assert kept or sha256(whole).hexdigest() in found[0].unread


def test_a_gzip_stream_of_countless_members_is_stepped_over() -> None:
    packed = bytes(gzip_encode(b"")) * 10_000
    found = unpacked(batch([record(0)], codec=1, packed=packed) + good(1, b"b"))
    assert "it has more than 64 members" in found[0].unread
    assert found[1].offset == 1


def test_of_a_record_that_is_too_large_the_hash_is_kept_and_the_case_that_its_key_names() -> None:
    large = bytes(RECORD_BYTES + 1)
    records = [record(0, b"a"), record(1, large, key=b"its case", headers=[(b"h", b"v")]), record(2, b"c")]
    found = unpacked(batch(records, codec=4, packed=bytes(cramjam.zstd.compress(b"".join(records)))))
    assert [(one.offset, one.value) for one in found] == [(0, b"a"), (1, None), (2, b"c")]
    assert (found[1].key, found[1].headers) == (b"its case", [("h", b"v")])
    assert sha256(large).hexdigest() in found[1].unread
    assert f"{len(large)} bytes" in found[1].unread


def test_a_transactions_marker_takes_its_offset_and_is_no_record() -> None:
    control = batch([record(0, b"", key=b"\0\0\0\1")], base=1, codec=0x30)
    found = unpacked(good(0, b"a") + control + good(2, b"c"))
    assert [one.offset for one in found] == [0, 1, 2]
    marker = record_from("from.water", 0, found[1])
    assert marker.unread == MARKER
    assert marker.is_marker
    assert not record_from("from.water", 0, found[0]).is_marker


@given(st.data())
def test_whatever_lies_there_every_offset_is_passed_and_nothing_is_raised(data: st.DataObject) -> None:
    """Also where several bytes are wrong at once, and where the checksum is right all the same."""
    raw = good(0, b"a" * 20, b"b") + good(2, b"c" * 20) + good(3, b"d", b"e" * 20)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw = damaged(raw, place, data.draw(st.binary(min_size=1, max_size=min(4, len(raw) - place))))
    patience, position, seen = Patience(), 0, -1
    for _ in range(100):
        one = Unpacked(PLACE, raw, position, 5, patience)
        for found in one:
            assert found.offset > seen or found.offset >= position
            seen = found.last if isinstance(found, Salvaged) else found.offset
            assert position <= found.offset <= seen < 5
            record_from("from.water", 0, found).headers_as_text  # noqa: B018  it can be stored
        position = one.next_fetch_offset
        if position == 5:
            break
    else:
        raise AssertionError(f"it stands at {position}")


@given(st.binary(max_size=200), st.integers(1, 3))
def test_whatever_the_records_of_a_batch_are_all_its_offsets_are_given(payload: bytes, number: int) -> None:
    found = unpacked(batch([b""] * number, packed=payload) + good(number, b"z"))
    assert found[-1].value == b"z"
    covered = [offset for one in found[:-1] for offset in range(one.offset, getattr(one, "last", one.offset) + 1)]
    assert covered == list(range(number))
