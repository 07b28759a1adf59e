"""The numbers of the Activity page: the key figures of a day, and what the inspector lists of one line. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.viewmodels import wording
from app.viewmodels.activity_detail import Detail
from app.viewmodels.activity_words import time_of
from app.viewmodels.badge import prompt_tokens
from legion_core.api.activity_types import ActivityHour
from legion_core.api.task_types import Line

EFFECTS = {
    "plain": "may run twice after a crash",
    "pure": "harmless to repeat",
    "transactional": "once, with its transaction",
    "idempotent_key": "once, by its key",
    "fenced_file": "once, by a fenced file",
    "at_most_once": "never twice",
}


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number, what stands beside it, its bars from the ground up, and the bars as words."""

    number: str
    detail: str
    bars: tuple[tuple[tuple[float, str], ...], ...]
    table: str = ""
    tone: str = "text.tertiary"


def day_figures(
    hours: Sequence[ActivityHour], now: datetime
) -> tuple[KeyFigure, KeyFigure, KeyFigure, KeyFigure]:
    """Spent, answered here, saved by curation, tasks: of the hours given."""
    cost = sum(hour.cost_usd for hour in hours)
    unpriced = sum(hour.unpriced for hour in hours)
    requests, local = sum(hour.requests for hour in hours), sum(hour.local for hour in hours)
    tasks, failed = sum(hour.tasks for hour in hours), sum(hour.failed for hour in hours)
    saved, worth = sum(hour.saved_tokens for hour in hours), sum(hour.saved_usd for hour in hours)
    unsure = sum(hour.saved_unpriced for hour in hours)
    paid = f"{unpriced} of unknown price" if unpriced else f"for {wording.plural(requests, 'request')}"
    return (
        KeyFigure(
            wording.money(cost) if cost else "$0.00", paid,
            tuple(((hour.cost_usd, "data.4"),) for hour in hours),
            _table(hours, now, lambda hour: wording.money(hour.cost_usd) if hour.cost_usd else ""),
        ),
        KeyFigure(
            wording.share(local / requests) if requests else "–",
            f"{wording.count(local)} of {wording.plural(requests, 'request')}" if requests else "no requests yet",
            tuple(((hour.local, "tier.local"), (hour.requests - hour.local, "data.5")) for hour in hours),
            _table(hours, now, lambda hour: f"{hour.local} of {hour.requests}" if hour.requests else ""),
        ),
        KeyFigure(
            wording.short_count(saved) if saved else "0", saving_words(saved, worth, unsure) if saved else "no long chat" if requests else "no requests yet",
            tuple(((hour.saved_tokens, "data.3"),) for hour in hours),
            _table(hours, now, lambda hour: f"{wording.plural(hour.saved_tokens, 'token')}, "
                   f"{saving_words(hour.saved_tokens, hour.saved_usd, hour.saved_unpriced)}" if hour.saved_tokens else ""),
        ),
        KeyFigure(
            wording.count(tasks), f"{wording.count(failed)} failed" if failed else "none failed" if tasks else "none yet",
            tuple(((hour.tasks - hour.failed, "data.4"), (hour.failed, "err.mark")) for hour in hours),
            _table(hours, now, lambda hour: f"{hour.tasks}, {hour.failed} failed" if hour.tasks else ""),
            "err.text" if failed else "text.tertiary",
        ),
    )  # fmt: skip


def saving_words(tokens: int, usd: float, unpriced: int) -> str:
    """What tokens that were not sent were worth; more than nothing, less, or not known."""
    if not tokens:
        return "nothing"
    if not usd:
        return "price unknown" if unpriced else "free here"
    told = f"{wording.money(usd)} saved" if usd > 0 else f"{wording.money(-usd)} more than it saved"
    return f"{told}, {unpriced} of unknown price" if unpriced else told


def figures_of(detail: Detail, now: datetime) -> tuple[tuple[str, str], ...]:
    """What the inspector lists of a line, label and value."""
    return tuple(_task_figures(detail, now) if detail.task is not None else _request_figures(detail, now))


def log_text(lines: Sequence[Line], now: datetime) -> str:
    """The log as plain text; a level is named where it is not the usual one."""
    return "\n".join(
        f"{line.at.astimezone(now.tzinfo):%H:%M:%S}  "
        f"{'' if line.level == 'info' else line.level.upper() + ': '}{line.text}"
        for line in lines
    )


def _task_figures(detail: Detail, now: datetime) -> list[tuple[str, str]]:
    row, task = detail.row, detail.task
    assert task is not None
    pairs = [("Accepted", time_of(row.at, now))]
    if row.due_at is not None:
        pairs.append(("Due", time_of(row.due_at, now)))
    if row.started_at is not None:
        pairs.append(("Began", time_of(row.started_at, now)))
    if row.ended_at is not None:
        pairs.append(("Ended", time_of(row.ended_at, now)))
    pairs += [
        ("Waited", wording.duration(row.waited_s)),
        ("Ran", wording.duration(row.took_s)),
        ("Tries", f"{row.attempts} of {row.attempts_max}" if row.attempts_max > 1 else str(row.attempts)),
        ("Queue", f"{row.queue}, priority {task.priority}" if task.priority else row.queue),
        ("Asked by", "you" if row.who in ("owner", "") else row.who),
        ("Guarantee", EFFECTS.get(task.effect, task.effect)),
    ]
    if task.timeout_s:
        pairs.append(("Time limit", wording.duration(task.timeout_s)))
    if task.is_redelivered:
        pairs.append(("Given again", "its worker went away once"))
    if task.idempotency_key:
        pairs.append(("Key", task.idempotency_key))
    return pairs


def _request_figures(detail: Detail, now: datetime) -> list[tuple[str, str]]:
    row = detail.row
    cached = sum(attempt.usage.cache_read_tokens for attempt in detail.attempts)
    thinking = sum(attempt.usage.thinking_tokens for attempt in detail.attempts)
    about = "about " if any(attempt.usage.is_estimated for attempt in detail.attempts) else ""
    return [
        ("Asked", time_of(row.at, now)),
        ("Input", f"{about}{wording.plural(row.input_tokens, 'token')}"),
        *([("From cache", wording.plural(cached, "token"))] if cached else []),
        *_saving(detail),
        ("Output", f"{about}{wording.plural(row.output_tokens, 'token')}"),
        *([("Thinking", wording.plural(thinking, "token"))] if thinking else []),
        ("First word", wording.duration(row.waited_s)),
        ("Took", wording.duration(row.took_s)),
        ("Attempts", str(row.attempts or 1)),
        ("Price", wording.price(row.cost_usd, row.tier)),
        ("Came by", ", ".join(part for part in (row.dialect, row.client) if part) or wording.DASH),
    ]


def _saving(detail: Detail) -> list[tuple[str, str]]:
    """The prompt with nothing done, and what leaving some of it out was worth."""
    row = detail.row
    if not row.saved_tokens:
        return [("Saved by curation", "nothing")] if row.input_tokens else []
    sent = sum(prompt_tokens(attempt.usage) for attempt in detail.attempts)
    worth = saving_words(row.saved_tokens, row.saved_usd or 0.0, int(row.saved_usd is None))
    return [
        ("Before curation", f"about {wording.plural(sent + row.saved_tokens, 'token')}"),
        ("Saved by curation", f"about {wording.plural(row.saved_tokens, 'token')}, {worth}"),
    ]


def _table(hours: Sequence[ActivityHour], now: datetime, say: Callable[[ActivityHour], str]) -> str:
    told = [(hour, say(hour)) for hour in hours]
    return "\n".join(f"{hour.at.astimezone(now.tzinfo):%a %H:00}: {words}" for hour, words in told if words)
