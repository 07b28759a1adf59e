"""Configuration files as people and programs write them, by chance but repeatably: for Connect's promises."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

MARKER = "marker-7f3a"  # stands in one value of every sound file, for edits by somebody else

_COMMENTS = ("note", "see: tidy", 'says "hi"', "{ not: a brace", "http://x // y", "größe, 漢字", "a, b,")
_SERVERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("github", {"command": "docker", "args": ["run", "-i", "--rm", "-e", "GITHUB_TOKEN", "ghcr.io/github/mcp"], "env": {"GITHUB_TOKEN": "${input:t}"}}),
    ("filesystem", {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "C:\\Users\\ä b\\docs"]}),
    ("linear", {"url": "https://mcp.linear.app/mcp", "headers": {"X-Note": "// no comment"}}),
    ("lëgion-like", {"command": "legion-of-others", "args": []}),
    ("empty", {}),
)  # fmt: skip
_EXTRAS: tuple[tuple[str, Any], ...] = (
    ("theme", {"mode": "system", "light": "One Light", "dark": "One Dark"}),
    ("numStartups", 412), ("big", 12345678901234567890123), ("ratio", -1.5e-7), ("on", True), ("off", False),
    ("nothing", None), ("tipsHistory", {"new-user-warmup": 1, "legion": 2}), ("words", ["a", "b", [], {}, [[1, 2], {"x": "y"}]]),
    ("quote\"key", "tab\t, newline\n, \\ and \u2028"), ("emoji 😀", "𝄞 and ☃"), ("", "an empty name"),
    ("projects", {"/srv/p one": {"allowedTools": [], "mcpServers": {"legion": {"command": "of the project"}}, "history": ["x" * 60]}}),
    ("$schema", "https://opencode.ai/config.json"), ("[markdown]", {"editor.wordWrap": "on"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """How one client's file looks. `servers`: the path to the servers; `is_lenient`: takes comments and late commas."""

    client: str
    servers: str
    is_lenient: bool
    is_toml: bool = False


SHAPES = (
    Shape("claude-desktop", "mcpServers", is_lenient=False),
    Shape("claude-code", "mcpServers", is_lenient=False),
    Shape("codex", "mcp_servers", is_lenient=False, is_toml=True),
    Shape("cursor", "mcpServers", is_lenient=True),
    Shape("vscode", "servers", is_lenient=True),
    Shape("zed", "context_servers", is_lenient=True),
    Shape("opencode", "mcp", is_lenient=True),
)


def client_file(shape: Shape, seed: int) -> bytes:
    """One file: most are sound, some are empty, some are broken in one place."""
    rng = random.Random(f"{shape.client} {seed}")
    text = _toml(rng) if shape.is_toml else _json(shape, rng)
    if rng.random() < 0.08:
        text = _broken(text, rng)
    if rng.random() < 0.25:
        text = text.replace("\n", "\r\n")
    content = text.encode()
    if rng.random() < 0.1 and not shape.is_toml:
        content = b"\xef\xbb\xbf" + content
    if rng.random() < 0.01:
        content = content[: len(content) // 2] + b"\xff\xfe" + content[len(content) // 2 :]
    return content


def _json(shape: Shape, rng: random.Random) -> str:
    if rng.random() < 0.05:
        return rng.choice(("", "\n", "{}", "{}\n", "{ }", "{\n}\n", "{\n\n}", *_bare(shape)))
    document = dict(rng.sample(_EXTRAS, rng.randint(0, 7)))
    servers = dict(rng.sample(_SERVERS, rng.randint(0, 4)))
    if rng.random() < 0.2:
        servers["legion"] = {"command": "/old/legion", "args": ["mcp"], "env": {"A": "1"}}
    match rng.random():
        case chance if chance < 0.7:
            document[shape.servers] = servers
        case chance if chance < 0.75:
            document[shape.servers] = None
        case chance if chance < 0.78:
            document[shape.servers] = rng.choice(([], "text", 3, [{"name": "x"}]))
        case _:
            pass
    document["kept"] = MARKER
    names = list(document)
    rng.shuffle(names)
    document = {name: document[name] for name in names}
    style = rng.random()
    if style < 0.35:
        text = json.dumps(document, indent=rng.choice((2, 4, "\t")), ensure_ascii=rng.random() < 0.3)
    elif style < 0.5:
        text = json.dumps(document, separators=rng.choice(((",", ":"), (", ", ": "))))
    else:
        text = _Loose(rng, is_lenient=shape.is_lenient).document(document)
    return text + rng.choice(("", "\n", "\n", "\n\n", "  \n"))


def _bare(shape: Shape) -> tuple[str, ...]:
    return (
        ("// only a comment\n", "/* a */ {} // b", "{ // c\n}", "{\n  // c\n}\n") if shape.is_lenient else ()
    )


class _Loose:
    """Writes JSON as a careless person does: blanks, breaks and, where they are allowed, comments anywhere."""

    def __init__(self, rng: random.Random, *, is_lenient: bool) -> None:
        self._rng = rng
        self._is_lenient = is_lenient
        self._unit = rng.choice(("  ", "    ", "\t", "   "))

    def document(self, value: Any) -> str:
        head = self._line_comment(0) if self._is_lenient and self._rng.random() < 0.4 else ""
        return head + self._value(value, 0)

    def _value(self, value: Any, depth: int) -> str:
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value).items()
            items = [
                f"{self._text(name)}{self._gap()}:{self._gap()}{self._value(each, depth + 1)}"
                for name, each in members
            ]
            return self._items("{", "}", items, depth)
        if isinstance(value, list):
            return self._items(
                "[", "]", [self._value(each, depth + 1) for each in cast("list[Any]", value)], depth
            )
        return self._text(value) if isinstance(value, str) else json.dumps(value)

    def _text(self, value: str) -> str:
        return json.dumps(value, ensure_ascii=self._rng.random() < 0.2)

    def _items(self, opening: str, closing: str, items: list[str], depth: int) -> str:
        is_wide = self._rng.random() < 0.75
        inner, outer = "\n" + self._unit * (depth + 1), "\n" + self._unit * depth
        pieces = [opening, self._aside(depth + 1)]
        for number, item in enumerate(items):
            is_last = number == len(items) - 1
            pieces += (inner if is_wide else self._gap(), self._aside(depth + 1), item, self._block())
            if not is_last or (self._is_lenient and self._rng.random() < 0.3):
                pieces.append(",")
            pieces.append(self._trailing() if is_wide else "")
            if is_wide and self._rng.random() < 0.1:
                pieces.append("\n")
        pieces.append(outer if is_wide and items else self._gap())
        return "".join((*pieces, closing))

    def _gap(self) -> str:
        return self._rng.choice(("", " ", " ", "  "))

    def _block(self) -> str:
        return (
            f" /* {self._rng.choice(_COMMENTS)} */" if self._is_lenient and self._rng.random() < 0.05 else ""
        )

    def _aside(self, depth: int) -> str:
        return self._line_comment(depth) if self._is_lenient and self._rng.random() < 0.1 else ""

    def _trailing(self) -> str:
        """At the end of a line: a break must follow, and it does."""
        return f" // {self._rng.choice(_COMMENTS)}" if self._is_lenient and self._rng.random() < 0.15 else ""

    def _line_comment(self, depth: int) -> str:
        return f" // {self._rng.choice(_COMMENTS)}\n{self._unit * depth}"


_TOML_PARTS: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: f'[mcp_servers.{rng.choice(("docs", "github", chr(34) + "a.b" + chr(34)))}] # server\ncommand = "npx"\nargs = [\n  "-y", # yes\n  "x",\n]\n',
    lambda rng: "[mcp_servers.far]\nurl = 'https://example.org/mcp'\n\n  [mcp_servers.far.env]\n  A = \"b\"\n",
    lambda rng: '[model_providers.box]\nname = "Box"\nbase_url = "http://127.0.0.1:9/v1"\n',
    lambda rng: '[projects."/srv/p"]\ntrust_level = "trusted"\n',
    lambda rng: "[projects.'C:\\Users\\u']\ntrust_level = \"untrusted\"\n",
    lambda rng: '[tui]\nnotifications = ["agent-turn-complete"]\nratio = inf\n',
    lambda rng: '[[hooks]]\nname = "a"\n\n[[hooks]]\nname = "b"\n',
    lambda rng: '[notes]\ntext = """\n[mcp_servers.legion]\ncommand = "not a table"\n"""\n',
    lambda rng: '[shell_environment_policy]\nset = { PATH = "/usr/bin", A.b = 1 }\nwhen = 2026-11-22T10:00:00Z\n',
)  # fmt: skip


def _toml(rng: random.Random) -> str:
    if rng.random() < 0.05:
        return rng.choice(("", "\n", "# only a comment", "# c\n\n"))
    top = [
        "# Codex",
        'model = "gpt-5"',
        "model_reasoning_effort = 'high'   # think",
        f'kept = "{MARKER}"',
        "big = 9223372036854775807",
    ]
    top = [line for line in top if MARKER in line or rng.random() < 0.6]
    parts: list[str] = []
    seen: set[str] = set()
    for make in rng.sample(_TOML_PARTS, rng.randint(0, 6)):
        part = make(rng)
        if part.split("]")[0] not in seen:
            seen.add(part.split("]")[0])
            parts.append(part)
    chance = rng.random()
    if chance < 0.15:
        parts.insert(
            rng.randint(0, len(parts)),
            '[mcp_servers.legion]\ncommand = "/old/legion"\nargs = ["mcp"]\n# own note\n',
        )
    elif chance < 0.2:
        top.append('mcp_servers.dotted.command = "x"')
        parts = [part for part in parts if "[mcp_servers" not in part or '"""' in part]
    elif chance < 0.25:
        top.append('mcp_servers = { inline = { command = "x" } }')
        parts = [part for part in parts if "[mcp_servers" not in part or '"""' in part]
    text = (
        "\n".join(top)
        + rng.choice(("\n\n", "\n", "\n\n\n"))
        + rng.choice(("\n", "\n\n# ----\n", "")).join(parts)
    )
    return text if rng.random() < 0.8 else text.rstrip("\n")


def _broken(text: str, rng: random.Random) -> str:
    """A letter gone, doubled or strange: what is left may even be sound."""
    if not text:
        return text
    at = rng.randrange(len(text))
    match rng.randrange(4):
        case 0:
            return text[:at] + text[at + 1 :]
        case 1:
            return text[:at] + text[at] + text[at:]
        case 2:
            return text[:at] + rng.choice("{}[],:\"'/\\#=\x00") + text[at:]
        case _:
            return text[:at]
