"""What the Connect page says of programs, calls, tools and keys. Pure."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from app.viewmodels import wording
from legion_core.kernel.unseen import spelled

STATES: dict[str, tuple[str, str, str]] = {
    "connected": ("Connected, idle", "ok", "circle-check"),
    "found": ("Found, not connected", "tertiary", "circle-dashed"),
    "changed": ("Changed outside, review", "warn", "triangle-alert"),
    "removed": ("Taken out by another program", "warn", "triangle-alert"),
    "broken": ("Its file cannot be read", "error", "circle-x"),
    "missing": ("Not installed", "tertiary", "circle-minus"),
}
ACTS: dict[str, tuple[str, ...]] = {
    "connected": ("undo",),
    "found": ("preview", "apply"),
    "changed": ("review", "undo"),
    "removed": ("preview", "apply"),
    "broken": ("review",),
    "missing": ("copy",),
}
RISKS: dict[str, tuple[str, str]] = {
    "read": ("Low", "neutral"),
    "write": ("Medium", "warn"),
    "danger": ("High", "err"),
}
SOURCES = {
    "workbench": "Workbench",
    "chain": "Chains",
    "model": "Models",
    "extension": "Extensions",
    "server": "Other people's servers",
}
OUTCOMES = {
    "running": "running",
    "waiting": "waits for you",
    "error": "failed",
    "denied": "refused",
    "cancelled": "cancelled",
    "timed_out": "timed out",
}


@dataclass(frozen=True, slots=True)
class CardWords:
    """A program's card. `acts` are keys of what can be done, the first one first."""

    name: str
    title: str
    letter: str
    state: str
    words: str
    tone: str
    icon: str
    acts: tuple[str, ...]
    problem: str = ""
    models: str = "none"
    link: str = ""

    @property
    def spoken(self) -> str:
        """The card as a screen reader says it."""
        return ", ".join(part for part in (self.title, self.words, self.problem) if part)


def cards(rows: Sequence[Any], calls: Sequence[Any], today: datetime) -> tuple[CardWords, ...]:
    """A card for each program, those that are here before those that are not; `calls` are counted by program."""
    count = Counter(
        call.client for call in calls if call.started_at.astimezone(today.tzinfo).date() == today.date()
    )
    order = {"found": 0, "changed": 0, "removed": 0, "broken": 0, "connected": 0, "missing": 1}
    made: list[CardWords] = []
    for row in sorted(rows, key=lambda each: order[each.state]):
        words, tone, icon = STATES[row.state]
        number = count.get(row.name, 0)
        if row.state == "connected" and number:
            words = f"Connected, {wording.plural(number, 'call')} today"
        made.append(
            CardWords(
                name=row.name,
                title=row.title,
                letter=row.letter,
                state=row.state,
                words=words,
                tone=tone,
                icon=icon,
                acts=ACTS[row.state],
                problem=row.problem,
                models=row.models,
                link=row.link,
            )
        )
    return tuple(made)


@dataclass(frozen=True, slots=True)
class CallWords:
    """A line of the live calls."""

    key: str
    time: str
    tool: str
    arguments: str
    app: str
    took: str
    is_bad: bool
    spoken: str


def calls_said(calls: Sequence[Any], now: datetime, titles: dict[str, str]) -> tuple[CallWords, ...]:
    """The calls, newest first."""
    made: list[CallWords] = []
    for call in calls:
        time = call.started_at.astimezone(now.tzinfo).strftime("%H:%M:%S")
        app: str = titles.get(call.client) or call.software or call.client
        took = (
            wording.duration(call.duration_s)
            if call.outcome == "ok"
            else OUTCOMES.get(call.outcome, call.outcome)
        )
        said = call.message or arguments_said(call.arguments)
        made.append(
            CallWords(
                key=call.id,
                time=time,
                tool=call.tool,
                arguments=said,
                app=app,
                took=took or "",
                is_bad=call.outcome in ("error", "denied", "timed_out"),
                spoken=f"{call.tool}, by {app}, at {time}, {took}, {said}",
            )
        )
    return tuple(made)


def arguments_said(text: str) -> str:
    """`{"query": "x"}` as `query: "x"`; what is cut short or no object stays as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if not isinstance(found, dict):
        return text
    pairs = cast("dict[str, Any]", found).items()
    said = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in pairs)
    return spelled(said, kept="")  # a mark in one of them would turn the whole line


@dataclass(frozen=True, slots=True)
class ToolWords:
    """A line of what apps may use; without a name it is the caption of a group."""

    name: str
    title: str
    risk: str = ""
    tone: str = "neutral"
    is_on: bool = False
    tip: str = ""

    @property
    def spoken(self) -> str:
        """The line as a screen reader says it."""
        if not self.name:
            return self.title
        return f"{self.title}, {self.risk.lower()} risk, {'on' if self.is_on else 'off'}"


def tools_said(tools: Sequence[Any]) -> tuple[ToolWords, ...]:
    """Tools by group, with captions between."""
    made: list[ToolWords] = []
    for source, caption in SOURCES.items():
        found = sorted(
            (tool for tool in tools if tool.source == source), key=lambda tool: tool.title or tool.name
        )
        if found:
            made.append(ToolWords(name="", title=caption))
        for tool in found:
            risk, tone = RISKS[tool.risk]
            asks = "Each call asks here first. " if tool.standing == "asks" else ""
            made.append(
                ToolWords(
                    name=tool.name,
                    title=tool.title or tool.name,
                    risk=risk,
                    tone=tone,
                    is_on=tool.standing != "hidden",
                    tip=f"{tool.name}. {asks}{tool.description}"[:400],
                )
            )
    return tuple(made)


@dataclass(frozen=True, slots=True)
class KeyWords:
    """A line of the tokens."""

    name: str
    title: str
    tail: str
    used: str


def keys_said(rows: Sequence[Any], now: datetime) -> tuple[KeyWords, ...]:
    """The tokens in force."""
    return tuple(
        KeyWords(
            name=row.name,
            title=row.client or row.name,
            tail=f"…{row.tail}",
            used=wording.ago(row.last_used_at, now) if row.last_used_at else "never",
        )
        for row in rows
        if row.state == "active"
    )
