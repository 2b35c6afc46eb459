"""What one record in, one row stored and one record out costs here, and in what a user would build otherwise.

costs.py               runs all of them in turn on the same messages
turn.py                one turn of one service: what its messages cost
ours.py                the smallest service on our chassis
faststream_service.py  FastStream and asyncpg, one transaction and one publish per message
outbox_service.py      the same with the package faststream-outbox
contract.py            what both peers share: what they are given, take and publish
process.py             a service as a process that is started, halted and measured

The peers run in a Python environment of their own, pinned in requirements.lock (`make lock`).
"""
