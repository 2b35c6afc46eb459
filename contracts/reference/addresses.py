"""Addresses in words: what the names of areas and places in them mean together.

An address means the deepest area that all its names agree on: `圣灯街道华林社区` means the community, and with
`第12网格` behind it the grid. Names count in both languages, in any width, case and order. A grid or sub-grid also goes
by the part of its name that follows its parent's: `第12网格`, `12网格`, `sub-grid 3`. Many share such a name, so the
other names must tell which is meant.

Nothing else in the address may contradict that area: `第1、2网格` and `不在第3网格` mean none (contradictions.py).
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from contracts.reference.contradictions import contradiction
from contracts.reference.territory import Area, Place

_COMMITTEE = re.compile(r"(?<=社区)居(?:民委员|委)会$|(?<=村)(?:村?民委员|委)会$")
"""What registers add to the name of a community, and people leave out: `建华社区居委会`."""
_GRID_WORDS = ("网格", "grid")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the names in an address mean."""

    area: Area | None = None
    """The deepest area that all names agree on, of any level; None where they name none, several, or contradict, and
    where other words in the address contradict a grid.
    """
    key_place: str | None = None
    """The named place in that area that raises the priority; of several the one that raises it most."""
    agree: bool = True
    """Whether at least one area fits all names."""
    candidates: tuple[Area, ...] = ()
    """Where no grid is meant: the areas that the names leave, those that fit most names first; of a single area that is
    wider than a grid its parts.
    """
    doubt: str | None = None
    """The words that contradict the one grid which the names mean; it is the only candidate then."""

    @property
    def grid(self) -> str | None:
        """The path of the area, if it is a grid or a sub-grid: only that says who is to act."""
        return self.area.path if self.area is not None and _is_grid(self.area) else None


class Gazetteer:
    """The names of a district's areas and places."""

    def __init__(self, areas: Iterable[Area], places: Iterable[Place]) -> None:
        self._areas = {area.path: area for area in areas}
        self._parts: dict[str, list[Area]] = defaultdict(list)
        self._meanings: dict[str, set[str]] = defaultdict(set)
        self._places: dict[str, list[Place]] = defaultdict(list)
        for area in self._areas.values():
            if area.parent is not None:
                self._parts[area.parent].append(area)
            self._learn(area)
        for place in places:
            for name in {plain(place.name), plain(place.name_en)} if place.area in self._areas else ():
                self._meanings[name].add(place.area)
                self._places[name].append(place)
        self._lengths = sorted({len(name) for name in self._meanings if name}, reverse=True)

    def read(self, address: str) -> Reading:
        """What an address means. Takes time in proportion to its length and to the meanings of its names."""
        found, between = self._names_in(plain(address))
        names = set(found)
        if not names:
            return Reading()
        said: Mapping[str, set[str]] = defaultdict(set)
        for name in names:
            for area in self._meanings[name]:
                said[area].add(name)
        fits = {area: {name for above in _upwards(area) if above in said for name in said[above]} for area in said}
        agreed = {area for area in fits if fits[area] == names}
        sure = {
            self._community(area) for name in names if len(self._meanings[name]) == 1 for area in self._meanings[name]
        }
        left = sorted(
            _deepest(agreed or set(fits)),
            key=lambda area: (-len(fits[area]), self._community(area) not in sure, area),
        )
        if not agreed or len(left) > 1:
            return Reading(agree=bool(agreed), candidates=tuple(self._areas[area] for area in left))
        area = self._areas[left[0]]
        if _is_grid(area):
            if doubt := contradiction(found, between):
                return Reading(candidates=(area,), doubt=doubt)
            return Reading(area, self._key_place(names, area.path))
        return Reading(area, candidates=tuple(self._parts.get(area.path, (area,))))

    def _community(self, path: str) -> str | None:
        """The community that an area is or lies in."""
        return next((area for area in _upwards(path) if area in self._areas and _is_community(self._areas[area])), None)

    def _learn(self, area: Area) -> None:
        parent = self._areas.get(area.parent or "")
        names = [(area.name, parent.name if parent else ""), (area.name_en, parent.name_en if parent else "")]
        for whole, above in ((plain(own), plain(parents)) for own, parents in names):
            self._meanings[whole].add(area.path)
            self._meanings[_COMMITTEE.sub("", whole)].add(area.path)
            rest = whole.removeprefix(above).strip()
            if _is_grid(area) and any(word in rest for word in _GRID_WORDS):
                self._meanings[rest.removeprefix("第")].add(area.path)

    def _key_place(self, names: Iterable[str], area: str) -> str | None:
        keys = [
            place
            for name in names
            for place in self._places.get(name, ())
            if place.priority_raise > 0 and place.area == area
        ]
        return max(keys, key=lambda place: (place.priority_raise, place.id)).id if keys else None

    def _names_in(self, text: str) -> tuple[list[str], list[str]]:
        """The known names in a text, and the pieces around and between them; of two names that overlap, the one that
        begins first, and the longer of those.
        """
        names: list[str] = []
        between: list[str] = []
        at = ended = 0
        while at < len(text):
            name = next((text[at : at + n] for n in self._lengths if self._stands(text, at, n)), None)
            if name is None:
                at += 1
                continue
            names.append(name)
            between.append(text[ended:at])
            at = ended = at + len(name)
        return names, [*between, text[ended:]]

    def _stands(self, text: str, at: int, length: int) -> bool:
        """Whether a known name of that length stands there: in Latin letters and digits only as whole words."""
        end = at + length
        return (
            text[at:end] in self._meanings
            and not (at > 0 and _in_word(text[at - 1]) and _in_word(text[at]))
            and not (end < len(text) and _in_word(text[end]) and _in_word(text[end - 1]))
        )


def plain(text: str) -> str:
    """As names are compared: one form of width, lower case, single spaces. `２` is `2`; `²` and `②` are not."""
    return " ".join(unicodedata.normalize("NFC", "".join(map(_in_one_width, text))).casefold().split())


def holds_words(names: str, words: str | None) -> bool:
    """Whether `names`, as `plain` gives them, contain each of these words, in any order; no words: always."""
    return all(word in names for word in plain(words or "").split())


def _in_one_width(character: str) -> str:
    wide = unicodedata.decomposition(character).startswith(("<wide>", "<narrow>"))
    return unicodedata.normalize("NFKC", character) if wide else character


def _is_grid(area: Area) -> bool:
    return area.level in ("grid", "subgrid")


def _is_community(area: Area) -> bool:
    return area.level == "community"


def _upwards(area: str) -> Iterator[str]:
    """An area, and those around it."""
    while area:
        yield area
        area = area.rpartition("/")[0]


def _deepest(areas: set[str]) -> set[str]:
    """Those that hold none of the others."""
    return areas - {above for area in areas for above in _upwards(area) if above != area}


def _in_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "-")
