"""Strength of tests: a made-up package whose tests notice some of its mutants, and each step by itself."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from deploy.mutants import equivalent, sample
from deploy.mutants.imports import Imports
from deploy.mutants.places import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]

ONE_AND_THE_REFUSALS = ("--count", "1", "--least", "0")

RULES = '''
"""Rules of a toy."""

from functools import cache

LIMIT = 10
UNUSED = 7


class Refused(Exception):
    """A rule forbids it."""


def price(amount: int) -> int:
    """Two each."""
    if amount > LIMIT:
        raise Refused("too much")
    if amount == 0:
        raise Refused("nothing")
    return amount + amount


def countdown(n: int) -> int:
    steps = 0
    while n > 0:
        n -= 1
        steps += 1
    return steps


@cache
def doubled() -> int:
    return 1 + 1


def early() -> int:
    return 3 + 1
'''

TESTS = '''
"""Tests of a toy."""

import pytest

from rules.toy import LIMIT, Refused, countdown, doubled, early, price

EARLY = early()


def test_a_price_is_twice_the_amount():
    assert price(3) == 6


def test_too_much_is_refused():
    with pytest.raises(Refused):
        price(20)


def test_the_limit():
    assert LIMIT == 10


def test_counting_down():
    assert countdown(3) == 3


def test_a_cache_is_warm_by_now():
    doubled()


def test_what_was_cached():
    assert doubled() == 2


def test_what_was_computed_while_the_tests_were_collected():
    assert EARLY == 4
'''


@dataclass(frozen=True)
class Run:
    """A run of the command, and what it reported."""

    status: int
    output: str
    report: Mapping[str, Any]

    def killed(self, after: str) -> list[bool]:
        """Of the mutants whose line reads so."""
        return [each["killed"] for each in self.report["mutants"] if each["after"] == after]

    def by(self, after: str) -> list[str]:
        return [each["by"] for each in self.report["mutants"] if each["after"] == after]


def toy(folder: Path, tests: str = TESTS) -> Path:
    for path, text in {"rules/toy.py": RULES, "rules/__init__.py": "", "checks/test_toy.py": tests}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text.lstrip())
    return folder


def run(folder: Path, *options: str) -> Run:
    """The command in that folder, on all mutants and with none listed unless the options say otherwise."""
    command = [sys.executable, "-m", "deploy.mutants", "--targets", "rules", "--tests", "checks", "--count", "0"]
    command += ["--equivalent", os.devnull]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    report = folder / ".data/mutants/report.json"
    return Run(done.returncode, done.stdout + done.stderr, json.loads(report.read_bytes()) if report.exists() else {})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but byte code and what the command reports."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", ".data"} & set(path.parts)
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """All mutants of the toy."""
    folder = toy(tmp_path_factory.mktemp("toy"))
    return folder, run(folder)


def test_what_a_test_notices_is_killed_by_that_test(whole: tuple[Path, Run]) -> None:
    _, found = whole
    assert found.by("return amount - amount") == ["checks/test_toy.py::test_a_price_is_twice_the_amount"]
    assert found.by("return None")[0] == "checks/test_toy.py::test_a_price_is_twice_the_amount"


def test_what_no_test_notices_survives_and_is_shown(whole: tuple[Path, Run]) -> None:
    _, found = whole
    assert found.killed("if amount >= LIMIT:") == [False]
    assert "rules/toy.py:15  comparison" in found.output
    assert "    - if amount > LIMIT:\n    + if amount >= LIMIT:\n" in found.output


def test_a_dropped_refusal_that_survives_is_enough_to_fail(whole: tuple[Path, Run]) -> None:
    folder, found = whole
    dropped = {each["before"]: each["killed"] for each in found.report["mutants"] if each["operator"] == "refusal"}
    assert dropped == {'raise Refused("too much")': True, 'raise Refused("nothing")': False}
    assert "1 of 2 dropped refusals" in found.output
    assert run(folder, *ONE_AND_THE_REFUSALS).status == 1


def test_a_mutant_that_loops_for_ever_is_killed_by_the_time_limit(whole: tuple[Path, Run]) -> None:
    _, found = whole
    assert found.by("n += 1") == ["limit (SIGVTALRM)"]


def test_a_constant_is_mutated_wherever_it_was_imported(whole: tuple[Path, Run]) -> None:
    _, found = whole
    assert found.by("LIMIT = 11") == ["checks/test_toy.py::test_the_limit"]
    assert found.killed("UNUSED = 8") == [False]


def test_what_ran_while_the_tests_were_collected_is_run_again(whole: tuple[Path, Run]) -> None:
    _, found = whole
    assert found.by("return 3 - 1") == ["checks/test_toy.py::test_what_was_computed_while_the_tests_were_collected"]


def test_a_cache_that_another_test_has_filled_hides_nothing(whole: tuple[Path, Run]) -> None:
    _, found = whole
    assert found.by("return 1 - 1") == ["checks/test_toy.py::test_what_was_cached"]


def test_the_files_and_their_byte_code_stay_as_they_were(whole: tuple[Path, Run], tmp_path: Path) -> None:
    folder, _ = whole
    assert contents(folder) == contents(toy(tmp_path))
    code = "from rules.toy import LIMIT, price; print(LIMIT, price(4))"
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True).stdout == "10 8\n"


def test_one_can_be_judged_again_by_its_name(whole: tuple[Path, Run]) -> None:
    folder, found = whole
    name = next(each["id"] for each in found.report["mutants"] if each["after"] == "if amount >= LIMIT:")
    again = run(folder, "--one", name)
    assert again.status == 1
    assert f"{name}: survived" in again.output
    assert [each["id"] for each in again.report["mutants"]] == [name]


def test_what_is_listed_as_equivalent_is_not_judged(whole: tuple[Path, Run], tmp_path: Path) -> None:
    folder, _ = whole
    listed = tmp_path / "listed.txt"
    listed.write_text('rules/toy.py\n- raise Refused("nothing")\n+ pass\nWhy: it is made up.\n')
    found = run(folder, *ONE_AND_THE_REFUSALS, "--equivalent", str(listed))
    assert found.status == 0
    assert "1 of 1 dropped refusals" in found.output


def test_a_test_that_fails_by_itself_judges_nothing(tmp_path: Path) -> None:
    failed = run(toy(tmp_path, f"{TESTS}\n\ndef test_that_is_wrong():\n    assert price(1) == 3\n"))
    assert failed.status == 2
    assert "fails without any mutation: checks/test_toy.py::test_that_is_wrong" in failed.output


def test_tests_that_cannot_be_imported_are_named(tmp_path: Path) -> None:
    failed = run(toy(tmp_path, "import nowhere\n"))
    assert failed.status == 2
    assert "No module named 'nowhere'" in failed.output


def of(source: str) -> list[Mutant]:
    return mutants("toy.py", dedent(source).lstrip().encode())


@pytest.mark.parametrize(
    ("operator", "line", "after"),
    [
        ("comparison", "x = a < b", ["x = a <= b", "x = a >= b"]),
        ("comparison", "x = a is not b", ["x = a is b"]),
        ("comparison", "x = (a) not  in (b)", ["x = (a) in (b)"]),
        ("boolean", "x = a and b and c", ["x = a or b and c", "x = a and b or c"]),
        ("boolean", "x = not (a)", ["x = (a)"]),
        ("condition", "x = 1.5 if a else c", ["x = 1.5 if True else c", "x = 1.5 if False else c"]),
        ("condition", "x = [a for a in b if c]", ["x = [a for a in b if True]", "x = [a for a in b if False]"]),
        ("arithmetic", "x = a - b", ["x = a + b"]),
        ("arithmetic", "x = 'a' + b", []),
        ("arithmetic", "x += a", ["x -= a"]),
        ("arithmetic", "x = -a", ["x = a"]),
        ("constant", "x = f(3)", ["x = f(4)", "x = f(2)"]),
        ("constant", "x = True", ["x = False"]),
        ("literal", "x = 'é' == a", ["x = 'é?' == a"]),
        ("literal", "x = a in ('é', 'b')", ["x = a in ('é?', 'b')", "x = a in ('é', 'b?')"]),
        ("literal", "x = 'a'", []),
        ("extreme", "x = max(a, b)", ["x = min(a, b)"]),
        ("keyword", "x = replace(a, b=c, d=e)", ["x = replace(a, d=e)", "x = replace(a, b=c, )"]),
        ("keyword", "x = call(a, b=c)", []),
        ("return", "def f(): return a", ["def f(): return None"]),
        ("return", "def f(): return None", []),
        ("statement", "a.append(b)", ["pass"]),
        ("statement", "log.info(b)", []),
        ("refusal", "def f(): raise Refused(1 + 1)", ["def f(): pass"]),
        ("raise", "def f(): raise TypeError", ["def f(): pass"]),
        ("constant", "def f(): raise Refused(1 + 1)", []),
        ("constant", "@cache(maxsize=1)\ndef f(a: Literal[1]) -> Literal[2]: pass", []),
        ("constant", "if TYPE_CHECKING: x = 1", []),
        ("constant", "x = f'{1}'", []),
    ],
)
def test_each_operator_changes_just_its_own(operator: str, line: str, after: list[str]) -> None:
    assert [mutant.after for mutant in of(line) if mutant.operator == operator] == after


def test_a_name_without_a_value_is_not_left_without_one() -> None:
    found = of(
        """
        def f(a):
            b = a
            a = b.c
            b.d = a
        """
    )
    assert [mutant.before for mutant in found if mutant.operator == "statement"] == ["a = b.c", "b.d = a"]


def test_cases_are_matched_with_other_words_and_guards() -> None:
    found = of(
        """
        match x:
            case "a" if y:
                pass
        """
    )
    assert [mutant.after for mutant in found] == ["case 'a?' if y:", 'case "a" if True:', 'case "a" if False:']


def test_every_mutant_compiles_and_moves_no_line() -> None:
    for path in sorted((ROOT / "deploy/mutants").glob("*.py")):
        source = path.read_bytes()
        found = mutants(path.name, source)
        assert len({mutant.id for mutant in found}) == len(found)
        for mutant in found:
            changed = mutant.applied(source)
            assert changed != source
            assert changed.count(b"\n") == source.count(b"\n")
            compile(changed, path.name, "exec")


def many(path: str, size: int) -> list[Mutant]:
    return mutants(path, "".join(f"x{n} = a{n} < b{n}\n" for n in range(size)).encode())


def test_the_same_seed_draws_the_same_and_another_seed_others() -> None:
    there = [*many("a.py", 30), *many("b.py", 10)]
    assert sample.sample(there, 20, 1) == sample.sample(there, 20, 1)
    assert sample.sample(there, 20, 1) != sample.sample(there, 20, 2)


def test_each_file_has_its_share_and_a_place_is_drawn_once() -> None:
    drawn = sample.sample([*many("a.py", 30), *many("b.py", 10)], 20, 1)
    assert [sum(mutant.path == path for mutant in drawn) for path in ("a.py", "b.py")] == [15, 5]
    assert len({mutant.place for mutant in drawn}) == 20


def test_no_more_are_drawn_than_there_are_places() -> None:
    assert len(sample.sample(many("a.py", 3), 20, 1)) == 3


def test_a_target_is_a_file_or_a_folder_and_must_be_there(tmp_path: Path) -> None:
    toy(tmp_path)
    assert sample.files(tmp_path, ["rules"]) == ["rules/__init__.py", "rules/toy.py"]
    assert sample.files(tmp_path, ["*/toy"]) == ["rules/toy.py"]
    with pytest.raises(sample.NotThere, match="rules/other"):
        sample.files(tmp_path, ["rules/other"])


def test_an_entry_that_means_no_mutant_is_an_error() -> None:
    entries = equivalent.read("# said\n\ntoy.py\n- x = a < b\n+ x = a <= b\nWhy: they are\nnever equal.\n")
    assert [entry.why for entry in equivalent.listed(entries, of("x = a < b")).values()] == ["they are never equal."]
    with pytest.raises(equivalent.Unusable, match=r"no mutant reads so: toy\.py: x = a < b -> x = a <= b"):
        equivalent.listed(entries, of("x = a < c"))


def test_an_entry_without_a_reason_is_an_error() -> None:
    with pytest.raises(equivalent.Unusable, match=r"toy\.py"):
        equivalent.read("toy.py\n- x = a < b\n+ x = a <= b\n")


def test_whoever_imports_a_module_is_found_through_others() -> None:
    imports = Imports(
        {"a/__init__.py": b"from a.b import c", "a/b.py": b"import os", "d.py": b"from a import c", "e.py": b"import f"}
    )
    assert imports.importers("a/b.py") == {"a/b.py", "a/__init__.py", "d.py"}
