"""Pure: the programs that can be connected, where each keeps its configuration, and what is written there.

The sources are listed in docs/connect.md, with the day on which they were read.
"""

import base64
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import quote

from legion_core.connect.marks import Format
from legion_core.kernel.errors import NotFound, Unsupported

Part = Literal["mcp", "models"]
Form = Literal["stdio", "http"]
NAME = "legion"
TITLE = "Legion"
MODEL = "auto"
KEY_VARIABLE = "LEGION_KEY"
CONTEXT_TOKENS = 32_768
OUTPUT_TOKENS = 8_192


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The machine as far as paths depend on it. `platform` is `sys.platform`; `env` the environment."""

    home: PurePath
    platform: str
    env: Mapping[str, str]

    def config(self, *names: str) -> PurePath:
        """Under the directory where programs of this system keep what a person configures."""
        if self.platform == "win32":
            root = PurePath(self.env.get("APPDATA") or self.home / "AppData" / "Roaming")
        elif self.platform == "darwin":
            root = self.home / "Library" / "Application Support"
        else:
            root = self.xdg()
        return root.joinpath(*names)

    def xdg(self, *names: str) -> PurePath:
        """Under `XDG_CONFIG_HOME`, which some programs use on every system."""
        given = self.env.get("XDG_CONFIG_HOME", "")
        root = PurePath(given) if given and PurePath(given).is_absolute() else self.home / ".config"
        return root.joinpath(*names)

    def named(self, variable: str, fallback: PurePath) -> PurePath:
        """The directory a variable names, where it names one."""
        given = self.env.get(variable, "").strip()
        return PurePath(given) if given else fallback


@dataclass(frozen=True, slots=True)
class Offer:
    """What this installation has to give to one client.

    `command`: argv that speaks MCP over stdio; `env`: what it needs beside it; `base`: `http://host:port`;
    `key_command`: argv that prints the client's key; `key_path`: the file that holds it.
    """

    command: tuple[str, ...]
    base: str
    key_command: tuple[str, ...]
    key_path: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def mcp_url(self) -> str:
        """Where MCP is served over HTTP."""
        return f"{self.base}/mcp"


@dataclass(frozen=True, slots=True)
class Target:
    """One file of a client. `candidates`: the first that exists is meant, else the first. `entries`: path and value."""

    part: Part
    candidates: tuple[PurePath, ...]
    format: Format
    entries: tuple[tuple[tuple[str, ...], Any], ...]


@dataclass(frozen=True, slots=True)
class Client:
    """A program. `commands` and `folders` (the ones that are its own) show that it is installed.

    `models`: whether it takes a model endpoint: "asked" only when the person says so, since it changes what the program
    does or asks for something. `after`: what is left for the person to do once `models` is written.
    """

    name: str
    title: str
    letter: str
    commands: tuple[str, ...]
    models: Literal["written", "asked", "none"]
    restart: str
    after: str = ""
    no_models: str = ""


CLIENTS = (
    Client("claude-desktop", "Claude Desktop", "D", ("claude-desktop",), "none", "Quit Claude Desktop and open it again.",
           no_models="Claude Desktop has no setting for another model endpoint."),
    Client("claude-code", "Claude Code", ">", ("claude",), "asked", "Begin a new session of Claude Code.",
           after="Every session of Claude Code is answered from here until this is undone."),
    Client("codex", "Codex", "X", ("codex",), "written", "Begin a new session of Codex.",
           after="codex -c model_provider=legion -m auto answers from here."),
    Client("cursor", "Cursor", "C", ("cursor", "cursor-agent"), "none", "Cursor takes it up by itself.",
           no_models="Cursor keeps its model endpoint where no other program can write it: Settings, Models."),
    Client("vscode", "VS Code", "V", ("code", "code-insiders", "codium"), "asked", "VS Code takes it up by itself.",
           after="VS Code asks once for the key: `legion connect key vscode` prints it."),
    Client("zed", "Zed", "Z", ("zed", "zeditor"), "written", "Zed takes it up by itself.",
           after="Zed asks for the key in its settings, LLM providers: `legion connect key zed` prints it."),
    Client("opencode", "opencode", "O", ("opencode",), "written", "Begin a new session of opencode.",
           after="Choose Legion (auto) with /models."),
)  # fmt: skip


def find(name: str) -> Client:
    """The client of that name; NotFound with the names there are."""
    for client in CLIENTS:
        if client.name == name:
            return client
    names = ", ".join(client.name for client in CLIENTS)
    raise NotFound(f"No program goes by {name!r} here.", hint=f"It is one of {names}.")


def folders(client: Client, where: Surroundings) -> tuple[PurePath, ...]:
    """Directories and files that exist where the program was installed or used."""
    home = where.home
    match client.name:
        case "claude-desktop":
            return (*_claude_desktop(where), PurePath("/Applications/Claude.app"))
        case "claude-code":
            return (where.named("CLAUDE_CONFIG_DIR", home / ".claude"), home / ".claude.json")
        case "codex":
            return (where.named("CODEX_HOME", home / ".codex"),)
        case "cursor":
            return (home / ".cursor", where.config("Cursor"), PurePath("/Applications/Cursor.app"))
        case "vscode":
            return _vscode(where)
        case "zed":
            return (*(path.parent for path in _zed(where)), PurePath("/Applications/Zed.app"))
        case _:
            return (where.xdg("opencode"), home / ".local" / "share" / "opencode")


def targets(
    client: Client, where: Surroundings, offer: Offer, parts: tuple[Part, ...], form: Form = "stdio"
) -> tuple[Target, ...]:
    """The files to be written. Raises Unsupported where the program has no such form or part."""
    if "models" in parts and client.models == "none":
        raise Unsupported(client.no_models, capability="models")
    wanted: list[Target] = []
    if "mcp" in parts:
        wanted.append(_mcp(client, where, offer, form))
    if "models" in parts:
        wanted.append(_models(client, where, offer))
    return tuple(wanted)


def _mcp(client: Client, where: Surroundings, offer: Offer, form: Form) -> Target:
    if form == "http" and client.name in ("claude-desktop", "zed"):
        why = {
            "claude-desktop": "Claude Desktop's file takes commands only.",
            "zed": "Zed would keep the key as plain text in its settings.",
        }[client.name]
        raise Unsupported(why, capability="http")
    entry = _entry(client, offer, form)
    match client.name:
        case "claude-desktop":
            paths = tuple(folder / "claude_desktop_config.json" for folder in _claude_desktop(where))
            return Target("mcp", paths, "json", ((("mcpServers", NAME), entry),))
        case "claude-code":
            folder = where.env.get("CLAUDE_CONFIG_DIR", "").strip()
            path = (PurePath(folder) if folder else where.home) / ".claude.json"
            return Target("mcp", (path,), "json", ((("mcpServers", NAME), entry),))
        case "codex":
            return Target("mcp", (_codex(where),), "toml", ((("mcp_servers", NAME), entry),))
        case "cursor":
            path = where.home / ".cursor" / "mcp.json"
            return Target("mcp", (path,), "jsonc", ((("mcpServers", NAME), entry),))
        case "vscode":
            paths = tuple(folder / "User" / "mcp.json" for folder in _vscode(where))
            entries: list[tuple[tuple[str, ...], Any]] = [(("servers", NAME), entry)]
            if form == "http":
                entries.append((("inputs", "@id=legion-key"), _VSCODE_INPUT))
            return Target("mcp", paths, "jsonc", tuple(entries))
        case "zed":
            return Target("mcp", _zed(where), "jsonc", ((("context_servers", NAME), entry),))
        case _:
            return Target("mcp", _opencode(where), "jsonc", ((("mcp", NAME), entry),))


_VSCODE_INPUT = {
    "type": "promptString",
    "id": "legion-key",
    "description": "Key of Legion Workbench (legion connect key vscode)",
    "password": True,
}


def _entry(client: Client, offer: Offer, form: Form) -> dict[str, Any]:
    """The server as this client writes one. No form holds a secret: only references to where it is."""
    if form == "http":
        return _http_entry(client, offer)
    command, *args = offer.command
    env = dict(offer.env)
    match client.name:
        case "opencode":
            entry: dict[str, Any] = {"type": "local", "command": list(offer.command), "enabled": True}
            return {**entry, "environment": env} if env else entry
        case "claude-code" | "vscode":
            entry = {"type": "stdio", "command": command, "args": args}
        case "zed":
            return {"source": "custom", "command": command, "args": args, "env": env}
        case _:
            entry = {"command": command, "args": args}
    return {**entry, "env": env} if env else entry


def _http_entry(client: Client, offer: Offer) -> dict[str, Any]:
    url = offer.mcp_url
    match client.name:
        case "codex":
            return {"url": url, "bearer_token_env_var": KEY_VARIABLE}
        case "cursor":
            return {"url": url, "headers": {"Authorization": f"Bearer ${{env:{KEY_VARIABLE}}}"}}
        case "vscode":
            return {"type": "http", "url": url, "headers": {"Authorization": "Bearer ${input:legion-key}"}}
        case "opencode":
            headers = {"Authorization": f"Bearer {{file:{offer.key_path}}}"}
            return {"type": "remote", "url": url, "enabled": True, "oauth": False, "headers": headers}
        case _:
            return {"type": "http", "url": url, "headers": {"Authorization": f"Bearer ${{{KEY_VARIABLE}}}"}}


def _models(client: Client, where: Surroundings, offer: Offer) -> Target:
    base = f"{offer.base}/v1"
    entries: tuple[tuple[tuple[str, ...], Any], ...]
    match client.name:
        case "claude-code":
            path = where.named("CLAUDE_CONFIG_DIR", where.home / ".claude") / "settings.json"
            entries = (
                (("env", "ANTHROPIC_BASE_URL"), offer.base),
                (("apiKeyHelper",), _shell(offer.key_command, where.platform)),
            )
            return Target("models", (path,), "json", entries)
        case "codex":
            command, *args = offer.key_command
            auth = {"command": command, "args": args, "timeout_ms": 5000, "refresh_interval_ms": 300_000}
            provider = {"name": TITLE, "base_url": base, "wire_api": "responses", "auth": auth}
            return Target("models", (_codex(where),), "toml", ((("model_providers", NAME), provider),))
        case "vscode":
            model = {
                "id": MODEL, "name": f"{TITLE} ({MODEL})", "url": f"{base}/chat/completions", "toolCalling": True,
                "vision": False, "maxInputTokens": CONTEXT_TOKENS, "maxOutputTokens": OUTPUT_TOKENS,
            }  # fmt: skip
            group = {
                "name": TITLE, "vendor": "customendpoint", "apiKey": "${input:legion-key}",
                "apiType": "chat-completions", "models": [model],
            }  # fmt: skip
            paths = tuple(folder / "User" / "chatLanguageModels.json" for folder in _vscode(where))
            return Target("models", paths, "jsonc", (((f"@name={TITLE}",), group),))
        case "zed":
            capabilities = {
                "tools": True,
                "images": False,
                "parallel_tool_calls": False,
                "prompt_cache_key": False,
            }
            model = {
                "name": MODEL, "display_name": f"{TITLE} ({MODEL})", "max_tokens": CONTEXT_TOKENS,
                "max_output_tokens": OUTPUT_TOKENS, "capabilities": capabilities,
            }  # fmt: skip
            value = {"api_url": base, "available_models": [model]}
            entries = ((("language_models", "openai_compatible", TITLE), value),)
            return Target("models", _zed(where), "jsonc", entries)
        case _:
            limit = {"context": CONTEXT_TOKENS, "output": OUTPUT_TOKENS}
            provider = {
                "npm": "@ai-sdk/openai-compatible", "name": TITLE,
                "options": {"baseURL": base, "apiKey": f"{{file:{offer.key_path}}}"},
                "models": {MODEL: {"name": f"{TITLE} ({MODEL})", "limit": limit}},
            }  # fmt: skip
            return Target("models", _opencode(where), "jsonc", ((("provider", NAME), provider),))


def _claude_desktop(where: Surroundings) -> tuple[PurePath, ...]:
    plain = where.config("Claude")
    if where.platform != "win32":
        return (plain,)
    # The packaged edition sees its own copy of the roaming directory.
    local = PurePath(where.env.get("LOCALAPPDATA") or where.home / "AppData" / "Local")
    packaged = local / "Packages" / "Claude_pzs8sxrjxfjjc" / "LocalCache" / "Roaming" / "Claude"
    return (packaged, plain)


def _codex(where: Surroundings) -> PurePath:
    return where.named("CODEX_HOME", where.home / ".codex") / "config.toml"


def _vscode(where: Surroundings) -> tuple[PurePath, ...]:
    return tuple(where.config(name) for name in ("Code", "Code - Insiders", "VSCodium"))


def _zed(where: Surroundings) -> tuple[PurePath, ...]:
    if where.platform == "win32":
        return (where.config("Zed", "settings.json"),)
    if where.platform == "darwin":
        return (where.home / ".config" / "zed" / "settings.json",)
    flatpak = where.home / ".var" / "app" / "dev.zed.Zed" / "config" / "zed" / "settings.json"
    return (where.xdg("zed", "settings.json"), flatpak)


def _opencode(where: Surroundings) -> tuple[PurePath, ...]:
    usual = tuple(where.xdg("opencode", name) for name in ("opencode.json", "opencode.jsonc", "config.json"))
    given = where.env.get("OPENCODE_CONFIG", "").strip()
    return (PurePath(given),) if given else usual


def _shell(argv: tuple[str, ...], platform: str) -> str:
    """One line for a shell, each word as it is."""
    if platform == "win32":
        return " ".join(f'"{word}"' if " " in word else word for word in argv)
    return shlex.join(argv)


def link(client: Client, offer: Offer) -> str:
    """An address at which the program installs the server itself, after asking; empty where it has none."""
    entry = _entry(client, offer, "stdio")
    match client.name:
        case "cursor":
            packed = base64.b64encode(json.dumps(entry).encode()).decode()
            return (
                f"cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={quote(packed, safe='')}"
            )
        case "vscode":
            return f"vscode:mcp/install?{quote(json.dumps({'name': NAME, **entry}), safe='')}"
        case _:
            return ""
