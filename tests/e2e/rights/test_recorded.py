"""Nothing is changed without an entry in the audit log: every method of the facade, every route, every way in."""

import inspect
import json
import os
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import httpx
import pytest

from legion_core.api.facade import Legion
from legion_core.api.recorded import KINDS
from legion_core.node import open_node
from legion_core.surfaces.rest.routes import operations
from tests.contract.surfaces.nodes import running_node
from tests.support.aio import run

# Methods that write their entry themselves, in or before what they do.
THEMSELVES = {
    "settings": {"set", "reset", "add_instance", "remove_instance", "describe_model", "forget_model"},
    "secrets": {"set", "remove"},
    "tokens": {"create", "revoke"},
    "rbac": {"apply", "remove"},
    "providers": {"add", "remove", "describe_model", "forget_model"},
    "extensions": {"create"},
    "network": {"set_offline", "block", "allow", "forget"},
    "connect": {"apply", "undo"},
    "mcp": {"allow", "forbid", "reset", "decide"},
    "tasks": {
        "submit",
        "submit_many",
    },  # whoever orders for somebody else: in the transaction that accepts it
    "chains": {"run", "replay"},
    "audit": {"changed", "note", "note_nowait"},
}
# What changes something and has no entry, and why.
NONE = {
    "chat": "what a person writes and does with it: its own hash-linked log (`legion conversation log`)",
    "curation": "how a conversation is shown to a model; undone by a click, and kept with the conversation",
    "actors": "starts what extensions that were recorded bring",
    "events": "tells watchers; changes nothing",
    "hooks.receive": "a delivery: the task it starts is ordered in the hook's maker's name",
    "tasks.cancel": "the task's own history says who ended it", "tasks.retry": "the same",
    "chains.cancel": "the run's own history says it",
    "settings.look_again": "reads the file again", "secrets.unlock": "opens what is there; changes nothing",
    "models.load": "memory only", "models.unload": "memory only", "models.measure": "a short run, nothing kept but its speed",
    "models.refresh": "looks at the folder", "models.unload_when_idle": "memory only", "models.go_on_pulling": "of a start",
    "models.pause_pull": "a transfer that was recorded", "models.resume_pull": "the same", "models.cancel_pull": "the same",
    "models.wait_pull": "waits", "ops.end_token": "called by a revocation, which is recorded",
    "mcp.stop": "of the end", "mcp.watching": "whether a window is open", "mcp.endpoint": "made once",
    "network.apply": "puts settings in force, which are recorded", "network.stop": "of the end",
    "network.write_down": "keeps the record", "network.contacted": "counts", "llm.embed": "a question, in the ledger",
    "llm.answer": "a question, in the ledger", "llm.stream": "the same", "providers.test": "asks; keeps nothing",
    "providers.try_model": "questions, in the ledger",
    "tasks.work": "of the start", "schedules.work": "of the start", "actors.work": "of the start",
}  # fmt: skip
READS = (
    "get", "list", "all", "rows", "show", "page", "export", "verify", "check", "preview", "explain", "validate", "status",
    "doctor", "names", "backend", "counts", "logs", "wait", "wait_at_most", "runs", "versions", "payload", "last_payload",
    "get_run", "parse", "render", "render_text", "fit", "hardware", "catalogue", "engines", "pulls", "kinds", "known", "find",
    "faults", "policy", "deliveries", "grants", "approvals", "calls", "clients", "tools", "service", "key", "command", "snippet",
    "hosts", "state", "index", "hours", "ladder", "budgets", "is_private", "lanes", "ledger", "ledger_summary",
    "tokens_per_s", "authorise", "may", "named", "on_token_end", "principal", "ends_in_s", "function", "messages", "row",
    "unlocked", "conversations", "view",
)  # fmt: skip


@pytest.mark.requirement("audit.complete")
def test_every_method_of_the_facade_is_recorded_or_has_a_reason_not_to_be() -> None:
    open_questions: list[str] = []
    for subject, kind in typing.get_type_hints(Legion).items():
        if subject in NONE:
            continue
        for name, _ in inspect.getmembers(kind, inspect.isfunction):
            place = f"{subject}.{name}"
            if (
                name.startswith("_")
                or name in KINDS.get(subject, {})
                or name in THEMSELVES.get(subject, set())
            ):
                continue
            if name not in READS and place not in NONE:
                open_questions.append(place)
    assert open_questions == []


def test_the_tables_name_nothing_that_is_not_there() -> None:
    hints = typing.get_type_hints(Legion)
    for table in (KINDS, THEMSELVES):
        for subject, names in table.items():
            for name in names:
                assert callable(getattr(hints[subject], name)), f"{subject}.{name}"
    for place in NONE:
        subject, _, name = place.partition(".")
        assert not name or callable(getattr(hints[subject], name)), place


def test_every_writing_route_leads_to_the_facade() -> None:
    """No handler writes past it: a handler's own code opens no file, no database and no secret."""
    for each in operations():
        if each.method in ("GET", "HEAD"):
            continue
        source = inspect.getsource(each.handler)
        for word in ("database", "Path(", "open_file(", "secrets.set", "write_text", "execute("):
            assert word not in source.replace("legion.secrets.set", ""), f"{each.name}: {word}"


CHAIN = {"name": "greet", "nodes": {"say": {"task": "log.message.write", "args": {"message": "hi"}}}}
SCHEDULE = {"name": "daily", "target": "log.message.write", "args": {"message": "x"}, "cron": "0 9 * * *"}
HOOK = {"name": "push", "target": "log.message.write", "args": {"message": "x"}}
SERVER = {"name": "theirs", "command": ["true"]}

# Each way in over HTTP: method, path, body, the kind it must leave. In an order in which they can be done.
CALLS: tuple[tuple[str, str, Any, str], ...] = (
    ("PUT", "/settings/appearance.theme", {"value": "dark"}, "setting.changed"),
    ("DELETE", "/settings/appearance.theme", None, "setting.reset"),
    ("PUT", "/secrets/amqp", {"value": "canary-value-1"}, "secret.set"),
    ("DELETE", "/secrets/amqp", None, "secret.removed"),
    ("PUT", "/network/blocked/evil.example", None, "network.blocked"),
    ("DELETE", "/network/blocked/evil.example", None, "network.allowed"),
    ("PUT", "/network/offline", {"is_offline": True}, "network.offline"),
    ("PUT", "/network/offline", {"is_offline": False}, "network.online"),
    ("DELETE", "/network/hosts", None, "network.forgotten"),
    ("POST", "/rbac/tokens", {"name": "editor", "scopes": ["chat"]}, "token.created"),
    ("DELETE", "/rbac/tokens/editor", None, "token.revoked"),
    ("PUT", "/rbac", {"text": "version = 1\n"}, "policy"),
    ("DELETE", "/rbac", None, "policy"),
    ("POST", "/chains", CHAIN, "chain.applied"),
    ("POST", "/chains/greet/rename", {"to": "hello"}, "chain.renamed"),
    ("DELETE", "/chains/hello", None, "chain.deleted"),
    ("POST", "/schedules", SCHEDULE, "schedule.added"),
    ("POST", "/schedules/daily/pause", None, "schedule.paused"),
    ("POST", "/schedules/daily/resume", None, "schedule.resumed"),
    ("POST", "/schedules/daily/run", None, "schedule.ordered"),
    ("PUT", "/schedules/daily", SCHEDULE, "schedule.changed"),
    ("DELETE", "/schedules/daily", None, "schedule.removed"),
    ("POST", "/hooks", HOOK, "hook.added"),
    ("POST", "/hooks/push/pause", None, "hook.paused"),
    ("POST", "/hooks/push/resume", None, "hook.resumed"),
    ("DELETE", "/hooks/push", None, "hook.removed"),
    ("POST", "/extensions", {"name": "mine"}, "extension.created"),
    ("POST", "/providers/local/trip", None, "provider.tripped"),
    ("POST", "/providers/local/drain", None, "provider.drained"),
    ("POST", "/providers/local/reset", None, "provider.reset"),
    ("POST", "/mcp/grants/editor", {"allow": ["x"]}, "mcp.grant"),
    ("DELETE", "/mcp/grants/editor", None, "mcp.grant"),
    ("POST", "/mcp/pause", {"is_paused": True}, "mcp.paused"),
    ("POST", "/mcp/servers", SERVER, "mcp.server"),
    ("DELETE", "/mcp/servers/theirs", None, "mcp.server"),
    ("POST", "/audit/connect", {"client": "zed", "is_applied": True, "paths": ["/x"]}, "connect.applied"),
    ("DELETE", "/models/no-such-model", None, "model.removed"),
)  # fmt: skip


@pytest.mark.slow
def test_every_writing_route_leaves_an_entry_with_who_and_what(legion_home: Path) -> None:
    wrong: list[str] = []
    with running_node(legion_home, {"LEGION_PASSPHRASE": "open sesame"}) as url:
        token = (legion_home / "token").read_text(encoding="utf-8").strip()
        with httpx.Client(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60
        ) as api:
            for method, path, body, kind in CALLS:
                before = api.get("/audit", params={"limit": 1}).json()["data"]
                answer = api.request(method, path, json=body)
                if answer.status_code >= 400 and "no-such" not in path:
                    wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
                    continue
                found = api.get("/audit", params={"limit": 20, "kind": kind}).json()["data"]
                fresh = [row for row in found if not before or row["seq"] > before[0]["seq"]]
                if not fresh or any(row["who"] != "owner" for row in fresh):
                    wrong.append(f"{method} {path}: no {kind} by the owner in {found[:2]}")
            whole = json.dumps(api.get("/audit", params={"limit": 200}).json())
            assert api.get("/audit/verify").json()["data"]["is_whole"]
    assert wrong == []
    assert "canary-value-1" not in whole


@pytest.mark.slow
def test_what_another_token_does_stands_under_its_own_name_and_what_fails_as_failed(
    legion_home: Path,
) -> None:
    async def check() -> None:
        async with open_node(legion_home, env={}, serve=True, port=0) as node:
            made = await node.legion.tokens.create("builder", ("chains:read,write", "chains/*:*"))
            async with httpx.AsyncClient(base_url=f"{node.url}/api/v1", trust_env=False) as api:
                key = {"Authorization": f"Bearer {made.secret}"}
                await api.post("/chains", json=CHAIN, headers=key)
                assert (await api.delete("/chains/nothing", headers=key)).status_code == 404
            rows = await node.legion.audit.page(kind="chain")
            told = [(row.kind, row.who, row.outcome, row.path) for row in rows]
            assert ("chain.applied", "builder", "done", "chains") in told
            assert ("chain.deleted", "builder", "failed", "chains/nothing") in told

    run(check())


@pytest.mark.slow
def test_the_command_line_leaves_the_same_entries_without_a_node(legion_home: Path, tmp_path: Path) -> None:
    """Also where it writes into others' files by itself, and where code is dropped in."""
    home = tmp_path / "user"
    (home / ".cursor").mkdir(parents=True)
    env = {
        "LEGION_HOME": str(legion_home), "HOME": str(home), "PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(home / ".config"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }  # fmt: skip

    def legion(*words: str) -> str:
        command = [sys.executable, "-m", "legion_core", *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    legion("connect", "apply", "cursor")
    legion("connect", "undo", "cursor")
    legion("network", "block", "evil.example")
    dropped = legion_home / "extensions" / "mine"
    dropped.mkdir(parents=True)
    (dropped / "hello.py").write_text('def say() -> str:\n    "Say it."\n    return "hi"\n', encoding="utf-8")
    for _ in range(2):
        legion("task", "run", "mine.hello.say", "--wait")
    (dropped / "hello.py").write_text('def say() -> str:\n    "Say it."\n    return "ho"\n', encoding="utf-8")
    legion("task", "run", "mine.hello.say", "--wait")
    rows = json.loads(legion("audit", "list", "--limit", "100", "--json"))["data"]
    kinds = [row["kind"] for row in reversed(rows)]
    assert kinds.count("extension.imported") == 2, "once for each state of the code"
    for kind in ("connect.applied", "connect.undone", "network.blocked", "token.created", "token.revoked"):
        assert kind in kinds, kind
    assert all(row["who"] == "owner" for row in rows)
    assert str(home / ".cursor" / "mcp.json") in next(
        row["detail"] for row in rows if row["kind"] == "connect.applied"
    )
