"""`up` with newer code upgrades the data of an older stack in place: nothing is dropped, derived tables are rebuilt."""

import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from deploy.district.__main__ import main as write_district
from deploy.stack.process import ROOT
from services.intake.service import MIGRATIONS
from tests.deploy.stacks import Stack, stack_in

PARTS = ("contracts", "chassis", "services", "deploy", "requirements.lock", "pyproject.toml")
NEWER = """-- rebuild
ALTER TABLE reports ADD COLUMN title_length integer;
"""


class Copy:
    """The stack's commands, run from a copy of the code that a test may change."""

    def __init__(self, stack: Stack, code: Path) -> None:
        self.stack = stack
        self.code = code
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, code / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            else:
                shutil.copy(source, code / part)
        (code / ".data").mkdir()
        for shared in ("cache", "tools"):
            if (ROOT / ".data" / shared).exists():
                (code / ".data" / shared).symlink_to(ROOT / ".data" / shared)

    def run(self, *arguments: str, module: str = "deploy.stack") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", module, *arguments),
            cwd=self.code,
            env=self.stack.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> str:
        done = self.run("up", "--only", "kafka,postgres,intake")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.mark.timeout(240)
def test_newer_code_upgrades_an_older_stack_in_place(infrastructure_folder: Path, tmp_path: Path) -> None:
    with stack_in(infrastructure_folder / f"stack-{uuid.uuid4().hex[:8]}") as stack:
        assert write_district(["--scale", "tiny", "--out", stack.environment["CASEGRID_DISTRICT"]]) == 0
        copy = Copy(stack, tmp_path)
        assert f"intake: applied {', '.join(one.name for one in MIGRATIONS)}\n" in copy.up()
        url = f"http://127.0.0.1:{stack.ports['INTAKE_PORT']}"
        bearer = copy.run("token", "--role", "grid_member").stdout.strip()
        headers = {"authorization": f"Bearer {bearer}"}
        filed = httpx.post(f"{url}/reports", json={"title": "burst main"}, headers=headers)
        assert filed.status_code == 201, filed.text
        newest = f"{max(one.number for one in MIGRATIONS if one.component == 'intake') + 1:04}_title_length"
        migration = tmp_path / "services" / "intake" / "schema" / f"{newest}.sql"
        migration.write_text(NEWER)

        said = copy.up()

        assert f"intake: applied {newest}" in said
        assert "intake.reports: 1 rows" in said
        assert "intake: started again" in said or "started again, for their code or settings changed: intake" in said
        report = httpx.get(f"{url}/reports/{filed.json()['case_id']}", headers=headers)
        assert (report.status_code, report.json()["title"]) == (200, "burst main")
        again = copy.run("rebuild", "intake")
        assert again.returncode == 0, again.stderr
        assert [line.rpartition(", ")[2] for line in again.stdout.splitlines() if ".reports:" in line] == ["equal"]
        assert "applied" not in copy.up(), "a third `up` has nothing to apply"
        migration.unlink()
        before = stack.status()
        older = copy.run("up", "--only", "kafka,postgres,intake")
        assert older.returncode != 0
        assert f"schema intake is newer than this version: it has intake {newest}" in older.stderr
        refused = copy.run("rebuild", "intake")
        assert refused.returncode != 0
        assert "the database's schema is newer than this version: rebuild with the newer one" in refused.stderr
        assert stack.status() == before, "the older code ended what ran with the newer"
