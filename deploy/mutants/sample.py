"""Which files may be mutated, and which of their mutants are judged."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

from deploy.mutants.places import Mutant


class NotThere(Exception):
    """A pattern matches no file; the message names it."""


def files(root: Path, patterns: Iterable[str]) -> list[str]:
    """The Python files that some patterns name, in order: a file with or without `.py`, or all below a folder."""
    found = set[str]()
    for pattern in patterns:
        named = [path for each in (pattern, f"{pattern}.py") for path in root.glob(each)]
        paths = {each for path in named for each in ([path] if path.suffix == ".py" else path.rglob("*.py"))}
        if not paths:
            raise NotThere(f"{pattern} is no Python file and no folder with one")
        found |= {path.relative_to(root).as_posix() for path in paths}
    return sorted(found)


def sample(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """`count` mutants, one a place at most, from each file in proportion to its places; all where `count` is 0.

    A file's share is drawn from the seed and the file's name, so that other files do not move it.
    """
    if count == 0:
        return list(mutants)
    places: dict[str, dict[tuple[str, int, int, str], list[Mutant]]] = defaultdict(lambda: defaultdict(list))
    for mutant in mutants:
        places[mutant.path][mutant.place].append(mutant)
    chosen: list[Mutant] = []
    for path, share in _shares({path: len(there) for path, there in places.items()}, count).items():
        random = Random(f"{seed} {path}")
        chosen += (random.choice(places[path][place]) for place in random.sample(list(places[path]), share))
    return chosen


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """By the largest remainder."""
    total = sum(sizes.values())
    exact = {name: min(count, total) * size / total for name, size in sizes.items()}
    shares = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in by_remainder[: min(count, total) - sum(shares.values())]:
        shares[name] += 1
    return shares
