"""Which group of the catalogue a text belongs to: what the simulated acceptor goes by where triage could not say."""

import re
from collections import defaultdict
from collections.abc import Iterable

from contracts.reference import Catalogue

NOTHING = "service.information.other"
"""The category of what no word places: the desk that answers questions."""


class Groups:
    """The catalogue's keywords by group, for groups with an "other"."""

    def __init__(self, catalogue: Catalogue) -> None:
        codes = {category.code for category in catalogue.categories}
        self._words: dict[str, dict[str, float]] = defaultdict(dict)
        for category in catalogue.categories:
            other = f"{category.kind}.{category.group}.other"
            if other in codes:
                for word, weight in category.keywords.items():
                    known = self._words[word].get(other, 0.0)
                    self._words[word][other] = max(known, weight)
        self._foreign = [word for word in self._words if not word.isascii()]
        latin = sorted((word for word in self._words if word.isascii()), key=len, reverse=True)
        # Looked for behind one another, so that a word inside a longer one is found, too.
        self._latin = re.compile(rf"\b(?=({'|'.join(map(re.escape, latin))})\b)") if latin else None

    def other_of(self, *texts: str) -> str:
        """The "other" of the group whose words weigh most in the texts."""
        points: dict[str, float] = defaultdict(float)
        for word in self._in("\n".join(texts).lower()):
            for other, weight in self._words[word].items():
                points[other] += weight
        return min(points, key=lambda other: (-points[other], other)) if points else NOTHING

    def _in(self, text: str) -> Iterable[str]:
        found = {word for word in self._foreign if word in text}
        if self._latin is not None:
            found.update(match[1] for match in self._latin.finditer(text))
        return found
