"""From a call in a chat to the card a transcript shows: the tool, its arguments, how it stands, what it gave."""

import json
from typing import Any, cast

from app.viewmodels import wording
from app.viewmodels.server_words import arguments_said, on_a_line
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


def cards_of(message: Any, call_of: Any, results: Any) -> list[Message]:
    """The cards below an answer; `call_of` gives what is known of a call beyond the answer's own words.

    `results` are what was told of calls by their ids: also of one that was not made here, such as an imported one.
    """
    found: list[Message] = []
    for place, block in enumerate(message.calls):
        call = call_of(message.id, place) if call_of is not None else None
        if call is not None:
            found.append(card(call))
        else:
            found.append(_bare(message, place, block, results.get(block.id)))
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


def _bare(answer: Any, place: int, block: Any, result: Any) -> Message:
    state: ToolState = "running" if answer.status == "streaming" else "stopped"
    words, parts = "Wanted" if state == "running" else "No result", [_lines(block.arguments)]
    if result is not None:
        state, words = ("failed", "Failed") if result.is_error else ("done", "Done")
        parts.append(_cut(result.text, RESULT_LINES_MAX))
    tool = Tool(name=block.name, argument=_brief(block.arguments), state=state, result=words)
    return Message(id=card_id(answer.id, place), role="tool", text="\n\n".join(parts), tool=tool)


def _body(call: Any) -> str:
    parts = [_lines(call.arguments)]
    if call.decision and not call.result.startswith(call.decision):
        parts.append(call.decision)
    if call.result and call.state != "waiting":
        parts.append(_cut(call.result, RESULT_LINES_MAX))
    return "\n\n".join(parts)


def _lines(arguments: str) -> str:
    return _cut(arguments_said(arguments), ARGUMENT_LINES_MAX)


def _cut(text: str, lines_max: int) -> str:
    # Only what is shown is taken apart: a result may have megabytes.
    lines = text.split("\n", lines_max)
    rest = lines.pop() if len(lines) > lines_max else ""
    more = rest.count("\n") + (rest[-1:] not in ("", "\n"))
    shown = [line[:LINE_CHARS_MAX].rstrip("\r") for line in lines]
    return "\n".join([*shown, *([f"… {more:,} more lines"] if more else [])]).rstrip("\n")


def _brief(arguments: str) -> str:
    try:
        told: Any = json.loads(arguments)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    told = cast("dict[str, Any]", told)
    return on_a_line(", ".join(f"{key}: {value}" for key, value in told.items())[:200].replace("\n", " "))
