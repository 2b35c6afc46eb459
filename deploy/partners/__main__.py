"""`python -m deploy.partners add | remove | list`: the partners of an installation, named by the environment.

    CASEGRID_PARTNERS        the file of partners; by default partners.json beside the district's folder
    CASEGRID_DISTRICT        the district whose units they answer for
    KAFKA_BOOTSTRAP_SERVERS  the broker, and CASEGRID_TOPIC_PREFIX, if any; by default that of the embedded stack
    KAFKA_SECURITY_PROTOCOL  and the other KAFKA_ variables: how its administrator connects

Exit status 2: the entry breaks a rule, and nothing was changed.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence

from contracts.fields import FROM, TO
from contracts.reference import Partner
from deploy.partners import Installation, Unacceptable, Wanted, read, register, unregister
from deploy.stack import kafka, limits
from deploy.stack.access import partner_user
from deploy.stack.plan import from_environment
from deploy.stack.problem import Problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what was asked and says so; what is wrong goes to standard error."""
    options = parser().parse_args(arguments)
    try:
        installation = Installation.of(from_environment())
        match options.command:
            case "add":
                asyncio.run(_add(installation, options))
            case "remove":
                asyncio.run(_remove(installation, options.id))
            case _:
                asyncio.run(_list(installation))
    except Unacceptable as fault:
        print(f"{fault}\nnothing was changed", file=sys.stderr)
        return 2
    except Problem as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    options = argparse.ArgumentParser(
        prog="python -m deploy.partners", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = options.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="register a partner, or change its entry")
    add.add_argument("id", help="e.g. water; its topics are from.water and to.water")
    add.add_argument("--says", help="reports, steps, or both separated by a comma; by default as it is registered")
    add.add_argument("--units", help="units it answers for, by commas: dept:water; by default as it is registered")
    add.add_argument("--title", default="", help="its name; by default as it is registered, else the id")
    add.add_argument(
        "--retrospective",
        action=argparse.BooleanOptionalAction,
        help="whether its own times count in late entries; by default as it is registered",
    )
    add.add_argument("--rotate", action="store_true", help="give it a new client key and a new password")
    remove = commands.add_parser(
        "remove", help="register a partner no longer: no units, no rights, no key, no user; its topics stay"
    )
    remove.add_argument("id")
    commands.add_parser("list", help="who is registered")
    return options


async def _add(installation: Installation, options: argparse.Namespace) -> None:
    wanted = Wanted(
        options.id,
        says=_split(options.says),
        units=_split(options.units),
        name=options.title or None,
        retrospective=options.retrospective,
    )
    issued = await register(installation, wanted, rotate=options.rotate)
    partner = read(installation.partners).by_id[wanted.id]
    prefix = installation.prefix
    print(f"{_words(partner)}\nwrites {prefix}{FROM}{partner.id}, reads {prefix}{TO}{partner.id}")
    named = installation.broker.names_user
    if named:
        user = partner_user(partner.id, prefix)
        print(f"user on the broker {user}, which is also the name of its group, or the beginning: {user}.archive")
    if issued.password is not None:
        print(f"password of that user (shown only once, the broker keeps a hash): {issued.password}")
    if issued.client_key is not None:
        print(f"client key, for the header X-Client-Key (shown only once, kept as a hash): {issued.client_key}")
    kept = [*(["client key"] if issued.client_key is None else [])]
    kept += ["password"] if named and issued.password is None else []
    if kept:
        print(f"was registered already and keeps its {' and '.join(kept)}; ROTATE=1 (--rotate) gives it new ones")


async def _remove(installation: Installation, partner: str) -> None:
    if not await unregister(installation, partner):
        raise Unacceptable(f"id: {partner!r} is not registered in {installation.partners}")
    topics = " and ".join(f"{installation.prefix}{each}{partner}" for each in (FROM, TO))
    print(
        f"{partner} is no longer registered\n{topics} stay with what they hold; registered again, it goes on with them"
    )


async def _list(installation: Installation) -> None:
    partners = read(installation.partners).partners
    found = await _quotas(installation) if any(partner.says for partner in partners) else {}
    for partner in partners:
        print(_words(partner) + _limited(found.get(partner_user(partner.id, installation.prefix), {})))
    if not partners:
        print(f"nobody is registered in {installation.partners}")


async def _quotas(installation: Installation) -> Mapping[str, limits.Quotas]:
    """Of the users on the broker; where it does not answer, it says so and gives none."""
    if not installation.broker.names_user:
        return {}
    try:
        await kafka.answering(installation.broker, 0)
        return await limits.quotas(installation.broker)
    except Problem as fault:
        print(f"what the broker takes from each is not known: {fault}", file=sys.stderr)
        return {}


def _limited(quotas: limits.Quotas) -> str:
    said = {
        "producer_byte_rate": "writes {:,.0f} bytes a second",
        "consumer_byte_rate": "reads {:,.0f}",
        "request_percentage": "takes {:.0f} % of a thread of the broker",
    }
    words = [text.format(quotas[name]) for name, text in said.items() if name in quotas]
    return f"; {', '.join(words)} at most" if words else ""


def _words(partner: Partner) -> str:
    more = [", retrospective"] if partner.retrospective else []
    more += [] if partner.client_key_sha256 else [", without a client key"]
    if not partner.says:
        return f"{partner.id} ({partner.name}): registered no longer"
    units = f"for {', '.join(partner.units)}" if partner.units else "for no unit"
    return f"{partner.id} ({partner.name}): says {' and '.join(partner.says)} {units}{''.join(more)}"


def _split(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


if __name__ == "__main__":
    sys.exit(main())
