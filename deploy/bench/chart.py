"""A picture of the kept runs: each ratio of the last kept run as a bar, and of the first kept run as a mark."""

from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from deploy.bench.figures import MEANING

CHART = Path("docs") / "bench.svg"
_LABELS, _WIDTH, _BAR, _ROW, _TOP = 215, 640, 330, 24, 46
_STYLE = (
    "text{font:12px sans-serif;fill:#1f2328}.f{fill:#59636e}.b{fill:#2f6fbb}.m{stroke:#b35900;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.f{fill:#9198a1}.b{fill:#58a6ff}.m{stroke:#f0a35a}}"
)


def svg(kept: Sequence[Mapping[str, Any]]) -> str:
    """Drawn from at least one kept run. The scale is logarithmic from 0.1 on, because ratios are multiplied."""
    first, last = kept[0], kept[-1]
    names = [name for name in MEANING if name in last["ratios"]]
    top = max(10.0, *(run["ratios"][name] for run in (first, last) for name in names if name in run["ratios"]))

    def x(value: float) -> float:
        return _LABELS + _BAR * max(0.0, log10(value / 0.1)) / log10(top / 0.1)

    head = f"What a case costs beside bare work: bar {_run(last)}, mark {_run(first)} (less is better)"
    lines = [f'<text x="8" y="20">{escape(head)}</text>', f'<text class="f" x="8" y="37">{len(kept)} kept runs</text>']
    for row, name in enumerate(names):
        y = _TOP + row * _ROW
        value = last["ratios"][name]
        lines.append(f'<text x="8" y="{y + 14}"><title>{escape(MEANING[name])}</title>{name.replace("_", " ")}</text>')
        lines.append(f'<rect class="b" x="{_LABELS}" y="{y + 3}" width="{x(value) - _LABELS:.0f}" height="15"/>')
        lines.append(f'<text x="{x(value) + 8:.0f}" y="{y + 15}">{value:.2f}</text>')
        if (was := first["ratios"].get(name)) is not None:
            lines.append(f'<path class="m" d="M{x(was):.0f} {y + 1}v19"/>')
    height = _TOP + len(names) * _ROW + 8
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">'
    return "\n".join([opening, f"<style>{_STYLE}</style>", *lines, "</svg>\n"])


def _run(run: Mapping[str, Any]) -> str:
    return f"{run['date'][:10]} at {run['commit']}"
