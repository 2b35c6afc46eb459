"""What partners ask of intake on their topics, its answers, and what they hear of rulings: on a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chassis.service import Service
from contracts.fields import Attachment, Fact, Point
from contracts.reference import Partners
from contracts.request import AddSupplement, FileReport, Note, ReportedPlace, Resolve
from contracts.triage import Rejected, Upheld
from tests.services.intake.desk import (
    BACK,
    GRID,
    MORE,
    PARTNERS,
    REPORT,
    Home,
    closed,
    id_of,
    merged,
    request,
    ruled,
)
from tests.support.facts import case_id, event_of, record_of
from tests.support.services import publish, read_topic, running

PHOTO = Attachment(uri="https://photos.example/7.jpg")

# asking


async def test_an_accepted_report_becomes_a_fact_of_the_case_with_the_request_as_its_cause(home: Home) -> None:
    case = case_id()
    words = FileReport(
        channel="hotline", title="no water", reporter_ref="9", place=ReportedPlace(area=GRID), external_ref="7"
    )
    asked = request(words, case)
    await home.take(asked)
    report, answer = await home.events(case)
    assert (report["type"], report["causationid"], report["actor"]) == (
        "casegrid.ReportFiled.v1",
        id_of(asked),
        "hotline:agent 7",
    )
    said = report["data"]
    assert (said["reported_by"], said["channel"], said["reporter_ref"]) == ("hotline", "hotline", "hotline:9")
    assert (said["place"]["area"], said["external_ref"]) == (GRID, "7")
    assert (answer["causationid"], answer["data"]["request"]) == (report["id"], id_of(asked))
    assert [one["topic"] for one in await home.answers(asked)] == ["to.hotline"]
    row = await home.database.fetchrow("SELECT filed_by, reported_by, status FROM reports WHERE case_id = $1", case)
    assert row is not None
    assert tuple(row) == ("partner:hotline", "hotline", "reported")


async def test_a_position_decides_where_a_report_lies_even_if_the_area_beside_it_is_unknown(home: Home) -> None:
    case = case_id()
    nowhere = ReportedPlace(point=Point(lat=31.23, lon=121.47), area="CH/atlantis")
    await home.ask(FileReport(title="no water", place=nowhere), case)
    report, answer = await home.events(case)
    assert report["data"]["place"] == {"point": {"lat": 31.23, "lon": 121.47}}
    assert answer["data"]["kind"] == "accepted"


async def test_a_category_that_is_not_in_the_catalogue_is_taken_and_left_to_triage(home: Home) -> None:
    case = case_id()
    await home.ask(FileReport(title="no water", category="water.gone"), case)
    report, answer = await home.events(case)
    assert (report["data"]["category"], answer["data"]["kind"]) == ("water.gone", "accepted")


async def test_a_partner_adds_to_and_takes_back_its_own_report(home: Home) -> None:
    case = case_id()
    told = await home.ask(REPORT, case)
    told = await home.ask(MORE, case, cause=told["id"])
    await home.ask(BACK, case, cause=told["id"])
    kinds = [event["data"]["kind"] for event in await home.events(case)]
    assert kinds == ["new", "accepted", "supplement", "accepted", "withdrawal", "accepted"]


async def test_a_request_takes_effect_and_is_answered_once_however_often_it_comes(home: Home) -> None:
    case = case_id()
    asked, beside = request(REPORT, case), request(MORE, case_id(), cause=case_id())
    await home.take(asked, asked, beside)
    await home.take(beside, asked)
    worker = home.worker()
    await asyncio.gather(worker.process([asked, beside]), home.take(beside, asked))
    assert len(await home.events(case)) == 2
    assert [len(await home.answers(one)) for one in (asked, beside)] == [1, 1]


async def test_who_is_killed_before_the_commit_has_neither_filed_nor_answered(home: Home) -> None:
    case = case_id()
    asked = request(REPORT, case)
    home.database.deaths = 1
    with pytest.raises(ConnectionResetError):
        await home.take(asked)
    assert await home.notices() == []
    await home.take(asked)
    assert len(await home.events(case)) == len(await home.answers(asked)) + 1 == 2


@pytest.mark.parametrize(
    ("words", "partner", "rule"),
    [
        (MORE, "archive", "unknown"),
        (BACK, "archive", "unknown"),
        (REPORT, "archive", "report.once"),
        (MORE, "fire", "partner.says"),
    ],
)
async def test_in_somebody_elses_case_a_partner_changes_nothing_and_leaves_no_trace(
    home: Home, words: Fact, partner: str, rule: str
) -> None:
    case = case_id()
    told = await home.ask(REPORT, case)
    before = await home.database.fetch("SELECT version FROM streams WHERE stream_id = $1", case)
    answer = await home.ask(words, case, partner=partner, cause=told["id"])
    assert (answer["data"]["rule"], answer["data"]["case_id"], answer["topic"]) == (rule, case, f"to.{partner}")
    assert answer["subject"] != case
    assert await home.database.fetch("SELECT version FROM streams WHERE stream_id = $1", case) == before


@pytest.mark.parametrize(
    ("words", "partner", "rule"),
    [
        (MORE, "hotline", "unknown"),
        (REPORT, "fire", "partner.says"),
        (FileReport(title="x", place=ReportedPlace(area="CH/atlantis")), "hotline", "place.area"),
        (
            FileReport(
                title="x",
                attachments=(Attachment(uri="https://photos.example/" + "x" * 1_977),) * 50,
                text="\u6c34" * 20_000,
            ),
            "hotline",
            "request.too_large",
        ),
    ],
)
async def test_a_refused_report_leaves_no_case(home: Home, words: Fact, partner: str, rule: str) -> None:
    case = case_id()
    cause = None if isinstance(words, FileReport) else case_id()
    answer = await home.ask(words, case, partner=partner, cause=cause)
    assert (answer["data"]["rule"], answer["data"]["case_id"]) == (rule, case)
    assert answer["subject"] != case
    assert await home.events(case) == []


async def test_what_a_rule_forbids_in_a_partners_own_case_is_a_step_of_it(home: Home) -> None:
    case = case_id()
    told = await home.ask(REPORT, case)
    for words, cause, rule in (
        (MORE, case_id(), "cause.unknown"),
        (MORE, None, "cause.unknown"),
        (REPORT, None, "report.once"),
        (BACK, told["id"], None),
        (BACK, told["id"], "withdrawal.once"),
    ):
        asked = request(words, case, cause=cause)
        await home.take(asked)
        [answer] = await home.answers(asked)
        assert (answer["subject"], answer["data"].get("rule")) == (case, rule)
        step = (await home.events(case))[-2]
        assert answer["causationid"] == step["id"]
        assert step["causationid"] == id_of(asked)
        if rule is not None:
            assert (step["data"]["step"], step["data"]["partner"], step["data"]["rule"]) == ("refused", "hotline", rule)


async def test_what_cannot_be_read_is_parked_and_answered_where_its_key_is_a_case_id(home: Home) -> None:
    case, good = case_id(), case_id()
    _, forged = event_of(case, REPORT, source="/partners/archive")
    records = [
        record_of(b"not json", case, "from.hotline"),
        record_of(forged, case, "from.hotline"),
        record_of(b"not json", "no case", "from.hotline"),
        request(REPORT, good),
        request(REPORT, case),
    ]
    await home.take(*records)
    await home.take(*records)
    assert [kind for kind, _ in await home.parked()] == ["invalid", "forged", "invalid"]
    refusals = await home.notices("refused")
    assert [(one["data"]["rule"], one["data"]["case_id"], one["data"]["offset"]) for one in refusals] == [
        ("record.invalid", case, records[0].offset),
        ("record.forged", case, records[1].offset),
    ]
    assert not {one["subject"] for one in refusals} & {case, good}
    assert len(await home.notices("accepted")) == 2


@pytest.mark.parametrize("uri", ["http://169.254.169.254/latest/meta-data", "https://127.1/7.jpg", "s3://photos/7.jpg"])
@pytest.mark.parametrize(
    ("words", "field"),
    [
        (FileReport(title="no water", attachments=(PHOTO,)), "attachments"),
        (AddSupplement(text="now in the cellar", attachments=(PHOTO,)), "attachments"),
        (Note(assignment_id=f"{case_id()}.1.1", note="seen", evidence=(PHOTO,)), "evidence"),
        (Resolve(assignment_id=f"{case_id()}.1.1", evidence=(PHOTO,)), "evidence"),
    ],
    ids=["report", "supplement", "note", "resolve"],
)
async def test_a_request_with_an_attachment_that_lies_elsewhere_is_refused_with_the_field_and_the_rule(
    home: Home, words: Fact, field: str, uri: str
) -> None:
    """Intake answers what is unreadable of all requests, also of those that dispatch takes."""
    case = case_id()
    asked = request(words, case)
    await home.take(asked._replace(value=(asked.value or b"").replace(PHOTO.uri.encode(), uri.encode())))
    [answer] = await home.notices("refused")
    assert (answer["data"]["rule"], answer["data"]["case_id"]) == ("record.invalid", case)
    assert answer["data"]["reason"].startswith(f"data.{field}.0.uri: must be an https URI of a public host")
    assert await home.events(case) == []


@pytest.mark.parametrize(("partner", "retrospective", "doubtful"), [("hotline", False, True), ("archive", True, False)])
async def test_only_a_partner_with_the_right_enters_what_happened_long_ago(
    home: Home, partner: str, retrospective: bool, doubtful: bool
) -> None:
    seen = datetime(2026, 1, 9, 8, tzinfo=UTC)
    case = case_id()
    told = await home.ask(REPORT, case, partner=partner, time=seen)
    await home.ask(MORE, case, partner=partner, time=seen + timedelta(hours=1), cause=told["id"])
    report, _, supplement, _ = await home.events(case)
    assert report["data"]["retrospective"] is retrospective
    assert report["data"].get("time_doubtful", False) is doubtful
    assert (report["time"] == "2026-01-09T08:00:00.000000Z") is retrospective
    assert (supplement["time"] == "2026-01-09T09:00:00.000000Z") is retrospective
    if not retrospective:
        assert report["data"]["claimed_at"] == "2026-01-09T08:00:00.000000Z"
        assert supplement["data"]["time_doubtful"] is True


async def test_a_report_counts_from_when_the_broker_had_it(home: Home) -> None:
    case, now = case_id(), datetime.now(UTC)
    had = now - timedelta(hours=5)
    await home.take(request(REPORT, case, time=had - timedelta(hours=1), appended_ms=int(had.timestamp() * 1000)))
    [report, _] = await home.events(case)
    assert abs(datetime.fromisoformat(report["time"]) - had) < timedelta(seconds=5)


# hearing


async def test_a_partner_hears_how_triage_ruled_and_how_the_case_was_closed(home: Home) -> None:
    [case] = await home.filed()
    records = [ruled(case, Upheld(reason="a hazard")), ruled(case, Rejected(why="not_ours", reason="private ground"))]
    records.append(closed(case, "not_ours"))
    await home.take(*records, *records)
    await home.take(*records)
    told = [one for one in await home.notices() if one["data"]["kind"] != "accepted"]
    assert [(one["data"].get("ruling"), one["data"].get("outcome"), one["data"]["reason"]) for one in told] == [
        ("upheld", None, "a hazard"),
        ("rejected", None, "private ground"),
        (None, "not_ours", "pipe replaced"),
    ]
    assert [one["causationid"] for one in told] == [id_of(record) for record in records]
    assert {(one["topic"], one["subject"]) for one in told} == {("to.hotline", case)}
    answer = await home.ask(MORE, case, cause=told[1]["id"])
    assert answer["data"]["rule"] == "report.ended"


# on a real broker


async def test_a_partner_files_on_its_topic_and_hears_on_its_topic(
    url: str,
    service: Service,
    kafka: str,
    topics: str,
    make_topics: Callable[..., Awaitable[list[str]]],
    tmp_path: Path,
) -> None:
    await make_topics(topics, names=("from.hotline", "to.hotline"))
    file = tmp_path / "partners.json"
    file.write_text(Partners(partners=PARTNERS.partners[:1]).model_dump_json())
    case, leader = case_id(), case_id()
    async with running(service, url, kafka=kafka, prefix=topics, CASEGRID_PARTNERS=file):
        asked = [request(REPORT, case), request(REPORT, leader), record_of(b"not json", case, "from.hotline")]
        await publish(kafka, topics, asked + asked)
        told = await read_topic(kafka, topics, "to.hotline", lambda found: len(found) >= 4)
        kinds = sorted(event.data.kind for event in told)
        assert kinds == ["accepted", "accepted", "refused", "refused"]  # the bytes that are no event came twice
        cause = next(event.id for event in told if event.subject == case)
        await publish(kafka, topics, [request(MORE, case, cause=cause), merged(case, leader), closed(leader)])
        told = await read_topic(kafka, topics, "to.hotline", lambda found: len(found) >= 8)
        kinds = sorted(event.data.kind for event in told if event.subject == case)
        assert kinds == ["accepted", "accepted", "closed", "ruled"]
        assert all(event.source == "/services/intake" for event in told)
