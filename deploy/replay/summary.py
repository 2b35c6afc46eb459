"""What became of the reports by what was seen, and how that differs from audit's account of the same cases."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.replay.case import Case
from deploy.replay.rows import Reject, Report
from deploy.simulation.city import Person

COUNTS = ("reported", "filed", "merged", "rejected", "withdrawn", "closed", "open", "late", "rework")
_NAMED = 20
"""The most single cases that are named of what is wrong."""
_EXAMPLES = 3
"""The most rejects of one field that are told one by one."""


def counts(cases: Iterable[Case]) -> dict[str, Any]:
    """In the shape of audit's `GET /summary`."""
    cases = list(cases)
    by_category: dict[str | None, list[Case]] = {}
    for case in cases:
        by_category.setdefault(case.category, []).append(case)
    return {
        **_counts(cases),
        "by_outcome": dict(sorted(Counter(case.outcome for case in cases if case.outcome is not None).items())),
        "by_category": [
            {"category": category, **_counts(by_category[category])}
            for category in sorted(by_category, key=lambda one: (one is None, one))
        ],
    }


def _counts(cases: list[Case]) -> dict[str, int]:
    return {
        "reported": len(cases),
        "filed": sum(case.filed for case in cases),
        "merged": sum(case.merged_into is not None for case in cases),
        "rejected": sum(case.ruling == "rejected" for case in cases),
        "withdrawn": sum(case.ruling == "withdrawn" for case in cases),
        "closed": sum(case.closed for case in cases),
        "open": sum(not case.closed for case in cases),
        "late": sum(case.late is True for case in cases),
        "rework": sum(case.reworks > 0 for case in cases),
    }


def differences(ours: Mapping[str, Any], audits: Mapping[str, Any]) -> list[str]:
    """Every figure of `counts` that audit's summary has another value for, in words."""
    found = [
        f"{name}: {ours[name]} seen, {audits.get(name)} by audit" for name in COUNTS if ours[name] != audits.get(name)
    ]
    found += _unequal("outcome", ours["by_outcome"], audits["by_outcome"])
    own, other = ({row["category"]: row for row in side["by_category"]} for side in (ours, audits))
    for category in sorted(own.keys() | other.keys(), key=lambda one: (one is None, one)):
        one, two = ({name: side.get(category, {}).get(name, 0) for name in COUNTS} for side in (own, other))
        found += _unequal(f"category {category},", one, two)
    return found


def _unequal(what: str, ours: Mapping[str, int], audits: Mapping[str, int]) -> list[str]:
    return [
        f"{what} {name}: {ours.get(name, 0)} seen, {audits.get(name, 0)} by audit"
        for name in sorted(ours.keys() | audits.keys())
        if ours.get(name, 0) != audits.get(name, 0)
    ]


async def case_by_case(cases: Mapping[str, Case], auditor: Person, prefix: str) -> list[str]:
    """Every case of which audit tells another story, or only one of the two tells any; the first few named."""
    found = []
    unknown = set(cases)
    async for row in auditor.pages("audit", "/cases", external_prefix=prefix):
        row["status"] = "closed" if row["status"] == "closed" else "open"
        case = cases.get(row["case_id"])
        if case is None:
            found.append(f"case {row['case_id']} ({row['external_ref']}): not seen, {row['status']} by audit")
            continue
        unknown.discard(case.case_id)
        ours = _story(case)
        found += [
            f"case {case.case_id} ({row['external_ref']}), {name}: {ours[name]} seen, {row[name]} by audit"
            for name in ours
            if ours[name] != row[name]
        ]
    found += [f"case {case_id}: seen, but audit does not know it" for case_id in sorted(unknown)]
    return first(found)


def first(found: list[str]) -> list[str]:
    """The first few, and how many more there are."""
    return found[:_NAMED] + ([f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else [])


def _story(case: Case) -> dict[str, Any]:
    return {
        "status": "closed" if case.closed else "open",
        "outcome": case.outcome,
        "category": case.category,
        "merged_into": case.merged_into,
        "late": case.late,
        "reworks": case.reworks,
    }


def notes(reports: Iterable[Report]) -> dict[str, int]:
    """What was noted of how many rows, the most frequent first."""
    return dict(Counter(note for report in reports for note in report.notes).most_common())


def rejected(rejects: Iterable[Reject]) -> dict[str, int]:
    """Field and rule -> how many rows it rejected."""
    return dict(Counter(f"{reject.field}: {reject.rule}" for reject in rejects).most_common())


def rejected_by_field(rejects: Iterable[Reject]) -> dict[str, dict[str, Any]]:
    """Field -> how many rows it rejected, and where and why the first few of them."""
    found: dict[str, list[Reject]] = {}
    for reject in rejects:
        found.setdefault(reject.field, []).append(reject)
    return {
        field: {"rows": len(group), "first": [_words(reject) for reject in group[:_EXAMPLES]]}
        for field, group in sorted(found.items(), key=lambda pair: -len(pair[1]))
    }


def _words(reject: Reject) -> str:
    number = f" ({reject.external_id!r})" if reject.external_id else ""
    return f"line {reject.line}{number}: {reject.rule}"
