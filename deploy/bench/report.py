"""What a run prints: ratios first, then the phases, the bare limits and where the time goes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.bench.figures import MEANING, change

_COLUMNS = (
    "phase",
    "offered/s",
    "cases/s",
    "records",
    "CPU ms",
    "to assigned, ms",
    "to closed, ms",
    "to audited, ms",
    "commits",
    "WAL KB",
    "rows",
    "given/commit",
)
_NOT_KEPT_UP = "!"
_SERVED = {"ended": "sessions and autovacuum workers that ended meanwhile"}
"""Of PostgreSQL's processes, where the name says too little."""


def show(console: Console, found: Mapping[str, Any], before: Mapping[str, float]) -> None:
    """`before`: the ratios of the last kept run."""
    console.print(ratio_table(found["ratios"], before))
    console.print(phase_table(found))
    console.print(bare_table(found["bare"]))
    console.print(process_table(found))
    if found.get("protection"):
        console.print(protection_table(found["protection"]))
    if found.get("peers"):
        console.print(peer_table(found["peers"]))
    if found.get("sizes"):
        for table in size_tables(found["sizes"]):
            console.print(table)


def ratio_table(ratios: Mapping[str, float], before: Mapping[str, float]) -> Table:
    """The smaller, the better; they hold on a busy machine."""
    table = _table("ratios (the smaller, the better)", "ratio", "now", "last kept", "change")
    for name, value in ratios.items():
        was = before.get(name)
        compared = ("", "") if was is None else (f"{was:.2f}", f"{change(value, was):+.0%}")
        table.add_row(MEANING.get(name, name), f"{value:.2f}", *compared)
    return table


def phase_table(found: Mapping[str, Any]) -> Table:
    """Per case, and milliseconds as p50 / p95 / p99."""
    phases = {"at once": found["saturation"]}
    phases |= {f"{name} / s" if name.isdigit() else name: one for name, one in found["rates"].items()}
    phases |= {f"http, {one['callers']} callers": one for one in found["http"].values() if "cases" in one}
    table = _table(f"per case, everything on {found['cores']} cores", *_COLUMNS)
    for name, one in phases.items():
        table.add_row(
            name,
            _offered(one),
            f"{one['cases_per_second']:.0f}",
            f"{one['records_per_case']:.0f}",
            f"{one['cpu_us_per_case'] / 1000:.1f}",
            *(_spread(one.get(f"filed_to_{end}_ms")) for end in ("assigned", "closed", "audited")),
            f"{one['commits_per_case']:.1f}",
            f"{one['wal_bytes_per_case'] / 1000:.0f}",
            f"{sum(one['rows_per_case'][kind] for kind in ('inserted', 'updated', 'deleted')):.0f}",
            f"{one['deliveries_per_commit'] or 0:.1f}",
        )
    table.caption = (
        "A partner's case has more records than one closed over HTTP: what the partner says, and each answer to it."
        f"\n{_NOT_KEPT_UP}: the stack did not keep up with what was offered."
    )
    return table


def _offered(phase: Mapping[str, Any]) -> str:
    rate = phase.get("offered_per_second")
    return "" if rate is None else f"{rate:.0f}" + ("" if phase["kept_up"] else f" {_NOT_KEPT_UP}")


def bare_table(bare: Mapping[str, float]) -> Table:
    """Each limit's rate and its processor time."""
    table = _table("bare limits of this machine", "what", "a second", "CPU us")
    for name in [key.removesuffix("_per_second") for key in bare if key.endswith("_per_second")]:
        table.add_row(name.replace("_", " "), f"{bare[f'{name}_per_second']:.0f}", f"{bare[f'{name}_cpu_us']:.1f}")
    return table


def process_table(found: Mapping[str, Any]) -> Table:
    """Where a case's time goes at saturation, and PostgreSQL's by whom it serves."""
    table = _table("where the time goes, at once", "process", "CPU us per case", "memory MiB")
    for name, one in sorted(found["processes"].items(), key=lambda item: -item[1]["cpu_us_per_case"]):
        table.add_row(name, f"{one['cpu_us_per_case']:.0f}", f"{one['memory_mib']:.0f}")
    for name, value in sorted(found["saturation"]["postgres_us_per_case"].items(), key=lambda item: -item[1]):
        if value >= 1:
            table.add_row(f"  postgres: {_SERVED.get(name, name)}", f"{value:.0f}", "")
    return table


def protection_table(costs: Sequence[Mapping[str, Any]]) -> Table:
    """What protection costs, of the same time."""
    table = _table("what protection costs, of the same time", "what", "CPU us", "of PostgreSQL, us")
    for cost in costs:
        postgres = "" if cost["postgres_us"] is None else f"{cost['postgres_us']:.1f}"
        table.add_row(cost["what"], f"{cost['service_us']:.1f}", postgres)
    return table


def peer_table(peers: Mapping[str, Any]) -> Table:
    """What a user would build otherwise, for a record in, a row stored and a record out, beside ours."""
    table = _table(
        "a record in, a row, a record out", "what", "a second", "CPU us", "service", "Kafka", "PostgreSQL", "/ ours"
    )
    for name, one in peers["services"].items():
        for label, figures in ((name, one), (f"  {one['paced']['offered_per_second']} a second", one["paced"])):
            key = f"{name} / ours" if figures is one else f"{name} / ours, paced"
            ratio = peers["ratios"].get(key)
            table.add_row(
                label,
                f"{figures['messages_per_second']:.0f}",
                f"{figures['cpu_us_per_message']:.0f}",
                *(f"{figures['processes'].get(part, 0):.0f}" for part in ("service", "kafka", "postgres")),
                "" if ratio is None else f"{ratio:.1f}",
            )
    return table


def size_tables(sizes: Mapping[str, Any]) -> Iterator[Table]:
    """The lifecycle and the questions at every size of history, and the spike."""
    lifecycles = _table("lifecycles over HTTP, by history", "cases", "lifecycles/s", "CPU ms", "an answer, ms", "GB")
    for one in sizes.values():
        lifecycle = one["lifecycle"]
        lifecycles.add_row(
            f"{one['cases']:,}",
            f"{lifecycle['lifecycles_per_second']:.1f}",
            f"{lifecycle['cpu_us_per_case'] / 1000:.1f}",
            _spread(lifecycle["answer_ms"]),
            f"{one['database_bytes'] / 1e9:.1f}",
        )
    yield lifecycles
    reads = _table(
        "CPU of an answer, us: service + PostgreSQL", "question", *(f"{one['cases']:,}" for one in sizes.values())
    )
    for columns in zip(*(one["reads"] for one in sizes.values()), strict=True):
        costs = (f"{column['service_us']:.0f} + {column['database_us']:.0f}" for column in columns)
        reads.add_row(f"{columns[0]['service']} GET {columns[0]['path']}", *costs)
    yield reads
    for one in sizes.values():
        if "spike" in one:
            yield _spike_table(one)


def _spike_table(one: Mapping[str, Any]) -> Table:
    spike = one["spike"]
    table = _table(f"spike at {one['cases']:,} cases, {spike['seconds']:.0f} s", "what", "figure")
    table.add_row("lifecycles offered", f"{spike['offered']:,}, {spike['offered_per_second']:.0f} a second")
    table.add_row("lifecycles/s before / during", " / ".join(f"{spike[when]:.1f}" for when in ("before", "during")))
    table.add_row("an answer, ms, during", _spread(spike["answer_ms"]))
    table.add_row("put off with 429 or 503", f"{spike['put_off']:,}")
    table.add_row("errors", ", ".join(f"{count} {kind}" for kind, count in spike["errors"].items()) or "none")
    table.add_row("acknowledged and lost", f"{spike['lost']} of {spike['acknowledged']:,}")
    for name, words in (
        ("recovered_seconds", "answers as many requests as before after"),
        ("ending_seconds", "ends as many lifecycles as before after"),
        ("drained_seconds", "all through after"),
    ):
        table.add_row(words, "not in the time" if spike[name] is None else f"{spike[name]:.0f} s")
    return table


def _spread(found: Mapping[str, float] | None) -> str:
    return " / ".join(f"{found[cut]:.0f}" for cut in ("p50", "p95", "p99")) if found else ""


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table
