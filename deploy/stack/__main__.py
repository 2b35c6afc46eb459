"""`python -m deploy.stack up | down | status | ...`: what the Makefile and the containers run.

Exit status: 0 done; 1 not done, standard error says why; 2 the command line makes no sense, or lacks something.
Of `status`: 0 everything that should run is ready; 3 something is not, and the reasons are printed; 4 nothing runs.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from dataclasses import replace

from contracts.roles import needs_areas
from deploy.stack import asked, lifecycle, status
from deploy.stack.plan import PARTS, SERVICES, Plan, from_environment, require_service
from deploy.stack.problem import Problem
from deploy.stack.secrets import load
from deploy.stack.setup import setup
from deploy.stack.token import (
    borne,
    instead_of_areas,
    issue,
    lacks,
    read_token_key,
    require_known,
    roles_in_words,
    whole_district,
)


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    logging.getLogger("aiokafka").addHandler(
        logging.NullHandler()
    )  # what it logs is said again by the faults it raises
    try:
        if options.command == "setup":
            asyncio.run(setup())
            return 0
        plan = from_environment(only=getattr(options, "only", ""))
        match options.command:
            case "up":
                asyncio.run(lifecycle.up(plan))
            case "down":
                asyncio.run(lifecycle.down(plan))
            case "rotate":
                asyncio.run(lifecycle.rotate(plan))
            case "reset":
                asyncio.run(lifecycle.reset(plan))
            case "status":
                return _status(asked.as_asked(plan), plan.only, as_json=options.json)
            case "rebuild":
                require_service(options.service)
                asyncio.run(lifecycle.rebuild(asked.as_asked(plan), options.service))
            case "skip":
                require_service(options.service)
                wanted = (options.topic, str(options.partition), str(options.offset))
                words = (f"--reason={options.reason}", f"--by={options.by}", "--", *wanted)
                asyncio.run(lifecycle.skip(asked.as_asked(plan), options.service, words))
            case _:
                return _token(asked.as_asked(plan), options)
    except Problem as fault:
        print(fault, file=sys.stderr)
        return 1
    except OSError as fault:
        if fault.filename is None:  # a connection's, or what reads the output has ended
            raise
        print(f"{fault.filename} can't be used: {fault.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _status(plan: Plan, only: frozenset[str], *, as_json: bool) -> int:
    plan = replace(plan, only=plan.only & only)
    found = asyncio.run(status.rows(plan))
    if as_json:
        print(json.dumps(status.as_json(found), indent=2))
    else:
        status.print_table(plan, found)
    return status.exit_status(found)


def _told(arguments: list[str]) -> int:
    """As `main`, and in order where who reads the output has read enough, as `head` does."""
    try:
        code = main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python would write again at its end
        return 1
    return code


def _token(plan: Plan, options: argparse.Namespace) -> int:
    roles = [borne(role) for role in _listed(options.role)]
    if not roles:
        print(f"make token ROLE=dispatcher [SUBJECT=...] [UNIT=...] [AREAS=...]\n{roles_in_words()}", file=sys.stderr)
        return 2
    unit, areas = options.unit or None, _listed(options.areas)
    if warning := require_known(plan.district, unit, areas):
        print(warning, file=sys.stderr)
    for warning in lacks(roles, unit):
        print(warning, file=sys.stderr)
    if not areas and needs_areas(roles):
        areas = [*whole_district(plan.district)]
        print(instead_of_areas(roles, areas), file=sys.stderr)
    if plan.passed_on.get("CASEGRID_JWKS"):
        print(
            "warning: only the keys that CASEGRID_JWKS names are accepted, and this token has another", file=sys.stderr
        )
    print(issue(_token_key(plan), subject=options.subject, roles=roles, unit=unit, areas=areas))
    return 0


def _token_key(plan: Plan) -> str:
    """The stack's own; in a container that of the file which `CASEGRID_TOKEN_KEY_FILE` names. Raises `Problem`."""
    file = os.environ.get("CASEGRID_TOKEN_KEY_FILE")
    return read_token_key(file) if file else load(plan.run, complete=False).token_key


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy.stack",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything and wait until it is ready", allow_abbrev=False)
    up.add_argument(
        "--only", default="", help=f"start these, separated by commas; others that run stay: {', '.join(PARTS)}"
    )
    commands.add_parser("down", help="end everything, keep data")
    commands.add_parser("reset", help="end everything, drop data")
    commands.add_parser("rotate", help="end everything, make new passwords on the broker, start what ran")
    shown = commands.add_parser("status", help="what runs, and why something is not ready", allow_abbrev=False)
    shown.add_argument("--json", action="store_true")
    shown.add_argument("--only", default="", help="of these alone, separated by commas")
    rebuilt = commands.add_parser("rebuild", help="make a service's derived tables anew from its stored events")
    rebuilt.add_argument("service", help=", ".join(SERVICES))
    skip = commands.add_parser("skip", help="have a service step over the record that a partition stands at")
    skip.add_argument("service", help=", ".join(SERVICES))
    skip.add_argument("topic")
    skip.add_argument("partition", type=int)
    skip.add_argument("offset", type=int)
    skip.add_argument("--reason", required=True)
    skip.add_argument("--by", required=True)
    commands.add_parser("setup", help="in a container: topics, schemas and district, from the environment")
    token = commands.add_parser("token", help="print a development token", allow_abbrev=False)
    token.add_argument("--role", default="", help="one or more, separated by commas; none: lists the roles")
    token.add_argument("--subject", default="developer")
    token.add_argument("--unit", default="")
    token.add_argument("--areas", default="", help="area paths, separated by commas; none: the district")
    return parser


if __name__ == "__main__":
    sys.exit(_told(sys.argv[1:]))
