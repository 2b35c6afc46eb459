"""Which test runs which statement: the code that may be mutated calls a probe before each of its statements."""

import ast
import builtins
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from types import CodeType

Place = tuple[str, int]
"""File and first line of a statement."""

_PROBE = "__ran__"


class Probes:
    """Code with probes, and what they noted."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._seen = set[int]()
        self.restart()

    def code(self, path: str, source: bytes, file: str) -> CodeType:
        """The code of a module with probes; its functions have the names, lines and variables they have without."""
        tree = _Probing(path, self._places).visit(ast.parse(source))
        return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)

    def restart(self) -> None:
        """Notes from now on."""
        self._seen = set()
        setattr(builtins, _PROBE, self._seen.add)

    def seen(self) -> list[Place]:
        """The statements that have run since the last restart."""
        return [self._places[number] for number in self._seen]


class _Probing(ast.NodeTransformer):
    def __init__(self, path: str, places: list[Place]) -> None:
        self._path, self._places = path, places

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, [each for one in statements for each in self._probed(one)])
        return node

    def _probed(self, statement: ast.stmt) -> Iterable[ast.stmt]:
        if _must_be_first(statement):
            return [statement]
        self._places.append((self._path, statement.lineno))
        called = ast.Call(ast.Name(_PROBE, ast.Load()), [ast.Constant(len(self._places) - 1)], [])
        return [ast.copy_location(ast.Expr(called), statement), statement]


def _must_be_first(statement: ast.stmt) -> bool:
    """A docstring, or an import from the future."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


@dataclass(frozen=True)
class Coverage:
    """What was found: how long each test computes, and which tests run a statement, or anything of a file."""

    seconds: Mapping[str, float]
    of_statement: Mapping[Place, Set[str]]
    of_file: Mapping[str, Set[str]]

    @classmethod
    def of(cls, measured: Mapping[str, tuple[float, Iterable[Place]]]) -> "Coverage":
        """From what was measured of each test."""
        statements: dict[Place, set[str]] = defaultdict(set)
        files: dict[str, set[str]] = defaultdict(set)
        for test, (_, places) in measured.items():
            for path, line in places:
                statements[path, line].add(test)
                files[path].add(test)
        return cls({test: seconds for test, (seconds, _) in measured.items()}, statements, files)
