"""What the command line asks of a node, whether it runs already (over HTTP) or is opened for this one command.

All calls block. Iterators give pieces as they come and one last value of another kind.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from legion_core.surfaces.cli.nodeshape import NodeShape

if TYPE_CHECKING:
    from legion_core.api.extension_types import Created, ExtensionRow, FunctionRow
    from legion_core.api.task_types import Accepted, Line, Order, TaskRow, TaskView
    from legion_core.api.types import (
        Check,
        Conversation,
        LedgerRow,
        ModelFacts,
        ModelFit,
        ModelRow,
        ModelTrial,
        ProviderRow,
        ProviderSpec,
        PullProgressed,
        SettingRow,
        SummaryRow,
        TestResult,
        Usage,
    )
    from legion_core.gateway.conversation_types import Imported, LogEntry, Verified
    from legion_core.gateway.discovery import Found
    from legion_core.gateway.export import Format
    from legion_core.gateway.ledger_types import BudgetRow, By
    from legion_core.gateway.types import Operation
    from legion_core.surfaces.cli.chains import ChainDoor
    from legion_core.surfaces.cli.hooks import HookDoor
    from legion_core.surfaces.cli.keys import KeyDoor
    from legion_core.surfaces.cli.mcp import McpDoor
    from legion_core.surfaces.cli.network import NetworkDoor
    from legion_core.surfaces.cli.rights import RightsDoor
    from legion_core.surfaces.cli.schedules import ScheduleDoor
    from legion_core.surfaces.shapes import ConversationShape, MessageShape, PinsShape, RouteShape


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that belongs to no conversation, once it is whole."""

    text: str
    request: str
    tier: str
    instance: str
    model: str
    stop_reason: str
    usage: "Usage | None" = None
    cost_usd: float | None = None
    attempts: "tuple[LedgerRow, ...]" = ()


class Backend(Protocol):
    """See the module. Every method raises LegionError with a sentence for a person."""

    def status(self) -> NodeShape:
        """The node at a glance."""
        ...

    def doctor(self) -> "tuple[Check, ...]":
        """Everything worth looking at, with what to do."""
        ...

    def prompt(self, text: str, pins: "PinsShape") -> "Iterator[str | Spoken]":
        """Ask without keeping anything but the bill: pieces of the answer, then how it came."""
        ...

    def create_conversation(self, title: str = "") -> "Conversation":
        """An empty conversation."""
        ...

    def say(self, conversation_id: str, text: str, pins: "PinsShape") -> "Iterator[str | MessageShape]":
        """Ask in a conversation: pieces of the answer, then the kept message. Closing the iterator does not stop it."""
        ...

    def stop_answer(self, conversation_id: str) -> bool:
        """End the running answer and keep what there is; False if none was running."""
        ...

    def conversations(self, query: str, limit: int) -> "tuple[Conversation, ...]":
        """Pinned first, then the latest; with a query those that hold its words."""
        ...

    def conversation(self, conversation_id: str) -> "ConversationShape":
        """Its messages."""
        ...

    def export(self, conversation_id: str, form: "Format") -> str:
        """As a document."""
        ...

    def import_chats(self, text: str, name: str) -> "Imported":
        """Take in an export; what cannot be read of it is told."""
        ...

    def delete_conversation(self, conversation_id: str) -> None:
        """Into the trash."""
        ...

    def restore_conversation(self, conversation_id: str) -> None:
        """Out of the trash."""
        ...

    def conversation_log(self, conversation_id: str) -> "tuple[LogEntry, ...]":
        """Everything that happened to it, in order."""
        ...

    def undo_conversation(self, conversation_id: str) -> "LogEntry":
        """Take back its last change that can be."""
        ...

    def verify_conversations(self, conversation_id: str) -> "Verified":
        """Hold what is stored against its hashes; of all where none is named."""
        ...

    def models(self, context: int | None = None) -> "tuple[ModelRow, ...]":
        """Model files on this computer."""
        ...

    def pull(self, name: str, *, allow_private: bool = False) -> "Iterator[PullProgressed]":
        """Download; the last one given is `ready`, `failed` or `cancelled`."""
        ...

    def import_model(self, path: Path) -> "ModelRow":
        """Take in a GGUF file."""
        ...

    def remove_model(self, name: str) -> None:
        """Delete a model file."""
        ...

    def fit(self, name: str, context: int) -> "ModelFit":
        """The arithmetic of whether it fits."""
        ...

    def providers(self) -> "tuple[ProviderRow, ...]":
        """Instances and how they are."""
        ...

    def add_provider(self, spec: "ProviderSpec", key: str | None, *, test: bool) -> "ProviderRow":
        """Add after a test."""
        ...

    def remove_provider(self, name: str) -> None:
        """Forget it and its key."""
        ...

    def test_provider(self, name: str) -> "TestResult":
        """Is it there, is the key right?"""
        ...

    def describe_model(self, name: str, facts: "ModelFacts") -> "ProviderRow":
        """Keep what is said of a model of an instance."""
        ...

    def forget_model(self, name: str, model: str) -> "ProviderRow":
        """Forget what was said of it."""
        ...

    def try_model(self, name: str, model: str) -> "ModelTrial":
        """Ask it what it can."""
        ...

    def trip_provider(self, name: str) -> "ProviderRow":
        """Open its circuit."""
        ...

    def drain_provider(self, name: str) -> "ProviderRow":
        """Let it finish what runs."""
        ...

    def found_providers(self) -> "tuple[Found, ...]":
        """Model servers running on this computer."""
        ...

    def reset_provider(self, name: str) -> "ProviderRow":
        """Close its circuit."""
        ...

    def explain(
        self,
        text: str,
        requires: tuple[str, ...],
        pins: "PinsShape",
        *,
        is_private: bool = False,
        operation: "Operation" = "chat",
        context_tokens: int = 0,
    ) -> "RouteShape":
        """Where a request would go, and why not elsewhere."""
        ...

    def setting(self, key: str) -> "SettingRow":
        """One setting."""
        ...

    def set_setting(self, key: str, value: str) -> "SettingRow":
        """Change it; the words are understood as a person would type them."""
        ...

    def config_faults(self) -> tuple[str, ...]:
        """Everything wrong with the configuration file as it is now."""
        ...

    def secrets(self) -> tuple[str, tuple[str, ...]]:
        """Where they are kept, and their names."""
        ...

    def set_secret(self, name: str, value: str) -> None:
        """Keep or replace one."""
        ...

    def remove_secret(self, name: str) -> None:
        """Forget one."""
        ...

    def ledger_summary(self, by: "By", since: str = "") -> "tuple[SummaryRow, ...]":
        """Attempts added up, all or from a UTC day on."""
        ...

    def ledger_rows(self, request: str, conversation: str, limit: int) -> "tuple[LedgerRow, ...]":
        """Attempts, newest request first; of one request or one conversation if named."""
        ...

    def budgets(self) -> "tuple[BudgetRow, ...]":
        """Limits on money, with what is spent and held."""
        ...

    def keep_private(self, conversation_id: str, is_private: bool) -> None:
        """Mark a conversation, or take the mark away."""
        ...

    @property
    def outlives_command(self) -> bool:
        """Whether the node goes on when this command is over."""
        ...

    @property
    def chains(self) -> "ChainDoor":
        """Which task follows which."""
        ...

    @property
    def network(self) -> "NetworkDoor":
        """Which hosts were contacted, and which may be."""
        ...

    @property
    def rights(self) -> "RightsDoor":
        """Who may do what, and what was done."""
        ...

    @property
    def mcp(self) -> "McpDoor":
        """Tools for other programs, and other people's servers."""
        ...

    @property
    def hooks(self) -> "HookDoor":
        """Addresses at which others deliver."""
        ...

    @property
    def keys(self) -> "KeyDoor":
        """Tokens of other programs."""
        ...

    @property
    def schedules(self) -> "ScheduleDoor":
        """What is done again and again."""
        ...

    def submit_task(self, order: "Order") -> "Accepted":
        """Accept a task; durable when this returns."""
        ...

    def wait_task(self, task_id: str) -> "TaskView":
        """The task at its end."""
        ...

    def tasks(self, *, status: str, task: str, limit: int) -> "tuple[TaskRow, ...]":
        """Newest first."""
        ...

    def task(self, task_id: str) -> "TaskView":
        """One task."""
        ...

    def task_logs(self, task_id: str) -> "tuple[Line, ...]":
        """What it wrote."""
        ...

    def cancel_task(self, task_id: str) -> "TaskView":
        """End it."""
        ...

    def retry_task(self, task_id: str) -> "TaskView":
        """Queue it again."""
        ...

    def extensions(self) -> "tuple[ExtensionRow, ...]":
        """What can be run."""
        ...

    def extension(self, name: str) -> "ExtensionRow":
        """One extension."""
        ...

    def function(self, name: str) -> "FunctionRow":
        """One function by its dotted name."""
        ...

    def create_extension(self, name: str) -> "Created":
        """Begin a new one."""
        ...

    def close(self) -> None:
        """Let go of the node; idempotent."""
        ...
