"""`python3 -m deploy.compose` makes a password or key for each secret that docker-compose.yml asks for.

Each is a file in the folder .secrets. What is there already stays as it is, so running it again changes nothing; what
an older installation has in .env is taken over. `--renew-broker` makes the broker's passwords anew, and no others; the
containers must be stopped. Needs nothing but Python.
"""

import argparse
import re
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# An installation of before hashed logins with its key of tokens; under another one nobody finds their own reports.
_FORMERLY = {"pseudonym-key": "CASEGRID_JWT_KEY", "database-admin": "POSTGRES_PASSWORD"}
"""Secret -> the variable of .env that held it before; of a service's role it was the service's name and _PASSWORD."""


def files(compose: str) -> list[str]:
    """The paths of the files that the compose file mounts as secrets."""
    return sorted(set(re.findall(r"file: \./(\.secrets/[\w-]+)$", compose, re.MULTILINE)))


def main(folder: Path, *, renew_broker: bool = False) -> None:
    """Completes .secrets in that folder, which only its owner may enter.

    A file is mounted with the rights it has here, and containers run as users of their own: so everybody may read a
    file, and nobody but the owner may enter the folder.
    """
    (folder / ".secrets").mkdir(mode=0o700, exist_ok=True)
    before = _variables(folder / ".env")
    wanted = [folder / name for name in files((ROOT / "docker-compose.yml").read_text())]
    for path in wanted if renew_broker else ():
        if path.name.startswith("kafka-"):
            path.unlink(missing_ok=True)
    added = [path for path in wanted if not path.exists()]
    for path in added:
        # Without a line's end, which Kafka would take for a part of it.
        path.write_text(before.get(_formerly(path.name)) or secrets.token_urlsafe(32))
        path.chmod(0o644)
    print(f"{folder / '.secrets'}: {len(added)} secrets added" if added else f"{folder / '.secrets'}: complete")
    if left := sorted({_formerly(path.name) for path in wanted} & before.keys()):
        print(f"{folder / '.env'}: {', '.join(left)} are in .secrets now, and read from nowhere else: delete them")


def _formerly(name: str) -> str:
    return _FORMERLY.get(name, f"{name.removeprefix('database-').upper()}_PASSWORD")


def _variables(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="deploy.compose", description=__doc__)
    parser.add_argument("--renew-broker", action="store_true", help="make the broker's passwords anew")
    main(ROOT, renew_broker=parser.parse_args().renew_broker)
