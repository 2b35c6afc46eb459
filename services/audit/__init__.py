"""Audit stores every record of every topic for ever: its exact bytes and coordinates, under a gapless index.

From the log it shows the chain of a case in causal order, the case as of any instant, and what is missing from the log.
It decides nothing and publishes nothing.
"""
