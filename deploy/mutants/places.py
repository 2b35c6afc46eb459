"""Source code -> its mutants: each replaces one stretch of the source and moves no line.

    comparison   < <= > >= shifted or turned, == and != swapped, in and not in, is and is not
    boolean      and <-> or; not x -> x
    condition    of if, while, ... if ... else, a comprehension, a case: True, False
    arithmetic   + <-> -, += <-> -=, -x -> x
    constant     an integer one more, one less; a float one more; True <-> False
    literal      a string that something is compared or matched with
    extreme      min <-> max, any <-> all
    keyword      an argument by name of replace(...) or of a class: left out
    return       return x -> return None
    statement    an assignment to what has a value already, a call, a yield, del, break, continue: removed
    raise        removed; `refusal` where what is raised is one of `REFUSALS`

Left alone: docstrings, annotations, decorators, type-checking blocks, assertions, log calls, f-strings, `__repr__`, and
the text of what is raised.
"""

import ast
import io
import token
import tokenize
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

REFUSALS = frozenset({"Refused", "Unknown", "ValueError"})

_COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">="),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<="),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
}
_EXTREMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_BREAK = "\n"
_LOGS = frozenset({"log", "logger", "logging"})
_NO_TOKENS = frozenset({token.NL, token.NEWLINE, token.COMMENT, token.INDENT, token.DEDENT, token.ENDMARKER})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file: the bytes from `start` to `end` of its source become `text`."""

    id: str
    path: str
    line: int
    operator: str
    start: int
    end: int
    text: str
    before: str
    """The line of the source where it begins, stripped, and in `after` the same line changed."""
    after: str
    statement: int
    """The line where the innermost statement around it begins."""

    @property
    def place(self) -> tuple[str, int, int, str]:
        """What alternatives have in common."""
        return self.path, self.start, self.end, self.operator

    def applied(self, source: bytes) -> bytes:
        """The mutated source; as many lines as before."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants(path: str, source: bytes) -> list[Mutant]:
    """Every mutant of a file, in the order of the source. `path` is only quoted."""
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda mutant: (mutant.start, mutant.end))


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    text: str


class _Text:
    """A source as bytes, with offsets for the lines and columns of its nodes and tokens."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))
        self.tokens = [
            _Token(self._of_token(*found.start), self._of_token(*found.end), found.string)
            for found in tokenize.generate_tokens(io.StringIO(source.decode(), newline="").readline)
            if found.type not in _NO_TOKENS
        ]
        self._token_starts = [found.start for found in self.tokens]

    def _of_token(self, line: int, column: int) -> int:
        text = self.lines[line - 1].decode() if line <= len(self.lines) else ""
        return self._starts[line - 1] + len(text[:column].encode())

    def offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.end_lineno, node.end_col_offset)

    def place(self, offset: int) -> tuple[int, int]:
        """Line, from 1, and column."""
        line = bisect_left(self._starts, offset + 1)
        return line, offset - self._starts[line - 1]

    def following(self, offset: int) -> _Token:
        """The first token at or behind an offset."""
        return self.tokens[bisect_left(self._token_starts, offset)]

    def between(self, start: int, end: int, words: Iterable[str]) -> tuple[int, int]:
        """Where these words stand, one after the other, between two offsets."""
        wanted = list(words)
        first = bisect_left(self._token_starts, start)
        while self.tokens[first].start < end:
            there = self.tokens[first : first + len(wanted)]
            if [found.text for found in there] == wanted:
                return there[0].start, there[-1].end
            first += 1
        raise LookupError(f"no {' '.join(wanted)} in {self.source[start:end]!r}")


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: bytes) -> None:
        self.found: list[Mutant] = []
        self._path = path
        self._text = _Text(source)
        self._ids: Counter[str] = Counter()
        self._line = 1
        self._known: set[str] | None = None
        """The names that have a value in the function at hand; None outside functions."""
        self._function = ""

    def _add(self, operator: str, start: int, end: int, text: str, *, bracketed: bool = False) -> None:
        """`text`, one line, replaces the source from `start` to `end`; as many line breaks follow it as that has."""
        line, column = self._text.place(start)
        whole = self._text.lines[line - 1]
        breaks = self._text.source[start:end].count(b"\n")
        shown = whole[:column] + text.encode() + (b" ..." if breaks else whole[column + end - start :])
        name = f"{self._path}:{line}:{column + 1}:{operator}"
        self._ids[name] += 1
        self.found.append(
            Mutant(
                id=name if self._ids[name] == 1 else f"{name}.{self._ids[name]}",
                path=self._path,
                line=line,
                operator=operator,
                start=start,
                end=end,
                text=f"({text}{_BREAK * breaks})" if breaks and bracketed else text + _BREAK * breaks,
                before=whole.decode().strip(),
                after=shown.decode().strip(),
                statement=self._line,
            )
        )

    def _exchange(self, operator: str, node: ast.expr, text: str) -> None:
        """An expression becomes another, in brackets where only they hold its lines together."""
        self._add(operator, self._text.start(node), self._text.end(node), text, bracketed=True)

    def _supersede(self, operator: str, node: ast.stmt, text: str) -> None:
        """A simple statement becomes another."""
        self._add(operator, self._text.start(node), self._text.end(node), text)

    def _condition(self, node: ast.expr, *values: str) -> None:
        if not isinstance(node, ast.Constant):
            for value in values:
                self._exchange("condition", node, value)

    def visit(self, node: ast.AST) -> None:
        around = self._line
        if isinstance(node, ast.stmt):
            self._line = node.lineno
        super().visit(node)
        self._line = around

    def _function_def(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name == "__repr__":
            return
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        arguments = node.args
        known, function = self._known, self._function
        self._known = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        self._function = node.name
        for statement in node.body:
            self.visit(statement)
        self._known, self._function = known, function

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function_def(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function_def(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        known, self._known = self._known, None
        for statement in node.body:
            self.visit(statement)
        self._known = known

    def visit_Assert(self, node: ast.Assert) -> None:
        """Said to the type checker, not to anybody who uses it."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Its parts have no sure places in the source."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._removable(node, [node.target])
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._removable(node, node.targets)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._removable(node, [node.target])
        for operator, other in ((ast.Add, "-="), (ast.Sub, "+=")):
            if isinstance(node.op, operator) and not _is_sequence(node.value):
                there = "+=" if other == "-=" else "-="
                start, end = self._text.between(self._text.end(node.target), self._text.start(node.value), [there])
                self._add("arithmetic", start, end, other)
        self.generic_visit(node)

    def _removable(self, node: ast.stmt, targets: list[ast.expr]) -> None:
        """Removed only where what is assigned to has a value without it; anything else fails whatever the tests say."""
        if self._known is None:
            return
        names = [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
        bare = all(isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets)
        if (bare and set(names) <= self._known) or (not bare and self._function != "__init__"):
            self._supersede("statement", node, "pass")
        self._known.update(names)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Yield | ast.YieldFrom):
            start = self._text.start(node)
            self._add("statement", start, start, "if False: ")
        elif isinstance(node.value, ast.Call):
            if _root(node.value.func) in _LOGS:
                return
            self._supersede("statement", node, "pass")
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._supersede("statement", node, "pass")
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._supersede("statement", node, "pass")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._supersede("statement", node, "pass")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        if not (isinstance(node.value, ast.Constant) and node.value.value in (None, False)):
            self._supersede("return", node, "return None")
        self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        self._supersede("refusal" if name in REFUSALS else "raise", node, "pass")

    def visit_If(self, node: ast.If) -> None:
        if _root(node.test) in ("TYPE_CHECKING", "typing"):
            return
        self._condition(node.test, "True", "False")
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test, "False")
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        if node.guard is not None:
            self._condition(node.guard, "True", "False")
        self.generic_visit(node)

    def visit_MatchValue(self, node: ast.MatchValue) -> None:
        self._literal(node.value)
        self.generic_visit(node)

    def visit_MatchSingleton(self, node: ast.MatchSingleton) -> None:
        if isinstance(node.value, bool):
            self._add(
                "constant",
                self._text.offset(node.lineno, node.col_offset),
                self._text.offset(node.end_lineno, node.end_col_offset),
                str(not node.value),
            )

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test, "True", "False")
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._condition(test, "True", "False")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            words = _WORDS[type(operator)].split()
            start, end = self._text.between(self._text.end(left), self._text.start(right), words)
            for other in _COMPARISONS[type(operator)]:
                self._add("comparison", start, end, other)
            self._literal(left)
            for each in right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else (right,):
                self._literal(each)
            left = right
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        there, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            start, end = self._text.between(self._text.end(left), self._text.start(right), [there])
            self._add("boolean", start, end, other)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        operator = {ast.Not: "boolean", ast.USub: "arithmetic"}.get(type(node.op))
        if operator and not isinstance(node.operand, ast.Constant):
            sign = self._text.following(self._text.start(node))
            self._add(operator, sign.start, self._text.following(sign.end).start, "")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Add | ast.Sub) and not (_is_sequence(node.left) or _is_sequence(node.right)):
            there, other = ("+", "-") if isinstance(node.op, ast.Add) else ("-", "+")
            start, end = self._text.between(self._text.end(node.left), self._text.start(node.right), [there])
            self._add("arithmetic", start, end, other)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        match node.value:
            case bool():
                self._exchange("constant", node, str(not node.value))
            case int():
                self._exchange("constant", node, str(node.value + 1))
                self._exchange("constant", node, str(node.value - 1))
            case float():
                self._exchange("constant", node, str(node.value + 1))
            case _:
                pass

    def _literal(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._exchange("literal", node, repr(f"{node.value}?"))

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in _EXTREMES:
            self._exchange("extreme", node.func, _EXTREMES[node.func.id])
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for keyword in node.keywords:
            if keyword.arg is not None and (name == "replace" or name[:1].isupper()):
                start, comma = self._text.start(keyword), self._text.following(self._text.end(keyword))
                end = comma.end if comma.text == "," else self._text.end(keyword)
                self._add("keyword", start, end + self._text.source.startswith(b" ", end), "")
            if keyword.arg != "strict":
                self.visit(keyword.value)
        self.visit(node.func)
        for argument in node.args:
            self.visit(argument)


_WORDS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}


def _root(node: ast.expr) -> str:
    """The name that a dotted name begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_sequence(node: ast.expr) -> bool:
    """Whether it is plain that it can't be subtracted."""
    return isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
