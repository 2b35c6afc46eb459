"""A process that others can reach starts with secrets of its own only, and never with a clock that can be moved."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chassis.settings import DEVELOPMENT_KEY, DEVELOPMENT_PSEUDONYM_KEY, Settings

OWN = "a key of our own with 32 bytes...."
KEYS = {"CASEGRID_JWKS": "https://login.example/keys"}
HOSTS = ("0.0.0.0", "::", "10.0.0.7", "casegrid.example")


def settings(host: str, **more: Any) -> Settings:
    return Settings.model_validate({"host": host, **more})


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("key", [DEVELOPMENT_KEY, OWN])
def test_beyond_loopback_a_shared_key_is_refused_whichever_it_is(host: str, key: str) -> None:
    """Whoever can verify with it can sign, so that each service could be everybody."""
    for given in ({}, {"CASEGRID_JWT_KEY": key}):
        with pytest.raises(SystemExit, match=f"HOST is {host}, but CASEGRID_JWKS is not set"):
            settings(host, CASEGRID_PSEUDONYM_KEY=OWN * 2, **given).refuse_if_unsafe()
    settings(host, **KEYS, CASEGRID_PSEUDONYM_KEY=OWN).refuse_if_unsafe()


@pytest.mark.parametrize("host", HOSTS)
def test_beyond_loopback_the_key_of_pseudonyms_must_be_set(host: str) -> None:
    """With a known key anybody could guess the logins of private persons."""
    for given in ({}, {"CASEGRID_PSEUDONYM_KEY": DEVELOPMENT_PSEUDONYM_KEY}):
        with pytest.raises(SystemExit, match=f"HOST is {host}, but CASEGRID_PSEUDONYM_KEY is not set"):
            settings(host, **KEYS, **given).refuse_if_unsafe()


@pytest.mark.parametrize("key", ["", "short", "x" * 31])
def test_beyond_loopback_a_key_that_can_be_guessed_is_refused(key: str) -> None:
    with pytest.raises(SystemExit, match="CASEGRID_PSEUDONYM_KEY has fewer than 32 bytes"):
        settings("0.0.0.0", **KEYS, CASEGRID_PSEUDONYM_KEY=key).refuse_if_unsafe()


@pytest.mark.parametrize(
    "given", [{"CASEGRID_JWT_KEY": OWN, "CASEGRID_PSEUDONYM_KEY": OWN}, {"CASEGRID_PSEUDONYM_KEY": DEVELOPMENT_KEY}]
)
def test_beyond_loopback_one_key_for_two_purposes_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(SystemExit, match="CASEGRID_PSEUDONYM_KEY is a key of tokens, too"):
        settings("0.0.0.0", **KEYS, **given).refuse_if_unsafe()


@pytest.mark.parametrize(
    ("url", "safe"), [("http://login.example/keys", False), ("http://127.0.0.1:9/keys", True), ("/etc/keys.json", True)]
)
def test_beyond_loopback_keys_are_not_fetched_in_the_clear(url: str, safe: bool) -> None:
    given = settings("0.0.0.0", CASEGRID_JWKS=url, CASEGRID_PSEUDONYM_KEY=OWN)
    if safe:
        given.refuse_if_unsafe()
    else:
        with pytest.raises(SystemExit, match="CASEGRID_JWKS is a URL of http"):
            given.refuse_if_unsafe()


def test_beyond_loopback_a_clock_that_can_be_moved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="CASEGRID_CLOCK_FILE moves the clock"):
        settings(
            "0.0.0.0", **KEYS, CASEGRID_PSEUDONYM_KEY=OWN, CASEGRID_CLOCK_FILE=tmp_path / "clock"
        ).refuse_if_unsafe()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_development_settings_are_good_enough(host: str, tmp_path: Path) -> None:
    settings(host, CASEGRID_CLOCK_FILE=tmp_path / "clock").refuse_if_unsafe()


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{OWN}\n")
    found = settings("0.0.0.0", **KEYS, CASEGRID_PSEUDONYM_KEY_FILE=tmp_path / "key")
    assert found.pseudonym_key == OWN
    found.refuse_if_unsafe()
    with pytest.raises(ValidationError, match=r"CASEGRID_PSEUDONYM_KEY_FILE: .*/none can't be read: No such file"):
        settings("0.0.0.0", CASEGRID_PSEUDONYM_KEY_FILE=tmp_path / "none")
    with pytest.raises(
        ValidationError, match="CASEGRID_PSEUDONYM_KEY and CASEGRID_PSEUDONYM_KEY_FILE are both set: set one of them"
    ):
        settings("0.0.0.0", CASEGRID_PSEUDONYM_KEY_FILE=tmp_path / "key", CASEGRID_PSEUDONYM_KEY=OWN)
    with pytest.raises(ValidationError, match="DATABASE_URL has a password already"):
        settings("0.0.0.0", database_url="postgresql://a:b@c/d", database_password_file=tmp_path / "key")


def test_a_secret_in_a_file_is_read_from_the_environment_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(OWN)
    monkeypatch.setenv("CASEGRID_PSEUDONYM_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://intake@127.0.0.1:1/casegrid")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    assert Settings().pseudonym_key == OWN
    assert Settings().database_password_file == tmp_path / "password"
