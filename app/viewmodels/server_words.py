"""What is said of other people's servers, before and after a yes. Pure."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from app.viewmodels.wording import plural
from legion_core.api.mcp_asked import asked_of as asked_of  # for the views, which do not know the core
from legion_core.api.mcp_asked import on_a_line as on_a_line
from legion_core.kernel.unseen import spelled

_STATES: dict[str, tuple[str, str]] = {
    "signin": ("Wants you to sign in", "warn.text"),
    "off": ("Switched off", "text.tertiary"),
    "new": ("Waits for your approval", "warn.text"),
    "waiting": ("Waits for your approval", "warn.text"),
    "starting": ("Starting", "text.secondary"),
    "ready": ("Ready", "ok.text"),
    "asleep": ("Ready, starts when called", "ok.text"),
    "changed": ("Changed, approve anew", "warn.text"),
    "failed": ("Failed", "err.text"),
}


def state_said(server: Any) -> tuple[str, str]:
    """Words and the colour token of a server's state."""
    return _STATES.get(server.state, (server.state, "text.secondary"))


def command_said(spec: Any) -> str:
    """What is started, word for word, or the address."""
    return on_a_line(shlex.join(spec.command) if spec.command else spec.url)


def facts_of(server: Any) -> tuple[tuple[str, str], ...]:
    """What the panel says of one, in pairs."""
    pairs = [
        ("Command" if server.spec.command else "Address", command_said(server.spec)),
        ("Environment", ", ".join(server.spec.env) or "none of its own"),
        ("Tools", ", ".join(tool.name for tool in server.tools[:12]) or "not read yet"),
        ("Says it is", " ".join(part for part in (server.software, server.protocol) if part)),
        ("Signed in", "yes" if getattr(server, "is_signed_in", False) else ""),
        ("Started", plural(server.starts, "time") if server.starts else ""),
    ]
    return tuple((name, value) for name, value in pairs if value)


def changes_of(server: Any) -> tuple[str, ...]:
    """What is not as it was when the person said yes, as lines of a diff."""
    gone = server.difference
    lines = ["! the command, its arguments or its environment"] if gone.is_launch_changed else []
    lines += _signed("+", gone.added) + _signed("−", gone.removed) + _signed("~", gone.changed)
    return tuple(lines)


def _signed(sign: str, names: Sequence[str]) -> list[str]:
    return [f"{sign} {name}" for name in names]


def parsed_command(words: str) -> tuple[str, ...]:
    """A command line as separate words; ValueError for a quote that is never closed. No shell will see it."""
    return tuple(shlex.split(words))


def parsed_env(lines: str) -> dict[str, str]:
    """`NAME=value` lines; ValueError with the line that is none."""
    env: dict[str, str] = {}
    for number, each in enumerate(lines.splitlines(), 1):
        if not each.strip():
            continue
        name, sign, value = each.partition("=")
        if not sign or not name.strip():
            raise ValueError(f"Line {number} is not NAME=value.")
        env[name.strip()] = value.strip()
    return env


def arguments_said(arguments: str) -> str:
    """JSON over several lines, as a person reads it; anything else as it is. What cannot be seen is spelled."""
    try:
        return spelled(json.dumps(json.loads(arguments), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        return spelled(arguments)


def change_said(change: Any) -> str:
    """A change in one line: `~/a.txt, 2 lines added, 1 removed`."""
    counts = ""
    if change.added or change.removed:
        counts = f", {plural(change.added, 'line')} added, {change.removed:,} removed"
    cut = ", cut here" if change.is_cut else ""
    note = f". {change.note}" if change.note else ""
    return f"{change.what}{counts}{cut}{note}"
