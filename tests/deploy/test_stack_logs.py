"""The line of a log that tells why a process failed, out of what the five kinds of programs write."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.stack.logs import ending, telling

TRACEBACK = """\
Traceback (most recent call last):
  File "/app/services/intake/__main__.py", line 8, in <module>
    main(build(Settings()))
"""
SETTINGS = (
    TRACEBACK
    + """\
pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings
CASEGRID_BATCH
  Input should be a valid integer
    For further information visit https://errors.pydantic.dev/2/v/int_parsing
"""
)
CHAINED = (
    TRACEBACK
    + "KeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n"
    + TRACEBACK
    + "OSError: address in use\n\nDuring handling of the above exception, another exception occurred:\n\n"
    + TRACEBACK
    + "SystemExit: 3\n"
)


def entry(level: str, message: str, **more: str) -> str:
    return json.dumps({"time": "2026-05-09T08:00:00.000+00:00", "level": level, "message": message, **more}) + "\n"


INFO = entry("INFO", "ready")
ERROR = entry("ERROR", "no way", exception=TRACEBACK + "OSError: no")
EXITING = entry("ERROR", "Application startup failed. Exiting.")
KAFKA = entry("FATAL", "Exiting", error="java.io.IOException: full\n\tat kafka.Kafka")
POSTGRES = """\
2026-05-09 08:00:00.000 UTC [7] LOG:  starting PostgreSQL 17
2026-05-09 08:00:00.001 UTC [7] FATAL:  could not create any TCP/IP sockets
2026-05-09 08:00:00.002 UTC [7] LOG:  database system is shut down
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (INFO + TRACEBACK + "ValueError: no\n", "ValueError: no"),
        (
            SETTINGS,
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings CASEGRID_BATCH "
            "Input should be a valid integer",
        ),
        (CHAINED, "OSError: address in use"),
        (
            INFO + "HOST is 0.0.0.0, but CASEGRID_JWT_KEY is the development key\n",
            "HOST is 0.0.0.0, but CASEGRID_JWT_KEY is the development key",
        ),
        (ERROR + INFO, "2026-05-09T08:00:00Z no way: OSError: no"),
        (ERROR + EXITING, "2026-05-09T08:00:00Z no way: OSError: no"),
        (KAFKA + INFO, "2026-05-09T08:00:00Z Exiting: java.io.IOException: full"),
        (POSTGRES, "2026-05-09 08:00:00.001 UTC [7] FATAL:  could not create any TCP/IP sockets"),
    ],
)
def test_the_telling_line_is_found(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "log").write_text(text)
    assert telling(tmp_path / "log") == line


@pytest.mark.parametrize("text", [INFO + ERROR, POSTGRES, TRACEBACK + "ValueError: no\n" + INFO])
def test_what_was_written_before_does_not_count(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(text)
    day = datetime(2026, 5, 9, tzinfo=UTC).timestamp()
    assert telling(tmp_path / "log", since=day) is not None
    assert telling(tmp_path / "log", since=day + 86_400) is None


def test_a_log_that_is_empty_or_missing_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert telling(tmp_path / "log") is None
    assert telling(tmp_path / "none") is None


@pytest.mark.parametrize("text", [INFO, POSTGRES.splitlines()[0] + "\n", INFO + POSTGRES.splitlines()[2] + "\n"])
def test_of_a_log_without_any_fault_nothing_is_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(text)
    assert telling(tmp_path / "log") is None


def test_bare_words_are_a_reason_only_of_a_program_that_ended(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(INFO + "HOST is 0.0.0.0\n")
    assert telling(tmp_path / "log") == "HOST is 0.0.0.0"
    assert telling(tmp_path / "log", ended=False) is None


def test_harmless_text_after_an_error_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(ERROR + POSTGRES.splitlines()[0] + "\n")
    assert telling(tmp_path / "log") == "2026-05-09T08:00:00Z no way: OSError: no"


def test_of_a_long_log_no_cut_line_is_shown(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("ERROR of long ago\n" + "x" * 100_000 + "\n" + ERROR)
    assert telling(tmp_path / "log") == "2026-05-09T08:00:00Z no way: OSError: no"


def test_the_managers_log_says_how_a_process_ended(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        "2026-05-09 08:00:00,000 WARN exited: intake (exit status 1; not expected)\n"
        "2026-05-09 08:00:01,000 WARN exited: intake (terminated by SIGKILL; not expected)\n"
        "2026-05-09 08:00:02,000 WARN exited: audit (exit status 3; not expected)\n"
        "2026-05-09 08:00:03,000 INFO stopped: intake (exit status 0)\n"
    )
    assert ending(tmp_path / "log", "intake") == "terminated by SIGKILL"
    assert ending(tmp_path / "log", "audit") == "exit status 3"
    assert ending(tmp_path / "log", "kafka") is None
