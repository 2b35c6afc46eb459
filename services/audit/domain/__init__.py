"""What the log means, as pure functions of its records.

case.py   the case as the log tells it: a fold over its facts
chain.py  its events in causal order, with delays and stages
words.py  an event in words: who did what
"""
