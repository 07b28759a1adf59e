"""What a surface or the window sees of MCP: tools, who calls them, what was called, what waits for a yes. Cheap to import."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from legion_core.agent.change_types import Change
from legion_core.kernel.events import Event

Risk = Literal["read", "write", "danger"]
Source = Literal["extension", "chain", "model", "workbench", "server"]
Standing = Literal["allowed", "asks", "hidden"]
CallOutcome = Literal["running", "waiting", "ok", "error", "denied", "cancelled", "timed_out"]
Decision = Literal["allowed", "refused", "expired"]
Scope = Literal[
    "once", "chat", "always"
]  # one call, every call in this chat, every call of the tool as it is now


class ToolRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as it is offered. `target` is what it runs; `arguments` a JSON schema.

    `risk`: `read` changes nothing, `write` does, `danger` may do anything this computer's user may. `standing` is what
    one client may do with it: call it, call it once the user at the desktop said yes, or not even see it.
    """

    name: str
    title: str
    description: str
    source: Source
    target: str
    risk: Risk
    arguments: dict[str, Any]
    is_repeatable: bool = False  # the same call again changes nothing more
    is_open_world: bool = False  # it reaches beyond this computer
    standing: Standing = "hidden"


class McpCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a tool. `arguments` is JSON with secrets masked, cut short; `message` a sentence where it did not go well."""

    id: str
    client: str
    software: str
    tool: str
    risk: Risk
    arguments: str
    started_at: datetime
    outcome: CallOutcome = "running"
    duration_s: float | None = None
    task: str = ""
    run: str = ""
    message: str = ""


class McpClientRow(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who calls tools. `name` is whose token it is; `software` what the program says of itself, unproven."""

    name: str
    software: str
    protocol: str
    transport: Literal["http", "stdio"]
    first_at: datetime
    last_at: datetime
    sessions: int = 0
    calls: int = 0


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may call beyond what only reads, and what it may not: names of tools, or patterns with `*`."""

    client: str
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waits for a yes of the user at the desktop. `arguments` are shown whole, secrets masked.

    `changes` is what it would make another, `notes` what a person should know first, `scopes` how far a yes may go. A
    call of a chat names it, and the call (`answer_id`, `call_id`); `whose` is the server or extension of the tool.
    """

    id: str
    client: str
    software: str
    tool: str
    risk: Risk
    description: str
    arguments: str
    asked_at: datetime
    expires_at: datetime
    title: str = ""
    whose: str = ""
    scopes: tuple[Scope, ...] = ("once",)
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    conversation_id: str = ""
    answer_id: str = ""
    call_id: str = ""


class McpStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The MCP server at a glance. `command` is what an editor starts for stdio; `clients` are those connected now."""

    url: str
    command: tuple[str, ...]
    is_paused: bool
    tools: int
    clients: tuple[McpClientRow, ...]
    running: int
    waiting: int


class McpCallChanged(Event, frozen=True, kw_only=True):
    """A call began, waits, or ended."""

    call: McpCall


class McpClientsChanged(Event, frozen=True, kw_only=True):
    """A client came, left, or was heard of again."""

    name: str


class McpToolsChanged(Event, frozen=True, kw_only=True):
    """What is offered is not what it was: an extension or a chain came, changed or went, or the user allowed something."""

    reason: str


class ApprovalAsked(Event, frozen=True, kw_only=True):
    """A call waits for the user at the desktop."""

    approval: Approval


class ApprovalSettled(Event, frozen=True, kw_only=True):
    """It was decided, or nobody did in time."""

    id: str
    decision: Decision
