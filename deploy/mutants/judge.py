"""Judges mutants: which test, of those that run the changed statement, is the first to fail.

A mutant inside a function takes effect by giving the function another code object, in a forked copy of the process that
has collected the tests. A statement that ran before the first test (a constant, a default, a table, a function called
while modules are imported) has left its results everywhere: for its mutants the copy imports everything again.
"""

import gc
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType

from deploy.mutants import importing, pool
from deploy.mutants.coverage import Coverage, Place, Probes
from deploy.mutants.imports import Imports
from deploy.mutants.places import Mutant
from deploy.mutants.tests import KILLED, SURVIVED, Tests, Uncollectable, collect, limit

_SLOWER, _MORE_SECONDS = 5, 2.0
"""A mutant's test may compute so many times as long as it did without, and these seconds more."""

_AT_FIRST = 3
"""How many files of tests are imported again at first; the others only if those all pass."""

_Key = tuple[str, str, int]
"""File, qualified name and first line of a function."""


class Unfit(Exception):
    """The tests cannot judge anything: one fails without any mutation."""


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: the test that killed it, or why none did."""

    mutant: Mutant
    killed: bool
    by: str


@dataclass(frozen=True)
class Judge:
    """The tests of some folders against mutants of some files."""

    root: Path
    files: Mapping[str, bytes]
    """What may be mutated: path below the root -> source."""
    imports: Imports
    """Of these files."""
    tests: Sequence[str]
    test_imports: Imports
    """Of all files that the tests are made of."""
    folder: Path
    """For temporary files."""
    processes: int
    tell: Callable[[str], None]
    killers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """File -> the tests that have killed mutants of it: they are asked first."""

    def verdicts(self, mutants: Sequence[Mutant], found: Callable[[Verdict], None]) -> None:
        """Judges all of them; `found` is told each verdict as it comes. Raises `Unfit`."""

        def judge(tests: Tests) -> None:
            early = set(probes.seen())
            functions = _functions({str(self.root / path) for path in self.files})
            gc.freeze()  # what is never looked at again stays shared between the forked processes
            ground = self._measured(tests, probes)
            limits = {name: _SLOWER * seconds + _MORE_SECONDS for name, seconds in ground.seconds.items()}
            for verdict in _Bench(self, tests, ground, early, functions, limits).verdicts(mutants):
                found(verdict)

        probes = Probes()
        files = {str(self.root / path): (path, source) for path, source in self.files.items()}
        importing.install({file: probes.code(path, source, file) for file, (path, source) in files.items()})
        collect(self.root, self.tests, judge)

    def _measured(self, tests: Tests, probes: Probes) -> Coverage:
        """Files of tests that neither run nor import the code are left out; each test of the others runs by itself.

        So what one test leaves in a cache does not hide what another would have run without it.
        """
        began = time.monotonic()
        of_file: dict[str, list[str]] = defaultdict(list)
        for name in tests.items:
            of_file[_file(name)].append(name)
        using = {each for path in self.files for each in self.test_imports.importers(path)}
        touching = [
            name
            for names, measured in self._run(of_file.values(), tests, probes, stop=True)
            for name in names
            if _file(name) in using or any(places for _, places in measured.values())
        ]
        ground = Coverage.of(
            {
                name: each
                for _, measured in self._run([[name] for name in touching], tests, probes)
                for name, each in measured.items()
            }
        )
        self.tell(
            f"{len(tests.items):,} tests pass without a mutation; "
            f"{len(touching):,} are in files that use what may be mutated ({time.monotonic() - began:.0f} s)"
        )
        return ground

    def _run(
        self, groups: Iterable[Sequence[str]], tests: Tests, probes: Probes, *, stop: bool = False
    ) -> Iterator[tuple[Sequence[str], dict[str, tuple[float, list[Place]]]]]:
        """Of each group: test -> seconds, statements; to `stop`: up to the first that runs any. Raises `Unfit`."""

        def measure(group: Sequence[str], folder: Path) -> int:
            found: dict[str, tuple[float, list[Place]]] = {}
            for name, following in zip(group, [*group[1:], None], strict=True):
                probes.restart()
                began = time.process_time()
                passed = tests.run(tests.items[name], tests.items[following] if following else None)
                found[name] = time.process_time() - began, probes.seen()
                if not passed:
                    pool.answer(folder, name)
                    return KILLED
                if stop and found[name][1]:
                    break
            pool.answer(folder, found)
            return SURVIVED

        for group, status, answer in pool.each(groups, measure, self.folder, self.processes):
            if status != SURVIVED:
                raise Unfit(f"this test fails without any mutation: {answer or group[0]}")
            yield group, answer


@dataclass(frozen=True)
class _Bench:
    """All that is known once the tests have been collected and measured."""

    judge: Judge
    tests: Tests
    ground: Coverage
    early: Set[Place]
    """The statements that ran before the first test."""
    functions: Mapping[_Key, Sequence[FunctionType]]
    limits: Mapping[str, float]
    """Test -> seconds."""

    def verdicts(self, mutants: Sequence[Mutant]) -> Iterator[Verdict]:
        # What takes longest comes first, so that no process is left alone with it at the end.
        tasks = [
            (mutant, self._covering(mutant)) for mutant in sorted(mutants, key=lambda each: not self._is_early(each))
        ]
        covered = [(mutant, tests) for mutant, tests in tasks if tests]
        for (mutant, tests), status, answer in pool.each(covered, self._try, self.judge.folder, self.judge.processes):
            if status == SURVIVED:
                yield Verdict(mutant, False, f"{len(tests)} tests pass")
            elif status == KILLED:
                self.judge.killers[mutant.path][answer] += 1
                yield Verdict(mutant, True, answer)
            elif status < 0:
                yield Verdict(mutant, True, f"limit ({signal.Signals(-status).name})")
            else:
                raise pool.Broken(f"{mutant.id}: the process ended with status {status}")
        for mutant, tests in tasks:
            if not tests:
                yield Verdict(mutant, False, "no test runs it")

    def _is_early(self, mutant: Mutant) -> bool:
        return (mutant.path, mutant.statement) in self.early

    def _covering(self, mutant: Mutant) -> Set[str]:
        """The tests that may notice: who runs the statement, or, where it ran early, whatever may use what it left."""
        if not self._is_early(mutant):
            return self.ground.of_statement.get((mutant.path, mutant.statement), set())
        users, asking = self.judge.imports.importers(mutant.path), self.judge.test_imports.importers(mutant.path)
        inside = {name for path in users for name in self.ground.of_file.get(path, ())}
        return inside | {name for name in self.ground.seconds if _file(name) in asking}

    def _in_order(self, path: str, tests: Iterable[str]) -> list[str]:
        """First what killed other mutants of the file, then what runs code of the file, each the fastest first."""
        killers, near, seconds = self.judge.killers[path], self.ground.of_file.get(path, ()), self.ground.seconds
        return sorted(tests, key=lambda name: (-killers[name], name not in near, seconds[name], name))

    def _try(self, task: tuple[Mutant, Iterable[str]], folder: Path) -> int:
        mutant, tests = task
        names = self._in_order(mutant.path, tests)
        source = mutant.applied(self.judge.files[mutant.path])
        if self._is_early(mutant) or not self._patch(mutant.path, source):
            killer = self._anew(mutant.path, source, names)
        else:
            killer = self.tests.first_failure(names, self.limits)
        pool.answer(folder, killer)
        return SURVIVED if killer is None else KILLED

    def _anew(self, path: str, source: bytes, names: Sequence[str]) -> str | None:
        """The first of the tests to fail once everything is imported again; at first only a few files of tests are."""
        file, limits = str(self.judge.root / path), self.limits
        code = compile(source, file, "exec", dont_inherit=True)
        files = list(dict.fromkeys(map(_file, names)))
        for some in filter(None, (files[:_AT_FIRST], files[_AT_FIRST:])):
            limit()
            importing.forget(self.judge.root)
            importing.install({file: code})
            try:
                killer = collect(
                    self.judge.root, some, lambda tests: tests.first_failure(_there(names, tests, limits), limits)
                )
            except Uncollectable as fault:
                killer = str(fault).partition("\n")[0]
            if killer is not None:
                return killer
        return None

    def _patch(self, path: str, source: bytes) -> bool:
        """Gives the functions of a file the code of its mutated source; False where that can't be done."""
        file = str(self.judge.root / path)
        old, new = (_codes(compile(text, file, "exec", dont_inherit=True)) for text in (self.judge.files[path], source))
        changed = [key for key in new if old.get(key) != new[key] and key in self.functions]
        if not changed or any(len(new[key]) > 1 for key in changed):
            return False
        try:
            for key in changed:
                for function in self.functions[key]:
                    function.__code__ = new[key][0]
        except ValueError:  # it closes over fewer variables than before
            return False
        return True


def _key(code: CodeType) -> _Key:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _functions(files: Set[str]) -> dict[_Key, list[FunctionType]]:
    """All functions there are of some files."""
    found: dict[_Key, list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in files:
            found[_key(each.__code__)].append(each)
    return found


def _codes(code: CodeType) -> dict[_Key, list[CodeType]]:
    """The code objects inside another."""
    found: dict[_Key, list[CodeType]] = defaultdict(list)
    waiting = [code]
    while waiting:
        for each in waiting.pop().co_consts:
            if isinstance(each, CodeType):
                found[_key(each)].append(each)
                waiting.append(each)
    return found


def _there(names: Iterable[str], tests: Tests, known: Container[str]) -> list[str]:
    """Those of the tests that were collected, and those that are not known: a mutated table has brought them forth."""
    return [*(name for name in names if name in tests.items), *(name for name in tests.items if name not in known)]


def _file(test: str) -> str:
    return test.partition("::")[0]
