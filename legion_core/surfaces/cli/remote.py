"""The running node, over its own HTTP surface."""
# ruff: noqa: D102  (every method is documented in `Backend`)

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legion_core.kernel.errors import LegionError, StreamBroken
from legion_core.surfaces.cli.backend import Backend, Spoken
from legion_core.surfaces.cli.http import Wire, error_of, loads, part
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
    )
    from legion_core.gateway.conversation_types import Imported, LogEntry, Verified
    from legion_core.gateway.discovery import Found
    from legion_core.gateway.export import Format
    from legion_core.gateway.ledger_types import BudgetRow, By
    from legion_core.gateway.types import Operation
    from legion_core.surfaces.cli.chains import RemoteChains
    from legion_core.surfaces.cli.hooks import RemoteHooks
    from legion_core.surfaces.cli.keys import RemoteKeys
    from legion_core.surfaces.cli.mcp import RemoteMcp
    from legion_core.surfaces.cli.network import RemoteNetwork
    from legion_core.surfaces.cli.rights import RemoteRights
    from legion_core.surfaces.cli.schedules import RemoteSchedules
    from legion_core.surfaces.shapes import ConversationShape, MessageShape, PinsShape, RouteShape

V1 = "/api/v1"
WAIT_S = 30  # how long one request waits for a task's end before it asks again


class RemoteBackend(Backend):
    """See `Backend`. Types are imported where they are used: most commands need few of them."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def status(self) -> NodeShape:
        return self._wire.get(f"{V1}/nodes/self", NodeShape)

    def doctor(self) -> "tuple[Check, ...]":
        from legion_core.api.types import Check

        return self._wire.get(f"{V1}/nodes/self/doctor", tuple[Check, ...])

    def prompt(self, text: str, pins: "PinsShape") -> "Iterator[str | Spoken]":
        from legion_core.api.types import LedgerRow, Usage

        named = {"tier": pins.tier, "instance": pins.instance, "model": pins.model}
        headers = {f"x-legion-{name}": value for name, value in named.items() if value}
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": text}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        stream = self._wire.stream("POST", "/v1/chat/completions", body, headers)
        pieces: list[str] = []
        stop_reason, usage = "", None
        try:
            for _, data in stream:
                if data == b"[DONE]":
                    break
                chunk: Any = loads(data)
                if "error" in chunk:
                    raise error_of(200, data)
                if chunk.get("usage"):
                    usage = Usage(
                        input_tokens=chunk["usage"]["prompt_tokens"],
                        output_tokens=chunk["usage"]["completion_tokens"],
                    )
                for choice in chunk.get("choices", ()):
                    stop_reason = choice.get("finish_reason") or stop_reason
                    if piece := choice.get("delta", {}).get("content"):
                        pieces.append(piece)
                        yield piece
            else:
                raise StreamBroken("The answer ended before its end.")
        finally:
            stream.close()
        request = stream.header("x-legion-request")
        rows = self._wire.get(f"{V1}/ledger", tuple[LedgerRow, ...], request=request)
        last = rows[-1] if rows else None
        yield Spoken(
            text="".join(pieces),
            request=request,
            tier=last.tier if last else stream.header("x-legion-tier"),
            instance=last.instance if last else stream.header("x-legion-instance"),
            model=last.model if last else stream.header("x-legion-model"),
            stop_reason={"stop": "end_turn", "length": "max_tokens"}.get(stop_reason, stop_reason),
            usage=last.usage if last else usage,
            cost_usd=last.cost_usd if last else None,
            attempts=rows,
        )

    def create_conversation(self, title: str = "") -> "Conversation":
        from legion_core.api.types import Conversation

        return self._wire.ask("POST", f"{V1}/conversations", Conversation, body={"title": title})

    def say(self, conversation_id: str, text: str, pins: "PinsShape") -> "Iterator[str | MessageShape]":
        import msgspec

        from legion_core.surfaces.shapes import MessageShape

        path = f"{V1}/conversations/{part(conversation_id)}/messages"
        stream = self._wire.stream("POST", path, {"text": text, "pins": pins})
        try:
            for name, data in stream:
                if name == "AnswerGrew":
                    if piece := loads(data)["text"]:
                        yield piece
                elif name == "AnswerEnded":
                    yield msgspec.convert(loads(data)["message"], MessageShape)
                    return
        finally:
            stream.close()
            self._wire.close()
        raise StreamBroken("The answer ended before its end.")

    def stop_answer(self, conversation_id: str) -> bool:
        path = f"{V1}/conversations/{part(conversation_id)}/stop"
        return self._wire.ask("POST", path, dict[str, bool])["was_running"]

    def conversations(self, query: str, limit: int) -> "tuple[Conversation, ...]":
        from legion_core.api.types import Conversation

        return self._wire.get(f"{V1}/conversations", tuple[Conversation, ...], q=query, limit=limit)

    def conversation(self, conversation_id: str) -> "ConversationShape":
        from legion_core.surfaces.shapes import ConversationShape

        return self._wire.get(f"{V1}/conversations/{part(conversation_id)}", ConversationShape)

    def export(self, conversation_id: str, form: "Format") -> str:
        return self._wire.text(f"{V1}/conversations/{part(conversation_id)}/export", format=form)

    def import_chats(self, text: str, name: str) -> "Imported":
        from legion_core.gateway.conversation_types import Imported

        body = {"text": text, "name": name}
        return self._wire.ask("POST", f"{V1}/conversations/import", Imported, body=body)

    def delete_conversation(self, conversation_id: str) -> None:
        self._wire.ask("DELETE", f"{V1}/conversations/{part(conversation_id)}", dict[str, str])

    def restore_conversation(self, conversation_id: str) -> None:
        self._wire.ask("POST", f"{V1}/conversations/{part(conversation_id)}/restore", dict[str, str])

    def conversation_log(self, conversation_id: str) -> "tuple[LogEntry, ...]":
        from legion_core.gateway.conversation_types import LogEntry

        return self._wire.get(f"{V1}/conversations/{part(conversation_id)}/log", tuple[LogEntry, ...])

    def undo_conversation(self, conversation_id: str) -> "LogEntry":
        from legion_core.gateway.conversation_types import LogEntry

        return self._wire.ask("POST", f"{V1}/conversations/{part(conversation_id)}/undo", LogEntry)

    def verify_conversations(self, conversation_id: str) -> "Verified":
        from legion_core.gateway.conversation_types import Verified

        path = (
            f"{V1}/conversations/{part(conversation_id)}/verify"
            if conversation_id
            else f"{V1}/conversations/verify"
        )
        return self._wire.get(path, Verified)

    def models(self, context: int | None = None) -> "tuple[ModelRow, ...]":
        from legion_core.api.types import ModelRow

        return self._wire.get(f"{V1}/models", tuple[ModelRow, ...], context=context)

    def pull(self, name: str, *, allow_private: bool = False) -> "Iterator[PullProgressed]":
        import msgspec

        from legion_core.api.types import PullProgressed

        # Listen first, or a short download is over before we do.
        job = name
        stream = self._wire.stream("GET", f"{V1}/events?type=PullProgressed")
        other = self._wire.another()
        try:
            body = {"name": name, "allow_private": allow_private}
            job = other.ask("POST", f"{V1}/models/pull", dict[str, str], body=body)["name"]
            for event, data in stream:
                if event != "PullProgressed":
                    continue
                progress = msgspec.json.decode(data, type=PullProgressed)
                if progress.name == job:
                    yield progress
                    if progress.state in ("ready", "failed", "cancelled", "paused"):
                        return
        except KeyboardInterrupt:
            with suppress(LegionError):
                # What came is kept: the same command goes on with it.
                other.ask("POST", f"{V1}/models/{part(job)}/pause", dict[str, str])
            raise
        finally:
            stream.close()
            self._wire.close()
            other.close()
        raise StreamBroken(
            "The node went away while it downloaded.", hint="It goes on where it was, next time."
        )

    def import_model(self, path: Path) -> "ModelRow":
        from legion_core.api.types import ModelRow

        return self._wire.ask("POST", f"{V1}/models/import", ModelRow, body={"path": str(path)})

    def remove_model(self, name: str) -> None:
        self._wire.ask("DELETE", f"{V1}/models/{part(name)}", dict[str, str])

    def fit(self, name: str, context: int) -> "ModelFit":
        from legion_core.api.types import ModelFit

        return self._wire.get(f"{V1}/models/{part(name)}/fit", ModelFit, context=context)

    def providers(self) -> "tuple[ProviderRow, ...]":
        from legion_core.api.types import ProviderRow

        return self._wire.get(f"{V1}/providers", tuple[ProviderRow, ...])

    def add_provider(self, spec: "ProviderSpec", key: str | None, *, test: bool) -> "ProviderRow":
        import msgspec

        from legion_core.api.types import ProviderRow

        body = {**msgspec.structs.asdict(spec), "key": key, "test": test}
        return self._wire.ask("POST", f"{V1}/providers", ProviderRow, body=body)

    def remove_provider(self, name: str) -> None:
        self._wire.ask("DELETE", f"{V1}/providers/{part(name)}", dict[str, str])

    def test_provider(self, name: str) -> "TestResult":
        from legion_core.api.types import TestResult

        return self._wire.ask("POST", f"{V1}/providers/{part(name)}/test", TestResult)

    def describe_model(self, name: str, facts: "ModelFacts") -> "ProviderRow":
        import msgspec

        from legion_core.api.types import ProviderRow

        body = msgspec.structs.asdict(facts)
        return self._wire.ask("POST", f"{V1}/providers/{part(name)}/models", ProviderRow, body=body)

    def forget_model(self, name: str, model: str) -> "ProviderRow":
        from legion_core.api.types import ProviderRow

        return self._wire.ask(
            "POST", f"{V1}/providers/{part(name)}/models/forget", ProviderRow, body={"model": model}
        )

    def try_model(self, name: str, model: str) -> "ModelTrial":
        from legion_core.api.types import ModelTrial

        return self._wire.ask(
            "POST", f"{V1}/providers/{part(name)}/models/try", ModelTrial, body={"model": model}
        )

    def trip_provider(self, name: str) -> "ProviderRow":
        from legion_core.api.types import ProviderRow

        return self._wire.ask("POST", f"{V1}/providers/{part(name)}/trip", ProviderRow)

    def drain_provider(self, name: str) -> "ProviderRow":
        from legion_core.api.types import ProviderRow

        return self._wire.ask("POST", f"{V1}/providers/{part(name)}/drain", ProviderRow)

    def found_providers(self) -> "tuple[Found, ...]":
        from legion_core.gateway.discovery import Found

        return self._wire.get(f"{V1}/providers/discovered", tuple[Found, ...])

    def reset_provider(self, name: str) -> "ProviderRow":
        from legion_core.api.types import ProviderRow

        return self._wire.ask("POST", f"{V1}/providers/{part(name)}/reset", ProviderRow)

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
        from legion_core.surfaces.shapes import RouteShape

        body = {
            "text": text,
            "requires": requires,
            "pins": pins,
            "private": is_private,
            "operation": operation,
            "context_tokens": context_tokens,
        }
        return self._wire.ask("POST", f"{V1}/routes/explain", RouteShape, body=body)

    def setting(self, key: str) -> "SettingRow":
        from legion_core.api.types import SettingRow

        return self._wire.get(f"{V1}/settings/{part(key)}", SettingRow)

    def set_setting(self, key: str, value: str) -> "SettingRow":
        from legion_core.api.types import SettingRow

        return self._wire.ask("PUT", f"{V1}/settings/{part(key)}", SettingRow, body={"value": value})

    def config_faults(self) -> tuple[str, ...]:
        return tuple(self._wire.get(f"{V1}/settings/check", dict[str, Any])["faults"])

    def secrets(self) -> tuple[str, tuple[str, ...]]:
        kept = self._wire.get(f"{V1}/secrets", dict[str, Any])
        return str(kept["backend"]), tuple(kept["names"])

    def set_secret(self, name: str, value: str) -> None:
        self._wire.ask("PUT", f"{V1}/secrets/{part(name)}", dict[str, str], body={"value": value})

    def remove_secret(self, name: str) -> None:
        self._wire.ask("DELETE", f"{V1}/secrets/{part(name)}", dict[str, str])

    def ledger_summary(self, by: "By", since: str = "") -> "tuple[SummaryRow, ...]":
        from legion_core.api.types import SummaryRow

        return self._wire.get(f"{V1}/ledger/summary", tuple[SummaryRow, ...], by=by, since=since)

    def ledger_rows(self, request: str, conversation: str, limit: int) -> "tuple[LedgerRow, ...]":
        from legion_core.api.types import LedgerRow

        named = {"request": request, "conversation": conversation}
        wanted = {name: value for name, value in named.items() if value}
        return self._wire.get(f"{V1}/ledger", tuple[LedgerRow, ...], limit=limit, **wanted)

    def budgets(self) -> "tuple[BudgetRow, ...]":
        from legion_core.gateway.ledger_types import BudgetRow

        return self._wire.get(f"{V1}/ledger/budgets", tuple[BudgetRow, ...])

    def keep_private(self, conversation_id: str, is_private: bool) -> None:
        path = f"{V1}/conversations/{part(conversation_id)}/private"
        self._wire.ask("PUT", path, dict[str, Any], body={"private": is_private})

    @property
    def outlives_command(self) -> bool:
        return True

    @property
    def chains(self) -> "RemoteChains":
        from legion_core.surfaces.cli.chains import RemoteChains

        return RemoteChains(self._wire)

    @property
    def network(self) -> "RemoteNetwork":
        from legion_core.surfaces.cli.network import RemoteNetwork

        return RemoteNetwork(self._wire)

    @property
    def rights(self) -> "RemoteRights":
        from legion_core.surfaces.cli.rights import RemoteRights

        return RemoteRights(self._wire)

    @property
    def mcp(self) -> "RemoteMcp":
        from legion_core.surfaces.cli.mcp import RemoteMcp

        return RemoteMcp(self._wire)

    @property
    def hooks(self) -> "RemoteHooks":
        from legion_core.surfaces.cli.hooks import RemoteHooks

        return RemoteHooks(self._wire)

    @property
    def keys(self) -> "RemoteKeys":
        from legion_core.surfaces.cli.keys import RemoteKeys

        return RemoteKeys(self._wire)

    @property
    def schedules(self) -> "RemoteSchedules":
        from legion_core.surfaces.cli.schedules import RemoteSchedules

        return RemoteSchedules(self._wire)

    def submit_task(self, order: "Order") -> "Accepted":
        from legion_core.api.task_types import Accepted

        body = {
            "task": order.task,
            "args": order.args,
            "delay_s": order.delay_s,
            "idempotency_key": order.idempotency_key,
        }
        return self._wire.ask("POST", f"{V1}/tasks", Accepted, body=body)

    def wait_task(self, task_id: str) -> "TaskView":
        from legion_core.api.task_types import SETTLED, TaskView

        while True:
            view = self._wire.get(f"{V1}/tasks/{part(task_id)}", TaskView, wait_s=WAIT_S)
            if view.status in SETTLED:
                return view

    def tasks(self, *, status: str, task: str, limit: int) -> "tuple[TaskRow, ...]":
        from legion_core.api.task_types import TaskRow

        return self._wire.get(f"{V1}/tasks", tuple[TaskRow, ...], status=status, task=task, limit=limit)

    def task(self, task_id: str) -> "TaskView":
        from legion_core.api.task_types import TaskView

        return self._wire.get(f"{V1}/tasks/{part(task_id)}", TaskView)

    def task_logs(self, task_id: str) -> "tuple[Line, ...]":
        from legion_core.api.task_types import Line

        return self._wire.get(f"{V1}/tasks/{part(task_id)}/logs", tuple[Line, ...])

    def cancel_task(self, task_id: str) -> "TaskView":
        from legion_core.api.task_types import TaskView

        return self._wire.ask("POST", f"{V1}/tasks/{part(task_id)}/cancel", TaskView)

    def retry_task(self, task_id: str) -> "TaskView":
        from legion_core.api.task_types import TaskView

        return self._wire.ask("POST", f"{V1}/tasks/{part(task_id)}/retry", TaskView)

    def extensions(self) -> "tuple[ExtensionRow, ...]":
        from legion_core.api.extension_types import ExtensionRow

        return self._wire.get(f"{V1}/extensions", tuple[ExtensionRow, ...])

    def extension(self, name: str) -> "ExtensionRow":
        from legion_core.api.extension_types import ExtensionRow

        return self._wire.get(f"{V1}/extensions/{part(name)}", ExtensionRow)

    def function(self, name: str) -> "FunctionRow":
        from legion_core.api.extension_types import FunctionRow

        return self._wire.get(f"{V1}/extensions/functions/{part(name)}", FunctionRow)

    def create_extension(self, name: str) -> "Created":
        from legion_core.api.extension_types import Created

        return self._wire.ask("POST", f"{V1}/extensions", Created, body={"name": name})

    def close(self) -> None:
        self._wire.close()
