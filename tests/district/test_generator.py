"""The generator: the same bytes again, nothing rewritten without need, nothing half-written trusted."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.district.__main__ import main
from tests.district.generated import generate

ROOT = Path(__file__).resolve().parents[2]


def run(out: Path, *more: str) -> None:
    assert main(["--scale", "tiny", "--out", str(out), *more]) == 0


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others():
    assert generate("small").files == generate("small").files
    assert generate("small").files["areas.json"] != generate("small", seed=1).files["areas.json"]


def test_the_manifest_names_every_file_by_its_hash(tmp_path):
    run(tmp_path)
    files = contents(tmp_path)
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_it_registers_no_partners(district):
    assert "partners.json" not in district.files
    assert "partners" not in district.manifest.counts
    assert b'"source"' not in district.files["units.json"]


def test_the_full_district_has_its_base_records(full):
    assert sum(full.manifest.base_records.values()) == 1_400_000
    assert set(full.manifest.base_records) == {
        "people",
        "households",
        "organisations",
        "key_places",
        "facilities",
        "events",
    }
    assert all(count > 0 for count in full.manifest.base_records.values())


def test_a_current_district_is_left_alone(tmp_path, capsys):
    run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    run(tmp_path)
    assert "up to date" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("spoil", ["units.json", "manifest.json"])
def test_a_changed_or_missing_file_is_written_again(tmp_path, spoil):
    run(tmp_path)
    good = contents(tmp_path)
    (tmp_path / spoil).write_text("{}")
    run(tmp_path)
    assert contents(tmp_path) == good
    (tmp_path / spoil).unlink()
    run(tmp_path)
    assert contents(tmp_path) == good


def test_another_seed_or_scale_is_stale(tmp_path):
    run(tmp_path)
    run(tmp_path, "--seed", "2")
    assert json.loads((tmp_path / "manifest.json").read_bytes())["seed"] == 2


def test_the_command_writes_the_full_district_in_seconds_and_then_in_no_time(tmp_path):
    command = [sys.executable, "-m", "deploy.district", "--out", str(tmp_path)]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    written = time.perf_counter()
    again = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    ended = time.perf_counter()
    assert written - began < 10
    assert "up to date" in again.stdout
    assert ended - written < 2, "the check must not load the models"
