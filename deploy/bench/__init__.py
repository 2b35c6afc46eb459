"""How many complete cases a second the running stack carries, and what its parts could carry alone.

chain.py   a partner files N reports and answers every assignment; feedback closes, audit has all
bare.py    the same bytes through Kafka without a database, and into PostgreSQL without a broker
usage.py   CPU time and memory of each process over the run
"""
