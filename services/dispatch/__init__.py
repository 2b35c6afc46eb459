"""Dispatch gives the assignments of a plan to their units and follows each of them to its end.

Units acknowledge, set out, arrive, resolve or return; the centre urges, supervises and extends; deadlines that pass
become facts, up the ladder of superiors. It publishes one `Resolved` for every assignment, and accepts a partner's own.
"""
