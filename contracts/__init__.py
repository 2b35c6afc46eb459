"""What Casegrid publishes: the facts on its five topics and the envelope they travel in. Pure data, no I/O.

envelope.py   the CloudEvents envelope every fact travels in
intake.py     ReportFiled   a report: new, a supplement to a case, or a withdrawal
triage.py     Assigned      a ruling: dispatched with a plan, merged, rejected, withdrawn
dispatch.py   Resolved      how one assignment ended
feedback.py   Evaluated     the verdict on a case
progress.py   Progressed    a step nobody decides on
wire.py       bytes <-> events; the table of topics, types and versions
reference.py  the reference files: areas, units, catalogue, calendar, policy
export.py     writes and checks schemas/, asyncapi.yaml and examples/
"""
