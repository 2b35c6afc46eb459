"""Dispatch gives the assignments of triage's plan to their units, and follows each of them to its end.

Units acknowledge, set out, arrive, resolve or return; the centre urges, supervises, extends and hands on; an assignment
that nobody acknowledges is offered to the backups, then to one superior after the other. Dispatch publishes one
`Resolved` per assignment, and tells partners' systems what concerns their units.
"""
