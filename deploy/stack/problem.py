"""What stops the set-up, in words a person can act on."""


class Problem(Exception):  # noqa: N818  its text is an instruction for the person at the terminal
    """The set-up can't go on; the message says in a line or two what is wrong and what to do."""
