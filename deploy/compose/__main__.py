"""`python3 -m deploy.compose` makes a password or key for each secret that docker-compose.yml asks for.

Each is a file in the folder .secrets. What is there already stays as it is, so running it again changes nothing; what
an older installation has in .env is taken over, read as docker compose reads it. A lost key of pseudonyms or password
of the database's administrator is not made anew: put it back from a backup. `--renew-broker` makes the broker's
passwords anew, and no others; the containers must be stopped. Needs nothing but Python.
"""

import argparse
import re
import secrets
from collections.abc import Container
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# An installation of before hashed logins with its key of tokens; under another one nobody finds their own reports.
_FORMERLY = {"pseudonym-key": "CASEGRID_JWT_KEY", "database-admin": "POSTGRES_PASSWORD"}
"""Secret -> the variable of .env that held it before; of a service's role it was the service's name and _PASSWORD."""
_NAME = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*[=:]")
_VALUE = re.compile(r"""\s*(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|([^'"\s#].*?|))(?:\s+#.*|\s*)""")
"""In single quotes, in double ones or in none; a comment may follow."""
_ESCAPED = re.compile(r"""\\(["\\$])""")
_REPLACED = re.compile(r"(?<!\\)\$[A-Za-z_{$]")
_FIXED = {
    "pseudonym-key": "under another one private persons do not find their own reports",
    "database-admin": "the database was made with it",
}
"""Secret that no other one can stand in for -> why."""


def files(compose: str) -> list[str]:
    """The paths of the files that the compose file mounts as secrets."""
    return sorted(set(re.findall(r"file: \./(\.secrets/[\w-]+)$", compose, re.MULTILINE)))


def main(folder: Path, *, renew_broker: bool = False) -> None:
    """Completes .secrets in that folder, which only its owner may enter.

    A file is mounted with the rights it has here, and containers run as users of their own: so everybody may read a
    file, and nobody but the owner may enter the folder.
    """
    wanted = [folder / name for name in files((ROOT / "docker-compose.yml").read_text())]
    before = _variables(folder / ".env", {_formerly(path.name) for path in wanted})
    (folder / ".secrets").mkdir(mode=0o700, exist_ok=True)
    used = any((folder / ".secrets").iterdir())
    for path in wanted if used else ():
        if path.name in _FIXED and not path.exists() and not before.get(_formerly(path.name)):
            raise SystemExit(f"{path} is lost, and {_FIXED[path.name]}: put it back from a backup; nothing was changed")
    for path in wanted if renew_broker else ():
        if path.name.startswith("kafka-"):
            path.unlink(missing_ok=True)
    # What can't be made again comes first: a run that was interrupted must not look like a loss.
    added = sorted((path for path in wanted if not path.exists()), key=lambda path: path.name not in _FIXED)
    for path in added:
        # Without a line's end, which Kafka would take for a part of it.
        path.write_text(before.get(_formerly(path.name)) or secrets.token_urlsafe(32))
        path.chmod(0o644)
    print(f"{folder / '.secrets'}: {len(added)} secrets added" if added else f"{folder / '.secrets'}: complete")
    if left := sorted(before):
        print(f"{folder / '.env'}: {', '.join(left)} are in .secrets now, and read from nowhere else: delete them")


def _formerly(name: str) -> str:
    return _FORMERLY.get(name, f"{name.removeprefix('database-').upper()}_PASSWORD")


def _variables(path: Path, wanted: Container[str]) -> dict[str, str]:
    """Variable -> value, as docker compose reads the file. Exits where one's value is not plain."""
    lines = path.read_text(encoding="utf-8-sig").splitlines() if path.exists() else []
    found: dict[str, str] = {}
    for line in lines:
        name = _NAME.match(line)
        if name is None or name[1] not in wanted:
            continue
        value = _VALUE.fullmatch(line, name.end())
        if value is None or _REPLACED.search(value[2] or value[3] or ""):
            raise SystemExit(f"{path}: {name[1]} is not plain: put the value itself in single quotes")
        found[name[1]] = value[1] or _ESCAPED.sub(r"\1", value[2] or "") or value[3] or ""
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="deploy.compose", description=__doc__)
    parser.add_argument("--renew-broker", action="store_true", help="make the broker's passwords anew")
    main(ROOT, renew_broker=parser.parse_args().renew_broker)
