"""A whole node on a real home: starts, serves, changes its mind, and stops without leaving anything behind."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from legion_core.api.types import ProviderSpec
from legion_core.kernel.errors import Conflict, LegionError, NotFound
from legion_core.kernel.ports import NOBODY, OWNER
from legion_core.node import open_node
from tests.support.aio import run


def test_a_node_starts_says_where_it_is_and_leaves_no_trace_of_running(legion_home: Path) -> None:
    async def scenario() -> None:
        async with open_node(legion_home, env={}, port=0) as node:
            record = json.loads((legion_home / "run" / "node.json").read_text(encoding="utf-8"))
            assert node.url == f"http://127.0.0.1:{record['port']}"
            token = (legion_home / "token").read_text(encoding="utf-8").strip()
            assert node.legion.ops.principal(token) == OWNER
            assert node.legion.ops.principal(token + "x") == NOBODY
            assert node.legion.ops.principal("") == NOBODY
        assert not (legion_home / "run" / "node.json").exists()

    run(scenario())


def test_a_second_node_on_the_same_home_is_refused_and_one_without_a_surface_is_not(
    legion_home: Path,
) -> None:
    async def scenario() -> None:
        async with open_node(legion_home, env={}, port=0):
            with pytest.raises(Conflict, match="already runs"):
                async with open_node(legion_home, env={}, port=0):
                    pass
            async with open_node(legion_home, env={}, serve=False) as beside:
                assert await beside.legion.chat.list() == ()

    run(scenario())


def test_a_port_held_by_a_stranger_is_named_and_the_node_runs_on(
    legion_home: Path, allow_log: object
) -> None:
    allow_log("without its HTTP surface")  # type: ignore[operator]

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as stranger:
            port = stranger.getsockname()[1]
            async with open_node(legion_home, env={}, port=port) as node:
                assert isinstance(node.problem, Conflict)
                assert str(port) in node.problem.message
                assert node.url == ""
                assert (await node.legion.ops.status()).problem
                assert await node.serve(0) == node.url != ""
                assert node.problem is None

    run(scenario())


def test_settings_are_in_force_at_once_and_refused_values_change_nothing(legion_home: Path) -> None:
    async def scenario() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            settings = node.legion.settings
            await settings.set("privacy.local_only", "true")
            assert settings.get("privacy.local_only") is True
            await settings.set("models.context", 2048)
            lanes = await node.legion.llm.lanes()
            assert {lane.offer.context for lane in lanes if lane.instance == "local"} <= {2048}
            before = (legion_home / "config.toml").read_bytes()
            with pytest.raises(LegionError):
                await settings.set("models.context", "many")
            with pytest.raises(NotFound):
                await settings.set("models.contxt", 1)
            assert (legion_home / "config.toml").read_bytes() == before
            await settings.reset("models.context")
            assert settings.get("models.context") == 4096

    run(scenario())


def test_a_broken_configuration_starts_on_defaults_and_tells_every_fault_with_its_line(
    legion_home: Path,
) -> None:
    legion_home.mkdir(parents=True, mode=0o700)
    (legion_home / "config.toml").write_text(
        'mode = "lite"\n[server]\nport = "x"\n[[gateway.instances]]\nname = "a b"\nkind = "openai"\n',
        encoding="utf-8",
    )

    async def scenario() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            faults = node.legion.settings.faults()
            assert len(faults) == 2
            assert faults[0].startswith("line 3: server.port")
            assert faults[1].startswith("line 5: ")
            checks = {check.name: check for check in await node.legion.ops.doctor()}
            assert checks["configuration"].state == "failed"

    run(scenario())


def test_a_provider_that_fails_its_test_is_not_saved_and_one_added_untested_is_told_to_be_down(
    legion_home: Path,
) -> None:
    async def scenario() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            with socket.create_server(("127.0.0.1", 0)) as held:
                port = held.getsockname()[1]
            spec = ProviderSpec(name="box-a", kind="openai", base_url=f"http://127.0.0.1:{port}/v1")
            with pytest.raises(LegionError, match="nothing was saved"):
                await node.legion.providers.add(spec)
            assert [row.name for row in await node.legion.providers.list()] == ["local"]
            row = await node.legion.providers.add(spec, test=False)
            assert (row.tier, row.models) == ("local", ())
            assert row.problem
            with pytest.raises(Conflict):
                await node.legion.providers.add(spec, test=False)
            await node.legion.providers.remove("box-a")
            with pytest.raises(NotFound):
                await node.legion.providers.test("box-a")

    run(scenario())


def test_an_instance_whose_key_is_missing_is_kept_with_the_reason(legion_home: Path) -> None:
    legion_home.mkdir(parents=True, mode=0o700)
    (legion_home / "config.toml").write_text(
        '[[gateway.instances]]\nname = "box-a"\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "env://BOX_A_KEY"\n'
        '[[gateway.instances.models]]\nid = "m1"\n',
        encoding="utf-8",
    )

    async def scenario() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            row = next(row for row in await node.legion.providers.list() if row.name == "box-a")
            assert "BOX_A_KEY" in row.problem
            assert "box-a" not in {lane.instance for lane in await node.legion.llm.lanes()}

    run(scenario())


@pytest.mark.requirement("provider.local")
@pytest.mark.requirement("gateway.standalone")
@pytest.mark.model
def test_the_starter_model_answers_and_the_second_answer_knows_the_first(legion_home: Path) -> None:
    async def scenario() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            chat = node.legion.chat
            turn = await chat.send(None, "What is the capital of France?")
            answer = await chat.finished(turn)
            assert answer.text.strip()
            assert (answer.tier, answer.instance, answer.cost_usd) == ("local", "local", 0.0)
            assert answer.usage is not None
            assert answer.usage.input_tokens + answer.usage.cache_read_tokens > 10
            again = await chat.finished(await chat.send(turn.conversation_id, "And of Italy?"))
            assert again.status == "complete"
            assert next(row for row in await node.legion.models.list() if row.is_starter).is_loaded
            rows = await node.legion.llm.ledger(conversation=turn.conversation_id)
            assert [row.outcome for row in rows] == ["succeeded", "succeeded"]

    run(scenario(), bound_s=400)


@pytest.mark.model
@pytest.mark.parametrize("kill_after", [0, 1, 7])
def test_a_model_killed_at_any_token_finishes_its_answer_and_answers_the_next_question(
    legion_home: Path, kill_after: int, allow_log: object
) -> None:
    allow_log(".*")  # type: ignore[operator]
    import os
    import signal

    from legion_core.api.types import AnswerGrew

    async def scenario() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            chat = node.legion.chat
            await chat.finished(await chat.send(None, "Say hello."))
            engine = node.legion.models._engine
            pid = engine.health("smollm2-135m-instruct").pid  # type: ignore[attr-defined]
            with node.legion.events.subscribe(AnswerGrew) as grown:
                turn = await chat.send(None, "Count from one to twelve in words.")
                seen = 0
                while seen < kill_after:
                    seen += len(await grown.take())
                os.kill(pid, signal.SIGKILL)
                answer = await chat.finished(turn)

            assert answer.status == "complete", answer.error
            assert [attempt.outcome for attempt in answer.attempts] == ["worker_died", "succeeded"]
            assert len(answer.seams) == (1 if kill_after else 0)
            after = await chat.finished(await chat.send(None, "Say hello again."))
            assert after.status == "complete"
            assert engine.health("smollm2-135m-instruct").pid not in (None, pid)  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    run(scenario(), bound_s=400)


@pytest.mark.model
def test_the_starter_model_embeds_in_a_process_of_its_own_and_like_is_near_like(legion_home: Path) -> None:
    texts = ("The cat sleeps on the sofa.", "A cat is sleeping on a couch.", "Interest rates rose in March.")

    async def scenario() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            found = await node.legion.llm.embed(None, texts, OWNER)
            assert {len(vector) for vector in found.vectors} == {576}

            def cosine(a: tuple[float, ...], b: tuple[float, ...]) -> float:
                norm = sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5
                return sum(x * y for x, y in zip(a, b, strict=True)) / norm

            near, far = cosine(found.vectors[0], found.vectors[1]), cosine(found.vectors[0], found.vectors[2])
            assert near > far
            rows = await node.legion.llm.ledger()
            assert rows[0].outcome == "succeeded"
            assert rows[0].usage.input_tokens > 10

    run(scenario(), bound_s=400)


def test_a_door_nobody_uses_costs_nothing_and_the_first_knock_is_answered(legion_home: Path) -> None:
    script = """
import asyncio, sys, urllib.request
from pathlib import Path
from legion_core.node import open_node

async def main():
    async with open_node(Path(sys.argv[1]), env={}, port=0) as node:
        heavy = {"uvicorn", "starlette", "httptools", "click", "anyio", "httpx"} & set(sys.modules)
        print("before", sorted(heavy))
        answer = await asyncio.to_thread(lambda: urllib.request.urlopen(node.url + "/readyz", timeout=100).status)
        print("answer", answer)

asyncio.run(main())
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(legion_home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.split("\n")[:2] == ["before []", "answer 200"], run.stderr
