"""What the embedded stack runs: names, ports and folders."""

SERVICES = ("intake", "triage", "dispatch", "feedback", "audit")
"""In the order of a case's way through them."""
