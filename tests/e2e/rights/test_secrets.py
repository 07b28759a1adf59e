"""Secrets planted in a whole run of the node are found nowhere but where they are meant to be."""

import asyncio
import contextlib
import io
import json
import os
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import msgspec
import pytest

from legion_core.api.task_types import Order
from legion_core.api.types import ProviderSpec
from legion_core.api.webhook_types import HookSpec
from legion_core.gateway.types import Message, Pins, Request, TextBlock
from legion_core.kernel.errors import LegionError
from legion_core.node import Node, open_node
from legion_core.surfaces.cli.main import run as command
from legion_core.testing.upstreams import Answer, Raw, Upstream, in_thread
from tests.support.aio import run

CHAIN = "name: c\nnodes:\n  a: {task: log.message.write, args: {message: hello}}\n"
EXTENSION = """
from legion_core.engine.extension import function

class Look:
    @function(cpu=True)
    def environment(self) -> dict:
        import os
        return dict(os.environ)

runners = {"look": Look()}
"""


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    with in_thread(Upstream("openai")) as one, in_thread(Upstream("openai")) as two:
        yield one, two


@pytest.mark.slow
@pytest.mark.requirement("rbac.secrets")
def test_planted_secrets_are_found_in_no_log_dump_export_database_event_or_child(
    legion_home: Path,
    upstreams: tuple[Upstream, Upstream],
    monkeypatch: pytest.MonkeyPatch,
    allow_log: object,
) -> None:
    """The provider even sends its key back, as some do in the words of a refusal."""
    allow_log(".*")  # type: ignore[operator]
    planted = {
        "env key": "canaryEnvKey7f3a91c2d4",
        "kept key": "canaryKeptKey55e0b7aa19",
        "passphrase": "canary passphrase 81b2",
        "owner": "canaryOwnerToken9c41f0e7",
        "plain": "canarySecretValue3b7d2e",
    }
    monkeypatch.setenv("CANARY_ENV_KEY", planted["env key"])
    env = {
        "LEGION_TOKEN": planted["owner"], "LEGION_PASSPHRASE": planted["passphrase"], "LEGION_LOG": "DEBUG",
        "CANARY_ENV_KEY": planted["env key"], "LEGION_HOME": str(legion_home),
    }  # fmt: skip
    legion_home.mkdir(mode=0o700)
    (legion_home / "config.toml").write_text(
        "[advanced]\nlog_level = 'debug'\n[engine.shell]\nallow = ['env']\n"
        f"[[gateway.instances]]\nname = 'by-env'\nkind = 'openai'\nbase_url = '{upstreams[0].base_url}'\n"
        "api_key = 'env://CANARY_ENV_KEY'\ntier = 'direct'\n"
        "[[gateway.instances.models]]\nid = 'm1'\ncapabilities = ['streaming', 'tools']\n",
        encoding="utf-8",
    )
    extension = legion_home / "extensions" / "canary"
    extension.mkdir(parents=True)
    (extension / "__init__.py").write_text(EXTENSION, encoding="utf-8")

    def echo(name: str) -> Raw:
        words = f"the key {planted[name]} is wrong: {planted[name][-6:]}"
        return Raw(401, json.dumps({"error": {"message": words}}).encode())

    for upstream, name in zip(upstreams, ("env key", "kept key"), strict=True):
        upstream.will(Answer(("Hel", "lo")), echo(name))
    seen: list[str] = []

    async def whole_run() -> None:
        async with open_node(legion_home, env=env, serve=True, port=0) as node:
            legion = node.legion
            events = legion.events.subscribe(size_max=10_000)
            made = await legion.tokens.create("editor", ("chat", "tasks:write", "tasks/*:run"), client="Zed")
            planted["client"] = made.secret
            await legion.secrets.set("plain", planted["plain"])
            spec = ProviderSpec(name="kept", kind="openai", base_url=upstreams[1].base_url, tier="direct")
            await legion.providers.add(spec, planted["kept key"], test=False)
            hook = await legion.hooks.add(HookSpec(name="h", target="log.message.write"))
            planted["hook"] = hook.signing_secret
            for number in range(4):
                who = legion.ops.principal(made.secret)
                with contextlib.suppress(LegionError):
                    await legion.llm.answer(
                        _question(f"req_{number}", "by-env" if number % 2 else "kept"), who
                    )
            for name in ("kept", "by-env"):
                seen.append(repr(await legion.providers.test(name)))
            await legion.chains.apply(CHAIN)
            view = await legion.chains.run("c", {"x": 1})
            seen.append(repr(view))
            for order in (
                Order(task="shell.command.run", args={"argv": ["env"]}),
                Order(
                    task="http.request.get",
                    args={"url": f"http://u:{planted['plain']}@127.0.0.1:1/"},
                ),
                Order(task="canary.look.environment"),
            ):
                with contextlib.suppress(LegionError):
                    done = await legion.tasks.wait((await legion.tasks.submit(order)).id, 20.0)
                    seen.append(f"{done.result} {done.reason.code if done.reason else ''}")
            for thing in (
                legion.ops.doctor(), legion.ops.status(), legion.providers.list(), legion.tokens.list(), legion.audit.page(),
                legion.hooks.list(), legion.llm.lanes(), legion.chat.list(),
            ):  # fmt: skip
                seen.append(msgspec.json.encode(await thing).decode())
            seen.append(repr(legion.settings.rows()))
            seen.append(repr(await legion.network.hosts()))
            await _over_http(node, made.secret, planted["owner"], seen)
            seen.append(_processes())
            try:
                raise RuntimeError(f"crash with {planted['kept key']} and {planted['owner']}")
            except RuntimeError:
                import logging

                logging.getLogger("legion.canary").exception("it broke: %s", planted["env key"])
            seen.extend(repr(event) for event in events.take_nowait())

    run(whole_run(), 400)
    for words in (["doctor"], ["config", "check"], ["provider", "list"], ["secret", "list"], ["token", "list"], ["audit", "list"],
                  ["hook", "list"], ["ledger", "summary"], ["audit", "export"]):  # fmt: skip
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            command([*words, "--json"], env=env, open_node=open_node)
        seen.append(out.getvalue() + err.getvalue())

    assert len({*planted.values()}) == 7
    found = [
        f"{name} in {path.relative_to(legion_home)}"
        for path in legion_home.rglob("*")
        if path.is_file()
        for name, secret in planted.items()
        if secret.encode() in path.read_bytes()
    ]
    found += [
        f"{name} in {text[:80]!r}" for text in seen for name, secret in planted.items() if secret in text
    ]
    # The arguments of a task are its owner's own words: they are kept as they were given.
    assert [each for each in found if each != "plain in journal.db"] == []


def _question(request_id: str, instance: str) -> Request:
    return Request(
        id=request_id,
        messages=(Message(role="user", content=(TextBlock(text="Hi"),)),),
        pins=Pins(instance=instance, model="m1"),
        stream=False,
    )


async def _over_http(node: Node, client: str, owner: str, seen: list[str]) -> None:
    port = int(node.url.rpartition(":")[2])
    for secret in (client, owner):
        for target in (
            "/openapi.json", "/metrics", f"/api/v1/ledger?key={secret}", "/api/v1/settings", "/api/v1/rbac/tokens",
            "/api/v1/audit/export", "/nowhere", "/v1/models",
        ):  # fmt: skip
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nx-api-key: {secret}\r\n\r\n"
            writer.write(head.encode())
            seen.append((await reader.read()).decode("utf-8", "replace"))
            writer.close()


def _processes() -> str:
    """Command lines and environments of this process's children, and its own command line."""
    told = [Path("/proc/self/cmdline").read_bytes()]
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid():
                told += [(path / "cmdline").read_bytes(), (path / "environ").read_bytes()]
    return b"\n".join(told).decode("utf-8", "replace")


def test_a_trace_shows_no_token_in_the_repr_of_what_holds_it(legion_home: Path) -> None:
    async def work() -> str:
        async with open_node(legion_home, env={}, serve=False) as node:
            made = await node.legion.tokens._rbac.create_token(
                node.legion.ops.named("owner"), "x", ("chat",), "", None
            )
            try:
                raise RuntimeError(repr(made), repr(node.legion.ops.principal(made.secret)))
            except RuntimeError as error:
                return made.secret + "|" + "".join(traceback.format_exception(error))

    secret, _, trace = run(work()).partition("|")
    assert secret not in trace
