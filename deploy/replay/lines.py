"""A text file of somebody else by its physical lines: each is given once, with its number, whatever the file holds."""

import io
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deploy.replay.encoding import Encoding, detect, no_text
from deploy.replay.rows import Unreadable

LONGEST = 1 << 20
"""The most characters of a line. Of a longer one comes the beginning, which is longer than this, too."""
_BEGINNING = 1 << 24
"""Bytes by which the encoding is detected, where it was not declared."""
_CHUNK = 1 << 16
_END = re.compile(r"\r\n?|\n")
_NOTHING = " \t\v\f\r\n\0\x1a\ufeff"
"""White space, and what programs leave between and behind texts: NUL, Ctrl-Z, a byte-order mark."""


class Lines:
    """The lines with their ends, CRLF, LF or CR. What was taken and is given back comes again."""

    def __init__(self, path: Path, file: BinaryIO, encoding: Encoding) -> None:
        self.path = path
        self.encoding = encoding
        self.notes = [] if encoding.note is None else [encoding.note]
        self.number = 0
        """Of the line that was taken last, from 1."""
        self.heading = self.blank = self.continuation = 0
        """How many lines were these; every other begins a row."""
        self._lines = self._split(file)
        self._ahead: deque[str] = deque()

    def take(self) -> str | None:
        """The next line; None at the end. Raises `Unreadable` where the file cannot be read any further."""
        line = self._ahead.popleft() if self._ahead else next(self._lines, None)
        if line is not None:
            self.number += 1
        return line

    def give_back(self, lines: Sequence[str]) -> None:
        """Puts the lines that were taken last before those to come."""
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)

    def _split(self, file: BinaryIO) -> Iterator[str]:
        rest, decoder, over = "", self.encoding.decoder(), False
        while not over:
            chunk = self._read(file)
            over = not chunk
            text, at = rest + decoder.decode(chunk, over), 0
            for end in _END.finditer(text, max(0, len(rest) - 1)):
                if end[0] == "\r" and end.end() == len(text) and not over:
                    break  # whether a line feed follows is not known yet
                yield text[at : end.end()]
                at = end.end()
            rest = text[at:]
            if len(rest) > LONGEST + 1:
                rest = rest[: LONGEST + 1] + ("\r" if rest.endswith("\r") else "")
        if rest:
            yield rest.rstrip("\x1a") or rest  # DOS ended a text with it

    def _read(self, file: BinaryIO) -> bytes:
        try:
            return file.read(_CHUNK)
        except OSError as fault:
            raise Unreadable(f"{self.path} can't be read beyond line {self.number}: {fault.strerror}") from None


@contextmanager
def opened(path: Path, encoding: str | None) -> Iterator[Lines]:
    """The lines of the file, in the encoding declared or found. Raises `Unreadable`.

    That the file changed meanwhile is among the notes in the end.
    """
    try:
        with io.BufferedReader(io.FileIO(path), _BEGINNING) as file:
            beginning = file.peek()  # one look, so that a pipe can be read, too
            if words := no_text(beginning):
                raise Unreadable(f"{path} is {words}")
            lines = Lines(path, file, Encoding(encoding) if encoding else detect(beginning))
            before = os.fstat(file.fileno())
            yield lines
            after = os.fstat(file.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                lines.notes.append(
                    f"the file changed while it was read ({before.st_size} bytes before, {after.st_size} after):"
                    " a row may be of neither version"
                )
    except OSError as fault:
        raise Unreadable(f"{path} can't be read: {fault.strerror}") from None


def stripped(text: str) -> str:
    """Without what is no content at both ends."""
    return text.strip(_NOTHING)
