"""The runtime under every service; it knows streams and facts, and no word of what they are about.

decider.py    what a service's domain is to the runtime: evolve, react, decide, lapse
service.py    what a service is made of
database.py   pool, transactions that a cancellation cannot tear
journal.py    the streams touched in one transaction: loaded, folded, appended, viewed
deciding.py   what is decided with in a transaction: journal, what was gathered, partners, instants
views.py      read models as a function of state
inbox.py      a batch of records -> one transaction; parking
consumer.py   Kafka -> inbox
relay.py      outbox -> Kafka
partitions.py key -> partition, as all Kafka clients choose it
whole.py      calls that a cancellation must not tear apart
timers.py     deadlines -> facts
commands.py   a person's command -> facts, once per idempotency key
http.py       problem+json, paging, conditional requests
identity.py   bearer tokens, client keys, route -> roles
operations.py health, readiness and parked records over HTTP
runtime.py    one process: roles, start in any order, graceful stop
schema.sql    the tables every service has
"""
