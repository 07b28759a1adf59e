"""Keys and passwords: kept safely or not at all, found again, and never shown."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from legion_core.kernel import faults
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import (
    ConfigError,
    Corrupt,
    Denied,
    InvalidInput,
    LegionError,
    LimitReached,
    NotFound,
)
from legion_core.kernel.ids import system_rng
from legion_core.storage.failures import DiskFull
from legion_core.storage.keyring_store import Keyring
from legion_core.storage.secrets import Secrets
from tests.support.aio import run

VALUE = "sk-very-secret-value-1234"


class MemoryBackend:
    """A keyring in memory; `failure` is raised by every call."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.failure: Exception | None = None

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def get_password(self, service: str, username: str) -> str | None:
        self._fail()
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._fail()
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._fail()
        del self.held[service, username]


class KeyringLocked(Exception):
    """Named as the library names it."""


def secrets_in(directory: Path, env: Mapping[str, str] | None = None, backend: Any = None) -> Secrets:
    keyring = Keyring(backend, call_s=20) if backend is not None else None
    return Secrets(directory, env or {}, clock=SystemClock(), rng=system_rng(), keyring=keyring)


def assert_refused(work: Any, kind: type[LegionError]) -> LegionError:
    with pytest.raises(kind) as told:
        run(work)
    assert type(told.value) is kind
    assert VALUE not in told.value.sentence()
    return told.value


@pytest.mark.requirement("rbac.secrets")
def test_a_keyring_keeps_gives_lists_and_forgets(tmp_path: Path) -> None:
    backend = MemoryBackend()

    async def story() -> None:
        secrets = secrets_in(tmp_path, backend=backend)
        assert await secrets.backend() == "keyring"
        assert await secrets.names() == ()
        assert await secrets.set("box/a", VALUE) == "keyring://box/a"
        assert await secrets.get("keyring://box/a") == VALUE
        assert await secrets_in(tmp_path, backend=backend).names() == ("box/a",)
        await secrets.remove("box/a")
        assert await secrets.names() == ()
        assert backend.held == {}
        with pytest.raises(NotFound):
            await secrets.get("keyring://box/a")
        with pytest.raises(NotFound):
            await secrets.remove("box/a")

    run(story())


def test_two_homes_share_a_keyring_without_meeting(tmp_path: Path) -> None:
    backend = MemoryBackend()

    async def story() -> None:
        first, second = (
            secrets_in(tmp_path / "a", backend=backend),
            secrets_in(tmp_path / "b", backend=backend),
        )
        await first.set("key", "one-one")
        await second.set("key", "two-two")
        assert await first.get("keyring://key") == "one-one"
        await second.remove("key")
        assert await first.get("keyring://key") == "one-one"

    run(story())


def test_a_locked_keyring_is_said_and_nothing_goes_elsewhere(tmp_path: Path) -> None:
    backend = MemoryBackend()
    secrets = secrets_in(tmp_path, {"LEGION_PASSPHRASE": "words"}, backend)
    run(secrets.set("kept", VALUE))
    backend.failure = KeyringLocked(VALUE)
    assert "locked" in assert_refused(secrets.get("keyring://kept"), Denied).message
    assert "locked" in assert_refused(secrets.set("new", VALUE), Denied).message
    assert not (tmp_path / "secrets.enc").exists()
    assert run(secrets.names()) == ("kept",)
    backend.failure = None
    assert run(secrets.get("keyring://kept")) == VALUE


def test_a_keyring_that_never_answers_is_left_alone_and_holds_up_nobody(tmp_path: Path) -> None:
    release = threading.Event()
    calls: list[str] = []

    class Hanging(MemoryBackend):
        def get_password(self, service: str, username: str) -> str | None:
            calls.append(username)
            release.wait(30)
            return None

    async def story() -> None:
        keyring = Keyring(Hanging(), call_s=0.05)
        secrets = Secrets(tmp_path, {"K": "from-env"}, clock=SystemClock(), rng=system_rng(), keyring=keyring)
        (tmp_path / "secrets.json").write_text('{"vault": "v", "places": {"a": "keyring"}}', encoding="utf-8")
        for _ in range(3):
            with pytest.raises(Denied, match="does not answer"):
                await secrets.get("keyring://a")
        assert await secrets.get("env://K") == "from-env"
        assert calls == ["a"], "a keyring that hangs is not asked again"

    try:
        run(story())
    finally:
        release.set()


def test_without_a_keyring_a_passphrase_keeps_them_in_a_file(tmp_path: Path) -> None:
    async def story() -> None:
        secrets = secrets_in(tmp_path)
        assert await secrets.backend() == "none"
        assert not await secrets.is_locked()
        await secrets.unlock("correct horse")
        assert await secrets.backend() == "file"
        await secrets.set("a", VALUE)
        await secrets.set("b", "other-value")
        content = (tmp_path / "secrets.enc").read_bytes()
        assert VALUE.encode() not in content
        assert b"other-value" not in content
        again = secrets_in(tmp_path, {"LEGION_PASSPHRASE": "correct horse"})
        assert await again.get("keyring://a") == VALUE
        assert await again.names() == ("a", "b")
        await again.remove("a")
        assert await secrets.names() == ("b",)
        locked = secrets_in(tmp_path)
        assert await locked.is_locked()
        assert await locked.names() == ("b",)
        with pytest.raises(Denied, match="locked"):
            await locked.get("keyring://b")

    run(story())


@pytest.mark.allow_log("could be read by others")
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_files_are_private_and_made_so_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secrets = secrets_in(tmp_path, {"LEGION_PASSPHRASE": "words"})
    run(secrets.set("a", VALUE))
    path = tmp_path / "secrets.enc"
    assert [file.stat().st_mode & 0o777 for file in sorted(tmp_path.iterdir())] == [0o600, 0o600]
    path.chmod(0o644)
    assert run(secrets.get("keyring://a")) == VALUE
    assert path.stat().st_mode & 0o777 == 0o600
    assert "could be read by others" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX owners")
def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = secrets_in(tmp_path, {"LEGION_PASSPHRASE": "words"})
    run(secrets.set("a", VALUE))
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert "another user" in assert_refused(secrets.get("keyring://a"), Denied).message


def test_a_wrong_passphrase_opens_nothing_and_loses_nothing(tmp_path: Path) -> None:
    run(secrets_in(tmp_path, {"LEGION_PASSPHRASE": "right"}).set("a", VALUE))
    before = (tmp_path / "secrets.enc").read_bytes()
    wrong = secrets_in(tmp_path, {"LEGION_PASSPHRASE": "wrong"})
    assert_refused(wrong.get("keyring://a"), Denied)
    assert_refused(wrong.set("b", VALUE), Denied)
    assert run(wrong.names()) == ("a",)
    assert run(wrong.is_locked())
    right = secrets_in(tmp_path)
    assert_refused(right.unlock("wrong"), Denied)
    run(right.unlock("right"))
    assert_refused(right.unlock("wrong"), Denied)
    assert run(right.get("keyring://a")) == VALUE
    assert (tmp_path / "secrets.enc").read_bytes() == before


def test_a_file_replaced_under_another_passphrase_is_said_and_not_written_over(tmp_path: Path) -> None:
    first = secrets_in(tmp_path, {"LEGION_PASSPHRASE": "first"})
    run(first.set("a", VALUE))
    (tmp_path / "secrets.enc").unlink()
    run(secrets_in(tmp_path, {"LEGION_PASSPHRASE": "second"}).set("b", "other-value"))
    replaced = (tmp_path / "secrets.enc").read_bytes()
    assert "replaced" in assert_refused(first.set("c", VALUE), Denied).hint
    assert (tmp_path / "secrets.enc").read_bytes() == replaced


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "flip", "header"])
def test_a_damaged_file_is_kept_and_said(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "secrets.enc"
    env = {"LEGION_PASSPHRASE": "words"}
    run(secrets_in(tmp_path, env).set("a", VALUE))
    whole = path.read_bytes()
    document = json.loads(whole)
    changed = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "noise": b"\x89PNG" + os.urandom(200),
        "flip": json.dumps({**document, "data": document["data"][::-1]}).encode(),
        "header": json.dumps({**document, "n": 2}).encode(),
    }[damage]
    path.write_bytes(changed)
    secrets = secrets_in(tmp_path, env)
    error = assert_refused(secrets.get("keyring://a"), Corrupt)
    assert_refused(secrets.set("b", VALUE), Corrupt)
    assert path.read_bytes() == changed
    copies = list(tmp_path.glob("secrets.enc.damaged-*"))
    assert [copy.read_bytes() for copy in copies] == [changed]
    assert copies[0].name in error.hint
    path.write_bytes(whole)
    assert run(secrets_in(tmp_path, env).get("keyring://a")) == VALUE


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    env = {"LEGION_PASSPHRASE": "words"}
    run(secrets_in(tmp_path, env).set("a", VALUE))
    path = tmp_path / "secrets.enc"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "version": 2}), encoding="utf-8")
    before = path.read_bytes()
    assert_refused(secrets_in(tmp_path, env).get("keyring://a"), ConfigError)
    assert path.read_bytes() == before


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    secrets = secrets_in(tmp_path, {"LEGION_PASSPHRASE": "words"})
    run(secrets.set("a", VALUE))

    def full(site: str) -> None:
        if site == "secrets.write":
            raise OSError(28, "No space left on device")

    faults.arm(full)
    try:
        assert_refused(secrets.set("b", VALUE), DiskFull)
    finally:
        faults.arm(None)
    assert run(secrets.names()) == ("a",)
    assert run(secrets.get("keyring://a")) == VALUE


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    env = {"LEGION_PASSPHRASE": "words"}

    async def story() -> None:
        pair = secrets_in(tmp_path, env), secrets_in(tmp_path, env)
        await asyncio.gather(*(pair[n % 2].set(f"name-{n}", f"value-{n}") for n in range(10)))
        assert await pair[0].names() == tuple(sorted(f"name-{n}" for n in range(10)))
        assert await pair[0].get("keyring://name-7") == "value-7"

    run(story())


def test_with_nowhere_to_keep_it_a_secret_is_refused_with_the_way_out(tmp_path: Path) -> None:
    error = assert_refused(secrets_in(tmp_path).set("box.key", VALUE), Denied)
    assert "env://BOX_KEY" in error.hint
    assert all(VALUE not in file.read_text(encoding="utf-8") for file in tmp_path.iterdir())


def test_references_to_variables_and_to_nothing(tmp_path: Path) -> None:
    secrets = secrets_in(tmp_path, {"BOX_KEY": VALUE, "EMPTY": ""})
    assert run(secrets.get("env://BOX_KEY")) == VALUE
    assert "is not set" in assert_refused(secrets.get("env://OTHER"), NotFound).message
    assert_refused(secrets.get("env://EMPTY"), NotFound)
    assert_refused(secrets.get("keyring://none"), NotFound)
    assert "not supported yet" in assert_refused(secrets.get("vault://a/b"), ConfigError).message
    for wrong in (VALUE, "", "http://x", "keyring://", "keyring://a b"):
        assert_refused(secrets.get(wrong), InvalidInput)


def test_names_and_values_have_bounds(tmp_path: Path) -> None:
    secrets = secrets_in(tmp_path, backend=MemoryBackend())
    for name in ("", "../up", "a b", "x" * 200, "-x"):
        assert_refused(secrets.set(name, VALUE), InvalidInput)
    assert_refused(secrets.set("a", ""), InvalidInput)
    assert_refused(secrets.set("a", "x" * 20_000), LimitReached)
    assert_refused(secrets.unlock(""), InvalidInput)


def test_what_was_given_out_is_known_for_masking_and_shown_nowhere(tmp_path: Path) -> None:
    secrets = secrets_in(tmp_path, {"K": "from-env-value", "LEGION_PASSPHRASE": "my passphrase"})
    run(secrets.set("a", VALUE))
    run(secrets.get("env://K"))
    assert set(secrets.known()) == {VALUE, "from-env-value", "my passphrase"}
    for text in (repr(secrets), str(secrets), repr(secrets._file)):
        assert VALUE not in text
        assert "my passphrase" not in text


@pytest.mark.allow_log("list of secrets was damaged")
def test_a_damaged_list_of_names_is_laid_aside_and_the_files_names_are_still_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    env = {"LEGION_PASSPHRASE": "words"}
    run(secrets_in(tmp_path, env).set("a", VALUE))
    (tmp_path / "secrets.json").write_bytes(b"{")
    secrets = secrets_in(tmp_path, env)
    assert run(secrets.names()) == ("a",)
    assert run(secrets.get("keyring://a")) == VALUE
    run(secrets.set("b", "other-value"))
    assert len(list(tmp_path.glob("secrets.json.damaged-*"))) == 1
    assert "list of secrets was damaged" in caplog.text


def test_a_secret_kept_in_a_keyring_is_not_looked_for_elsewhere_when_it_is_gone(tmp_path: Path) -> None:
    run(secrets_in(tmp_path, backend=MemoryBackend()).set("a", VALUE))
    headless = secrets_in(tmp_path)  # the same home, over ssh
    assert "env://A" in assert_refused(headless.get("keyring://a"), Denied).hint
    assert_refused(headless.remove("a"), Denied)
    assert run(headless.names()) == ("a",)
