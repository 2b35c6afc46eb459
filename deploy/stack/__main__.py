"""`python -m deploy.stack up | down | reset | status | token | setup`: what the Makefile and the containers run."""

import argparse
import asyncio
import json
import sys

from deploy.stack import lifecycle, status
from deploy.stack.plan import from_environment
from deploy.stack.problem import Problem
from deploy.stack.secrets import load
from deploy.stack.setup import setup
from deploy.stack.token import issue


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
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
            case "reset":
                asyncio.run(lifecycle.reset(plan))
            case "status":
                if options.json:
                    print(json.dumps(status.as_json(plan), indent=2))
                else:
                    status.print_table(plan)
            case _:
                areas = [area for area in options.areas.split(",") if area]
                roles = options.role.split(",")
                key = load(plan.run).jwt_key
                print(issue(key, subject=options.subject, roles=roles, unit=options.unit or None, areas=areas))
    except Problem as fault:
        print(fault, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything and wait until it is healthy")
    up.add_argument("--only", default="", help="only these, e.g. kafka,postgres")
    commands.add_parser("down", help="end everything, keep data")
    commands.add_parser("reset", help="end everything, drop data")
    commands.add_parser("status", help="what runs").add_argument("--json", action="store_true")
    commands.add_parser("setup", help="in a container: topics, schemas and district, from the environment")
    token = commands.add_parser("token", help="print a development token")
    token.add_argument("--role", required=True, help="one or more, separated by commas")
    token.add_argument("--subject", default="developer")
    token.add_argument("--unit", default="")
    token.add_argument("--areas", default="", help="area paths, separated by commas; none: everywhere")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
