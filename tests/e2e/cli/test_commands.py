"""The command line from outside: exit statuses, pure output, plain sentences."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from legion_core.testing.upstreams import Answer, Raw, Upstream, in_thread
from tests.contract.surfaces.nodes import write_config
from tests.e2e.cli.command import inside, legion


@pytest.fixture
def upstream(legion_home: Path) -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(Answer(("Hel", "lo")))
        write_config(legion_home, serving)
        yield serving


def test_help_lists_the_commands_and_needs_no_home(tmp_path: Path) -> None:
    ran = legion(tmp_path / "never", "--help")

    assert ran.status == 0
    for word in ("start", "chat", "model", "provider", "doctor", "conversation"):
        assert word in ran.out
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    "words", [("nonsense",), ("model",), ("model", "fit"), ("start", "--port", "many"), ("chat", "prompt")]
)
def test_a_command_line_that_cannot_be_understood_is_2(legion_home: Path, words: tuple[str, ...]) -> None:
    ran = inside(legion_home, *words)

    assert ran.status == 2
    assert ran.out == ""
    assert ran.err.startswith("legion: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("--json", "nonsense"), ("nonsense", "--json"), ("model", "--json", "fit")]
)
def test_usage_errors_are_json_too(legion_home: Path, words: tuple[str, ...]) -> None:
    ran = inside(legion_home, *words)

    assert ran.status == 2
    assert ran.err == ""
    assert ran.error["code"] == "invalid_input"


def test_without_a_running_engine_status_and_stop_say_so_and_make_nothing(legion_home: Path) -> None:
    assert legion(legion_home, "status", "--json").data["is_running"] is False
    assert "Not running" in legion(legion_home, "status").out
    assert legion(legion_home, "stop", "--json").data == {"was_running": False, "pid": None}
    assert not legion_home.exists()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_json_may_stand_anywhere(legion_home: Path, place: int) -> None:
    words = ["config", "path"]
    words.insert(place, "--json")

    assert inside(legion_home, *words).data == {"path": str(legion_home / "config.toml")}


def test_a_prompt_streams_its_answer_and_nothing_else_to_standard_output(
    legion_home: Path, upstream: Upstream
) -> None:
    ran = legion(legion_home, "chat", "prompt", "Hi", "--instance", "box-a")

    assert (ran.status, ran.out) == (0, "Hello\n")
    assert "direct · box-a/m1 · 2 tokens" in ran.err


def test_a_prompt_as_json_names_its_route_and_its_bill(legion_home: Path, upstream: Upstream) -> None:
    data = inside(legion_home, "chat", "--instance", "box-a", "prompt", "Hi", "--json").data

    assert data["text"] == "Hello"
    assert (data["tier"], data["instance"], data["model"]) == ("direct", "box-a", "m1")
    assert data["attempts"][0]["outcome"] == "succeeded"
    summary = inside(legion_home, "ledger", "summary", "--json", "--by", "model").data
    assert [(row["key"], row["attempts"]) for row in summary] == [("m1", 1)]
    told = inside(legion_home, "ledger", "list", "--request", data["request"]).out
    assert data["request"] in told.splitlines()[1]
    assert "direct/box-a/m1" in told
    assert inside(legion_home, "ledger", "list", "--limit", "0").status == 1


def test_a_prompt_may_come_from_a_pipe(legion_home: Path, upstream: Upstream) -> None:
    ran = inside(legion_home, "chat", "prompt", "-", "--instance", "box-a", given="What is\nthis?\n")

    assert ran.out == "Hello\n"
    assert upstream.questions[-1].json["messages"][-1]["content"] == "What is\nthis?\n"


def test_when_nobody_can_answer_the_sentence_says_why(legion_home: Path, upstream: Upstream) -> None:
    upstream.will(Raw(503, b'{"error": {"message": "too busy"}}'))

    ran = inside(legion_home, "chat", "prompt", "Hi", "--instance", "box-a")
    as_json = inside(legion_home, "chat", "prompt", "Hi", "--instance", "box-a", "--json")

    assert (ran.status, ran.out) == (1, "\n") or (ran.status, ran.out) == (1, "")
    assert "box-a" in ran.err
    assert as_json.status == 1
    assert as_json.error["message"]


def test_a_models_escapes_do_not_reach_the_terminal(legion_home: Path, upstream: Upstream) -> None:
    upstream.will(Answer(("\x1b]0;owned\x07", "ok\x1b[2J")))

    ran = inside(legion_home, "chat", "prompt", "Hi", "--instance", "box-a")

    assert "\x1b" not in ran.out
    assert "ok" in ran.out


def test_a_chat_in_a_pipe_keeps_its_conversation(legion_home: Path, upstream: Upstream) -> None:
    ran = legion(
        legion_home, "chat", "--instance", "box-a", given="Hi\n/nonsense\n/new\nAgain\n/quit\nnever\n"
    )

    assert ran.status == 0
    assert ran.out == "Hello\nHello\n"
    assert "/nonsense is not a command" in ran.err
    rows = inside(legion_home, "conversation", "list", "--json").data
    assert len(rows) == 2
    shown = inside(legion_home, "conversation", "show", rows[-1]["id"], "--json").data
    assert [(each["role"], each["content"]) for each in shown["messages"]] == [
        ("user", "Hi"),
        ("assistant", "Hello"),
    ]
    assert "Hello" in inside(legion_home, "conversation", "export", rows[0]["id"], "--format", "md").out
    assert inside(legion_home, "conversation", "delete", rows[0]["id"]).status == 0
    assert len(inside(legion_home, "conversation", "list", "--json").data) == 1


@pytest.mark.requirement("cli.json")
def test_every_listing_is_readable_and_pure_json(legion_home: Path, upstream: Upstream) -> None:
    for words in (
        ("model", "list"),
        ("provider", "list"),
        ("conversation", "list"),
        ("conversation", "search", "word"),
        ("secret", "list"),
        ("ledger", "summary"),
        ("route", "explain", "Hi", "--requires", "tools"),
        ("config", "check"),
        ("config", "get", "mode"),
    ):
        assert inside(legion_home, *words).status == 0, words
        ran = inside(legion_home, *words, "--json")
        assert "data" in json.loads(ran.out), words
        assert ran.out.count("\n") == 1


def test_settings_are_read_changed_and_checked(legion_home: Path) -> None:
    assert inside(legion_home, "config", "get", "privacy.local_only").out == "false\n"
    assert inside(legion_home, "config", "set", "privacy.local_only", "true").status == 0
    assert inside(legion_home, "config", "get", "privacy.local_only").out == "true\n"
    wrong = inside(legion_home, "config", "get", "privacy.lokal_only", "--json")
    assert (wrong.status, wrong.error["code"]) == (1, "not_found")
    assert "privacy.local_only" in wrong.error["hint"]


def test_a_broken_file_is_told_fault_by_fault_with_its_lines(legion_home: Path) -> None:
    legion_home.mkdir(mode=0o700)
    text = 'mode = "sideways"\n\n[server]\nport = "many"\nprot = 1\n'
    (legion_home / "config.toml").write_text(text, encoding="utf-8")

    ran = inside(legion_home, "config", "check")
    as_json = inside(legion_home, "config", "check", "--json")
    examined = inside(legion_home, "doctor", "--json")

    assert (ran.status, ran.out) == (1, "")
    for line in ("line 1", "line 4", "line 5"):
        assert line in ran.err.lower()
    assert len(as_json.error["faults"]) == 3
    configuration = next(check for check in examined.data if check["name"] == "configuration")
    assert configuration["state"] == "failed"
    assert examined.status == 1


def test_a_home_that_cannot_be_used_is_a_sentence_and_a_check(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    ran = inside(tmp_path / "file", "model", "list")
    examined = inside(tmp_path / "file", "doctor", "--json")

    assert ran.status == 1
    assert ran.err.startswith("legion: ")
    assert examined.status == 1
    assert any(check["state"] == "failed" and check["todo"] for check in examined.data)


def test_a_key_is_never_taken_from_the_command_line(legion_home: Path, upstream: Upstream) -> None:
    words = ("provider", "add", "box-b", "--kind", "openai", "--base-url", upstream.base_url)

    refused = inside(legion_home, *words, "--api-key", "sk-12345678")
    added = inside(legion_home, *words, "--key-stdin", given="sk-12345678\n", LEGION_PASSPHRASE="open sesame")

    assert refused.status == 1
    assert "env://" in refused.err
    assert added.status == 0, added.err
    assert upstream.requests[-1].headers["authorization"] == "Bearer sk-12345678"
    assert "sk-12345678" not in (legion_home / "config.toml").read_text(encoding="utf-8")
    assert inside(legion_home, "provider", "remove", "box-b", LEGION_PASSPHRASE="open sesame").status == 0


def test_a_secret_comes_from_standard_input_and_never_back(legion_home: Path) -> None:
    more = {"LEGION_PASSPHRASE": "open sesame"}

    assert inside(legion_home, "secret", "set", "alpha", given="s3cret\n", **more).status == 0
    listed = inside(legion_home, "secret", "list", "--json", **more)
    assert listed.data == {"backend": "file", "names": ["alpha"]}
    assert "s3cret" not in listed.out
    assert inside(legion_home, "secret", "set", "beta", given="", **more).status == 1
    assert inside(legion_home, "secret", "remove", "alpha", **more).status == 0


def test_the_token_is_made_once_and_the_variable_stands_above_it(legion_home: Path) -> None:
    first = inside(legion_home, "token", "show").out.strip()

    assert first.startswith("lgn_")
    assert inside(legion_home, "token", "show", "--json").data == {
        "token": first,
        "path": str(legion_home / "token"),
    }
    assert inside(legion_home, "token", "show", LEGION_TOKEN="mine-0123456789").out == "mine-0123456789\n"


def test_a_reader_that_has_had_enough_is_no_error_to_shout_about(legion_home: Path) -> None:
    import subprocess

    from tests.e2e.cli.command import ROOT, environment

    done = subprocess.run(
        f"{__import__('sys').executable} -m legion_core --json config get mode | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        env=environment(legion_home),
        cwd=ROOT,
        timeout=60,
        check=False,
    )

    assert done.stdout == "{"
    assert done.stderr == ""


def test_a_port_held_by_a_stranger_is_named(legion_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]

        ran = legion(legion_home, "start", "--port", str(port), LEGION_LOG="error")
        as_json = legion(legion_home, "start", "--port", str(port), "--json", LEGION_LOG="error")

    assert ran.status == 1
    assert f"Port {port} is held by" in ran.err
    assert f"(pid {__import__('os').getpid()})" in ran.err
    assert as_json.error["code"] == "conflict"
