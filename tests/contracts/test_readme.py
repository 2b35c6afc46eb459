"""What contracts/README.md tells a partner is true: its tables name what the models have, and nothing else."""

import re

from contracts import notice, request
from contracts.causes import label
from contracts.envelope import PartnerEvent
from contracts.export.__main__ import ROOT
from contracts.homes import RECEIVES, SENDS
from contracts.intake import REPORT_BYTES
from contracts.reference.partners import Says
from contracts.request import REPORTS
from contracts.status import SERVICES
from contracts.triage import Assigned
from contracts.wire import MAX_BYTES, TOPICS
from services.dispatch.domain.permissions import HANDLER_LIMIT, REMARK_LIMIT
from services.intake.domain.commands import MAX_SUPPLEMENTS
from tests.contracts.oracle import BEYOND

README = (ROOT / "contracts/README.md").read_text()


_TABLE = "contracts/README.md and the models differ: mend the table under"


def section(title: str) -> str:
    """The text under a heading."""
    return README.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    found = [line.strip("|").split("|") for line in section(title).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in found]


def words(cell: str) -> list[str]:
    return re.findall(r"`([a-zA-Z_]+)`", cell)


def kinds(union: object) -> dict[str, type]:
    models = union.__args__[0].__args__ if hasattr(union.__args__[0], "__args__") else union.__args__  # pyright: ignore
    return {model.model_fields["kind"].default: model for model in models}


def test_the_rules_beyond_the_schema_are_those_by_which_the_tests_judge() -> None:
    named = [row[0] for row in rows("The record")]
    assert [name.strip("`") for name in named if re.fullmatch("`[a-z]+ [a-z]+`", name)] == list(BEYOND)


def test_every_request_stands_in_the_table_with_what_it_needs_and_who_takes_it() -> None:
    models = kinds(request.Request)
    told: dict[str, list[str]] = {}
    for row in rows("What you say: requests"):
        for kind in words(row[0]):
            told[kind] = row
    assert told.keys() == models.keys(), f"{_TABLE} `What you say: requests`"
    for kind, row in told.items():
        required = {name for name, field in models[kind].model_fields.items() if field.is_required()}
        assert set(words(row[2].partition(";")[0])) == required, f"{kind}: {_TABLE} `What you say: requests`"
        assert set(words(row[2])) <= set(models[kind].model_fields), kind
        assert row[3] == ("intake" if models[kind] in REPORTS else "dispatch"), kind


def test_every_notice_stands_in_the_table() -> None:
    told = [kind for row in rows("What you hear: notices") for kind in words(row[0])]
    assert sorted(told) == sorted(kinds(notice.Notice)), f"{_TABLE} `What you hear: notices`"


def test_every_attribute_and_limit_is_told() -> None:
    told = {name for row in rows("The record") for name in words(row[0])}
    assert told == set(PartnerEvent.model_fields)
    assert f"{MAX_BYTES:,} bytes at most" in section("The record")
    assert f"may have {REPORT_BYTES:,}" in section("The record")
    assert all(f"SAYS={right}" in README for right in Says.__args__)


def test_the_table_of_facts_says_who_writes_and_reads_what() -> None:
    told = {words(row[0])[0]: row for row in rows("The five topics of facts")}
    assert list(told) == list(TOPICS), f"{_TABLE} `The five topics of facts`"
    for topic, (_, _, writer, readers) in told.items():
        named = set(re.findall(rf"\b(?:{'|'.join(SERVICES)})\b", readers))
        assert named == {who for who in RECEIVES if topic in RECEIVES[who]}, topic
        if topic != "Progressed":
            assert {writer} == {who for who in SENDS if topic in SENDS[who]}, topic


def test_the_kinds_of_the_facts_are_those_of_the_models() -> None:
    rulings = [model.model_fields["ruling"].default for model in Assigned.__args__[0].__args__]  # pyright: ignore
    row = next(row for row in rows("The five topics of facts") if words(row[0]) == ["Assigned"])
    assert row[1] == f"`ruling`: {', '.join(rulings)}"
    assert label(request.Withdraw(reason="x")) == "request"


OF_PEOPLE = ("disclosure.", "urge.", "supervise.", "extension.none", "extension.self")
"""Rules of what only a city's own people may do."""


def test_every_rule_by_which_a_partner_may_be_refused_is_told() -> None:
    files = (
        "chassis/engine/partner_requests.py",
        "services/intake/domain/commands.py",
        "services/dispatch/domain/commands.py",
        "services/dispatch/domain/permissions.py",
    )
    written = "".join((ROOT / file).read_text() for file in files)
    raised = set(re.findall(r'"([a-z_]+\.[a-z_]+)"', written)) | {
        "place.area",
        "unknown",
        "record.invalid",
        "record.forged",
    }
    told = {row[0].strip("`"): row[1:] for row in rows("When a request is refused")}
    assert set(told) == {rule for rule in raised if not rule.startswith(OF_PEOPLE)}, (
        f"{_TABLE} `When a request is refused`"
    )
    for rule, (who, when) in told.items():
        assert when, rule
        prefix = rule.partition(".")[0]
        if prefix in ("report", "supplement", "withdrawal", "place"):
            assert who == "intake", rule
        elif prefix in ("step", "assignment", "extension", "hand_on", "return"):
            assert who == "dispatch", rule


def test_the_limits_that_the_rules_have_are_told() -> None:
    told = {row[0].strip("`"): row[2] for row in rows("When a request is refused")}
    assert f" {MAX_SUPPLEMENTS} " in told["supplement.limit"]
    assert told["assignment.handlers"].startswith(f"{HANDLER_LIMIT} people")
    assert f" {REMARK_LIMIT} " in told["assignment.handlers"]
