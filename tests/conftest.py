"""Fixtures every test may use."""
import os
from collections.abc import AsyncIterator
import asyncpg, pytest
from chassis.migrate import migrate
from tests.support import tally
@pytest.fixture
async def tally_database() -> AsyncIterator[str]:
    admin="postgresql://admin@127.0.0.1:25432/postgres"
    c=await asyncpg.connect(admin)
    name="t_"+os.urandom(4).hex()
    await c.execute(f"CREATE DATABASE {name}")
    url=f"postgresql://admin@127.0.0.1:25432/{name}"
    await migrate(url,"tally","x",tally.SCHEMA)
    yield f"postgresql://tally:x@127.0.0.1:25432/{name}"
    await c.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await c.close()
@pytest.fixture
def kafka() -> str:
    return "127.0.0.1:29092"
@pytest.fixture
async def topics(kafka: str) -> str:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic
    prefix="t"+os.urandom(4).hex()+"-"
    a=AIOKafkaAdminClient(bootstrap_servers=kafka); await a.start()
    await a.create_topics([NewTopic(prefix+t,6,1) for t in ("ReportFiled","Assigned","Resolved","Evaluated","Progressed")])
    await a.close()
    return prefix
