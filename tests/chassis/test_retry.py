"""What a process says of an error that it waits out."""

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from chassis.retry import in_words


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
