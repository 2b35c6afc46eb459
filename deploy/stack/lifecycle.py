"""The steps of `make up`, `make down`, `make reset` and `make rotate`, each said in a line with the time it took."""

import asyncio
import contextlib
import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from pydantic import ValidationError

from chassis.kafka.connection import Connection
from chassis.settings import Settings
from chassis.web.keys import require_usable
from contracts.reference import Partners
from contracts.status import SERVICES
from deploy import partners
from deploy.district.check import check
from deploy.district.check.reading import PARTNERS
from deploy.stack import (
    accounts,
    asked,
    connections,
    fallback,
    identity,
    kafka,
    ports,
    postgres,
    provision,
    readiness,
    topics,
)
from deploy.stack.plan import DATABASE, PARTS, PORTS, Plan, source_digest, unusable
from deploy.stack.problem import Problem
from deploy.stack.process import ROOT, Specification
from deploy.stack.secrets import Secrets, keys_file, load, passwords_folder, renew_broker
from deploy.stack.supervise import Supervisor

CLOCK = "clock.json"
"""In the run folder: moves the services' clocks while it is there."""

_GIVEN_SECONDS = 10
"""For the answer of a server that should run already."""

Say = Callable[[str], None]


async def up(plan: Plan, say: Say = print) -> None:
    """Starts what does not run, and waits until all of it answers; again when all runs already it changes nothing.

    It only adds: what runs beyond the plan stays. A service whose code or settings changed is restarted. Whatever makes
    no sense is found before anything is changed. Raises `Problem`.
    """
    began = time.monotonic()
    with _alone(plan):
        supervisor = Supervisor(plan)
        alive = supervisor.alive()
        before = frozenset(await supervisor.states()) if alive else frozenset()
        if alive:
            plan = _with_what_runs(plan, before, say)
        asked.require_servers(plan)
        _check_ports(plan)
        with _step(say, "district, partners, settings"):
            if plan.services:
                await asyncio.to_thread(_district, plan)
            for partner in partners.clear(plan.partners):
                say(f"  the partner {partner} is registered no longer: its program was ended before it could do that")
            registered = partners.read(plan.partners)
            secrets = load(plan.run)
            _check_settings(plan, secrets)
            await _given_servers(plan)
            if alive and "postgres" in plan.only and await _database_answers(plan, secrets):
                await _migrate(plan, secrets, say)  # what it refuses must not have ended a service before
        if not alive:
            await supervisor.end()  # what a killed manager may have left
        with _step(say, " and ".join(plan.infrastructure) or "servers given by the environment"):
            infrastructure = await asyncio.gather(
                *(asyncio.to_thread(_specify, plan, name, secrets, say) for name in plan.infrastructure)
            )
            kind = "fallback" if any(fallback.KIND in one.environment for one in infrastructure) else "kafka"
            services = [_service(plan, name, secrets, kind) for name in plan.services]
            asked.note(plan.run, asked.Asked.of(plan, kind))
            begun = await supervisor.apply([*infrastructure, *services])
            await supervisor.start(plan.infrastructure)
            await _answering(plan, supervisor, secrets)
        with _step(say, "database, schemas, topics"):
            if "postgres" in plan.only:
                for name in await _migrate(plan, secrets, say):
                    await asyncio.to_thread(provision.rebuild, name, services_environment(plan, name, secrets))
            if "kafka" in plan.only:
                wanted = topics.of_installation(registered.by_id, plan.topic_prefix)
                broker = connections.administrator(plan)
                await topics.create(broker, wanted, plan.partitions)
                await _accounts(plan, broker, secrets, registered, say)
        if plan.services:
            with _step(say, "services ready"):
                await supervisor.start(plan.services)
                await readiness.services(plan, supervisor)
    if changed := [name for name in begun if name in before]:
        say(f"  started again, for their code or settings changed: {', '.join(changed)}")
    for name in plan.services:
        say(f"  {name:<10} {plan.url(name)}  (API: {plan.url(name)}/docs)")
    if "kafka" in plan.only:
        say(f"  {'kafka':<10} {plan.bootstrap}")
    if "postgres" in plan.infrastructure:
        say(f"  {'postgres':<10} {ports.LOOPBACK}:{plan.ports['postgres']}, database {DATABASE}")
    say(f"up in {time.monotonic() - began:.1f} s; logs in {plan.logs}; `make status`, `make down`")


async def _database_answers(plan: Plan, secrets: Secrets) -> bool:
    try:
        await postgres.answering(_cluster_url(plan, secrets), 0)
    except Problem:
        return False
    return True


async def _migrate(plan: Plan, secrets: Secrets, say: Say) -> list[str]:
    """Makes or upgrades the schemas in place; which services must be rebuilt before they start. Raises `Problem`."""
    migrated = await provision.database(_cluster_url(plan, secrets), secrets.postgres, plan.services)
    for name, done in migrated.items():
        if done.applied:
            say(f"  {name}: applied {', '.join(done.applied)}")
    return [name for name, done in migrated.items() if done.rebuild]


async def down(plan: Plan, say: Say = print) -> None:
    """Ends everything this stack started; data stay."""
    with _alone(plan):
        ended = await Supervisor(plan).end()
        asked.forget(plan.run)
        if "kafka" in ended:
            _broker(plan).keep_class_data()
    say(f"ended {', '.join(ended)}" if ended else "nothing was running")


async def reset(plan: Plan, say: Say = print) -> None:
    """`down`, and drops data, secrets and logs; what was downloaded or generated stays, and so do the partners."""
    await down(plan, say)
    shutil.rmtree(postgres.data_folder(plan.folder / "postgres"), ignore_errors=True)
    for name in ("kafka", "fallback", "run", "logs"):
        shutil.rmtree(plan.folder / name, ignore_errors=True)
    say(f"dropped data, secrets and logs in {plan.folder}")
    if plan.partners.exists():
        say(f"kept {plan.partners}: who is registered there stays registered, with the same client key")
        if plan.kafka is None:
            say("after the next `make up` each of them needs a new user on the broker: `make partner NAME=...`")
    if plan.database_url or plan.kafka:
        say("DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name servers of yours: nothing was dropped there")


async def rotate(plan: Plan, say: Say = print) -> None:
    """`down`, new passwords on the broker for its administrator and the services, and `up` of what ran before.

    All other secrets stay, and so do partners' users. A broker of the user's has an administrator of its own, who stays
    as well. Raises `Problem`, before anything ends where the cause is known before.
    """
    running = asked.read(plan.run)
    plan = asked.as_asked(plan)
    if plan.broker == "fallback":
        raise Problem("the fallback broker knows no users, so there are no passwords to renew")
    _check_settings(plan, load(plan.run))
    registered = partners.read(plan.partners)
    await down(plan, say)
    renew_broker(plan.run)
    say("made new passwords on the broker; the database's, and the keys of tokens and pseudonyms, stay as they are")
    if running is None:
        say("nothing ran before: the next `make up` gives them to the broker")
    else:
        await up(plan, say)
    for partner in registered.registered:
        say(f"the partner {partner} keeps its password: `make partner NAME={partner} ROTATE=1` gives it another")


async def rebuild(plan: Plan, name: str) -> None:
    """Makes the derived tables of a service anew, whether it runs or not. Raises `Problem`: what to do first."""
    environment = await _environment(plan, name)
    await asyncio.to_thread(provision.rebuild, name, environment)


async def skip(plan: Plan, name: str, words: Sequence[str]) -> None:
    """Has a service's worker step over what a partition stands at. Raises `Problem` where none does it."""
    environment = await _environment(plan, name)
    await asyncio.to_thread(provision.skip, name, environment, words)


async def _environment(plan: Plan, name: str) -> dict[str, str]:
    """What a command of a service is told. Raises `Problem` where its tables cannot be reached."""
    if plan.database_url is None and asked.read(plan.run) is None:
        raise Problem(f"the database of {plan.folder} does not run: `make up` first, which rebuilds what it must")
    url = plan.database_url or _server(plan, load(plan.run, complete=False)).url()
    await postgres.answering(url, 0)
    if not await provision.has_tables(url, name):
        raise Problem(f"the database has no tables of {name}: `make up` first, which makes them")
    return services_environment(plan, name, load(plan.run, complete=False))


def services_environment(plan: Plan, name: str, secrets: Secrets, kind: str = "kafka") -> dict[str, str]:
    """What the process of a service is told."""
    login = (name, secrets.postgres[name])
    own_key = (
        {} if "CASEGRID_PSEUDONYM_KEY_FILE" in plan.passed_on else {"CASEGRID_PSEUDONYM_KEY": secrets.pseudonym_key}
    )
    return {
        "CASEGRID_JWKS": str(keys_file(plan.run)),
        **own_key,
        **plan.passed_on,
        "HOST": ports.LOOPBACK,
        "PORT": str(plan.ports[name]),
        "DATABASE_URL": provision.with_database(_cluster_url(plan, secrets), DATABASE, login),
        **connections.variables(connections.of_service(replace(plan, broker=kind), name)),
        fallback.KIND: kind,
        "CASEGRID_DISTRICT": str(plan.district),
        "CASEGRID_PARTNERS": str(plan.partners),
        "CASEGRID_CLOCK_FILE": str(plan.run / CLOCK),
        "CASEGRID_SOURCE": source_digest(name),
        "PYTHONUNBUFFERED": "1",
    }


def _service(plan: Plan, name: str, secrets: Secrets, kind: str) -> Specification:
    command = (sys.executable, "-m", f"services.{name}")
    return Specification(name, command, environment=services_environment(plan, name, secrets, kind))


def _specify(plan: Plan, name: str, secrets: Secrets, say: Say) -> Specification:
    if name == "postgres":
        return _server(plan, secrets).prepare()
    if plan.broker != "fallback":
        try:
            return _broker(plan).prepare()
        except Problem as fault:
            if plan.broker == "kafka":
                raise
            say(f"no Kafka: {fault}")
    say(fallback.WARNING)
    return fallback.specification(plan.folder / "fallback", plan.ports["kafka"])


def _broker(plan: Plan) -> kafka.Broker:
    passwords = passwords_folder(plan.run)
    return kafka.Broker(plan.folder / "kafka", plan.ports["kafka"], plan.ports["kafka controller"], passwords=passwords)


def _server(plan: Plan, secrets: Secrets) -> postgres.Server:
    data = postgres.data_folder(plan.folder / "postgres")
    return postgres.Server(data, plan.ports["postgres"], secrets.postgres[postgres.ADMIN])


def _cluster_url(plan: Plan, secrets: Secrets) -> str:
    return plan.database_url or _server(plan, secrets).url()


def _with_what_runs(plan: Plan, programs: frozenset[str], say: Say) -> Plan:
    running = asked.read(plan.run) or asked.Asked(programs, {})
    together = asked.joined(plan, running)
    if others := [name for name in PARTS if name in running.parts - plan.only]:
        say(f"ONLY only adds: {', '.join(others)} stay as well, `make down` ends everything")
    return together


def _check_settings(plan: Plan, secrets: Secrets) -> None:
    """Raises `Problem` naming what no service could start with; they would end one after the other otherwise."""
    for name in plan.services:
        given = services_environment(plan, name, secrets)
        try:
            known = {key if key.startswith("CASEGRID_") else key.lower(): given[key] for key in given}
            settings = Settings.model_validate(known)
        except ValidationError as refused:
            raise Problem(unusable(refused)) from None
        _check_keys(settings.jwks or "")


def _check_keys(where: str) -> None:
    """Raises `Problem` where a file of keys verifies no token. A URL is the services' to ask: it may answer later."""
    if urlsplit(where).scheme in ("http", "https"):
        return
    try:
        require_usable((ROOT / where).read_bytes())
    except OSError as fault:
        raise Problem(f"CASEGRID_JWKS: {where} can't be read: {fault.strerror}") from None
    except ValueError as fault:
        raise Problem(f"CASEGRID_JWKS: {where} is no usable key set: {fault}") from None


async def _accounts(plan: Plan, broker: Connection, secrets: Secrets, registered: Partners, say: Say) -> None:
    """Makes users and access rules, and says who has none. Raises `Problem`."""
    passwords = {name: secrets.kafka[name] for name in SERVICES}
    for partner in await accounts.settle(broker, plan.topic_prefix, registered.registered, passwords):
        say(f"  the partner {partner} has no user on this broker: `make partner NAME={partner}` makes one")


async def _given_servers(plan: Plan) -> None:
    """Raises `Problem` where a server of the user's does not answer."""
    try:
        if "postgres" in plan.only and plan.database_url:
            await postgres.answering(plan.database_url, _GIVEN_SECONDS)
        if "kafka" in plan.only and plan.kafka:
            await kafka.answering(plan.kafka, _GIVEN_SECONDS)
    except Problem as fault:
        raise Problem(f"{fault}; DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS name servers that must run already") from None


async def _answering(plan: Plan, supervisor: Supervisor, secrets: Secrets) -> None:
    watch = readiness.Watch(plan, plan.infrastructure)
    watcher = asyncio.create_task(_watching(watch, supervisor))
    waits = []
    if "postgres" in plan.infrastructure:
        waits.append(postgres.answering(_cluster_url(plan, secrets), 60))
    if "kafka" in plan.infrastructure:
        waits.append(kafka.answering(connections.administrator(plan), 60))
    together = asyncio.gather(*waits)
    try:
        await asyncio.wait((watcher, together), return_when=asyncio.FIRST_COMPLETED)
        if watcher.done():
            watcher.result()
        await together
    finally:
        watcher.cancel()
        together.cancel()


async def _watching(watch: readiness.Watch, supervisor: Supervisor) -> None:
    while True:
        watch.look(await supervisor.states())
        await asyncio.sleep(0.3)


def _district(plan: Plan) -> None:
    """Generates the reference district where it is missing or stale; checks another. Raises `Problem`."""
    if plan.district == ROOT / ".data" / "district" / "full":
        command = (sys.executable, "-m", "deploy.district", "--scale", "full", "--out", str(plan.district))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Problem(f"the reference district could not be generated: {(done.stderr or done.stdout)[-400:]}")
    elif not (plan.district / "areas.json").exists():
        raise Problem(
            f"CASEGRID_DISTRICT is {plan.district}, which holds no district: "
            f"`python -m deploy.district --out {plan.district}` writes the reference district there"
        )
    elif findings := [found for found in check(plan.district).findings if found.file != PARTNERS]:
        raise Problem(
            "\n".join(
                [
                    f"the district in {plan.district} is not usable:",
                    *(f"  {finding}" for finding in findings[:5]),
                    f"`python -m deploy.district check {plan.district}` names all {len(findings)}",
                ]
            )
        )


def _check_ports(plan: Plan) -> None:
    """Raises `Problem` where a port is in use by anything but the process of this stack that it is for."""
    wanted = [*plan.infrastructure, *plan.services] + (["kafka controller"] if "kafka" in plan.infrastructure else [])
    for what in wanted:
        pid = identity.noted(plan.run, what.split()[0])
        if pid is None or not ports.held_by(plan.ports[what], pid):
            ports.require_free(plan.ports[what], what, PORTS[what][0])


@contextlib.contextmanager
def _step(say: Say, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    say(f"{time.monotonic() - began:6.1f} s  {what}")


@contextlib.contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """One `up` or `down` of a stack at a time. Raises `Problem` where another takes longer than a minute."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    with (plan.folder / "lock").open("w") as file:
        deadline = time.monotonic() + 60
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Problem(f"another `make up` or `make down` is at work in {plan.folder}") from None
                time.sleep(0.1)
        yield
