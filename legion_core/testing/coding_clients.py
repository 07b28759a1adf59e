"""The coding clients of others, pointed at a gateway: where their programs lie, what they are told, what they tell.

`packaging/agents` pins their versions. They are put into a cache outside of the repository by `install`, the only thing
here that needs a network; running them needs none. Each gets a home of its own, so that nothing of the user's is read.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from legion_core.testing import npm

ClientName = Literal["claude code", "codex", "opencode chat", "opencode messages", "opencode responses"]

PINNED: Final = "agents"
_QUIET: Final = {
    # Nothing but the gateway is to be asked, not even for news.
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "NO_COLOR": "1",
}


@dataclass(frozen=True, slots=True)
class Program:
    """An npm package whose program is in a package of its own for each kind of machine."""

    package: str
    pattern: str  # of the program, below `node_modules`


CLAUDE_CODE: Final = Program("@anthropic-ai/claude-code", "@anthropic-ai/claude-code-*/claude")
CODEX: Final = Program("@openai/codex", "@openai/codex-*/vendor/*/bin/codex")
OPENCODE: Final = Program("opencode-ai", "opencode-*/bin/opencode")
PROGRAMS: Final = (CLAUDE_CODE, CODEX, OPENCODE)


@dataclass(frozen=True, slots=True)
class Told:
    """What a client said it did: tools it ran, its last words, and whether it was content."""

    tools_run: int
    last_words: str
    is_content: bool


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a client for one piece of work."""

    arguments: tuple[str, ...]
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class CodingClient:
    """One client in one of its dialects. `prepare(home, folder, url, token, prompt)` writes its settings."""

    name: ClientName
    program: Program
    model: str  # of which the client knows what tools it is good with
    prepare: Callable[[Path, Path, str, str, str], Start]
    read: Callable[[str], Told]


def versions() -> dict[str, str]:
    """The pinned version of each package."""
    return npm.versions(PINNED)


def find(program: Program) -> Path | None:
    """The program for this machine; None where it is not installed."""
    places = (npm.folder_of(PINNED) / "node_modules").glob(program.pattern)
    found = sorted(places, key=lambda each: len(str(each)))
    return found[0] if found else None


def install() -> None:
    """Bring the pinned packages into the cache; NotToBeHad where that fails."""
    npm.install(PINNED)
    missing = [program.package for program in PROGRAMS if find(program) is None]
    if missing:
        raise npm.NotToBeHad(f"npm installed no program of {', '.join(missing)} for this machine.")


def _env(home: Path, **more: str) -> dict[str, str]:
    """An environment with nothing of the user's but where programs are."""
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config")}
    own |= {"XDG_DATA_HOME": str(home / "data"), "XDG_STATE_HOME": str(home / "state")}
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", **own, **_QUIET, **more}


def _claude_code(home: Path, _folder: Path, url: str, token: str, prompt: str) -> Start:
    arguments = ("-p", prompt, "--permission-mode", "bypassPermissions", "--verbose")
    asked = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": token, "ANTHROPIC_MODEL": "claude-sonnet-4-5"}
    return Start((*arguments, "--output-format", "stream-json"), _env(home, IS_SANDBOX="1", **asked))


def _codex(home: Path, folder: Path, url: str, token: str, prompt: str) -> Start:
    (home / ".codex").mkdir()
    settings = f"""
model = "gpt-5.5"
model_provider = "legion"
[model_providers.legion]
name = "Legion"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "LEGION_TOKEN"
"""
    (home / ".codex" / "config.toml").write_text(settings, encoding="utf-8")
    arguments = ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json")
    env = _env(home, CODEX_HOME=str(home / ".codex"), LEGION_TOKEN=token)
    return Start((*arguments, "--cd", str(folder), prompt), env)


def _opencode(package: str) -> Callable[[Path, Path, str, str, str], Start]:
    def prepare(home: Path, folder: Path, url: str, token: str, prompt: str) -> Start:
        picture = {"attachment": True, "modalities": {"input": ["text", "image"], "output": ["text"]}}
        provider = {
            "npm": package,
            "name": "Legion",
            "options": {"baseURL": f"{url}/v1", "apiKey": token},
            "models": {"m1": {"name": "m1", "tool_call": True, **picture}},
        }
        settings = {"provider": {"legion": provider}, "model": "legion/m1", "autoupdate": False}
        # Not in the folder of the work, which a client may list.
        path = home / "opencode.json"
        path.write_text(json.dumps(settings), encoding="utf-8")
        arguments = (
            "run",
            "--model",
            "legion/m1",
            "--format",
            "json",
            "--auto",
            "--dir",
            str(folder),
            prompt,
        )
        return Start(arguments, _env(home, OPENCODE_CONFIG=str(path)))

    return prepare


def _lines(out: str) -> Iterator[dict[str, Any]]:
    for line in out.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _read_claude_code(out: str) -> Told:
    run, last, is_content = 0, "", False
    for line in _lines(out):
        if line["type"] == "user" and not line.get("parent_tool_use_id"):
            parts = cast("list[dict[str, Any]]", line["message"]["content"])
            run += sum(part["type"] == "tool_result" for part in parts)
        elif line["type"] == "result":
            last, is_content = line.get("result", ""), not line["is_error"]
    return Told(run, last, is_content)


def _read_codex(out: str) -> Told:
    run, last, is_content = 0, "", False
    for line in _lines(out):
        item = line.get("item", {})
        if line["type"] == "item.completed":
            run += item["type"] in ("command_execution", "file_change")
            last = item["text"] if item["type"] == "agent_message" else last
        is_content = line["type"] == "turn.completed"
    return Told(run, last, is_content)


def _read_opencode(out: str) -> Told:
    run, last, is_content = 0, "", True
    for line in _lines(out):
        part = line.get("part", {})
        run += line["type"] == "tool_use"
        last = part["text"] if line["type"] == "text" else last
        is_content = is_content and line["type"] != "error"
    return Told(run, last, is_content)


CLIENTS: Final[tuple[CodingClient, ...]] = (
    CodingClient("claude code", CLAUDE_CODE, "claude-sonnet-4-5", _claude_code, _read_claude_code),
    CodingClient("codex", CODEX, "gpt-5.5", _codex, _read_codex),
    CodingClient("opencode chat", OPENCODE, "m1", _opencode("@ai-sdk/openai-compatible"), _read_opencode),
    CodingClient("opencode messages", OPENCODE, "m1", _opencode("@ai-sdk/anthropic"), _read_opencode),
    CodingClient("opencode responses", OPENCODE, "m1", _opencode("@ai-sdk/openai"), _read_opencode),
)
