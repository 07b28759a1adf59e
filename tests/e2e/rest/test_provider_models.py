"""What a model can: told by its server, said by a person, shown when it is asked; and refused with the command that helps."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from legion_core.testing.upstreams import Answer, Call, Raw, Recorded, Served, Upstream, in_thread
from tests.contract.surfaces.nodes import running_node
from tests.e2e.cli.command import inside

CONFIG = """# my servers
[[gateway.instances]]
name = "box"  # the one in the cellar
kind = "vllm"
base_url = "{base_url}"
"""
NO_MORE = tuple(
    word for each in ("images", "documents", "thinking", "completions", "fim") for word in (f"--{each}", "no")
)
HELLO = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


def able(request: Recorded) -> Answer | Raw:
    """A model that can do everything, and knows nothing of why it is asked."""
    asked = request.json
    content = asked["messages"][-1]["content"]
    if "tools" in asked:
        return Answer((), calls=(Call("call_1", "note_number", '{"number": 4711}'),))
    if "response_format" in asked:
        return Answer(('{"colour": "blue",', ' "letters": 4}'))
    if not isinstance(content, str):
        return Answer(("Green on the left, ", "yellow on the right."))
    return (
        Answer(("391",), thinking=("seventeen times",))
        if "chat_template_kwargs" in asked
        else Answer(("Hi",))
    )


def unable(request: Recorded) -> Answer | Raw:
    """One whose server was started without a parser of calls, and that sees nothing."""
    asked = request.json
    if "tools" in asked:
        told = {"message": '"auto" tool choice requires --enable-auto-tool-choice', "type": "BadRequestError"}
        return Raw(400, json.dumps({"error": told}).encode())
    if not isinstance(asked["messages"][-1]["content"], str):
        return Raw(400, b'{"error": {"message": "m1 is not a multimodal model"}}')
    return Answer(("Blue is a ", "fine colour."))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.models = (Served("org/m1", 32_768, owner="vllm"), Served("m2", 4_096, owner="vllm"))
        serving.will(able)
        yield serving


@pytest.fixture
def url(legion_home: Path, upstream: Upstream) -> Iterator[str]:
    legion_home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (legion_home / "config.toml").write_text(CONFIG.format(base_url=upstream.base_url), encoding="utf-8")
    with running_node(legion_home, {}) as address:
        yield address


@pytest.fixture
def token(legion_home: Path, url: str) -> str:
    return (legion_home / "token").read_text(encoding="utf-8").strip()


@pytest.fixture
def api(url: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{url}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=100.0
    ) as client:
        yield client


def offers(row: dict[str, object]) -> dict[str, tuple[int, list[str]]]:
    models: list[dict[str, object]] = row["models"]  # type: ignore[assignment]
    return {
        str(model["id"]): (int(str(model["context"])), sorted(model["capabilities"]))  # type: ignore[arg-type]
        for model in models
    }


def of_box(client: httpx.Client) -> dict[str, object]:
    rows = client.get("/providers").json()["data"]
    return next(row for row in rows if row["name"] == "box")


def test_what_is_said_of_one_model_stands_beside_what_the_server_tells_of_all(
    api: httpx.Client, legion_home: Path
) -> None:
    told = of_box(api)
    assert offers(told) == {
        "org/m1": (32_768, ["completions", "streaming", "structured_output"]),
        "m2": (4_096, ["completions", "streaming", "structured_output"]),
    }
    assert told["described"] == []

    said = api.post("/providers/box/models", json={"model": "org/m1", "tools": True, "vision": True})

    assert said.status_code == 200, said.text
    after = {
        "org/m1": (32_768, ["completions", "streaming", "structured_output", "tools", "vision"]),
        "m2": (4_096, ["completions", "streaming", "structured_output"]),
    }
    assert offers(said.json()["data"]) == after
    assert said.json()["data"]["described"] == ["org/m1"]
    file = (legion_home / "config.toml").read_text(encoding="utf-8")
    assert file.startswith("# my servers")
    assert "# the one in the cellar" in file
    assert "context" not in file  # that is still the server's to tell
    assert offers(of_box(api)) == after

    api.post("/providers/box/models", json={"model": "org/m1", "vision": False, "context": 16_384})
    assert offers(of_box(api))["org/m1"] == (
        16_384,
        ["completions", "streaming", "structured_output", "tools"],
    )

    forgotten = api.post("/providers/box/models/forget", json={"model": "org/m1"})
    for kind in ("model.described", "model.forgotten"):
        (entry, *_) = api.get("/audit", params={"kind": kind}).json()["data"]
        assert (entry["who"], "box/org/m1" in json.dumps(entry)) == ("owner", True)
    assert offers(forgotten.json()["data"]) == offers(told)
    assert forgotten.json()["data"]["described"] == []


def test_a_model_the_server_does_not_have_is_not_described_and_the_known_ones_are_named(
    api: httpx.Client, legion_home: Path
) -> None:
    before = (legion_home / "config.toml").read_bytes()

    refused = api.post("/providers/box/models", json={"model": "org/m3", "tools": True})

    assert refused.status_code == 404
    assert "org/m1" in refused.text
    assert (legion_home / "config.toml").read_bytes() == before
    assert api.post("/providers/none/models", json={"model": "m", "tools": True}).status_code == 404
    assert api.post("/providers/local/models", json={"model": "m", "tools": True}).status_code == 400
    assert api.post("/providers/box/models", json={"model": "m2", "context": -1}).status_code == 400
    refused = api.post("/providers/box/models/forget", json={"model": "m2"})
    assert refused.status_code == 404
    assert "Nothing is said of any." in refused.text


def test_a_refusal_names_the_command_and_the_command_helps(
    url: str, token: str, upstream: Upstream, legion_home: Path, api: httpx.Client
) -> None:
    upstream.will(Answer((), calls=(Call("call_1", "clock", "{}"),)))
    assert of_box(api)
    with openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model="org/m1", messages=HELLO, tools=[TOOL])
        assert "legion provider model set box org/m1 --tools yes" in str(refused.value)
        assert not upstream.questions

        done = inside(legion_home, "provider", "model", "set", "box", "org/m1", "--tools", "yes")
        assert done.status == 0, done.err

        answer = client.chat.completions.create(model="org/m1", messages=HELLO, tools=[TOOL])
    assert answer.choices[0].message.tool_calls


def test_a_model_is_asked_what_it_can_and_what_it_showed_is_kept_when_a_person_says_so(
    api: httpx.Client, legion_home: Path, upstream: Upstream
) -> None:
    shown = inside(legion_home, "provider", "model", "try", "box", "org/m1")

    assert shown.status == 0, shown.err
    assert shown.out.count(": yes.") == 4, shown.out
    assert "legion provider model set box org/m1 --tools yes --images yes" in shown.out
    assert offers(of_box(api))["org/m1"] == (32_768, ["completions", "streaming", "structured_output"])
    assert len(upstream.questions) == 4
    rows = api.get("/ledger").json()["data"]
    assert [row["model"] for row in rows] == ["org/m1"] * 5  # the one that its wire refuses too

    kept = inside(legion_home, "provider", "model", "try", "box", "org/m1", "--save")
    assert kept.status == 0, kept.err
    able_now = ["completions", "streaming", "structured_output", "thinking", "tools", "vision"]
    assert offers(of_box(api))["org/m1"] == (32_768, able_now)


def test_what_a_model_does_not_show_is_told_in_its_servers_words_and_unsaid_where_nothing_was_shown(
    api: httpx.Client, upstream: Upstream
) -> None:
    upstream.will(unable)

    found = api.post("/providers/box/models/try", json={"model": "org/m1"}).json()["data"]

    assert [(each["capability"], each["is_able"]) for each in found["findings"]] == [
        ("tools", False),
        ("structured_output", False),
        ("vision", False),
        ("documents", False),
        ("thinking", False),
    ]
    assert "--enable-auto-tool-choice" in found["findings"][0]["why"]
    assert found["suggested"]["tools"] is False
    # Whether it answers at all is asked once, however much it refuses.
    assert len(upstream.questions) == 5

    upstream.will(Answer((), thinking=("hm, " * 5,), stop="length"))
    found = api.post("/providers/box/models/try", json={"model": "org/m1"}).json()["data"]
    assert [each["is_able"] for each in found["findings"]] == [None, None, None, False, True]
    assert found["suggested"]["tools"] is None


def test_a_server_that_refuses_everything_shows_nothing_of_a_model(
    api: httpx.Client, upstream: Upstream
) -> None:
    upstream.will(Raw(400, b'{"error": {"message": "the model is being replaced"}}'))

    refused = api.post("/providers/box/models/try", json={"model": "org/m1"})

    assert refused.status_code in (400, 502), refused.text
    assert "the model is being replaced" in refused.text


def test_a_model_added_by_its_name_can_what_its_server_tells(
    api: httpx.Client, upstream: Upstream, legion_home: Path
) -> None:
    words = ("provider", "add", "second", "--kind", "vllm", "--base-url", upstream.base_url)
    added = inside(legion_home, *words, "--model", "org/m1")
    assert added.status == 0, added.err

    rows = api.get("/providers").json()["data"]
    assert offers(next(row for row in rows if row["name"] == "second")) == {
        "org/m1": (32_768, ["completions", "streaming", "structured_output"])
    }


def test_what_is_said_while_a_server_is_down_takes_nothing_it_always_has_and_says_what_was_not_asked(
    legion_home: Path,
) -> None:
    legion_home.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = CONFIG.format(base_url="http://127.0.0.1:1/v1") + "discover = true\n"
    (legion_home / "config.toml").write_text(config, encoding="utf-8")

    listed = inside(legion_home, "provider", "list")
    assert "not ready, see below" in listed.out
    assert any(line.startswith("box at ") for line in listed.out.splitlines())
    route = inside(legion_home, "route", "explain", "Hi", "--requires", "tools")
    assert "box. Its models are not known" in route.out

    words = ("provider", "model", "set", "box", "m1", "--tools", "yes")
    said = inside(legion_home, *words)
    assert said.status == 0, said.err
    assert "tools, structured output" in said.out
    assert "provider model reset box m1" in said.out
    whole = inside(legion_home, *words, *NO_MORE, "--structured-output", "yes")
    assert "provider model reset" not in whole.out


def test_what_this_computers_own_models_can_is_known_and_nothing_is_offered_to_be_kept(
    api: httpx.Client, legion_home: Path
) -> None:
    refused = inside(legion_home, "provider", "model", "try", "local", "smollm2-135m-instruct", "--save")
    assert refused.status == 1
    assert "is known" in refused.err
    listed = inside(legion_home, "provider", "model", "list", "box")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["Model", "org/m1", "m2"]
    assert "structured output" in listed.out
    missing = inside(legion_home, "provider", "model", "try", "nobody", "m")
    assert missing.status == 1
    assert "box" in missing.err
