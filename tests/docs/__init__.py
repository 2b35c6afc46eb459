"""The pages are true: what they say is checked against the product."""
