"""The same promises of both backends: a command cannot tell whether a node runs already or was opened for it."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from legion_core.api.types import ProviderSpec
from legion_core.kernel.errors import (
    ConfigError,
    InvalidInput,
    LegionError,
    NotFound,
    StreamBroken,
    Unavailable,
)
from legion_core.node import open_node
from legion_core.storage.home import Home
from legion_core.surfaces.cli.backend import Backend, Spoken
from legion_core.surfaces.cli.connect import connect
from legion_core.surfaces.cli.local import LocalBackend
from legion_core.surfaces.cli.remote import RemoteBackend
from legion_core.surfaces.shapes import MessageShape, PinsShape
from legion_core.testing.gguf_files import write_toy
from legion_core.testing.upstreams import Answer, Die, Raw, Upstream, in_thread
from tests.contract.surfaces.nodes import running_node, write_config

BUSY = Raw(503, b'{"error": {"message": "too busy"}}')
BOX = PinsShape(instance="box-a")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(Answer(("Hel", "lo ", "wörld\n")))
        yield serving


@pytest.fixture(params=["local", "remote"])
def backend(
    request: pytest.FixtureRequest, legion_home: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backend]:
    monkeypatch.setenv("LEGION_PASSPHRASE", "open sesame")
    env = {"LEGION_PASSPHRASE": "open sesame"}
    write_config(legion_home, upstream)
    home = Home(legion_home)
    if request.param == "local":
        made = connect(home, env, open_node)
        assert isinstance(made, LocalBackend)
        yield made
        made.close()
        return
    with running_node(legion_home, env):
        made = connect(home, env, open_node)
        assert isinstance(made, RemoteBackend)
        yield made
        made.close()


def pieces_of(answer: Iterator[object]) -> tuple[list[str], object]:
    parts = list(answer)
    assert all(isinstance(part, str) for part in parts[:-1])
    return [str(part) for part in parts[:-1]], parts[-1]


def test_a_prompt_comes_in_pieces_and_then_says_how_it_came(backend: Backend) -> None:
    pieces, last = pieces_of(backend.prompt("Hi", BOX))

    assert isinstance(last, Spoken)
    assert "".join(pieces) == "Hello wörld\n" == last.text
    assert (last.tier, last.instance, last.model) == ("direct", "box-a", "m1")
    assert last.stop_reason == "end_turn"
    assert last.usage is not None
    assert (last.usage.input_tokens, last.usage.output_tokens) == (7, 3)
    assert last.cost_usd == pytest.approx((7 * 3.0 + 3 * 15.0) / 1e6)
    assert [attempt.outcome for attempt in last.attempts] == ["succeeded"]
    assert backend.ledger_summary("tier")[0].attempts == 1
    assert backend.ledger_rows(last.request, "", 5) == last.attempts == backend.ledger_rows("", "", 5)
    assert backend.ledger_rows("req_nobodys", "", 5) == () == backend.ledger_rows("", "conv_nobodys", 5)


def test_a_prompt_is_no_conversation(backend: Backend) -> None:
    list(backend.prompt("Hi", BOX))

    assert backend.conversations("", 10) == ()


def test_a_prompt_nobody_can_answer_is_the_error_itself(backend: Backend, upstream: Upstream) -> None:
    upstream.will(BUSY)

    with pytest.raises(Unavailable) as raised:
        list(backend.prompt("Hi", BOX))

    assert "box-a" in raised.value.sentence()


@pytest.mark.parametrize(
    "pins", [PinsShape(instance="nowhere"), PinsShape(model="nothing")], ids=["instance", "model"]
)
def test_a_pin_on_nothing_is_not_found(backend: Backend, pins: PinsShape) -> None:
    with pytest.raises(NotFound):
        list(backend.prompt("Hi", pins))


def test_an_answer_that_breaks_off_raises_after_its_pieces(backend: Backend, upstream: Upstream) -> None:
    upstream.will(Answer(("Hel", "lo "), fault=Die(at_event=3)))
    pieces: list[str] = []

    with pytest.raises(LegionError) as raised:
        pieces.extend(piece for piece in backend.prompt("Hi", BOX) if isinstance(piece, str))

    assert "".join(pieces).startswith("Hel")
    assert raised.value.public_code == StreamBroken.public_code


def test_a_prompt_left_early_leaves_a_backend_that_works(backend: Backend, upstream: Upstream) -> None:
    upstream.will(Answer(("Hel",) * 50, delay_s=0.005), Answer(("again",)))
    answer = backend.prompt("Hi", BOX)
    assert next(answer) == "Hel"
    answer.close()  # type: ignore[attr-defined]

    pieces, _ = pieces_of(backend.prompt("Hi", BOX))

    assert "".join(pieces) == "again"


def test_a_conversation_keeps_what_was_said(backend: Backend) -> None:
    made = backend.create_conversation("Greetings")

    pieces, last = pieces_of(backend.say(made.id, "Hi there", BOX))

    assert "".join(pieces) == "Hello wörld\n"
    assert isinstance(last, MessageShape)
    assert (last.status, last.content, last.tier) == ("complete", "Hello wörld\n", "direct")
    opened = backend.conversation(made.id)
    assert opened.title == "Greetings"
    assert [(message.role, message.content) for message in opened.messages] == [
        ("user", "Hi there"),
        ("assistant", "Hello wörld\n"),
    ]
    assert [row.id for row in backend.conversations("", 10)] == [made.id]


def test_the_second_question_is_asked_with_the_first(backend: Backend, upstream: Upstream) -> None:
    made = backend.create_conversation()
    list(backend.say(made.id, "One", BOX))
    list(backend.say(made.id, "Two", BOX))

    asked = upstream.questions[-1].json["messages"]

    assert [message["content"] for message in asked if message["role"] == "user"] == ["One", "Two"]


def test_a_failed_answer_is_kept_with_its_sentence(backend: Backend, upstream: Upstream) -> None:
    upstream.will(BUSY)
    made = backend.create_conversation()

    _, last = pieces_of(backend.say(made.id, "Hi", BOX))

    assert isinstance(last, MessageShape)
    assert last.status == "failed"
    assert last.error


def test_a_conversation_is_found_exported_and_trashed(backend: Backend) -> None:
    made = backend.create_conversation("Greetings")
    list(backend.say(made.id, "zebra crossing", BOX))

    assert [row.id for row in backend.conversations("zebra", 10)] == [made.id]
    assert backend.conversations("giraffe", 10) == ()
    assert "zebra crossing" in backend.export(made.id, "md")
    backend.delete_conversation(made.id)
    assert backend.conversations("", 10) == ()


def test_what_is_not_there_is_not_found(backend: Backend) -> None:
    for ask in (
        lambda: backend.conversation("cnv_nothing"),
        lambda: backend.export("cnv_nothing", "md"),
        lambda: backend.remove_model("nothing"),
        lambda: backend.fit("nothing", 2048),
        lambda: backend.remove_provider("nothing"),
        lambda: backend.test_provider("nothing"),
        lambda: backend.reset_provider("nothing"),
        lambda: backend.setting("nothing.at.all"),
        lambda: backend.set_setting("nothing.at.all", "1"),
        lambda: backend.remove_secret("nothing"),
    ):
        with pytest.raises(NotFound) as raised:
            ask()
        assert raised.value.message


def test_stopping_where_nothing_runs_is_false(backend: Backend) -> None:
    assert backend.stop_answer(backend.create_conversation().id) is False


def test_the_node_says_where_it_lives(backend: Backend, legion_home: Path) -> None:
    shape = backend.status()

    assert shape.home == str(legion_home)
    assert shape.version
    assert shape.is_running is isinstance(backend, RemoteBackend)
    assert bool(shape.url) is isinstance(backend, RemoteBackend)


def test_the_check_up_names_what_it_looked_at(backend: Backend) -> None:
    checks = backend.doctor()

    assert {"configuration", "journal"} <= {check.name for check in checks}


def test_only_a_running_workbench_trips_and_drains(backend: Backend) -> None:
    if isinstance(backend, RemoteBackend):
        assert backend.trip_provider("box-a").is_tripped
        assert backend.drain_provider("box-a").is_draining
        with pytest.raises(NotFound):
            backend.trip_provider("nothing")
        return
    # What one command opens is over with it: a yes would be true for nobody.
    for act in (backend.trip_provider, backend.drain_provider):
        with pytest.raises(Unavailable, match="No workbench runs"):
            act("box-a")


def test_instances_are_listed_and_reset(backend: Backend) -> None:
    assert backend.reset_provider("box-a").circuit == "closed"
    row = next(row for row in backend.providers() if row.name == "box-a")
    assert (row.tier, [offer.id for offer in row.models]) == ("direct", ["m1", "e1"])
    assert backend.test_provider("box-a").is_ok


def test_an_instance_is_added_after_a_test_and_removed(backend: Backend, upstream: Upstream) -> None:
    spec = ProviderSpec(name="box-b", kind="openai", base_url=upstream.base_url)

    assert backend.add_provider(spec, None, test=True).name == "box-b"
    assert "box-b" in [row.name for row in backend.providers()]
    backend.remove_provider("box-b")
    assert "box-b" not in [row.name for row in backend.providers()]


def test_an_instance_that_does_not_answer_is_not_added(backend: Backend) -> None:
    spec = ProviderSpec(name="box-c", kind="openai", base_url="http://127.0.0.1:1/v1")

    with pytest.raises(Unavailable, match="nothing was saved"):
        backend.add_provider(spec, None, test=True)
    assert "box-c" not in [row.name for row in backend.providers()]


def test_a_route_is_explained_without_asking_anybody(backend: Backend, upstream: Upstream) -> None:
    route = backend.explain("Hi", ("tools",), BOX)

    assert [lane.name for lane in route.candidates] == ["box-a/m1"]
    assert "tools" in route.required
    assert all(left.why for left in route.left_out)
    assert upstream.questions == []


def test_a_capability_that_is_none_is_refused(backend: Backend) -> None:
    with pytest.raises(InvalidInput):
        backend.explain("Hi", ("telepathy",), BOX)


def test_a_setting_is_read_and_changed_as_typed(backend: Backend) -> None:
    assert backend.setting("privacy.local_only").value is False
    assert backend.set_setting("privacy.local_only", "true").value is True
    assert backend.setting("privacy.local_only").value is True


@pytest.mark.parametrize(
    ("key", "value"), [("server.port", "many"), ("mode", "sideways"), ("server.port", "-4")]
)
def test_a_value_that_does_not_fit_is_refused(backend: Backend, key: str, value: str) -> None:
    with pytest.raises((InvalidInput, ConfigError)):
        backend.set_setting(key, value)


def test_an_address_of_a_broken_file_is_listed_fault_by_fault(backend: Backend) -> None:
    assert backend.config_faults() == ()


def test_secrets_are_kept_by_name_and_forgotten(backend: Backend) -> None:
    backend.set_secret("alpha", "s3cret")

    assert backend.secrets() == ("file", ("alpha",))
    backend.remove_secret("alpha")
    assert backend.secrets()[1] == ()


def test_a_model_file_is_taken_in_and_removed(backend: Backend, tmp_path: Path) -> None:
    row = backend.import_model(write_toy(tmp_path / "toy.gguf"))

    assert row.name in [each.name for each in backend.models()]
    assert backend.fit(row.name, 128).label in ("fits", "tight", "too_large")
    backend.remove_model(row.name)
    assert row.name not in [each.name for each in backend.models()]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    """A web server with one toy model, `toy.gguf`; gives its address."""
    folder = tmp_path / "web"
    folder.mkdir()
    write_toy(folder / "toy.gguf")
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="files", daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(100.0)


class QuietHandler(SimpleHTTPRequestHandler):
    """Says nothing on standard error."""

    def log_message(self, *args: object) -> None:
        """Nothing."""


def test_a_download_tells_how_far_it_is_and_ends_ready(backend: Backend, files: str) -> None:
    progress = list(backend.pull(f"{files}/toy.gguf", allow_private=True))

    assert progress[-1].state == "ready", progress[-1]
    assert progress[-1].done_bytes == progress[-1].total_bytes > 0
    assert len({event.name for event in progress}) == 1
    assert any("toy" in row.name for row in backend.models())


def test_a_download_that_cannot_be_fails_with_a_reason(backend: Backend, files: str) -> None:
    last = list(backend.pull(f"{files}/nothing.gguf", allow_private=True))[-1]

    assert (last.state, bool(last.problem)) == ("failed", True)


def test_a_route_is_explained_for_a_long_conversation_and_up_to_a_tier(backend: Backend) -> None:
    long = backend.explain("Hi", (), PinsShape(), context_tokens=3_000_000)
    near = backend.explain("Hi", (), PinsShape(tier_max="local"))

    assert not long.candidates
    assert {left.reason for left in long.left_out} <= {"context", "operation"}
    assert {lane.tier for lane in near.candidates} <= {"local"}
    assert "policy" in {left.reason for left in near.left_out}


def test_a_download_from_the_own_network_needs_a_word(backend: Backend, files: str) -> None:
    with pytest.raises(InvalidInput, match="your own network"):
        list(backend.pull(f"{files}/toy.gguf"))

    assert not any("toy" in row.name for row in backend.models())


def test_closing_twice_is_harmless(backend: Backend) -> None:
    backend.providers()
    backend.close()
    backend.close()
