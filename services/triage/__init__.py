"""Triage rules on every report: where it is, what it is, whether it is known already, and who must do what by when.

What its rules cannot decide waits in a queue for a person: to verify, to locate, to classify, to give out again.
It publishes `Assigned`, and plans anew what comes back returned or for rework.
"""
