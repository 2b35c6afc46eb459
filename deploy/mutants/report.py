"""What a run found, for people and as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.mutants.judge import Verdict


@dataclass(frozen=True)
class Report:
    """The verdicts of a run, less the mutants that are listed as equivalent."""

    sampled: Sequence[Verdict]
    """Of those that the seed has drawn; the rate is theirs alone."""
    refusals: Sequence[Verdict]
    """Of all dropped refusals, drawn or not."""
    least: float
    """The percentage that must be killed."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """How the run was asked for, and how it went; only quoted."""

    @property
    def rate(self) -> float:
        """Per cent of the sampled that were killed; 100 of none."""
        return _rate(self.sampled)

    @property
    def good(self) -> bool:
        """Whether enough were killed, and every dropped refusal."""
        return self.rate >= self.least and all(verdict.killed for verdict in self.refusals)

    def survivors(self) -> list[Verdict]:
        """In the order of the sources."""
        found = {verdict.mutant.id: verdict for verdict in (*self.sampled, *self.refusals) if not verdict.killed}
        return sorted(found.values(), key=lambda verdict: (verdict.mutant.path, verdict.mutant.start))

    def text(self) -> Iterator[str]:
        """Line by line: a table of the files, the survivors, the sum."""
        names = sorted({verdict.mutant.path for verdict in (*self.sampled, *self.refusals)})
        width = max(map(len, names), default=0)
        yield f"{'file':{width}}  mutants  killed  survived      %  refusals dropped and noticed"
        for name in names:
            yield self._row(name, width, of_file(name, self.sampled), of_file(name, self.refusals))
        yield self._row("all", width, self.sampled, self.refusals)
        survivors = self.survivors()
        if survivors:
            yield ""
            yield f"{len(survivors)} survived:"
        for verdict in survivors:
            mutant = verdict.mutant
            yield ""
            yield f"{mutant.path}:{mutant.line}  {mutant.operator}, {verdict.by}; ONE={mutant.id}"
            yield f"    - {mutant.before}"
            yield f"    + {mutant.after}"
        yield ""
        dropped = sum(verdict.killed for verdict in self.refusals)
        yield (
            f"{'enough' if self.good else 'NOT ENOUGH'}: {self.rate:.1f} % killed, {self.least:g} % are needed; "
            f"{dropped} of {len(self.refusals)} dropped refusals were noticed, every one must be"
        )

    @staticmethod
    def _row(name: str, width: int, sampled: Sequence[Verdict], refusals: Sequence[Verdict]) -> str:
        killed = sum(verdict.killed for verdict in sampled)
        dropped = f"{sum(verdict.killed for verdict in refusals)} of {len(refusals)}" if refusals else ""
        counts = f"{len(sampled):7}  {killed:6}  {len(sampled) - killed:8}  {_rate(sampled):5.1f}"
        return f"{name:{width}}  {counts}  {dropped}".rstrip()

    def json(self) -> str:
        """Everything."""
        drawn = {verdict.mutant.id for verdict in self.sampled}
        verdicts = {verdict.mutant.id: verdict for verdict in (*self.sampled, *self.refusals)}
        each = [
            {
                "id": verdict.mutant.id,
                "file": verdict.mutant.path,
                "line": verdict.mutant.line,
                "operator": verdict.mutant.operator,
                "before": verdict.mutant.before,
                "after": verdict.mutant.after,
                "killed": verdict.killed,
                "by": verdict.by,
                "sampled": name in drawn,
            }
            for name, verdict in sorted(verdicts.items())
        ]
        return json.dumps({**self.about, "rate": round(self.rate, 2), "good": self.good, "mutants": each}, indent=1)


def of_file(path: str, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those of one file."""
    return [verdict for verdict in verdicts if verdict.mutant.path == path]


def _rate(verdicts: Sequence[Verdict]) -> float:
    return 100 * sum(verdict.killed for verdict in verdicts) / len(verdicts) if verdicts else 100.0
