"""What a process says of an error that it waits out."""

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from chassis.retry import NotNow, in_short, in_words
from chassis.store.database import TRANSIENT_ERRORS
from chassis.web.errors import response_to


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("no route"), "OSError: no route"),
        (OSError(), "OSError: no message"),
        (TimeoutError(), "TimeoutError: no answer in time"),
        (KafkaTimeoutError(), "KafkaTimeoutError: no answer in time"),
        (KafkaConnectionError("no broker"), "KafkaConnectionError: no broker"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_an_error_is_told_by_its_type_once_and_never_without_words(error: Exception, words: str) -> None:
    assert in_words(error) == words


@pytest.mark.parametrize("kind", TRANSIENT_ERRORS)
def test_a_stranger_learns_the_type_of_an_error_and_none_of_its_words(kind: type[Exception]) -> None:
    secret = 'Connect call failed ("10.0.0.7", 5432): SELECT 1 FROM "/etc/hosts"'
    answer = response_to(kind(secret))
    assert answer is not None
    assert answer.status_code == 503
    assert b"10.0.0.7" not in answer.body
    assert kind.__name__.encode() in answer.body


def test_our_own_words_are_for_everybody() -> None:
    assert in_short(NotNow("the database has not been reached yet")) == "the database has not been reached yet"
    assert in_short(TimeoutError()) == "TimeoutError: no answer in time"
    assert in_short(OSError("secret")) == "OSError; the log has the details"
