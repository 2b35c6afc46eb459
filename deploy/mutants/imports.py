"""Who imports whom, by the import statements of the files."""

import ast
from collections.abc import Iterable, Mapping, Set
from importlib.util import resolve_name


class Imports:
    """The import statements of some files: path -> source."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._imported = {path: _imported(path, source) for path, source in files.items()}

    def importers(self, path: str) -> Set[str]:
        """The file at `path`, and those of the files that import its module, directly or through others of them."""
        found, fresh = {path}, {path}
        while fresh:
            names = {_module(each) for each in fresh}
            fresh = {each for each, wanted in self._imported.items() if each not in found and wanted & names}
            found |= fresh
        return found


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(path: str, source: bytes) -> Set[str]:
    own = _module(path)
    package = own if path.endswith("/__init__.py") else own.rpartition(".")[0]
    return {name for node in ast.walk(ast.parse(source)) for name in _named(node, package)}


def _named(node: ast.AST, package: str) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom):
        base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
        return [base, *(f"{base}.{each.name}" for each in node.names)]
    return ()
