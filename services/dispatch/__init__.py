"""Dispatch gives the assignments of a plan to their units and follows each of them to its end.

Units acknowledge, set out, arrive, resolve or return; the centre urges, supervises, extends and hands on; what nobody
acknowledges is offered on, up the ladder of superiors. It publishes the one `Resolved` of every assignment, and tells
partners' systems what concerns their units.
"""
