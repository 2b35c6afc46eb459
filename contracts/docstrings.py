"""What the models say about their fields: the strings below them, which Python itself does not keep."""

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from itertools import pairwise

from pydantic import BaseModel


def of_fields(model: type[BaseModel]) -> Mapping[str, str]:
    """Field -> the string under it, or else under the type alias in its annotation; fields of base classes too."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if cls.__module__.startswith("contracts."):
            found |= _of_class(cls.__module__, cls.__qualname__.partition("[")[0], _aliases(cls.__module__))
    return found


def _of_class(module: str, name: str, aliases: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    classes = (node for node in _tree(module).body if isinstance(node, ast.ClassDef) and node.name == name)
    for node in classes:
        for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                words = _string(following) or _of_annotation(statement.annotation, aliases)
                if words:
                    found[statement.target.id] = words
    return found


def _of_annotation(annotation: ast.expr, aliases: Mapping[str, str]) -> str | None:
    names = (node.id for node in ast.walk(annotation) if isinstance(node, ast.Name))
    return next((aliases[name] for name in names if name in aliases), None)


@cache
def _aliases(module: str) -> Mapping[str, str]:
    """What a module says of the names it defines, and what others of contracts say of those it imports."""
    body = _tree(module).body
    found: dict[str, str] = {}
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("contracts."):
            there = _aliases(str(statement.module))
            found |= {alias.name: there[alias.name] for alias in statement.names if alias.name in there}
    for statement, following in pairwise(body):
        if isinstance(statement, ast.Assign) and (words := _string(following)):
            found |= {target.id: words for target in statement.targets if isinstance(target, ast.Name)}
    return found


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(import_module(module)))


def _string(node: ast.stmt | None) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return None
