"""Every way in, by every verdict: what is not allowed does not happen, whichever door is tried.

The doors are read from the running route table and the command tree, so that a new one is in here by itself.
"""

import argparse
import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from legion_core.node import Node, open_node
from legion_core.rbac.policy import OWNERS_ALONE
from legion_core.rbac.rules import ACTIONS, ROOTS
from legion_core.surfaces.cli.main import run as command
from legion_core.surfaces.cli.tree import parser
from legion_core.surfaces.rest import routes
from legion_core.surfaces.rest.calls import Operation
from tests.contract.surfaces.nodes import running_node
from tests.support.aio import run

OPERATIONS = tuple(each for each in routes.operations() if each.right is not None)
ONE_OF_MANY = {("provider", "model", "set"): ("--tools", "yes")}  # commands that want one option at least
OPEN = {"/healthz", "/readyz", "/hooks/{name}"}


@asynccontextmanager
async def node_at(home: Path) -> AsyncIterator[Node]:
    async with open_node(home, env={}, serve=True, port=0) as node:
        yield node


async def status_of(node: Node, operation: Operation, secret: str) -> tuple[int, bytes]:
    """The status of one request, read from its head alone: some answers never end."""
    path = re.sub(r"\{\w+(?::path)?\}", "x", operation.path)
    body = b"{}" if operation.method in ("POST", "PUT", "PATCH") else b""
    port = int(node.url.rpartition(":")[2])
    head = [
        f"{operation.method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {secret}",
        f"Content-Length: {len(body)}", "Content-Type: application/json", "Accept: application/json, text/event-stream",
    ]  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        start = await reader.readuntil(b"\r\n\r\n")
        rest = await reader.read(400) if b"application/json" in start else b""
    finally:
        writer.close()
    return int(start.split()[1]), rest


def test_every_route_but_the_open_ones_has_a_right_that_a_policy_can_name() -> None:
    assert {each.path for each in routes.operations() if each.right is None} == OPEN
    for each in OPERATIONS:
        assert each.right is not None
        path, action = each.right
        assert path.split("/")[0] in ROOTS, each.path
        assert action in ACTIONS, each.path


@pytest.mark.slow
@pytest.mark.requirement("rbac.identity")
def test_every_route_is_shut_to_every_token_that_does_not_have_its_right(legion_home: Path) -> None:
    """A token with every other right there is, one without any, one that is past its time, one that was revoked."""

    async def work() -> list[str]:
        wrong: list[str] = []
        rights = sorted({each.right for each in OPERATIONS if each.right is not None})
        async with node_at(legion_home) as node:
            tokens = node.legion.tokens
            bare = (await tokens.create("bare")).secret
            gone = (await tokens.create("gone", ("*:*",))).secret
            await tokens.revoke("gone")
            late = (await tokens.create("late", ("*:*",), expires_s=0.001)).secret
            others = {}
            for number, (path, action) in enumerate(rights):
                rest = tuple(f"{where}:{what}" for where, what in rights if (where, what) != (path, action))
                others[path, action] = (await tokens.create(f"o{number}", rest)).secret
            for each in OPERATIONS:
                assert each.right is not None
                for secret, expected, name in (
                    (others[each.right], 403, "all but this"), (bare, 403, "no role"), (gone, 401, "revoked"),
                    (late, 401, "expired"), ("lgn_" + "x" * 43, 401, "unknown"),
                ):  # fmt: skip
                    status, _ = await status_of(node, each, secret)
                    if status != expected:
                        wrong.append(f"{each.method} {each.path} {name}: {status}")
        return wrong

    assert run(work(), 400) == []


@pytest.mark.slow
def test_every_route_lets_in_the_token_that_has_its_right_and_no_token_where_it_is_the_owners(
    legion_home: Path,
) -> None:
    async def work() -> list[str]:
        wrong: list[str] = []
        async with node_at(legion_home) as node:
            rights = sorted({each.right for each in OPERATIONS if each.right is not None})
            secrets = {
                right: (await node.legion.tokens.create(f"t{number}", (f"{right[0]}:{right[1]}",))).secret
                for number, right in enumerate(rights)
            }
            for each in OPERATIONS:
                assert each.right is not None
                status, body = await status_of(node, each, secrets[each.right])
                is_owners = each.right in OWNERS_ALONE
                # Some things ask twice: to cancel a task is more than to write to the list of tasks.
                asks_more = status == 403 and f"{each.right[1]} {each.right[0]}.".encode() not in body
                if status == 401 or ((status == 403) is not is_owners and not asks_more):
                    wrong.append(f"{each.method} {each.path}: {status} {body!r}")
        return wrong

    assert run(work(), 400) == []


# What a command does in its own process, with the owner's own files: no right is asked for.
OWN = {
    ("desktop",), ("start",), ("worker",), ("config", "path"), ("config", "check"), ("token", "show"), ("curate",),
    ("mcp",), ("status",), ("doctor",), ("stop",), ("chat",), ("extension", "create"),
    ("completion",), ("selftest",),
}  # fmt: skip


def leaves(
    top: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    groups = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    if words and (not groups or not groups[0].required):
        yield words, top
    for group in groups:
        for name, inner in group.choices.items():
            yield from leaves(inner, (*words, name))


def filled(leaf: argparse.ArgumentParser, file: Path) -> list[str]:
    """Something for each argument that must be given."""
    given: list[str] = []
    for action in leaf._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        value = str(next(iter(action.choices))) if action.choices else "1" if action.type is int else "x.y.z"
        if "FILE" in str(action.metavar) or action.metavar == "PATH":
            value = str(file)
        if action.option_strings and action.required:
            given += [action.option_strings[-1], value]
        elif not action.option_strings and action.nargs not in ("*", "?"):
            given.append(value)
    groups = [group for group in leaf._mutually_exclusive_groups if group.required]
    for group in groups:
        given += [group._group_actions[0].option_strings[-1], "0 9 * * *"]
    return given


@pytest.mark.slow
def test_every_command_through_a_running_node_is_refused_to_a_token_without_rights(
    legion_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "chain.yaml"
    file.write_text("name: c\nnodes:\n  a: {task: log.message.write}\n", encoding="utf-8")
    chats = tmp_path / "chats.jsonl"
    chats.write_text('{"role": "user", "content": "Hello."}\n', encoding="utf-8")
    wrong: list[str] = []
    with running_node(legion_home, {}):
        secret = _created(legion_home)
        env = {"LEGION_HOME": str(legion_home), "LEGION_TOKEN": secret}
        for words, leaf in leaves(parser()):
            if words in OWN or words[0] in ("connect", "mcp"):
                continue
            monkeypatch.setattr("sys.stdin", io.StringIO("secret-value\n"))
            given = chats if words == ("conversation", "import") else file
            status, out = said([*words, *filled(leaf, given), *ONE_OF_MANY.get(words, ())], env)
            told = json.loads(out)
            if status != 1 or told.get("error", {}).get("code") != "denied":
                wrong.append(f"{' '.join(words)}: {status} {out[:200]}")
    assert wrong == []


def said(words: list[str], env: dict[str, str]) -> tuple[int, str]:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        status = command([*words, "--json"], env=env, open_node=open_node)
    return status, out.getvalue()


def _created(home: Path) -> str:
    status, out = said(["token", "create", "bare"], {"LEGION_HOME": str(home)})
    assert status == 0
    return str(json.loads(out)["data"]["secret"])
