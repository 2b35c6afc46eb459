"""The file of partners: read, and changed one change at a time, so that of two at once neither is lost."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from contracts.reference import NO_PARTNERS, Partners
from contracts.wire import explain
from deploy.stack.problem import Problem


def read(file: Path) -> Partners:
    """Who is registered; nobody where the file is not there. Raises `Problem` where it cannot be used."""
    try:
        return Partners.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return NO_PARTNERS
    except OSError as fault:
        raise Problem(f"{file} can't be read: {fault.strerror}") from None
    except ValidationError as error:
        raise Problem(f"{file} is not usable: {explain(error)}") from None


def change(file: Path, step: Callable[[Partners], Partners]) -> tuple[Partners, Partners]:
    """Puts what `step` makes of the present partners in their place; readers see the old file or the new one, whole.

    Gives the partners before and after it. What `step` raises leaves the file as it was. Raises `Problem`.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _alone(file):
            before = read(file)
            after = step(before)
            if after != before:
                _write(file, after)
            return before, after
    except OSError as fault:
        raise Problem(f"{file} can't be written: {fault.strerror}") from None


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile. The lock is a file beside it, for the file itself is replaced."""
    with file.with_name(f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(file: Path, partners: Partners) -> None:
    beside = file.with_name(f".{file.name}.new")
    with beside.open("wb") as new:
        new.write(_text(partners))
        new.flush()
        os.fsync(new.fileno())
    beside.chmod(0o644)  # no secret stands in it, and every service reads it
    beside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _text(partners: Partners) -> bytes:
    """One partner to a line, so that two versions can be compared line by line."""
    entries = (
        json.dumps(entry.model_dump(mode="json", exclude_none=True), ensure_ascii=False) for entry in partners.partners
    )
    return ('{"partners": [\n' + ",\n".join(entries) + "\n]}\n").encode()
