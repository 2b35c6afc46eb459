"""Words in an address that contradict the one area which its known names mean: another place, or a denial.

Around and between the known names there may be none of these:

    a grid that is none of the names     `第2网格，第99网格`
    a denial or an alternative           `不在第3网格`, `not in grid 3`, `grid 3 or so`
    a way or a distance from a name      `第3网格以北`, `grid 3, 2 km away`
    something that is joined to a name   `华林小学和人民公园之间`, `grid 1 and two`
    a number beside that of a name       `第1、2网格`, `grid 1.5`
    words before a name that do not      `勿派华林社区`, `the far side of Hualin Community`, `倒数第3网格`; `at` leads
    lead to it                           to a name, and so does a part of the address, `建设路12号`

A word that is taken for one of these sends the report to a person; one that is missed sends a crew to the wrong place.
So in doubt a word contradicts.
"""

import re
from collections.abc import Sequence

_CONTRADICTS = re.compile(
    r"网格(?![员化长])|(?<![a-z])(?:sub|micro)?grids?(?![a-z])"
    r"|以[东南西北]|边界|交界|靠近|倒数|[勿错搬距]|别[去派到往]|\d\s*(?:公里|千米|km(?![a-z]))"
    r"|(?<![a-z])(?:away|anywhere|wrong|moved|boundary|border|(?:north|south|east|west) of)(?![a-z])"
    r"|不(?![详明清知])|[并而绝]非|未[在到进]|没有?[在到进]|[以之]外|或"
    r"|(?<![a-z])(?:not|cannot|never|neither|nor|or|except|excluding|outside|without|beyond|instead)(?![a-z])"
    r"|(?<![a-z])(?:other|rather) than(?![a-z])|n['’]t(?![a-z])|(?<![a-z])no(?![a-z])(?!\.?\s*\d)"
)
"""`门牌不详` (number unknown) denies nothing, nor does `No. 12`."""
_JOIN = r"[、&+~～]|和|与|及|跟|至|到|(?<![a-z])(?:and|plus|through|thru|till|until)(?![a-z])"
_JOINED_AFTER = re.compile(rf"\s*(?:{_JOIN})\W*\w")
_JOINED_BEFORE = re.compile(rf"\w[^\w、&+~～]*(?:{_JOIN})\W*第?$")
_DENIED_BEFORE = re.compile(r"(?:非|除了?)[在第\W]*$")
_OUTSIDE = re.compile(r"\s*外")
_BESIDE = r"(?:\W|_|第|(?<![a-z])to(?![a-z]))*"
_BESIDE_BEFORE, _BESIDE_AFTER = re.compile(rf"{_BESIDE}$"), re.compile(_BESIDE)
_BETWEEN = re.compile(rf"(?:[\W_第]|{_JOIN})*")
"""All that may stand between two names that are joined to each other."""
_CLAUSE = re.compile(r"[,;:.!?()\[\]/、，；：。！？（）【】\n-]")
_LEADS = re.compile(
    r"(?:.*[在于]|地[址点]|.*[省市县路街巷弄院号栋楼层室元]"
    r"|of(?: the)?|(?:.* )?(?:at|in|on|inside|within|by|near|next to|opposite|behind|address|location)(?: the)?)?"
)
"""All that may stand between the last punctuation and a name: how an address begins, or its part before the name."""
_FRACTION = re.compile(r"[./⁄]\d")


def contradiction(names: Sequence[str], between: Sequence[str]) -> str | None:
    """The words that contradict; None if there are none. `between` is the text around and between the names, in the
    form that `plain` gives it: one piece more than names.
    """
    for number, piece in enumerate(between):
        before = names[number - 1] if number > 0 else ""
        after = names[number] if number < len(names) else ""
        if not (before and after and _BETWEEN.fullmatch(piece)) and (found := _in_piece(before, piece, after)):
            return found
    return None


def _in_piece(before: str, piece: str, after: str) -> str | None:
    if found := _CONTRADICTS.search(piece):
        return found[0]
    if before and (_JOINED_AFTER.match(piece) or _numbered_after(before, piece)):
        return piece.strip()
    if before.endswith("网格") and _OUTSIDE.match(piece):
        return "外"
    if after and (_JOINED_BEFORE.search(piece) or _DENIED_BEFORE.search(piece) or _numbered_before(piece, after)):
        return piece.strip()
    if after and not _LEADS.fullmatch(led := _CLAUSE.split(piece)[-1].removesuffix("第").strip()):
        return led
    return None


def _numbered_after(name: str, piece: str) -> bool:
    """Whether a bare number follows the name of a grid or one that ends in a number: `grid 1, 2`, not `grid 1, 2号`."""
    if not (name[-1].isnumeric() or name.endswith("网格")):
        return False
    if _FRACTION.match(piece):
        return True
    rest = _BESIDE_AFTER.sub("", piece, count=1)
    digits = next((n for n, character in enumerate(rest) if not character.isnumeric()), len(rest))
    return digits > 0 and not rest[digits : digits + 1].isalnum()


def _numbered_before(piece: str, name: str) -> bool:
    """Whether a number stands before a name that begins with one: `1, 2网格`, not `1号, 2网格`."""
    return name[0].isnumeric() and _BESIDE_BEFORE.sub("", piece)[-1:].isnumeric()
