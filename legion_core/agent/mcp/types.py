"""Other people's MCP servers as the user registered them, and how they stand. Cheap to import."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from legion_core.agent.change_types import Change
from legion_core.kernel.events import Event

State = Literal["signin", "off", "new", "starting", "waiting", "ready", "asleep", "changed", "failed"]


class ServerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user registers: a program to start (`command`, its words as they are, no shell), or an address (`url`).

    Values in `env` and `headers` may be references (`keyring://…`, `env://…`); a secret is never written here itself.
    `oauth` lets an address send the user to its own sign-in.
    """

    name: str
    command: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    oauth: bool = False
    timeout_s: float = 120.0  # one call
    result_chars_max: int = 100_000
    is_on: bool = True


class ToolInfo(msgspec.Struct, frozen=True, kw_only=True, eq=True):
    """A tool another server offers. `description` is what it says of itself, cleaned; `warnings` what is odd about it.

    `function` is the name under which tasks, chains and chats call it.
    """

    name: str
    function: str
    description: str
    arguments: dict[str, Any]
    says_read_only: bool = False  # its own word, which decides nothing
    says_destructive: bool = False  # its own word too; this one is believed
    warnings: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What is not as it was when the user said yes."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    is_launch_changed: bool = False


class ServerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A server as it stands.

    `fingerprint` is of its launch and its tools as they are now; `approved` that to which the user said yes. Its tools
    can be called only while the two are the same.
    """

    name: str
    spec: ServerSpec
    state: State
    fingerprint: str = ""
    approved: str = ""
    tools: tuple[ToolInfo, ...] = ()
    difference: Difference = Difference()
    software: str = ""
    protocol: str = ""
    starts: int = 0
    failures: int = 0
    problem: str = ""
    is_signed_in: bool = False
    said: str = ""  # the end of what it wrote on standard error
    changes: tuple[Change, ...] = ()  # between what was approved and what is now, line by line
    approved_at: datetime | None = None


class SignInState(msgspec.Struct, frozen=True, kw_only=True):
    """How a sign-in stands: `url` is where the user has to go, `is_over` that the user is in."""

    name: str
    url: str = ""
    is_over: bool = False


class ServerChanged(Event, frozen=True, kw_only=True):
    """A server was registered, approved, started, ended, or offers something else."""

    name: str
    state: State
