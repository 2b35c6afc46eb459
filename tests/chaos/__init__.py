"""Campaigns of faults against the whole system, and the judgement of what was recorded meanwhile.

__main__      `make chaos SEED= MINUTES=`
faults        which faults, drawn from a seed; pure
ground        broker, database and services behind links, and how each fault is done to them
links         connections that can be cut, silent or slow
load          cases from report to verdict, over HTTP and over a partner's topics; every command is noted
reader        reads every topic, and at the end every store
history       what was recorded, as a file
checker       history in, violations out; pure
campaign      one run: load and faults, until all is at rest again; then the judgement
"""
