"""Faults are drawn from a seed alone, and links do what they are told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import groupby

import pytest

from deploy.stack.ports import LOOPBACK, free
from tests.chaos.faults import WRONG_CLOCKS, draw
from tests.chaos.links import Link
from tests.support.dying import POINTS

MINUTE = 60.0


def test_the_same_seed_draws_the_same_faults() -> None:
    assert draw(7, 5 * MINUTE, disk=True, wrong_clocks=False) == draw(7, 5 * MINUTE, disk=True, wrong_clocks=False)
    assert draw(7, 5 * MINUTE, disk=True, wrong_clocks=False) != draw(8, 5 * MINUTE, disk=True, wrong_clocks=False)


def test_an_hour_has_every_kind_of_fault_and_every_named_point() -> None:
    found = draw(1, 60 * MINUTE, disk=True, wrong_clocks=False)
    assert {fault.kind for fault in found} == {
        *("kill", "kill at a point", "freeze", "second worker", "cut", "silence", "slow", "clock"),
        *("kill server", "restart server", "freeze server", "disk full"),
    }
    assert {fault.detail for fault in found if fault.kind == "kill at a point"} == set(POINTS)


def test_a_target_suffers_one_fault_at_a_time_and_recovers_before_the_end() -> None:
    found = sorted(draw(3, 10 * MINUTE, disk=True, wrong_clocks=False), key=lambda fault: (fault.target, fault.at))
    for _, of_target in groupby(found, lambda fault: fault.target):
        ends = 0.0
        for fault in of_target:
            assert fault.at >= ends
            ends = fault.at + fault.seconds
            assert ends <= 10 * MINUTE


def test_full_disks_and_wrong_clocks_are_drawn_where_they_can_be_had_or_are_asked_for() -> None:
    without = draw(1, 60 * MINUTE, disk=False, wrong_clocks=True)
    assert "disk full" not in {fault.kind for fault in without}
    clocks = {fault.detail for fault in without if fault.kind == "clock"}
    assert clocks == {f"{seconds:+g} s" for seconds in WRONG_CLOCKS}


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """To a server that says again what it hears."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, port := free())
    async with server, Link(port, free()) as made:
        yield made


async def test_an_open_link_passes_everything_on(link: Link) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    writer.write(b"one\n")
    assert await reader.readline() == b"one\n"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()


async def test_a_cut_link_resets_what_is_open_and_what_is_new(link: Link) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    writer.write(b"one\n")
    await reader.readline()
    link.turn("cut")
    with pytest.raises(ConnectionResetError):
        await reader.readline()
    writer.close()
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    with pytest.raises(ConnectionResetError):
        await reader.readline()
    writer.close()
    link.turn("open")
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    writer.write(b"two\n")
    assert await reader.readline() == b"two\n"
    writer.close()


async def test_a_silent_link_takes_everything_and_passes_it_on_later(link: Link) -> None:
    link.turn("silent")
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    writer.write(b"one\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readline(), 0.3)
    link.turn("open")
    assert await asyncio.wait_for(reader.readline(), 10) == b"one\n"
    writer.close()


async def test_a_slow_link_takes_its_time(link: Link) -> None:
    link.turn("slow")
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.write(b"one\n")
    assert await reader.readline() == b"one\n"
    assert loop.time() - began >= 0.2
    writer.close()
