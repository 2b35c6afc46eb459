"""The broker's jars can be had without Maven's client, and only as the lock file names them."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stack import jars
from deploy.stack.problem import Problem


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A Maven repository with the locked jars."""
    folder = tmp_path / "repository"
    for jar in jars.locked():
        place = folder / jar.group.replace(".", "/") / jar.artifact / jar.version
        place.mkdir(parents=True)
        shutil.copy(jars.ensure() / jar.file_name, place)
    return folder


@pytest.fixture
def mirror(repository: Path) -> Iterator[str]:
    """Its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Nothing to see."""

    serve = functools.partial(Quiet, directory=str(repository))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_without_maven_they_come_all_the_same(tmp_path: Path, mirror: str) -> None:
    libs = jars.ensure(tmp_path / "cache", maven=None, mirror=mirror)
    assert {path.name for path in libs.iterdir()} == {jar.file_name for jar in jars.locked()}


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path: Path, repository: Path, mirror: str) -> None:
    tampered = next(repository.rglob("kafka-clients-*.jar"))
    tampered.write_bytes(tampered.read_bytes() + b"more")
    with pytest.raises(Problem, match=rf"{tampered.name} not as in jars\.lock"):
        jars.ensure(tmp_path / "cache", maven=None, mirror=mirror)
    assert not jars.folder(tmp_path / "cache").exists()


def test_a_failed_download_says_what_to_do(tmp_path: Path, repository: Path, mirror: str) -> None:
    shutil.rmtree(repository / "org")
    with pytest.raises(Problem, match="check the connection and try again, or set KAFKA_BOOTSTRAP_SERVERS"):
        jars.ensure(tmp_path / "cache", maven="no-such-client", mirror=mirror)


def test_the_lock_names_the_version_that_the_pom_pins() -> None:
    assert [jar.version for jar in jars.locked() if jar.artifact == "kafka_2.13"] == [jars.version()]
