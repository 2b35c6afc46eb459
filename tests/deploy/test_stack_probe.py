import time
from tests.support.infrastructure import *


async def test_a(kafka, empty_database, topic_prefix, make_topics):
    t = time.time()
    await make_topics(topic_prefix)
    print("topics", time.time() - t)


async def test_b(make_database):
    for _ in range(3):
        t = time.time()
        await make_database(None)
        print("db", time.time() - t)


async def test_c(own_kafka, own_postgres):
    pass
