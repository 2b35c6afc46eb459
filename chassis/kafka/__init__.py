"""Records in and out.

consumer.py    Kafka -> batches of records
batches.py     how many records at once, and when
positions.py   where each partition is read from
coverage.py    whether all that should be read is
layout.py      which topics there are
offsets.py     offsets follow the database
reader.py      aiokafka's consumer, in sessions, and stopped by no record
sessions.py    fetches that name only what has changed
unpacking.py   what a fetch brought -> records, and what is none
salvage.py     the records of a batch in which something is wrong
inflating.py   compressed batches, within a bound
unserved.py    offsets that the broker does not serve
relay.py       outbox -> Kafka
tail.py        the service's own topics, to find what is forged there
through.py     topics from a position to their present ends
connection.py  how all three reach the broker, and as whom
records.py     a record with its coordinates, and reading it
partitions.py  key -> partition, as all Kafka clients choose it
completion.py  calls that a cancellation must not interrupt
"""
