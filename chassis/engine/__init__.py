"""What decides: records, commands and deadlines become facts, each exactly once.

decider.py           what a service's domain is to the engine
model.py             what the engine needs of a service
unit_of_work.py      the streams and inputs of one transaction
inbox.py             a batch of records -> one transaction
incoming.py          a record as one service sees it
effects.py           what the records of a transaction do, in memory
partner_requests.py  a partner's request -> facts and one answer
parking.py           what could not take effect
room.py              how much of it is kept, and for how long
settling.py          an operator's decision on it
skipping.py          an operator's decision on what holds a partition up
many.py              one decision on many of them
propagation.py       how an event reaches other cases
commands.py          a person's command -> facts, once per idempotency key
groups.py            commands that come together -> one transaction
returning.py         own events that the store lacks, found on the topics at each start
lost_streams.py      those go back into their streams
forgeries.py         what bears the service's name and is not its own
timers.py            deadlines -> facts
rebuild.py           views and streams anew from the events
"""
