"""Who acts without a token, as facts name them. Nobody who bears one may be called like them, and no partner either.

A person is called as their token says (`sub`), a partner's person `<partner>:<name>`.
"""

CLOCK = "clock"
"""A deadline that passed."""
NOBODY = "anonymous"
"""Who is not known."""
PRIVATE_PERSON = "reporter"
"""A private person, where the service is not told which."""
PARTNER = "partner"
"""`partner:<id>`: a partner's system that acts itself."""
RULE = "rule"
"""`rule:<name>`: a rule of the catalogue, in place of a person."""
KINDS = frozenset({CLOCK, NOBODY, PRIVATE_PERSON, PARTNER, RULE})
"""The whole name, or what stands before its colon. `reporter:` begins the owners of reports, too."""
