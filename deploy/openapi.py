"""`python -m deploy.openapi --out DIR`: writes the OpenAPI documents of the five services, `<name>.json` each."""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from chassis.runtime import Runtime, application
from chassis.settings import Settings
from deploy.district.__main__ import main as write_district
from deploy.stack.plan import SERVICES


def documents() -> Mapping[str, Any]:
    """Service -> its document. They do not depend on the district, so the smallest one will do."""
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()):
            write_district(["--scale", "tiny", "--out", folder])
        settings = Settings.model_validate({"CASEGRID_DISTRICT": folder})
        return {name: _document(name, settings) for name in SERVICES}


def _document(name: str, settings: Settings) -> Any:
    service = import_module(f"services.{name}.service").build(settings)
    return application(Runtime(service, settings)).openapi()


def main(arguments: list[str]) -> int:
    """Writes the documents; returns the exit status."""
    parser = argparse.ArgumentParser(prog="deploy.openapi", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder: Path = parser.parse_args(arguments).out
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents().items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
