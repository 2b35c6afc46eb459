"""Audit stores every record of every topic as exact bytes with its coordinates, under a gapless index, for ever.

From the log it tells the chain of a case in causal order, the case as of any instant, and what is missing from the log.
It decides nothing and publishes nothing.
"""
