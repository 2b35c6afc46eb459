"""What stops the set-up, in words a person can act on."""


class Problem(Exception):
    """The set-up can't go on; the message says in a line or two what is wrong and what to do."""
