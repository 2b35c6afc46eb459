"""Triage rules on every report: where it is, what it is, whether it is a duplicate, and who must do what by when.

What its rules cannot decide waits in a queue for a person: to verify, to locate, to classify, to assign again.
It publishes `Assigned`, and plans another round for what is returned or fails at its check.
"""
