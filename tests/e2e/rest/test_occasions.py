"""Schedules and webhooks of a real node, over HTTP: what starts by itself, and what only a signature starts."""

import asyncio
import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from legion_core.engine.webhook_signing import sign
from legion_core.node import open_node
from tests.e2e.cli.command import ROOT
from tests.support.aio import run

Answer = tuple[int, Any]


class Caller:
    """Asks one node; `token` empty for a stranger."""

    def __init__(self, url: str, token: str) -> None:
        self._host = urlsplit(url).netloc
        self._token = token

    async def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer:
        return await asyncio.to_thread(self._ask, method, path, body, headers or {})

    def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self._host, timeout=100)
        sent = {"Content-Type": "application/json", **headers}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, body=content, headers=sent)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        return answer.status, told


@pytest.mark.slow
def test_a_schedule_is_added_runs_and_is_removed(legion_home: Path) -> None:
    async def scenario() -> None:
        async with open_node(legion_home, env={}, port=0) as node:
            owner = Caller(node.url, (legion_home / "token").read_text(encoding="utf-8").strip())
            body = {
                "name": "tick",
                "target": "log.message.write",
                "args": {"message": "tick"},
                "every_s": 1,
            }
            with node.legion.events.subscribe() as events:
                status, told = await owner.ask("POST", "/api/v1/schedules", body)
                assert status == 201
                assert (told["data"]["state"], told["data"]["words"]) == ("active", "every second")
                while not any(type(each).__name__ == "ScheduleFired" for each in await events.take()):
                    continue
            status, told = await owner.ask("POST", "/api/v1/schedules", body)
            assert (status, told["error"]["code"]) == (409, "conflict")
            status, told = await owner.ask("GET", "/api/v1/schedules/tick/runs?limit=1")
            assert told["data"][0]["status"] == "started"
            task = told["data"][0]["task"]
            status, told = await owner.ask("GET", f"/api/v1/tasks/{task}?wait_s=20")
            assert (told["data"]["status"], told["data"]["result"]["message"]) == ("succeeded", "tick")
            status, told = await owner.ask("POST", "/api/v1/schedules/tick/pause")
            assert (status, told["data"]["state"], told["data"]["next"]) == (200, "paused", [])
            status, told = await owner.ask("POST", "/api/v1/schedules/tick/resume")
            assert told["data"]["state"] == "active"
            status, told = await owner.ask("PUT", "/api/v1/schedules/tick", {**body, "every_s": 7200})
            assert told["data"]["words"] == "every 2 hours"
            status, told = await owner.ask("POST", "/api/v1/schedules/tick/run")
            assert (status, told["data"]["status"]) == (201, "started")
            status, told = await owner.ask("GET", "/api/v1/schedules")
            assert [row["name"] for row in told["data"]] == ["tick"]
            status, _ = await owner.ask("DELETE", "/api/v1/schedules/tick")
            assert status == 200
            status, _ = await owner.ask("GET", "/api/v1/schedules/tick")
            assert status == 404
            for wrong in (
                {"cron": "99 * * * *"},
                {"every_s": 0.1},
                {"cron": "* * * * *", "zone": "No/Where"},
            ):
                status, _ = await owner.ask("POST", "/api/v1/schedules", {**body, "every_s": 0, **wrong})
                assert status == 400

    run(scenario())


def test_a_node_takes_up_a_schedule_that_another_process_added(legion_home: Path) -> None:
    async def scenario() -> None:
        async with (
            open_node(legion_home, env={}, port=0) as node,
            open_node(legion_home, env={}, serve=False) as command,
        ):
            from legion_core.api.schedule_types import ScheduleSpec

            with node.legion.events.subscribe() as events:
                spec = ScheduleSpec(name="x", target="log.message.write", args={"message": "x"}, every_s=1)
                await command.legion.schedules.add(spec)
                while not any(type(each).__name__ == "ScheduleFired" for each in await events.take()):
                    continue

    run(scenario())


def test_a_webhook_is_started_by_its_signature_and_by_nothing_else(legion_home: Path) -> None:
    async def scenario() -> None:
        env = {"HOOK_SECRET": "s3cret"}
        async with open_node(legion_home, env=env, port=0) as node:
            token = (legion_home / "token").read_text(encoding="utf-8").strip()
            owner, stranger = Caller(node.url, token), Caller(node.url, "")
            hook = {
                "name": "in",
                "target": "log.message.write",
                "args": {"message": "{{ body.event }}"},
                "secret": "env://HOOK_SECRET",
            }
            status, told = await owner.ask("POST", "/api/v1/hooks", hook)
            assert (status, told["data"]["path"], told["data"]["signing_secret"]) == (201, "/hooks/in", "")
            assert "s3cret" not in json.dumps(told)

            body = json.dumps({"event": "pushed"}).encode()
            signed = sign("s3cret", "msg_1", int(time.time()), body)
            status, told = await stranger.ask("POST", "/hooks/in", body, signed)
            assert (status, told["data"]["status"]) == (202, "started")
            task = told["data"]["task"]
            status, told = await stranger.ask("POST", "/hooks/in", body, signed)
            assert (status, told["data"]["is_new"], told["data"]["task"]) == (202, False, task)
            status, told = await owner.ask("GET", f"/api/v1/tasks/{task}?wait_s=20")
            assert told["data"]["result"]["message"] == "pushed"

            for caller, headers in (
                (stranger, {}),
                (owner, {}),  # the owner's token is no signature
                (stranger, sign("wrong", "msg_2", int(time.time()), body)),
                (stranger, sign("s3cret", "msg_2", int(time.time()) - 3600, body)),
            ):
                status, told = await caller.ask("POST", "/hooks/in", body, headers)
                assert (status, told["error"]["code"]) == (401, "unsigned")
            status, _ = await stranger.ask("POST", "/hooks/nobody", body, signed)
            assert status == 401
            status, _ = await stranger.ask("POST", "/hooks/in", body, {**signed, "Host": "evil.example"})
            assert status == 421
            status, _ = await stranger.ask(
                "POST", "/hooks/in", body, {**signed, "Origin": "https://evil.example"}
            )
            assert status == 403
            status, _ = await stranger.ask("POST", "/hooks/in", b"x" * ((1 << 20) + 1), signed)
            assert status == 413
            status, _ = await stranger.ask("GET", "/hooks/in")
            assert status == 401

            status, told = await owner.ask("GET", "/api/v1/hooks/in/deliveries")
            assert [each["delivery"] for each in told["data"]] == ["msg_1"]
            status, _ = await owner.ask("POST", "/api/v1/hooks/in/pause")
            again = sign("s3cret", "msg_3", int(time.time()), body)
            status, _ = await stranger.ask("POST", "/hooks/in", body, again)
            assert status == 409
            status, _ = await owner.ask("DELETE", "/api/v1/hooks/in")
            assert status == 200
            status, _ = await stranger.ask("POST", "/hooks/in", body, again)
            assert status == 401

    run(scenario())


@pytest.mark.slow
def test_the_tasks_that_make_tasks_begin_do_so(legion_home: Path) -> None:
    """`schedule.entry`, `webhook.inbound` and `.outbound`, `message.topic`, `absorb.input`, end to end."""
    folder = legion_home / "extensions" / "ear"
    legion_home.mkdir(mode=0o700)
    folder.mkdir(parents=True)
    (folder / "drum.py").write_text(
        """
from legion_core.engine.actors import absorber_dispatch, subscription

@subscription("news.#")
async def hear(topic: str, message: dict) -> str:
    return f"{topic}: {message['text']}"

@absorber_dispatch("*.txt", takes="file")
async def text(input: str) -> dict:
    return {"name": input}
""",
        encoding="utf-8",
    )

    async def scenario() -> None:
        async with open_node(legion_home, env={"HOOK_SECRET": "s3cret"}, port=0) as node:
            port = urlsplit(node.url).port
            await node.legion.settings.set("engine.http.allow", (f"127.0.0.1:{port}",))
            from legion_core.api.task_types import Order

            async def ran(task: str, **args: Any) -> Any:
                accepted = await node.legion.tasks.submit(Order(task=task, args=args))
                done = await node.legion.tasks.wait(accepted.id, 90.0)
                assert done.status == "succeeded", done.reason
                return done.result

            target = {"target": "log.message.write", "args": {"message": "{{ body.event }}"}}
            await ran("schedule.entry.add", name="s", every_s=3600.0, target="log.message.write")
            assert (await ran("schedule.entry.pause", name="s"))["state"] == "paused"
            assert (await ran("schedule.entry.resume", name="s"))["state"] == "active"
            assert [row["name"] for row in await ran("schedule.entry.list")] == ["s"]
            await ran("schedule.entry.remove", name="s")
            assert await node.legion.schedules.list() == ()

            added = await ran("webhook.inbound.add", name="in", secret="env://HOOK_SECRET", **target)
            assert added["path"] == "/hooks/in"
            url = f"{node.url}/hooks/in"
            sent = await ran(
                "webhook.outbound.send", url=url, secret="env://HOOK_SECRET", body={"event": "e"}
            )
            assert sent["status"] == 202
            (delivery,) = (await node.legion.hooks.deliveries("in")).deliveries
            done = await node.legion.tasks.wait(delivery.task, 90.0)
            assert done.result["message"] == "e"
            assert [row["name"] for row in await ran("webhook.inbound.list")] == ["in"]
            await ran("webhook.inbound.remove", name="in")

            told = await ran("message.topic.publish", topic="news.today", message={"text": "rain"})
            heard = await node.legion.tasks.wait(told["tasks"][0], 90.0)
            assert heard.result == "news.today: rain"
            assert (await ran("absorb.input.dispatch", input="/a/b.txt"))["result"] == {"name": "/a/b.txt"}
            row = await node.legion.extensions.get("ear")
            assert {actor.kind for actor in row.actors} == {"subscription", "absorber_dispatch"}

    run(scenario())


@pytest.mark.slow
def test_a_node_without_schedules_and_extensions_loads_nothing_of_them(legion_home: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from legion_core.node import open_node

async def main():
    async with open_node(Path(sys.argv[1]), env={}, port=0) as node:
        while any("start" in name for name in node.supervisor.census):
            await asyncio.sleep(0.01)
        print(*sorted(name for name in sys.modules if name.startswith("legion_core.engine.")))

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, str(legion_home)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=True,
    )
    loaded = {name.removeprefix("legion_core.engine.") for name in ran.stdout.split()}
    assert "service" in loaded
    assert not loaded & {
        "actor_host", "actors", "messages", "schedule_service", "schedule_plan", "schedule_targets",
        "webhook_service", "cron", "cron_words",
    }  # fmt: skip


def test_schedules_and_webhooks_start_chains_too(legion_home: Path) -> None:
    text = """
name: greet
nodes:
  hello: {task: log.message.write, args: {message: "Hello, {{ input.who }}."}}
  again: {task: log.message.write, transform: {engine: liquid, template: {message: "{{ result.message }} Again."}}}
edges:
  - {from: hello, to: again}
"""

    async def scenario() -> None:
        async with open_node(legion_home, env={"HOOK_SECRET": "s3cret"}, port=0) as node:
            from legion_core.api.schedule_types import ScheduleSpec
            from legion_core.api.webhook_types import HookSpec
            from legion_core.kernel.errors import NotFound

            legion = node.legion
            with pytest.raises(NotFound):
                await legion.schedules.add(ScheduleSpec(name="s", target="chain:greet", every_s=3600.0))
            await legion.chains.apply(text)
            spec = ScheduleSpec(name="s", target="chain:greet", args={"who": "Ada"}, every_s=3600.0)
            await legion.schedules.add(spec)
            occurrence = await legion.schedules.run_now("s")
            done = await legion.chains.wait(occurrence.run, 90.0)
            assert done.status == "succeeded"

            hook = HookSpec(name="h", target="chain:greet", secret="env://HOOK_SECRET")
            await legion.hooks.add(hook)
            body = b'{"who": "Grace"}'
            signed = sign("s3cret", "msg_1", int(time.time()), body)
            first = await legion.hooks.receive("h", signed, {}, body)
            assert (await legion.hooks.receive("h", signed, {}, body)).run == first.run
            done = await legion.chains.wait(first.run, 90.0)
            assert done.status == "succeeded"
            (task,) = [node_view.id for node_view in done.nodes if node_view.node == "again"]
            assert (await legion.tasks.get(task)).result["message"] == "Hello, Grace. Again."

    run(scenario())
