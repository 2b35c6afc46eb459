"""Records in and out.

consumer.py    Kafka -> batches of records
offsets.py     offsets follow the database
sessions.py    fetches that name only what has changed
relay.py       outbox -> Kafka
tail.py        the service's own topics, to find what is forged there
connection.py  how all three reach the broker, and as whom
records.py     a record with its coordinates, and reading it
partitions.py  key -> partition, as all Kafka clients choose it
completion.py  calls that a cancellation must not interrupt
"""
