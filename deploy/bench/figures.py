"""Ratios of a run's figures: they hold on a busy machine and on another one, the figures themselves do not.

Pure functions over what the phases measured.
"""

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Any]

MEANING: Mapping[str, str] = {
    "case_over_bare_work": "CPU of a case at saturation / of its records, deliveries and rows, bare and in batches",
    "rate_10_over_loop": "CPU of a case at 10 a second / of a bare loop over its deliveries",
    "rate_50_over_loop": "CPU of a case at 50 a second / of a bare loop over its deliveries",
    "rate_100_over_loop": "CPU of a case at 100 a second / of a bare loop over its deliveries",
    "rate_half_over_loop": "CPU of a case at half of the maximum / of a bare loop over its deliveries",
    "rate_10_over_record_loop": "CPU of a case at 10 a second / of a bare loop over its records, each once",
    "rate_50_over_record_loop": "CPU of a case at 50 a second / of a bare loop over its records, each once",
    "http_32_over_bare_work": "CPU of a report closed over HTTP by 32 callers / of its records, deliveries and rows",
    "http_32_over_case": "CPU of a report closed over HTTP by 32 callers / of a partner's case at once: more records",
    "report_at_size": "CPU of GET /reports/{id} at the largest history / at the smallest",
    "case_at_size": "CPU of GET /cases/{id} of dispatch at the largest history / at the smallest",
    "lifecycle_at_size": "CPU of a lifecycle at the largest history / at the smallest",
    "post_over_empty_handler": "CPU of intake for POST /reports / of an empty FastAPI handler with the same body",
}
"""Ratio -> what is divided by what; the smaller, the better."""


def ratios(
    saturation: Figures, rates: Mapping[str, Figures], http: Mapping[str, Figures], bare: Figures
) -> dict[str, float]:
    """Those of `MEANING` that these phases give."""
    loop = bare["loop_cpu_us"]
    found = {"case_over_bare_work": saturation["cpu_us_per_case"] / bare_work(saturation, bare)}
    for name, phase in rates.items():
        found[f"rate_{name}_over_loop"] = phase["cpu_us_per_case"] / (phase["deliveries_per_case"] * loop)
        if (again := f"rate_{name}_over_record_loop") in MEANING:
            found[again] = phase["cpu_us_per_case"] / (phase["records_per_case"] * loop)
    if "32" in http:
        found["http_32_over_bare_work"] = http["32"]["cpu_us_per_case"] / bare_work(http["32"], bare)
        found["http_32_over_case"] = http["32"]["cpu_us_per_case"] / saturation["cpu_us_per_case"]
    if "filing" in http:
        found["post_over_empty_handler"] = http["filing"]["service_us"] / bare["empty_handler_cpu_us"]
    return found


def beside_ours(services: Mapping[str, Figures]) -> dict[str, Any]:
    """The figures of the compared services, and `ratios`: CPU per message of each peer over that of `ours`, all at once
    and paced. The larger, the better for us.
    """
    mine = services["ours"]
    ratios: dict[str, float] = {}
    for name, one in services.items():
        if name != "ours":
            ratios[f"{name} / ours"] = one["cpu_us_per_message"] / mine["cpu_us_per_message"]
            paced = one["paced"]["cpu_us_per_message"] / mine["paced"]["cpu_us_per_message"]
            ratios[f"{name} / ours, paced"] = paced
    return {"services": dict(services), "ratios": ratios}


def growth(sizes: Mapping[str, Figures]) -> dict[str, float]:
    """Those of `MEANING` that compare the sizes of history; none where there was one."""
    if len(sizes) < 2:
        return {}
    small, large = (sizes[name] for name in (min(sizes, key=int), max(sizes, key=int)))
    return {
        "report_at_size": _read(large, "intake", "/reports/{case}") / _read(small, "intake", "/reports/{case}"),
        "case_at_size": _read(large, "dispatch", "/cases/{case}") / _read(small, "dispatch", "/cases/{case}"),
        "lifecycle_at_size": large["lifecycle"]["cpu_us_per_case"] / small["lifecycle"]["cpu_us_per_case"],
    }


def _read(size: Figures, service: str, path: str) -> float:
    """Microseconds of service and database for one such answer."""
    return next(
        one["service_us"] + one["database_us"]
        for one in size["reads"]
        if (one["service"], one["path"]) == (service, path)
    )


def bare_work(phase: Figures, bare: Figures) -> float:
    """Microseconds that the same records, deliveries and stored rows take of one case, bare and in batches."""
    return (
        phase["records_per_case"] * bare["kafka_produced_cpu_us"]
        + phase["deliveries_per_case"] * bare["kafka_consumed_cpu_us"]
        + phase["rows_per_case"]["stored"] * bare["postgres_copied_cpu_us"]
    )


def change(now: float, before: float) -> float:
    """By how much of itself a figure has changed: -0.25 is a quarter less."""
    return now / before - 1
