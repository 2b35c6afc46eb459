"""Reading a district's reference files, with one error for all services."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from contracts.reference import Reference
from contracts.wire import explain

R = TypeVar("R", bound=Reference)


class BadReference(SystemExit):
    """A reference file is missing or not valid; the message names the file and what to do. Ends the process."""


def read(district: Path, model: type[R]) -> R:
    """The reference file of that model: `Areas` is `areas.json`. Raises `BadReference`."""
    path = district / f"{model.__name__.lower()}.json"
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise BadReference(
            f"reference file {path} cannot be read ({fault.strerror}):"
            f" `python -m deploy.district --out {district}` makes the reference district,"
            " CASEGRID_DISTRICT names another"
        ) from None
    except ValidationError as fault:
        raise BadReference(
            f"reference file {path} is not valid: {explain(fault)};"
            f" `python -m deploy.district check {district}` says all that is wrong"
        ) from None
