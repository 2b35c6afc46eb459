"""What a complete case costs on the running stack, beside what its parts could do alone on the same machine.

chain.py       a partner files N reports and answers every assignment; feedback closes, audit has all
phases.py      cases offered all at once, or so many a second
http.py        reports that callers file, acknowledge and resolve over HTTP; client.py is their client
bare.py        the limits: broker, database, a bare loop over both, an empty handler (empty.py)
lifecycle.py   the lifecycle by which systems of this kind are compared; reads.py: what an answer to a GET takes
sizes.py       both at every size of history, and spike.py: ten times what the stack can carry (FULL=1)
past.py        loads that history: closed cases copied by COPY; moving.py moves a copy in time
protection.py  what protection costs, of the same time (FULL=1)
peers/         what a user would build otherwise, beside the same work of ours (FULL=1)
flames.py      a flame graph for each service, drawn by py-spy (FULL=1)
leftovers.py   closes what an interrupted run left open
database.py    connections, and the schema of a measurement
environment.py Python environments of what the benchmark runs beside the project
meter.py       processor time of all processes, commits, rows, WAL, records; usage.py reads /proc
figures.py     ratios of what was measured
report.py      what is printed
history.py     the runs that were kept, and chart.py a picture of them
"""
