"""The catalogue's keyword rule, spelled out plainly, to measure how good the keywords are."""

import re
from collections import Counter

from contracts.reference import Catalogue, Policy


class KeywordRule:
    """Sums the weights of the keywords that occur, and picks the best category unless it is weak or ambiguous."""

    def __init__(self, catalogue: Catalogue, policy: Policy) -> None:
        self._policy = policy
        self._words: dict[str, list[tuple[str, float]]] = {}
        for category in catalogue.categories:
            for word, weight in category.keywords.items():
                self._words.setdefault(word, []).append((category.code, weight))
        self._whole = {w: re.compile(rf"(?<![a-z0-9]){re.escape(w)}(?![a-z0-9])") for w in self._words if w.isascii()}

    def scores(self, text: str) -> Counter[str]:
        text = text.lower()
        scores: Counter[str] = Counter()
        for word, weighted in self._words.items():
            if word in text and (word not in self._whole or self._whole[word].search(text)):
                for code, weight in weighted:
                    scores[code] += weight  # pyright: ignore[reportArgumentType] - a Counter of weights
        return scores

    def pick(self, text: str) -> str | None:
        """The category's code; None where a person has to decide."""
        best = self.scores(text).most_common(2)
        if not best or best[0][1] < self._policy.classify_minimum:
            return None
        if len(best) > 1 and best[0][1] - best[1][1] < self._policy.classify_margin:
            return None
        return best[0][0]
