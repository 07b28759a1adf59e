"""`legion start`: the engine in the foreground, and the commands that go through it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from legion_core.storage.home import Home
from legion_core.testing.upstreams import Answer, Upstream, in_thread
from tests.contract.surfaces.nodes import write_config
from tests.e2e.cli.command import Started, legion


@pytest.fixture
def upstream(legion_home: Path) -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(Answer(("Hel", "lo")))
        write_config(legion_home, serving)
        yield serving


@pytest.mark.requirement("cli.start")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_in_order_when_told(legion_home: Path, number: signal.Signals) -> None:
    with Started(legion_home) as node:
        status, out, err = node.end(number)

    assert (status, err) == (0, "")
    assert str(legion_home / "token") in out
    assert "curl" in out
    assert "legion chat prompt" in out
    assert out.endswith("Stopped.\n")
    assert not (legion_home / "run" / "node.json").exists()


def test_commands_go_through_the_running_engine(legion_home: Path, upstream: Upstream) -> None:
    with Started(legion_home) as node:
        told = legion(legion_home, "status", "--json").data
        answer = legion(legion_home, "chat", "prompt", "Hi", "--instance", "box-a")

        assert (told["is_running"], told["pid"], told["url"]) == (True, node.process.pid, node.url)
        assert answer.out == "Hello\n"
        assert node.url in legion(legion_home, "status").out
        # The circuit lives in the engine's memory: only a command that reached it can have opened it.
        assert legion(legion_home, "provider", "trip", "box-a").status == 0
        rows = legion(legion_home, "provider", "list", "--json").data
        assert next(row for row in rows if row["name"] == "box-a")["circuit"] == "open"


@pytest.mark.slow
def test_a_second_start_on_the_same_home_names_the_first(legion_home: Path) -> None:
    with Started(legion_home) as node:
        ran = legion(legion_home, "start")
        as_json = legion(legion_home, "start", "--json")

    assert ran.status == 1
    assert node.url in ran.err
    assert str(node.process.pid) in ran.err
    assert as_json.error["code"] == "conflict"


@pytest.mark.slow
def test_stop_ends_it_and_waits_for_its_end(legion_home: Path) -> None:
    with Started(legion_home) as node:
        ran = legion(legion_home, "stop", "--json")

        assert ran.data == {"was_running": True, "pid": node.process.pid}
        assert node.process.wait(10) == 0


@pytest.mark.slow
def test_a_wrong_token_is_said_and_nothing_else_happens(legion_home: Path) -> None:
    with Started(legion_home):
        ran = legion(legion_home, "model", "list", LEGION_TOKEN="lgn_wrong-0123456789")

    assert ran.status == 1
    assert "LEGION_TOKEN" in ran.err


@pytest.mark.slow
def test_the_variable_is_the_token_for_both_sides(legion_home: Path) -> None:
    token = "mine-0123456789abcdef"
    with Started(legion_home, LEGION_TOKEN=token):
        assert legion(legion_home, "model", "list", LEGION_TOKEN=token).status == 0
        assert legion(legion_home, "model", "list").status == 1


@pytest.mark.slow
def test_a_record_of_a_dead_engine_is_ignored(legion_home: Path) -> None:
    with Started(legion_home) as node:
        record = (legion_home / "run" / "node.json").read_bytes()
        node.process.kill()
        node.process.wait(10)
    (legion_home / "run" / "node.json").write_bytes(record)

    assert legion(legion_home, "status", "--json").data["is_running"] is False
    assert legion(legion_home, "model", "list").status == 0


@pytest.mark.slow
@pytest.mark.allow_leak("processes", reason="the engine goes on by itself until it is told to stop")
def test_detached_it_answers_when_the_command_returns(legion_home: Path) -> None:
    started = legion(legion_home, "start", "--detach", "--port", "0", "--json")
    try:
        assert legion(legion_home, "status", "--json").data["url"] == started.data["url"]
        again = legion(legion_home, "start", "--detach")
        assert again.status == 1
    finally:
        stopped = legion(legion_home, "stop", "--json")

    assert stopped.data == {"was_running": True, "pid": started.data["pid"]}
    assert Home(legion_home).read_node() is None


@pytest.mark.slow
def test_detached_it_says_why_it_could_not_start(legion_home: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        ran = legion(legion_home, "start", "--detach", "--port", str(port), LEGION_LOG="error")

    assert ran.status == 1
    assert f"Port {port} is held by" in ran.err


@pytest.mark.slow
def test_full_mode_is_not_pretended(legion_home: Path) -> None:
    ran = legion(legion_home, "start", "--full")

    assert ran.status == 1
    assert "RabbitMQ" in ran.err
