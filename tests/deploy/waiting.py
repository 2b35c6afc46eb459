"""Waiting for a plain condition with a deadline."""

from collections.abc import Callable

from tests.support.services import eventually


async def until(condition: Callable[[], bool], what: str = "", seconds: float = 20) -> None:
    async def met() -> bool:
        return condition()

    await eventually(met, seconds=seconds, what=what)
