"""Tasks in forked processes, a few at a time: each starts with all that is loaded here, and changes nothing here."""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from deploy.mutants.tests import BROKEN, hush, use_folder

Task = TypeVar("Task")
_ANSWER, _FAULT = "answer.json", "fault.txt"


class Broken(Exception):
    """A task ended otherwise than it should; the message says how."""


def answer(folder: Path, value: Any) -> None:
    """What a task has to say, beside its exit status."""
    (folder / _ANSWER).write_text(json.dumps(value))


def each(
    tasks: Iterable[Task], do: Callable[[Task, Path], int], folder: Path, processes: int
) -> Iterator[tuple[Task, int, Any]]:
    """(task, exit status, answer) of every task, as they end; a status below 0 is the signal that ended it.

    `do` is called in a process of its own with the task and an empty folder of its own, and returns the exit status.
    Raises `Broken` where it raised.
    """
    waiting, running = iter(enumerate(tasks)), dict[int, tuple[Task, Path]]()
    try:
        while True:
            while len(running) < processes and (upcoming := next(waiting, None)):
                number, task = upcoming
                own = folder / str(number)
                own.mkdir()
                running[_start(task, do, own)] = task, own
            if not running:
                return
            process, status = os.wait()
            task, own = running.pop(process)
            code = os.waitstatus_to_exitcode(status)
            if code == BROKEN:
                raise Broken((own / _FAULT).read_text())
            said = (own / _ANSWER).read_bytes() if (own / _ANSWER).exists() else b"null"
            shutil.rmtree(own)
            yield task, code, json.loads(said)
    finally:
        for process in running:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def guarded(do: Callable[[], int], folder: Path) -> int:
    """The exit status of a task, `BROKEN` where it raises."""
    try:
        return do()
    except BaseException:
        (folder / _FAULT).write_text(traceback.format_exc())
        return BROKEN


def _start(task: Task, do: Callable[[Task, Path], int], folder: Path) -> int:
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        hush()
        use_folder(folder)
        os._exit(guarded(lambda: do(task, folder), folder))
    return process
