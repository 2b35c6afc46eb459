"""`python -m deploy.stack.manager`: supervisord, which bounds how long a program that fails waits for its next start.

supervisord waits a second longer after each failed start, and gives a program up after so many. What makes programs
fail, a full disk or a port that is taken, may last for hours, and nobody should have to start them when it has passed.
"""

import time

from supervisor import process, supervisord
from supervisor.states import ProcessStates

LONGEST_SECONDS = 15
"""Between two starts."""
NEVER = 10**9
"""Failed starts after which a program is given up: at 15 seconds each, after 475 years."""


class Patient(process.Subprocess):
    """A program that is started again and again."""

    def change_state(self, new_state: int, expected: bool = True) -> None:
        """As supervisord does it, but the next start is not later than after `LONGEST_SECONDS`."""
        super().change_state(new_state, expected)
        if new_state == ProcessStates.BACKOFF:
            self.delay = min(self.delay, time.time() + LONGEST_SECONDS)


if __name__ == "__main__":
    process.Subprocess = Patient  # which a program's configuration makes one of
    supervisord.main()
