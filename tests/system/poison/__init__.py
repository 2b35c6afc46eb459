"""Whatever a careless or hostile client can put on a topic, and a run of all of it between cases that must close.

kinds.py        each kind of poison: what is laid, and the reason that audit must give
test_poison.py  all of them on every topic, while the five services work
"""
