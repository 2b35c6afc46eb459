"""Runs the project's tests inside this process, in an order of our choice, up to the first that fails.

Every test is held to a limit of processor time by the kernel: a mutant that loops for ever dies of SIGVTALRM, however
busy the machine is. Hypothesis gives the same examples each time, and a test that fails is not made smaller.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import Phase, settings

SURVIVED, KILLED, BROKEN = 0, 10, 11
"""Exit statuses of a process that judges a mutant; no interpreter ends with the last two by itself."""

Result = TypeVar("Result")

MEMORY_BYTES = 4 << 30
_STARTING_SECONDS = 60
"""Of processor time, for importing everything."""


class Uncollectable(Exception):
    """The tests cannot be collected; the message says which, and why."""


def collect(root: Path, paths: Sequence[str], then: Callable[["Tests"], Result]) -> Result:
    """What `then` makes of the tests of these files and folders. Raises `Uncollectable`, or what `then` raises."""
    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")
    results, tests = list[Result](), Tests(lambda found: results.append(then(found)))
    quiet = ["-q", "--no-header", "--no-summary", "--tb=no", "--capture=no", "-p", "no:cacheprovider"]
    known = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    status = pytest.main(["--rootdir", str(root), *quiet, *known, *paths], plugins=[tests])
    if tests.raised is not None:
        raise tests.raised
    if tests.faults or status == pytest.ExitCode.USAGE_ERROR:
        raise Uncollectable("\n".join(tests.faults) or "a conftest.py cannot be imported")
    return results[0]


class Tests:
    """A pytest plugin: the tests that were collected, by their ids. They run in an order of ours, or not at all."""

    def __init__(self, then: Callable[["Tests"], None]) -> None:
        self._then = then
        self.items: Mapping[str, pytest.Item] = {}
        self.failed: str | None = None
        self.faults: list[str] = []
        self.raised: BaseException | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.unregister(name="terminalreporter")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.faults.append(f"{report.nodeid}\n{report.longreprtext}")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        try:
            if not self.faults:
                self._then(self)
        except BaseException as fault:  # pytest would only print it
            self.raised = fault
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def run(self, item: pytest.Item, following: pytest.Item | None = None) -> bool:
        """Whether a test passes. What it shares with the `following` one stays set up."""
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return self.failed is None

    def first_failure(self, names: Sequence[str], seconds: Mapping[str, float]) -> str | None:
        """The id of the first of these tests that fails, each of which may take so many seconds."""
        items = [self.items[name] for name in names]
        for item, following in zip(items, [*items[1:], None], strict=True):
            limit(seconds.get(item.nodeid, _STARTING_SECONDS))
            if not self.run(item, following):
                return self.failed
        return None


def limit(seconds: float = _STARTING_SECONDS) -> None:
    """Lets this process die once it has computed for so long from now, or fail where it takes too much memory."""
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def hush() -> None:
    """From now on whatever is printed is lost."""
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def use_folder(folder: Path) -> None:
    """What tests of this process keep for themselves is kept there."""
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder)
