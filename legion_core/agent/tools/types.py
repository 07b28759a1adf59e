"""Tools of a chat as a surface or the window sees them: what is switched on, and each call. Cheap to import."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from legion_core.kernel.events import Event

Risk = Literal["read", "write", "danger"]
CallState = Literal["waiting", "running", "done", "failed", "denied", "stopped", "lost"]
Scope = Literal["once", "chat", "always"]


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that a chat may offer to a model.

    `source` is what a person switches: `server:NAME`, `extension:NAME` or `chains`. `print` changes with anything that
    the tool says of itself or with what is started for it. `is_remote`: what is given to it leaves this computer.
    `is_foreign`: what it gives was written by strangers. `is_read_only`: it may run beside others of which that is said; a
    server's own word is enough for that, and for nothing else.
    """

    name: str
    source: str
    title: str
    description: str
    parameters: dict[str, Any]
    risk: Risk
    target: str
    print: str
    is_remote: bool = False
    is_foreign: bool = False
    is_read_only: bool = False
    warnings: tuple[str, ...] = ()


class ToolSource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that offers tools, and whether this chat uses it; `problem` says why it cannot be used now."""

    key: str
    title: str
    tools: int
    is_on: bool = False
    is_remote: bool = False
    problem: str = ""


class ChatTools(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of one chat. `problem` says why a model is not offered them, where that is so."""

    conversation_id: str
    sources: tuple[ToolSource, ...] = ()
    count: int = 0
    problem: str = ""


class ChatCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call a model made in a chat. `arguments` is JSON with secrets masked; `result` the beginning of what it gave."""

    id: str
    conversation_id: str
    answer_id: str
    place: int
    call_id: str
    tool: str
    title: str
    source: str
    risk: Risk
    arguments: str
    state: CallState
    result: str = ""
    started_at: datetime
    duration_s: float | None = None
    task: str = ""
    decision: str = ""  # how it was allowed or refused, in words


class Yes(msgspec.Struct, frozen=True, kw_only=True):
    """A standing yes to one tool as it is now; for one chat, or for all where `conversation_id` is empty.

    `beside` are the sources whose words stood in the chat when it was given: another stranger's words ask anew.
    """

    tool: str
    title: str
    source: str
    print: str
    conversation_id: str = ""
    beside: tuple[str, ...] = ()
    at: datetime


class ChatCallChanged(Event, frozen=True, kw_only=True):
    """A call of a chat began, waits for a yes, or ended."""

    call: ChatCall


class ChatToolsChanged(Event, frozen=True, kw_only=True):
    """Other tools than before are switched on in this chat."""

    conversation_id: str
