"""By what a service knows its own published events again when its store lacks them: it was restored from a backup.

Each published event bears a code (HMAC-SHA-256 of topic and bytes, RFC 2104, cut to 16 bytes) whose key only the
store has, and each backup of it. So a record with that code is the service's own word, whoever else has its password
for the broker.

`is_same` compares what the database server says of the store with what was noted when the store was last compared with
the topics. It tells a restored dump and a promoted standby, without the broker. It cannot tell that the server's files
were put back: only the topics can.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from chassis.store.database import Database

HEADER = "mac"
"""Of a record: the code."""
_BYTES = 16

_KEY = "SELECT key FROM origin"
_STORE = "SELECT system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), 'events'::regclass::oid"
_SAME = f"SELECT (system, timeline, events) = ({_STORE} FROM pg_control_system()) AS same FROM origin"
_NOTE = f"UPDATE origin SET (system, timeline, events) = ({_STORE} FROM pg_control_system())"


def code(key: bytes, topic: str, body: bytes) -> bytes:
    """What an event bears on that topic, which is without the installation's prefix: text of 22 characters."""
    made = hmac.digest(key, topic.encode() + b"\0" + body, sha256)[:_BYTES]
    return urlsafe_b64encode(made).rstrip(b"=")


def is_own(key: bytes, topic: str, body: bytes, given: bytes | None) -> bool:
    """Whether the code that a record bears is that of this service."""
    return given is not None and hmac.compare_digest(code(key, topic, body), given)


async def key_of(database: Database) -> bytes:
    """The key of the codes."""
    return (await database.fetch(_KEY))[0]["key"]


async def is_same(database: Database) -> bool:
    """Whether it is the store that was compared with the topics last, as far as the server can tell."""
    return (await database.fetch(_SAME))[0]["same"]


async def note(database: Database) -> None:
    """Notes that this store has been compared with the topics."""
    if not await is_same(database):
        await database.fetch(_NOTE)
