"""A task or a request in the words of the activity list: time, what, where, how it is, how long, how much. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime

from app.viewmodels import wording
from legion_core.api.activity_types import ActivityRow

# Words, tone and icon of each status: a state is never told by colour alone.
TASK_PILLS: dict[str, tuple[str, str, str]] = {
    "accepted": ("Accepted", "neutral", "clock"),
    "delayed": ("Delayed", "neutral", "clock"),
    "waiting_join": ("Waits to join", "neutral", "merge"),
    "queued": ("Queued", "neutral", "clock"),
    "leased": ("Starting", "accent", "loader"),
    "running": ("Running", "accent", "loader"),
    "retry_wait": ("Tries again", "warn", "rotate-ccw"),
    "succeeded": ("Done", "ok", "circle-check"),
    "failed": ("Failed", "err", "circle-x"),
    "dead": ("Gave up", "err", "circle-x"),
    "blocked": ("Blocked", "err", "hand"),
    "skipped": ("Skipped", "neutral", "circle-minus"),
    "cancelled": ("Cancelled", "neutral", "circle-minus"),
    "expired": ("Expired", "warn", "clock"),
    "unknown": ("Unknown", "warn", "circle-help"),
}
TRIAL = "provider model try"  # the ledger's client of a model that was asked what it can
REQUEST_PILLS: dict[str, tuple[str, str, str]] = {
    "succeeded": ("Answered", "ok", "circle-check"),
    "cancelled": ("Stopped", "neutral", "circle-minus"),
    "failed": ("Failed", "err", "circle-x"),
}
TASK_ICONS = (
    ("http.", "globe"),
    ("llm.", "message-square"),
    ("shell.", "terminal"),
    ("file.", "file"),
    ("log.", "list"),
    ("notify.", "bell"),
    ("chain.", "workflow"),
)
OUTCOMES = {
    "connection_lost": "connection lost",
    "overloaded": "the provider was busy",
    "rate_limited": "rate limited",
    "timed_out": "timed out",
    "stream_broken": "the stream broke off",
    "worker_died": "the model's process ended",
    "bad_credentials": "the key was refused",
    "context_length_exceeded": "too long for the model",
    "unavailable": "no model was available",
}


@dataclass(frozen=True, slots=True)
class Words:
    """A line of the list. `tier` marks where a request ran; `detail` is the reason in plain words."""

    time: str
    icon: str
    icon_tone: str
    title: str
    detail: str
    where: str
    tier: str
    pill: tuple[str, str, str]
    took: str
    cost: str

    @property
    def spoken(self) -> str:
        """The line as a screen reader says it."""
        tier = f"tier: {self.tier}" if self.tier else ""
        parts = [self.title, self.pill[0], self.detail, tier, self.where, self.took, self.cost, self.time]
        return ", ".join(part for part in parts if part and part != wording.DASH)


def words_of(row: ActivityRow, now: datetime) -> Words:
    """The line of a row; `now` is local time with its zone."""
    is_task = row.kind == "task"
    return Words(
        time=time_of(row.at, now),
        icon=_icon(row),
        icon_tone={"failed": "err.mark", "running": "accent.text"}.get(row.state, "text.tertiary"),
        title=row.task if is_task else request_title(row),
        detail=reason_words(row, now) or brief_words(row.brief),
        where=_task_where(row) if is_task else _lane(row),
        tier=row.tier,
        pill=pill_of(row),
        took=wording.duration(row.took_s),
        cost=wording.DASH if is_task or (row.state != "succeeded" and not row.cost_usd) else wording.price(row.cost_usd, row.tier),
    )  # fmt: skip


def pill_of(row: ActivityRow) -> tuple[str, str, str]:
    """Words, tone and icon of how it is."""
    return (
        TASK_PILLS[row.status]
        if row.kind == "task"
        else REQUEST_PILLS.get(row.state, REQUEST_PILLS["failed"])
    )


def reason_words(row: ActivityRow, now: datetime) -> str:
    """Why it is as it is, in a sentence; dates in it are local. Empty where nothing needs a reason."""
    if row.kind == "request":
        if row.state != "failed":
            return ""
        if row.reason and row.tier:  # where it went stands beside it
            return row.reason.sentence.removeprefix(f"{row.instance} ")
        return row.reason.sentence if row.reason else OUTCOMES.get(row.status, row.status.replace("_", " "))
    if row.due_at is not None and row.state == "waiting":
        until = time_of(row.due_at, now)
        if row.status == "retry_wait" and row.reason is not None:
            what = str(row.reason.facts.get("what", "it failed")).rstrip(". ")
            return f"Attempt {row.attempts} failed: {what}. The next is at {until}."
        if row.status == "delayed":
            return f"It waits until {until}."
    if row.reason is not None:
        return row.reason.sentence
    return {"queued": "It waits for a free place.", "waiting_join": "It waits for others."}.get(
        row.status, ""
    )


def brief_words(brief: str) -> str:
    """The beginning of a task's arguments without the signs of JSON: `url: https://…, timeout_s: 3`."""
    inner = brief.strip().removeprefix("{").removesuffix("}")
    plain = re.sub(r'"([A-Za-z_]\w*)":', r"\1: ", inner)
    return re.sub(r",(?=[A-Za-z_]\w*: )", ", ", plain).replace('"', "").replace("\\n", " ")


def why_slow(row: ActivityRow) -> str:
    """Where the time went, in one or two sentences; empty before anything began."""
    if row.kind == "request":
        return _request_time(row)
    parts: list[str] = []
    waited, took = row.waited_s, row.took_s
    if waited is not None and row.attempts > 1:
        parts.append(
            f"{wording.duration(waited)} went by with {wording.plural(row.attempts - 1, 'earlier try').replace('trys', 'tries')} and the pauses between."
        )
    elif waited is not None and took is not None:
        said = f"Waited {wording.duration(waited)}, then ran {wording.duration(took)}."
        parts.append(f"{said} Most of that was waiting." if waited > max(1.0, took) else said)
    elif waited is not None:
        parts.append(f"Waited {wording.duration(waited)} before it began.")
    if took is not None and row.attempts > 1:
        parts.append(f"The last try ran {wording.duration(took)}.")
    return " ".join(parts)  # fmt: skip


def time_of(moment: datetime, now: datetime) -> str:
    """`14:02:40` today, `Tue 14:02` within a week, then `3 Mar 14:02`."""
    local = moment.astimezone(now.tzinfo)
    days = (now.date() - local.date()).days
    if days == 0:
        return f"{local:%H:%M:%S}"
    if abs(days) < 7:
        return f"{local:%a %H:%M}"
    year = "" if local.year == now.year else f" {local.year}"
    return f"{local.day} {local:%b}{year} {local:%H:%M}"


def request_title(row: ActivityRow) -> str:
    """`Museum labels, 512 tokens`, or whose request it was where it belongs to no chat."""
    # A program's first word names it; what follows tells of its system.
    words = row.client.split()
    client = "Trial of a model" if row.client == TRIAL else f"Request of {words[0]}" if words else "Request"
    name = row.title or client
    if not row.output_tokens:
        return name
    return f"{name.rstrip(' .,:;!?')}, {wording.plural(row.output_tokens, 'token')}"


def _request_time(row: ActivityRow) -> str:
    if row.took_s is None:
        return ""
    parts: list[str] = []
    if row.attempts > 1:
        parts.append(f"It took {row.attempts} attempts.")
    if row.waited_s is not None and row.state == "succeeded":
        flowed = row.took_s - row.waited_s
        speed = (
            f" at {wording.rate(row.output_tokens / flowed)}"
            if flowed > 0.05 and row.output_tokens > 1
            else ""
        )
        parts.append(
            f"The first word came after {wording.duration(row.waited_s)}, then {wording.count(row.output_tokens)} tokens{speed}."
        )
    return " ".join(parts)  # fmt: skip


def _icon(row: ActivityRow) -> str:
    if row.kind == "request":
        return "arrow-up-right"
    return next(
        (icon for start, icon in TASK_ICONS if row.task.startswith(start)), "workflow" if row.run else "zap"
    )


def _lane(row: ActivityRow) -> str:
    if not row.tier:
        return wording.DASH
    # What the workbench runs itself is told by the model, everything else by who it is.
    return f"{row.tier}/{wording.model(row.model) if row.instance == 'local' else row.instance}"


def _task_where(row: ActivityRow) -> str:
    if row.run:
        chain = row.chain or "chain"
        return f"{chain}, {row.node}" if row.node else chain
    return "by you" if row.who in ("owner", "") else f"by {row.who}"
