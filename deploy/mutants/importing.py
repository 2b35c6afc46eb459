"""Modules made of other code than their files hold; neither the files nor the byte code beside them are written."""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType


def install(codes: Mapping[str, CodeType]) -> None:
    """From now on the modules of these files (absolute paths) are imported from this code."""
    sys.meta_path.insert(0, _Finder(codes))


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return self._code


class _Finder(MetaPathFinder):
    def __init__(self, codes: Mapping[str, CodeType]) -> None:
        self._codes = codes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        code = self._codes.get(spec.origin or "") if spec is not None else None
        if spec is None or spec.origin is None or code is None:
            return None
        spec.loader = _Loader(fullname, spec.origin, code)
        return spec


def forget(root: Path) -> None:
    """All modules below a folder, and whatever was installed, as if none had been imported; but this package stays."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    own = __name__.rpartition(".")[0]
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "/")
        installed = file.is_relative_to(sys.prefix)
        ours = name == "__main__" or name.startswith(f"{own}.") or f"{own}.".startswith(f"{name}.")
        if file.is_relative_to(root) and not (installed or ours):
            del sys.modules[name]
