"""What Casegrid publishes: the facts on its five topics, what partners say and hear on theirs, and the envelope they
travel in. Pure data and pure functions over it.

fields.py     the field types that the facts share
envelope.py   the CloudEvents envelope everything travels in
intake.py     ReportFiled   a report: new, a supplement, a withdrawal, a rating, or a request to reopen
triage.py     Assigned      a ruling: dispatched with a plan, merged, rejected, withdrawn, upheld
dispatch.py   Resolved      how one assignment ended
feedback.py   Evaluated     the verdict on a case
progress.py   Progressed    the steps in between, each service's own
request.py    Request       what a partner says on from.<partner>
notice.py     Notice        what a partner may know, on to.<partner>
homes.py      who writes which topic
wire.py       bytes <-> events; the tables of types and topics
superseded.py what is written so no more, and is read still
causes.py     what each fact's cause is
once.py       what a case can have only one of
status.py     the public status of a case
times.py      which instant counts
words.py      what each value of an enumeration means
docstrings.py what the models say about their fields, for their JSON Schemas
growing.py    a set that grows without being copied
states.py     the next state of a fold, made cheaply
roles.py      the roles of callers
actors.py     who acts without a token
reading.py    who may read a case
territory.py  the area tree, distances, and the grid around a position
clocks.py     due dates on the four kinds of clock
reference/    the reference files: areas, units, catalogue, calendar, policy, partners
export/       writes and checks schemas/, asyncapi.yaml and examples/
"""
