"""In which encoding a file of somebody else is written: what was declared, else what its bytes show."""

import codecs
import re
from dataclasses import dataclass

DEFAULT = "utf-8"
_FALLBACK = "cp1252"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = (
    (b"\x1f\x8b", "compressed (gzip): unpack it first"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook: unpack it, or save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save it as CSV"),
    (b"BZh", "compressed (bzip2): unpack it first"),
    (b"\xfd7zXZ", "compressed (xz): unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed (Zstandard): unpack it first"),
    (b"PAR1", "a Parquet file: save it as CSV"),
)
_BEGINNING = 64
"""Bytes at the beginning that tell whether every second one is zero; a heading of four names is longer."""
_HIGH = re.compile(rb"[\x80-\xff]+")
_MARKED = "casegrid.marked"
_MARKS = re.compile(r"[\udc00-\udcff]")
"""What stands for a byte that is no text. No encoding has these characters."""


@dataclass(frozen=True)
class Encoding:
    """Python's name of it, and what is to be said of how it was found."""

    name: str
    note: str | None = None

    def decoder(self) -> codecs.IncrementalDecoder:
        """Decodes what comes piece by piece; bytes that are no text become marks, which `broken` finds."""
        return codecs.getincrementaldecoder(self.name)(_MARKED)

    def broken(self, text: str) -> str | None:
        """The rule that a text breaks where bytes of it could not be decoded."""
        if text.isascii() or (mark := _MARKS.search(text)) is None:
            return None
        spoken = "UTF-8" if self.name.startswith("utf-8") else self.name
        return f"is not {spoken} at byte 0x{ord(mark[0]) - 0xDC00:02X}; --encoding declares another"


def declared(name: str) -> str:
    """Python's name of an encoding. Raises `ValueError` where there is none, or it is none of texts."""
    try:
        b"a".decode(name, "ignore")
        return codecs.lookup(name).name
    except (LookupError, UnicodeError):
        raise ValueError(f"{name!r} is no encoding of texts") from None


def no_text(beginning: bytes) -> str | None:
    """What a file is that holds no text at all, and what to do."""
    return next((words for magic, words in _NO_TEXT if beginning.startswith(magic)), None)


def detect(beginning: bytes) -> Encoding:
    """The encoding of a text of which this is the beginning, or all.

    A byte-order mark decides. Without one it is UTF-8, unless the lines with bytes above 0x7F speak for a Western
    single-byte encoding: most of them are not UTF-8, and most of these bytes stand alone between ASCII letters. No byte
    is taken for text that does not fit: the lines that are not of the encoding are rejected one by one.
    """
    for mark, name in _BOMS:
        if beginning.startswith(mark):
            return Encoding(name)
    even, odd = beginning[:_BEGINNING:2], beginning[1:_BEGINNING:2]
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros and others and not any(zeros) and all(others):
            return Encoding(name, f"read as {name}: every second byte at the beginning is zero; it has no mark")
    if beginning.isascii():
        return Encoding(DEFAULT)
    fitting = unfit = alone = runs = 0
    lines = beginning.splitlines()
    for number, line in enumerate(lines, start=1):
        if line.isascii():
            continue
        try:
            codecs.getincrementaldecoder(DEFAULT)().decode(line, number < len(lines))  # the last one may be cut
            fitting += 1
        except UnicodeDecodeError:
            unfit += 1
            found = _HIGH.findall(line)
            runs += len(found)
            alone += sum(len(run) == 1 for run in found)
    if unfit > fitting and alone * 2 > runs:
        return Encoding(
            _FALLBACK,
            f"read as {_FALLBACK}, because it is not UTF-8 (lines that are not: {unfit}); --encoding declares another",
        )
    return Encoding(DEFAULT)


def _mark(fault: UnicodeError) -> tuple[str, int]:
    if not isinstance(fault, UnicodeDecodeError):
        raise fault
    return "".join(chr(0xDC00 + byte) for byte in fault.object[fault.start : fault.end]), fault.end


codecs.register_error(_MARKED, _mark)
