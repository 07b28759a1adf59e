"""Attacks that worked on others this year, tried on a whole node: each of them has to come to nothing.

docs/security.md says which attack is tried where.
"""

import asyncio
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from legion_core.api.task_types import Order
from legion_core.kernel.errors import ConfigError
from legion_core.node import Node, open_node
from legion_core.surfaces.cli.attacks.browser import OVERRIDES, SPELLINGS
from legion_core.surfaces.cli.attacks.content import COMMANDS, MARKERS
from legion_core.surfaces.cli.attacks.keys import FIELDS, NEVER_SENT
from legion_core.surfaces.rest import routes
from legion_core.testing.upstreams import Answer, Upstream, in_thread
from tests.support.aio import run


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(Answer(("Hel", "lo")))
        yield serving


async def ask(
    node: Node, method: str, target: str, *headers: str, body: bytes = b"", secret: str = ""
) -> tuple[int, bytes]:
    port = int(node.url.rpartition(":")[2])
    given = secret or node.home.token_path.read_text(encoding="utf-8").strip()
    head = [
        f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {given}", "Connection: close",
        *headers,
    ]  # fmt: skip
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


def config_for(home: Path, upstream: Upstream) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / "config.toml").write_text(
        f"[[gateway.instances]]\nname = 'box'\nkind = 'openai'\nbase_url = '{upstream.base_url}'\ntier = 'direct'\n"
        "api_key = 'env://BOX'\n[[gateway.instances.models]]\nid = 'm1'\ncapabilities = ['streaming', 'tools']\n",
        encoding="utf-8",
    )


def test_a_header_does_not_make_another_method_or_path_of_a_request(legion_home: Path) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            reader = (await node.legion.tokens.create("reader", ("tokens:read", "rbac:read"))).secret
            await node.legion.tokens.create("victim", ("chat",))
            lies = ("DELETE", "/api/v1/rbac/tokens/victim", "PUT")
            for header, value in ((header, value) for header in OVERRIDES for value in lies):
                status, _ = await ask(node, "GET", "/api/v1/rbac/tokens", f"{header}: {value}", secret=reader)
                assert status == 200
            status, _ = await ask(
                node, "GET", "/api/v1/rbac/tokens?_method=DELETE&method=DELETE", secret=reader
            )
            assert status == 200
            rows = {row.name: row.state for row in await node.legion.tokens.list()}
            assert rows["victim"] == "active"

    run(work())


def test_no_spelling_of_a_path_walks_around_its_right(legion_home: Path) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            weak = (await node.legion.tokens.create("weak", ("chat",))).secret
            for target in SPELLINGS:
                status, body = await ask(node, "GET", target, secret=weak)
                assert status in (400, 403, 404), (target, body)
                status, body = await ask(node, "GET", target, secret="wrong")
                assert status in (400, 401), (target, body)

    run(work())


def test_tokens_are_compared_in_constant_time(legion_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner's by a comparison that does not stop early; a client's by its hash, which tells nothing of it."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def seen(one: Any, two: Any) -> bool:
        compared.append((one, two))
        return real(one, two)

    monkeypatch.setattr("legion_core.api.ops.hmac.compare_digest", seen)

    async def work() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            made = await node.legion.tokens.create("x", ("chat",))
            assert node.legion.ops.principal(made.secret).name == "x"
            assert node.legion.ops.principal(made.secret[:-1] + "!").carrier == "none"
            known = node.legion.rbac._rbac.authorizer
            assert made.secret not in repr(vars(known))

    run(work())
    assert len([one for one, _ in compared if one.startswith(b"lgn_")]) == 2


def test_a_token_file_that_is_a_link_is_not_believed(legion_home: Path, tmp_path: Path) -> None:
    legion_home.mkdir(mode=0o700)
    (tmp_path / "known").write_text("lgn_" + "k" * 43, encoding="utf-8")
    (legion_home / "token").symlink_to(tmp_path / "known")

    async def work() -> None:
        async with open_node(legion_home, env={}, serve=False):
            raise AssertionError("it started")

    with pytest.raises(ConfigError, match="is a link"):
        run(work())


def test_no_field_of_a_clients_body_changes_where_a_request_goes_or_what_key_it_carries(
    legion_home: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_thread(Upstream("openai")) as thief:
        config_for(legion_home, upstream)
        evil = {name: {"x-evil": "1"} if "headers" in name else thief.base_url for name in FIELDS}
        evil |= {"n_discard": -1, "timeout": -1, "api_key": "sk-evil", "token": "sk-evil"}
        body = {"model": "m1", "messages": [{"role": "user", "content": "Hi"}], **evil}

        async def work() -> None:
            async with open_node(legion_home, env={"BOX": "sk-the-real-key"}, serve=True, port=0) as node:
                for path in ("/v1/chat/completions", "/api/chat"):
                    await ask(node, "POST", path, "x-legion-instance: box", body=json.dumps(body).encode())

        run(work())
        assert thief.requests == []
        sent = repr(upstream.requests)
        assert "sk-the-real-key" in sent
        for name in (*NEVER_SENT, thief.base_url):
            assert name not in sent, name


def test_a_test_of_a_connection_starts_nothing(legion_home: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            doors = [
                each.path for each in routes.operations() if each.method == "POST" and "test" in each.path
            ]
            assert doors
            for words in (payload.replace("MARK", str(mark)) for payload in COMMANDS):
                for door, kind in (
                    (door, kind) for door in doors for kind in ("openai", "mlx", "llamacpp", "vertex")
                ):
                    spec = {"name": words, "kind": kind, "base_url": words}
                    for body in (spec, {**spec, "command": words, "api_key": words, "args": [words]}):
                        await ask(node, "POST", door.replace("{name}", "x"), body=json.dumps(body).encode())

    run(work(), 400)
    assert not mark.exists()


@pytest.mark.slow
def test_files_of_a_workspace_set_no_address_no_key_no_hook_and_no_policy(
    legion_home: Path, tmp_path: Path, upstream: Upstream
) -> None:
    """A repository that somebody else wrote is where the command is run; only the home's own files count."""
    work = tmp_path / "workspace"
    evil = f"[[gateway.instances]]\nname = 'evil'\nkind = 'openai'\nbase_url = '{upstream.base_url}'\n[engine.shell]\nallow = ['sh']\n"
    for name in (
        "config.toml",
        "legion.toml",
        ".legion/config.toml",
        ".legionio/settings.toml",
        "legion-home/../config.toml",
    ):
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(evil, encoding="utf-8")
    for name in (".env", ".legionio.env", ".legion/.env"):
        (work / name).write_text(f"LEGION_HOME={work}\nLEGION_TOKEN=evilevilevilevil\n", encoding="utf-8")
    for name in ("policy.toml", "LEGION.md", "CLAUDE.md", ".legion/hooks.json", ".mcp.json"):
        (work / name).write_text(
            'version = 1\n[[assign]]\nsubject = "*"\nroles = ["admin"]\n', encoding="utf-8"
        )
    env = {name: value for name, value in os.environ.items() if not name.startswith("LEGION_")}
    env |= {"LEGION_HOME": str(legion_home), "PYTHONPATH": str(Path(__file__).parents[3])}
    seen = ""
    for words in (["provider", "list"], ["config", "get", "engine.shell.allow"], ["rbac", "policy", "show"]):
        done = subprocess.run(
            [sys.executable, "-m", "legion_core", *words, "--json"], cwd=work, env=env, capture_output=True, text=True,
            check=False, timeout=400,
        )  # fmt: skip
        seen += done.stdout
    assert '"data"' in seen
    assert "evil" not in seen
    assert '"is_in_force":false' in seen
    assert upstream.requests == []


def test_payloads_that_imitate_our_own_marks_come_back_as_they_were(legion_home: Path) -> None:
    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            tasks = node.legion.tasks
            sent = await tasks.submit(Order(task="log.message.write", args={"message": "x", "data": MARKERS}))
            done = await tasks.wait(sent.id)
            assert json.loads(json.dumps(done.result))["data"] == MARKERS
            assert done.args["data"] == MARKERS

    run(work())


def test_a_client_cannot_say_who_it_is(legion_home: Path) -> None:
    """Headers and fields that name a user, a role or a scope are words, not proofs."""

    async def work() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            weak = (await node.legion.tokens.create("weak", ("tasks:write", "tasks/log/*:run"))).secret
            lies = (
                "X-Forwarded-For: 127.0.0.1", "X-Forwarded-User: owner", "X-Remote-User: owner", "X-Legion-Who: owner",
                "X-Legion-Roles: admin", "Cookie: token=owner; who=owner", "X-Real-Ip: 127.0.0.1", "Forwarded: for=127.0.0.1",
            )  # fmt: skip
            status, _ = await ask(node, "GET", "/api/v1/settings", *lies, secret=weak)
            assert status == 403
            body = {
                "task": "shell.command.run",
                "args": {"argv": ["true"]},
                "who": "owner",
                "roles": ["admin"],
            }
            status, _ = await ask(
                node, "POST", "/api/v1/tasks", *lies, body=json.dumps(body).encode(), secret=weak
            )
            assert status in (400, 403)

    run(work())


def test_a_kept_conversation_is_not_read_by_knowing_its_id(legion_home: Path, upstream: Upstream) -> None:
    config_for(legion_home, upstream)

    async def work() -> None:
        async with open_node(legion_home, env={"BOX": "k"}, serve=True, port=0) as node:
            kept = await node.legion.chat.create("private matters")
            weak = (await node.legion.tokens.create("weak", ("chat",))).secret
            body = json.dumps(
                {"model": "m1", "messages": [{"role": "user", "content": "What was said?"}]}
            ).encode()
            for path in ("/v1/chat/completions", "/api/chat"):
                status, answer = await ask(
                    node, "POST", path, f"x-legion-conversation: {kept.id}", body=body, secret=weak
                )
                assert status == 403, answer
            assert upstream.requests == []

    run(work())
