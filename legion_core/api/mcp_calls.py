"""The calls of tools, live and lately, and those that wait for the user at the desktop to say yes."""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, cast

import msgspec

from legion_core.api.mcp_types import (
    Approval,
    ApprovalAsked,
    ApprovalSettled,
    CallOutcome,
    Decision,
    McpCall,
    McpCallChanged,
    Scope,
    ToolRow,
)
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Denied, InvalidInput, LimitReached, NotFound
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import Principal
from legion_core.kernel.redact import MASK, redact
from legion_core.kernel.unseen import spelled

CALLS_KEPT = 500
ARGUMENTS_CHARS = 2_000  # of a call in the list; an approval shows them whole
WAITING_MAX = 20
DECIDE_S = 120.0
NOTE_CHARS_MAX = 1_000
_SECRET_KEY = re.compile(r"(?i)(pass(word|phrase)?|secret|token|api[-_]?key|credential|authorization|cookie)")


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: how far a yes goes, or what was said with a no."""

    is_allowed: bool
    scope: Scope = "once"
    note: str = ""


Noting = Callable[[str, str, str, str, str], Awaitable[None]]


async def not_noted(kind: str, path: str, action: str, outcome: str, detail: str) -> None:
    """Where there is no log to write into."""


class CallList:
    """The last calls, oldest forgotten first; each change is an event."""

    def __init__(self, clock: Clock, ids: Ids, bus: EventBus) -> None:
        self._clock = clock
        self._ids = ids
        self._bus = bus
        self._calls: OrderedDict[str, McpCall] = OrderedDict()
        self._began_s: dict[str, float] = {}

    def latest(self, limit: int) -> tuple[McpCall, ...]:
        """Newest first."""
        return tuple(list(self._calls.values())[::-1][:limit])

    def count(self, outcome: CallOutcome) -> int:
        """How many of those under way stand so."""
        return sum(self._calls[each].outcome == outcome for each in self._began_s if each in self._calls)

    def begin(self, client: str, software: str, row: ToolRow, arguments: str) -> McpCall:
        """A call came."""
        call = McpCall(
            id=self._ids.new("call"),
            client=client,
            software=software,
            tool=row.name,
            risk=row.risk,
            arguments=arguments[:ARGUMENTS_CHARS],
            started_at=self._clock.utc_now(),
        )
        self._began_s[call.id] = self._clock.monotonic_s()
        while len(self._calls) >= CALLS_KEPT:
            self._calls.popitem(last=False)
        self._put(call)
        return call

    def change(self, call_id: str, **changes: Any) -> None:
        """Something became of it; an outcome that is an end gets its duration."""
        before = self._calls.get(call_id)
        ended = changes.get("outcome") not in (None, "running", "waiting")
        began_s = self._began_s.pop(call_id, None) if ended else None
        if before is None:
            return
        if began_s is not None:
            changes["duration_s"] = self._clock.monotonic_s() - began_s
        self._put(msgspec.structs.replace(before, **changes))

    def _put(self, call: McpCall) -> None:
        self._calls[call.id] = call
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(McpCallChanged(at_utc=at_utc, at_mono_s=at_mono_s, call=call))


class Approvals:
    """Questions to the user at the desktop. `desks` counts the windows that show them: without one the answer is no.

    `note` records each decision before it has any effect: kind, path, action, outcome, detail.
    """

    def __init__(self, clock: Clock, ids: Ids, bus: EventBus) -> None:
        self._clock = clock
        self._ids = ids
        self._bus = bus
        self._waiting: dict[str, tuple[Approval, asyncio.Future[Given]]] = {}
        self.desks = 0
        self.note: Noting = not_noted

    def waiting(self) -> tuple[Approval, ...]:
        """Oldest first."""
        return tuple(approval for approval, _ in self._waiting.values())

    async def ask(
        self,
        client: str,
        software: str,
        row: ToolRow,
        arguments: str,
        *,
        about: Mapping[str, Any] | None = None,
        decide_s: float = DECIDE_S,
    ) -> Given:
        """Wait for the user's yes; Denied if there is nobody to ask, no answer in time, or the answer is no.

        `about` are further fields of the question (`scopes`, `changes`, …).
        """
        if self.desks == 0:
            raise Denied(
                f"{row.name} needs a yes in the window, which is not open.",
                hint="Open Legion Workbench and call it again.",
            )
        if len(self._waiting) >= WAITING_MAX:
            raise LimitReached(f"{WAITING_MAX} calls wait for the user already, which is the limit.")
        now = self._clock.utc_now()
        approval = Approval(
            id=self._ids.new("apr"), client=client, software=software, tool=row.name, risk=row.risk,
            description=row.description, arguments=arguments, asked_at=now, title=row.title,
            expires_at=now + timedelta(seconds=decide_s), **(about or {}),
        )  # fmt: skip
        answer: asyncio.Future[Given] = asyncio.get_running_loop().create_future()
        self._waiting[approval.id] = (approval, answer)
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(ApprovalAsked(at_utc=at_utc, at_mono_s=at_mono_s, approval=approval))
        decision: Decision = "expired"
        given = Given(is_allowed=False)
        try:
            async with asyncio.timeout(decide_s):
                given = await answer
            decision = "allowed" if given.is_allowed else "refused"
            await self._record(approval, decision, given)
        except TimeoutError as error:
            await self._record(approval, decision, given)
            raise Denied(f"Nobody allowed {row.name} within {decide_s:.0f} s.") from error
        finally:
            del self._waiting[approval.id]
            at_utc, at_mono_s = self._bus.stamp()
            told = ApprovalSettled(at_utc=at_utc, at_mono_s=at_mono_s, id=approval.id, decision=decision)
            self._bus.publish(told)
        if not given.is_allowed:
            said = f" They said: {given.note}" if given.note else ""
            raise Denied(f"The user refused this call of {row.name}.{said}")
        return given

    async def _record(self, approval: Approval, decision: Decision, given: Given) -> None:
        """Who decided what, by a hash of what was shown: the arguments themselves are no matter of the log."""
        shown_hash = hashlib.sha256(approval.arguments.encode()).hexdigest()[:16]
        detail = f"for {approval.client}, {given.scope if given.is_allowed else 'no'}, arguments {shown_hash}"
        if approval.conversation_id:
            detail += f", chat {approval.conversation_id}"
        await self.note("mcp.approval", f"mcp/tools/{approval.tool}", "use", decision, detail)

    def decide(
        self, approval_id: str, is_allowed: bool, who: Principal, *, scope: Scope = "once", note: str = ""
    ) -> None:
        """The user's answer. Only this process's own window may give it: a token, even the owner's, could be an agent's."""
        if who.carrier != "local":
            raise Denied("Only the user at the desktop decides this.", hint="Answer in the window.")
        found = self._waiting.get(approval_id)
        if found is None:
            raise NotFound("This question is no longer open.")
        if is_allowed and scope not in found[0].scopes:
            raise InvalidInput(f"This call cannot be allowed {_SCOPES[scope]}.")
        if not found[1].done():
            found[1].set_result(Given(is_allowed=is_allowed, scope=scope, note=note.strip()[:NOTE_CHARS_MAX]))


_SCOPES = {"once": "once", "chat": "for a whole chat", "always": "for always"}


def shown(args: Mapping[str, Any], known: Callable[[], tuple[str, ...]]) -> str:
    """Arguments as JSON for a person: values under telling names and known secrets masked, what is unseen spelled."""
    try:
        text = msgspec.json.encode(_masked(args, 0)).decode()
    except (TypeError, ValueError, RecursionError):
        return "(arguments that cannot be shown)"
    return spelled(redact(text, known()))


def _masked(value: Any, depth: int) -> Any:
    if depth > 32:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(key): MASK if _SECRET_KEY.search(str(key)) and each else _masked(each, depth + 1)
            for key, each in cast("Mapping[Any, Any]", value).items()
        }
    if isinstance(value, list | tuple):
        return [_masked(each, depth + 1) for each in cast("list[Any]", value)]
    return value
