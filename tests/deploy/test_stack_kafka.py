"""A new cluster gets an id that Kafka's own tool takes."""

import base64
import uuid

from deploy.stack.kafka import cluster_id


def test_an_id_that_reads_as_an_option_is_drawn_again() -> None:
    hyphen_first = [uuid.UUID(bytes=bytes([first]) + bytes(15)) for first in range(0xF8, 0xFC)]
    fine = uuid.UUID(bytes=bytes(range(16)))
    assert all(base64.urlsafe_b64encode(drawn.bytes).startswith(b"-") for drawn in hyphen_first)
    draws = iter([*hyphen_first, fine])
    assert cluster_id(lambda: next(draws)) == "AAECAwQFBgcICQoLDA0ODw"


def test_ids_differ_and_have_the_length_of_a_uuid() -> None:
    made = {cluster_id() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(one) for one in made} == {22}
    assert not any(one.startswith("-") for one in made)
