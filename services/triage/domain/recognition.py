"""Words -> category: the catalogue's keywords, found in one pass over the text.

A keyword of ASCII letters matches whole words, any other keyword matches anywhere. Each counts once. The score of a
category is the sum of the weights of its keywords that were found.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from contracts.reference import Catalogue, Policy

_TOKEN = re.compile(r"[a-z0-9]+")
_SHOWN = 8
"""The most words that an explanation shows."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """The category that the words point to, or None if they do not point to one clearly; and why, in a line."""

    category: str | None
    why: str


class Recognizer:
    """Tells categories by words; built once from a catalogue."""

    def __init__(self, catalogue: Catalogue, policy: Policy) -> None:
        self._minimum = policy.classify_minimum
        self._margin = policy.classify_margin
        self._scores: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for category in catalogue.categories:
            for word, weight in category.keywords.items():
                self._scores[word].append((category.code, weight))
        self._by_token: dict[str, list[str]] = defaultdict(list)
        self._by_pair: dict[str, list[str]] = defaultdict(list)
        self._anywhere: list[str] = []
        for word in self._scores:
            token = _TOKEN.match(word)
            if word.isascii() and token:
                self._by_token[token[0]].append(word)
            elif len(word) == 1 or word.isascii():
                self._anywhere.append(word)
            else:
                self._by_pair[word[:2]].append(word)

    def recognize(self, *texts: str) -> Recognition:
        """The category that the words point to most clearly."""
        found = sorted(set(self._found("\n".join(texts).lower())))
        points: dict[str, float] = defaultdict(float)
        for word in found:
            for code, weight in self._scores[word]:
                points[code] += weight
        if not points:
            return Recognition(None, "no category: none of the words is known")
        (best, most), *others = sorted(points.items(), key=lambda item: (-item[1], item[0]))
        second, less = others[0] if others else ("", 0.0)
        if most < self._minimum:
            return Recognition(
                None, f"no category: the words point to {best} with {most:g} points, {self._minimum:g} are needed"
            )
        if most - less < self._margin:
            return Recognition(
                None, f"no category: the words point to {best} with {most:g} points and to {second} with {less:g}"
            )
        words = [f"{word} {weight:g}" for word in found for code, weight in self._scores[word] if code == best]
        shown = ", ".join(words[:_SHOWN]) + (" ..." if len(words) > _SHOWN else "")
        behind = f", before {second} with {less:g}" if others else ""
        return Recognition(best, f"category {best} by the words {shown}: {most:g} points{behind}")

    def _found(self, text: str) -> Iterator[str]:
        for token in _TOKEN.finditer(text):
            for word in self._by_token.get(token[0], ()):
                if text.startswith(word, token.start()) and _ends(text, token.start() + len(word)):
                    yield word
        for word in self._anywhere:
            if word in text:
                yield word
        if text.isascii():
            return
        for start in range(len(text)):
            words = self._by_pair.get(text[start : start + 2])
            if words is not None:
                for word in words:
                    if text.startswith(word, start):
                        yield word


def _ends(text: str, at: int) -> bool:
    """Whether no ASCII letter or digit stands at that position."""
    following = text[at : at + 1]
    return not (following.isascii() and following.isalnum())
