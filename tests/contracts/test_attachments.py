"""Where an attachment lies: the parser and the published schema allow a public host over https, and nothing else."""

import orjson
import pytest
from pydantic import ValidationError

from contracts.fields import Attachment
from contracts.wire import Circumstances, Invalid, build, parse, reread
from tests.contracts.mutations import EXAMPLES, whole
from tests.contracts.oracle import faults
from tests.support.attachments import ELSEWHERE, MEDIA_TYPES, NO_MEDIA_TYPES, PUBLIC

TITLES = {
    "ReportFiled.new": "attachments",
    "ReportFiled.supplement": "attachments",
    "Assigned.dispatched": "attachments",
    "Resolved.fixed-main-3": "evidence",
    "Progressed.verified": "evidence",
    "Notice.assigned": "attachments",
    "Request.resolve": "evidence",
}
"""An example of each type that may have some, and in which field."""


def attached(title: str, **attachment: str) -> tuple[str, bytes]:
    """Topic and bytes of the example with that attachment alone."""
    tree = whole(title)
    tree["data"][TITLES[title]] = [{"uri": PUBLIC[0], **attachment}]
    return EXAMPLES[title].topic, orjson.dumps(tree)


@pytest.mark.parametrize("title", TITLES)
def test_a_record_may_point_to_a_public_host(title: str) -> None:
    for topic, raw in [
        *(attached(title, uri=uri) for uri in PUBLIC),
        *(attached(title, media_type=m) for m in MEDIA_TYPES),
    ]:
        assert faults(topic, raw) is None
        parse(topic, raw)


@pytest.mark.parametrize("title", TITLES)
def test_a_record_that_points_elsewhere_is_refused_with_the_field_and_the_rule(title: str) -> None:
    for uri in ELSEWHERE:
        topic, raw = attached(title, uri=uri)
        assert faults(topic, raw) is not None, uri
        with pytest.raises(Invalid, match=rf"data\.{TITLES[title]}\.0\.uri: must be an https URI of a public host"):
            parse(topic, raw)
    for media_type in NO_MEDIA_TYPES:
        topic, raw = attached(title, media_type=media_type)
        assert faults(topic, raw) is not None, media_type
        with pytest.raises(Invalid, match=r"\.0\.media_type: must be a media type, such as image/jpeg"):
            parse(topic, raw)


@pytest.mark.parametrize(
    ("uri", "words"), [("", "1 characters at least"), (PUBLIC[-1] + "x", "2000 characters at most")]
)
def test_an_empty_or_a_longer_one_is_refused_by_its_length(uri: str, words: str) -> None:
    topic, raw = attached("ReportFiled.new", uri=uri)
    assert faults(topic, raw) is not None
    with pytest.raises(Invalid, match=f"uri: must have {words}"):
        parse(topic, raw)


@pytest.mark.parametrize("uri", ELSEWHERE)
def test_no_service_publishes_one_that_points_elsewhere(uri: str) -> None:
    with pytest.raises(ValidationError, match="must be an https URI"):
        Attachment(uri=uri)


def test_what_was_taken_before_there_was_the_rule_is_still_read_from_a_store_of_our_own() -> None:
    topic, raw = attached("ReportFiled.new", uri="s3://photos/7.jpg", media_type="jpeg")
    assert reread(topic, raw).data.attachments[0].uri == "s3://photos/7.jpg"


@pytest.mark.parametrize("title", TITLES)
def test_a_fact_that_follows_from_what_was_taken_before_there_was_the_rule_is_read_without_the_link(title: str) -> None:
    """A case that was open then goes on: the work is given out again, and partners are told."""
    field = TITLES[title]
    topic, raw = attached(title, uri="urn:casegrid:attachment:burst")
    kept = reread(topic, raw)
    links = (*getattr(kept.data, field), Attachment(uri=PUBLIC[0]))
    told, said = build(
        kept.data.model_copy(update={field: links}),
        Circumstances(kept.id, kept.source, kept.subject, kept.time, kept.recordedtime, 1, kept.id),
    )
    assert parse(topic, said) == told
    assert [one.uri for one in getattr(told.data, field)] == [PUBLIC[0]]
