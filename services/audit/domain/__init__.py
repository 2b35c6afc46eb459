"""What the log means, as pure functions of its records.

case.py       the case as the log knows it: a fold over its facts
chain.py      its events in causal order, the delay of each, and the periods of its statuses
summaries.py  an event in one line: who did what
"""
