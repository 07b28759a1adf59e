"""The directory of one installation: private, with one token, and one node at a time."""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import ConfigError, Conflict, Denied
from legion_core.kernel.ids import system_rng
from legion_core.kernel.redact import MASK, redact
from legion_core.storage.home import Home, process_started

CLOCK, RNG = SystemClock(), system_rng()
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_variable_names_the_home_and_without_it_the_system_does(tmp_path: Path) -> None:
    assert Home.find({"LEGION_HOME": str(tmp_path / "h")}).root == tmp_path / "h"
    assert Home.find({"LEGION_HOME": "~/h"}).root == Path("~/h").expanduser()
    assert Home.find({"LEGION_HOME": "h"}).root == Path.cwd() / "h"
    assert Home.find({}).root.name == "legion-workbench"


@pytest.mark.allow_log("could be entered by others")
@posix
def test_the_home_is_the_owners_alone_and_is_made_so_again(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    assert mode(home.root) == 0o700
    home.root.chmod(0o755)
    home.create()
    assert mode(home.root) == 0o700
    assert "now only its owner can" in caplog.text


def test_a_file_in_the_homes_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("hello", encoding="utf-8")
    with pytest.raises(ConfigError, match="is a file"):
        Home(tmp_path / "home").create()


@posix
def test_a_home_of_another_user_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: home.root.stat().st_uid + 1)
    with pytest.raises(Denied, match="belongs to another user"):
        home.create()


def test_the_token_is_made_once_private_and_never_shown_by_a_log(home: Home) -> None:
    token = home.token({}, RNG, CLOCK)
    assert token.startswith("lgn_")
    assert len(token) == 47
    assert home.token({}, RNG, CLOCK) == token
    assert redact(f"using {token} now") == f"using {MASK} now"
    if sys.platform != "win32":
        assert mode(home.token_path) == 0o600


def test_tokens_carry_256_bits_of_chance(home: Home) -> None:
    lots = {home.renew_token(random.Random(seed), CLOCK) for seed in range(50)}
    assert len(lots) == 50
    assert home.token({}, RNG, CLOCK) in lots


def test_the_variable_stands_above_the_tokens_file(home: Home) -> None:
    assert home.token({"LEGION_TOKEN": "mine"}, RNG, CLOCK) == "mine"
    assert not home.token_path.exists()


@pytest.mark.allow_log("could be read by others")
@posix
def test_a_token_others_could_read_is_made_private_again(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    token = home.token({}, RNG, CLOCK)
    home.token_path.chmod(0o644)
    assert home.token({}, RNG, CLOCK) == token
    assert mode(home.token_path) == 0o600
    assert "could be read by others" in caplog.text


@pytest.mark.allow_log("was empty")
def test_an_empty_token_file_gets_a_new_token_and_noise_is_said(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.token_path.touch(mode=0o600)
    assert home.token({}, RNG, CLOCK).startswith("lgn_")
    assert "was empty" in caplog.text
    home.token_path.write_bytes(b"\x00\xff two words")
    with pytest.raises(ConfigError, match="does not hold a token"):
        home.token({}, RNG, CLOCK)
    assert home.token_path.read_bytes() == b"\x00\xff two words"


def test_starts_at_the_same_moment_agree_on_one_token(home: Home) -> None:
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(home.token({}, RNG, CLOCK))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


def test_a_running_node_is_found_and_a_dead_ones_record_is_not_believed(home: Home) -> None:
    assert home.read_node() is None
    record = home.write_node(port=4567)
    assert record.pid == os.getpid()
    assert home.read_node() == record
    home.forget_node()
    assert home.read_node() is None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    others = [(ended.pid, record.started), (os.getppid(), "another start"), (0, ""), (-1, ""), (2**30, "")]
    for pid, started in others:  # dead, another's, none at all
        home.node_path.write_text(f'{{"pid": {pid}, "started": "{started}", "port": 1}}', encoding="utf-8")
        assert home.read_node() is None
    home.forget_node()
    assert home.node_path.exists(), "the record of another process stays"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\xfe"])
def test_a_damaged_record_of_a_node_counts_for_nothing(home: Home, content: bytes) -> None:
    home.node_path.write_bytes(content)
    assert home.read_node() is None
    home.forget_node()


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    mine = process_started(os.getpid())
    assert mine
    assert mine == process_started(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert process_started(child.pid)
    finally:
        child.communicate(b"\n")
    assert process_started(child.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads another process's state")
def test_a_process_that_ended_and_waits_to_be_reaped_does_not_run() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()  # the pipe closes when it ends
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_started(child.pid) is None
    child.communicate()


def test_one_node_at_a_time_and_a_killed_ones_claim_stops_nobody(home: Home) -> None:
    script = (
        "import sys; from pathlib import Path; from legion_core.storage.home import Home;"
        "claim = Home(Path(sys.argv[1])).claim(); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(Conflict, match=f"process {other.pid}"):
        home.claim()
    other.kill()
    other.communicate()
    with home.claim(), pytest.raises(Conflict, match=f"process {os.getpid()}"):
        home.claim()
    home.claim().release()
