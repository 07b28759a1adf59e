"""A token of a client: what it begins has no more rights than it, and nothing of it outlives its end."""

import asyncio
import json
from pathlib import Path

import pytest

from legion_core.api.task_types import Order
from legion_core.engine.schedule_types import ScheduleSpec
from legion_core.kernel.errors import Conflict, Denied, InvalidInput, NotFound
from legion_core.kernel.ports import ACTING, OWNER, Principal
from legion_core.node import Node, open_node
from tests.support.aio import run

CHAIN = """
name: two
nodes:
  first: {task: log.message.write, args: {message: one}}
  second: {task: file.text.write, args: {path: x.txt, text: two}}
edges:
  - {from: first, to: second}
"""


async def principal(node: Node, name: str, *scopes: str) -> Principal:
    return node.legion.ops.principal((await node.legion.tokens.create(name, scopes)).secret)


def test_a_token_is_shown_once_and_only_its_hash_is_kept(legion_home: Path) -> None:
    async def work() -> str:
        async with open_node(legion_home, env={}, serve=False) as node:
            made = await node.legion.tokens.create("editor", ("chat",), client="Zed", expires_s=3600)
            assert node.legion.ops.principal(made.secret).name == "editor"
            rows = await node.legion.tokens.list()
            assert made.secret not in repr(rows)
            assert rows[0].tail == made.secret[-4:]
            assert rows[0].last_used_at is not None
            return made.secret

    secret = run(work())

    for path in legion_home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_revoked_token_is_nobodys_and_its_name_gives_a_new_one_nothing_of_the_old(
    legion_home: Path,
) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            legion = node.legion
            made = await legion.tokens.create("editor", ("chat",))
            old = legion.ops.principal(made.secret)
            with pytest.raises(Conflict):
                await legion.tokens.create("editor")
            await legion.tokens.revoke("editor")
            assert legion.ops.principal(made.secret).carrier == "none"
            with pytest.raises(Denied, match="revoked"):
                legion.ops.authorise(old, "gateway/chat", "use")
            assert legion.ops.named("editor").carrier == "none"
            with pytest.raises(NotFound):
                await legion.tokens.revoke("editor")
            again = await legion.tokens.create("editor", ("*:*",))
            assert again.row.subject == "editor~2"
            assert legion.ops.named("editor").carrier == "none"

    run(work())


@pytest.mark.parametrize("name", ["owner", "nobody", "", "A", "a b", "../x", "a" * 65, "*", "~2"])
def test_a_name_that_could_be_taken_for_another_is_refused(legion_home: Path, name: str) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            with pytest.raises(InvalidInput):
                await node.legion.tokens.create(name)

    run(work())


def test_a_token_makes_no_tokens_whatever_it_may(legion_home: Path) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            who = await principal(node, "all", "*:*")
            with pytest.raises(Denied):
                await node.legion.tokens.create("more", ("*:*",), who=who)
            with pytest.raises(Denied):
                await node.legion.rbac.apply("version = 1\n", who=who)
            with pytest.raises(Denied):
                await node.legion.tokens.revoke("all", who=who)

    run(work())


def test_what_a_task_begins_is_begun_for_whoever_ordered_the_task(legion_home: Path) -> None:
    """A token that may add schedules by a task cannot schedule a task it may not run."""

    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            tasks = node.legion.tasks
            who = await principal(node, "bot", "tasks/schedule/*:run", "schedules:write", "tasks/log/*:run")
            args = {
                "name": "evil",
                "target": "shell.command.run",
                "args": {"argv": ["true"]},
                "every_s": 60.0,
            }
            done = await tasks.wait((await tasks.submit(Order(task="schedule.entry.add", args=args), who)).id)
            assert done.status in ("failed", "dead")
            assert "may not run tasks/shell/command/run" in str(done.reason)
            args = {"name": "good", "target": "log.message.write", "every_s": 60.0}
            done = await tasks.wait((await tasks.submit(Order(task="schedule.entry.add", args=args), who)).id)
            assert done.status == "succeeded"
            asked = Order(task="llm.chat.ask", args={"prompt": "Hi"})
            with pytest.raises(Denied):
                await tasks.submit(asked, who)

    run(work())


def test_a_question_to_a_model_is_asked_with_the_rights_of_whoever_ordered_the_task(
    legion_home: Path,
) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            tasks = node.legion.tasks
            who = await principal(node, "bot", "tasks/llm/*:run")
            done = await tasks.wait(
                (await tasks.submit(Order(task="llm.chat.ask", args={"prompt": "Hi"}), who)).id
            )
            assert done.status in ("failed", "dead")
            assert "may not use gateway/chat" in str(done.reason)

    run(work())


@pytest.mark.parametrize("end", ["revoked", "denied"])
def test_a_schedule_fires_with_what_its_maker_may_do_then(legion_home: Path, end: str) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            legion = node.legion
            who = await principal(node, "bot", "schedules:*", "tasks/log/*:run")
            spec = ScheduleSpec(name="s", target="log.message.write", args={"message": "x"}, every_s=3600.0)
            await legion.schedules.add(spec, who)
            assert (await legion.schedules.run_now("s")).status == "started"
            if end == "revoked":
                await legion.tokens.revoke("bot")
            else:
                policy = (
                    'version = 1\n[roles.no]\ndeny = [{ path = "tasks/log/*", actions = ["run"] }]\n'
                    '[[assign]]\nsubject = "*"\nroles = ["no"]\n'
                )
                await legion.rbac.apply(policy)
            with pytest.raises(Denied):
                await legion.schedules.run_now("s")

    run(work())


def test_the_next_step_of_a_chain_is_denied_once_its_token_is_revoked(legion_home: Path) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            legion = node.legion
            await legion.chains.apply(CHAIN)
            who = await principal(node, "bot", "chains/*:run", "tasks/log/*:run")
            with pytest.raises(Denied):
                await legion.chains.run("two", None, who=who)
            wide = await principal(node, "wide", "chains/*:run", "tasks/*:run")
            started = await legion.tasks.submit(
                Order(task="log.message.write", args={"message": "x"}, delay_s=0.3), wide
            )
            await legion.tokens.revoke("wide")
            done = await legion.tasks.wait(started.id)
            assert done.status == "failed"
            assert done.reason is not None
            assert done.reason.code == "task.denied"

    run(work())


def test_who_acts_is_the_owner_again_for_the_owners_own_tasks(legion_home: Path) -> None:
    """A task is begun in whatever context woke the engine; it must not inherit who was asking there."""

    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            who = await principal(node, "bot", "tasks/log/*:run")
            token = ACTING.set(who)
            tasks = node.legion.tasks
            args = {"name": "mine", "target": "log.message.write", "every_s": 60.0}
            done = await tasks.wait(
                (await tasks.submit(Order(task="schedule.entry.add", args=args), OWNER)).id
            )
            ACTING.reset(token)
            assert done.status == "succeeded", done.reason

    run(work())


async def _opened(node: Node, target: str, secret: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = int(node.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {secret}\r\n\r\n"
    writer.write(head.encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def test_an_open_stream_ends_when_its_token_is_revoked_and_others_go_on(legion_home: Path) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            tokens = node.legion.tokens
            one = (await tokens.create("one", ("events:read",))).secret
            two = (await tokens.create("two", ("events:read",))).secret
            reader, writer = await _opened(node, "/api/v1/events", one)
            other, other_writer = await _opened(node, "/api/v1/events", two)
            await other.readuntil(b"\n\n")
            await tokens.revoke("one")
            while await reader.read(65536):
                pass
            assert reader.at_eof()
            assert not other.at_eof()
            await other.readuntil(b"RightsChanged")
            writer.close()
            other_writer.close()

    run(work())


def test_an_open_stream_ends_when_its_token_is_past_its_time(legion_home: Path) -> None:
    """The guard is told a time that is soon over; the token itself lasts, so that nothing else ends the stream."""

    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            secret = (await node.legion.tokens.create("one", ("events:read",), expires_s=3600.0)).secret
            who = node.legion.ops.principal(secret)
            left_s = node.legion.ops.ends_in_s(who)
            assert left_s is not None
            assert 3000.0 < left_s <= 3600.0
            node.legion.ops._ends_in_s = lambda _: 0.1
            port = int(node.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {secret}\r\n\r\n"
            writer.write(head.encode())
            while await reader.read(65536):
                pass
            writer.close()

    run(work())


def test_another_process_hears_of_a_revoked_token_and_a_new_policy(legion_home: Path) -> None:
    async def work() -> None:
        async with (
            open_node(legion_home, env={}, serve=False) as one,
            open_node(legion_home, env={}, serve=False) as two,
        ):
            made = await one.legion.tokens.create("bot", ("chat",))
            rbac = two.legion.rbac._rbac
            rbac._looked_s = -1.0
            who = two.legion.ops.principal(made.secret)
            assert who.name == "bot"
            await one.legion.tokens.revoke("bot")
            rbac._looked_s = -1.0
            assert not two.legion.ops.may(who, "gateway/chat", "use")
            assert two.legion.ops.named("bot").carrier == "none"

    run(work())


def test_orders_of_a_token_are_in_the_audit_log_and_the_owners_are_not(legion_home: Path) -> None:
    async def work() -> list[str]:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            legion = node.legion
            await legion.chains.apply(CHAIN)
            who = await principal(node, "bot", "chains/*:run", "tasks/*:run", "tasks/file/*:run")
            order = Order(task="log.message.write", args={"message": "x"})
            await legion.tasks.submit(order)
            mine = await legion.tasks.submit(order, who)
            started = (await legion.chains.run("two", None, who=who)).id
            rows = await legion.audit.page(who="bot")
            assert {row.detail for row in rows} >= {mine.id, started}
            assert (await legion.audit.verify()).is_whole
            return [
                f"{row.kind} {row.path}" for row in await legion.audit.page() if row.kind.endswith("ordered")
            ]

    assert run(work()) == ["chain.ordered chains/two", "task.ordered tasks/log/message/write"]


def test_a_refusal_is_recorded_and_a_repeated_one_once(legion_home: Path) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            who = await principal(node, "bot", "chat")
            for _ in range(50):
                with pytest.raises(Denied):
                    node.legion.ops.authorise(who, "settings", "manage")
            rows = await node.legion.audit.page(outcome="denied")
            assert [(row.who, row.path, row.action) for row in rows] == [("bot", "settings", "manage")]

    run(work())


def test_the_openapi_names_no_secret(legion_home: Path) -> None:
    async def work() -> str:
        from legion_core.surfaces.rest import openapi, routes

        return json.dumps(openapi.describe(routes.operations()))

    assert "lgn_x" not in run(work())
