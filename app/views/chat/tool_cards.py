"""From a call in a chat to the card a transcript shows: the tool, its arguments, how it stands, what it gave."""

import json
from typing import Any, cast

from app.viewmodels import wording
from app.widgets.transcript.model import Message, Tool, ToolState

LOOKS: dict[str, tuple[ToolState, str]] = {
    "waiting": ("waiting", "Waits for you"),
    "running": ("running", "Runs"),
    "done": ("done", "Done"),
    "failed": ("failed", "Failed"),
    "denied": ("stopped", "Refused"),
    "stopped": ("stopped", "Stopped"),
    "lost": ("failed", "End not known"),
}
ARGUMENT_LINES_MAX, RESULT_LINES_MAX, LINE_CHARS_MAX = 8, 14, 400


def card_id(answer_id: str, place: int) -> str:
    """The id of the card of a call."""
    return f"{answer_id}.call.{place}"


def cards_of(message: Any, call_of: Any) -> list[Message]:
    """The cards below an answer; `call_of` gives what is known of a call beyond the answer's own words."""
    found: list[Message] = []
    for place, block in enumerate(message.calls):
        call = call_of(message.id, place) if call_of is not None else None
        found.append(card(call) if call is not None else _bare(message.id, place, block))
    return found


def card(call: Any) -> Message:
    """A call as it stands."""
    state, words = LOOKS[call.state]
    took = (
        wording.duration(call.duration_s)
        if call.duration_s is not None and call.state in ("done", "failed")
        else ""
    )
    server = call.source.partition(":")[2]
    tool = Tool(
        name=f"{call.title} · {server}" if server else call.title,
        argument=_brief(call.arguments),
        icon="wrench",
        state=state,
        result=f"{words}, {took}" if took else words,
    )
    return Message(
        id=card_id(call.answer_id, call.place), role="tool", text=_body(call), tool=tool,
        time=wording.clock_time(call.started_at.astimezone()),
    )  # fmt: skip


def _bare(answer_id: str, place: int, block: Any) -> Message:
    tool = Tool(name=block.name, argument=_brief(block.arguments), state="running", result="Wanted")
    return Message(id=card_id(answer_id, place), role="tool", text=_lines(block.arguments), tool=tool)


def _body(call: Any) -> str:
    parts = [_lines(call.arguments)]
    if call.decision and not call.result.startswith(call.decision):
        parts.append(call.decision)
    if call.result and call.state != "waiting":
        lines = [line[:LINE_CHARS_MAX] for line in call.result.splitlines()]
        more = len(lines) - RESULT_LINES_MAX
        shown = [*lines[:RESULT_LINES_MAX], *([f"… {more:,} more lines"] if more > 0 else [])]
        parts.append("\n".join(shown))
    return "\n\n".join(parts)


def _lines(arguments: str) -> str:
    try:
        text = json.dumps(json.loads(arguments), indent=2, ensure_ascii=False)
    except ValueError:
        text = arguments
    lines = [line[:LINE_CHARS_MAX] for line in text.splitlines()]
    more = len(lines) - ARGUMENT_LINES_MAX
    return "\n".join([*lines[:ARGUMENT_LINES_MAX], *([f"… {more:,} more lines"] if more > 0 else [])])


def _brief(arguments: str) -> str:
    try:
        told: Any = json.loads(arguments)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    told = cast("dict[str, Any]", told)
    return ", ".join(f"{key}: {value}" for key, value in told.items())[:200].replace("\n", " ")
