"""The event store of one service in PostgreSQL.

database.py    pool and transactions
transaction.py what one transaction writes, sent together at its end
writable.py    whether a write would be taken
watch.py       ends what waits for a server that hangs
streams.py     a case in memory, and the cache of cases written last
journal.py     the streams of one transaction: loaded, folded, appended
outbox.py      what is to be published, and how far that has come
origin.py      what tells own events from others, and one store from a restored one
taken.py       how far each partition has taken effect, and what is to be stepped over
leadership.py  which relay publishes
views.py       read models as functions of state
conditions.py  a WHERE clause from filters
changes.py     which cases changed, for live views
derived.py     what follows from stored events, made anew
locks.py       locks between the workers of a service
checksums.py   whether a rebuilt table is as before
accesses.py    who may read which case by exception
migrations.py  numbered changes of the schema
rights.py      what a service's role may do
reads.py       who read the bytes of which records
schema/        the tables of the event store
every/         the tables that every service has, audit too
"""
