"""Where the time of a request, a task or a chain's run went, as bars on one axis. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.viewmodels import wording
from app.viewmodels.activity_words import OUTCOMES, TASK_PILLS
from legion_core.api.activity_types import ActivityRow
from legion_core.api.task_types import Attempt
from legion_core.api.types import LedgerRow

ROWS_MAX = 40
STATE_COLOURS = {
    "succeeded": "ok.mark", "failed": "err.mark", "running": "accent.fill", "waiting": "line.strong",
    "cancelled": "line.strong", "skipped": "line.strong",
}  # fmt: skip
WAIT = "line.strong"
PAUSE_S = 0.05  # a shorter one is no pause to a reader
OUTCOME_WORDS = {"given_back": "given back", "lost": "lost with its process"}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar, in seconds from the beginning; `colour` is a token."""

    start_s: float
    end_s: float
    colour: str


@dataclass(frozen=True, slots=True)
class Fall:
    """One row: its label, its stretches, and what stands beside them. `key` names the list's line it stands for."""

    label: str
    parts: tuple[Part, ...]
    note: str = ""
    is_failed: bool = False
    key: str = ""
    spoken: str = ""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """All rows on an axis of `total_s` seconds; `more` rows were left out."""

    rows: tuple[Fall, ...] = ()
    total_s: float = 0.0
    more: int = 0


def of_request(attempts: Sequence[LedgerRow]) -> Waterfall:
    """A request's attempts: the wait for the first word, and the words."""
    if not attempts:
        return Waterfall()
    ordered = sorted(attempts, key=lambda attempt: attempt.attempt)
    origin = min(attempt.at for attempt in ordered)
    rows: list[Fall] = []
    for attempt in ordered:
        start = max(0.0, (attempt.at - origin).total_seconds())
        end = start + attempt.duration_s
        name, colour = attempt.instance or attempt.tier, f"tier.{attempt.tier}"
        if attempt.outcome != "succeeded":
            why = OUTCOMES.get(attempt.outcome, attempt.outcome.replace("_", " "))
            if attempt.outcome == "cancelled":
                why = "stopped"
            rows.append(
                _row(
                    name, (Part(start, end, colour),), attempt.duration_s, why, attempt.outcome != "cancelled"
                )
            )
            continue
        first = start + min(attempt.first_token_s or 0.0, attempt.duration_s)
        if attempt.first_token_s:
            rows.append(_row(f"{name} waits", (Part(start, first, WAIT),), first - start))
        rows.append(_row(f"{name} answers", (Part(first, end, colour),), end - first))
    return _fit(rows)  # fmt: skip


def of_task(row: ActivityRow, tries: Sequence[Attempt], now: datetime) -> Waterfall:
    """A task's way: waiting, each try and the pauses between; `tries` are those before the one the row tells of.

    Of a journal of an older version they may be missing: then they and the pauses are one bar.
    """
    if row.started_at is None and row.ended_at is None and row.state != "waiting":
        return Waterfall()
    origin = row.at

    def at(moment: datetime) -> float:
        return max(0.0, (moment - origin).total_seconds())

    rows: list[Fall] = []
    begun = tries[0].started_at if tries else row.started_at
    end_of_wait = at(begun) if begun else at(row.ended_at or now)
    is_known = row.attempts <= 1 or bool(tries)
    label = "Waits" if is_known else "Waits and earlier tries" if row.attempts == 2 else f"{row.attempts - 1} tries before"  # fmt: skip
    rows.append(_row(label, (Part(0.0, end_of_wait, WAIT),), end_of_wait))
    held = end_of_wait
    for number, found in enumerate(tries, 1):
        start, end = at(found.started_at), at(found.ended_at or now)
        _pause(rows, held, start)
        is_failed = found.outcome not in ("given_back", "cancelled")
        colour = "err.mark" if is_failed else WAIT
        note = OUTCOME_WORDS.get(found.outcome, found.outcome)
        rows.append(_row(f"Try {number}", (Part(start, end, colour),), end - start, note, is_failed))
        held = end
    if row.started_at is None:
        return _fit(rows)
    if row.status in ("retry_wait", "queued"):
        is_told = bool(tries) and tries[-1].ended_at is not None
        start = held if is_told else at(row.started_at)
        rows.append(_row("Waits again", (Part(start, at(now), WAIT),), at(now) - start))
        return _fit(rows)
    start, end = at(row.started_at), at(row.ended_at or now)
    _pause(rows, held, start)
    name = "Runs" if row.attempts <= 1 and not tries else f"Try {max(row.attempts, len(tries) + 1)}"
    word = TASK_PILLS[row.status][0].lower() if row.state == "failed" else ""
    part = Part(start, end, STATE_COLOURS[row.state])
    rows.append(_row(name, (part,), end - start, word, row.state == "failed"))
    return _fit(rows)


def _pause(rows: list[Fall], held: float, start: float) -> None:
    if len(rows) > 1 and start - held > PAUSE_S:
        rows.append(_row("Pause", (Part(held, start, WAIT),), start - held))


def of_run(hops: Sequence[ActivityRow], now: datetime) -> Waterfall:
    """The tasks of a chain's run, or of one family, in the order they came."""
    if not hops:
        return Waterfall()
    origin = min(hop.at for hop in hops)

    def at(moment: datetime) -> float:
        return max(0.0, (moment - origin).total_seconds())

    rows: list[Fall] = []
    for hop in hops[:ROWS_MAX]:
        start = at(hop.at)
        end = at(hop.ended_at) if hop.ended_at else at(now) if hop.state in ("running", "waiting") else start
        begun = at(hop.started_at) if hop.started_at else end
        parts = [Part(start, begun, "line.normal")]
        if hop.started_at:
            parts.append(Part(begun, end, STATE_COLOURS[hop.state]))
        word = "" if hop.state == "succeeded" else TASK_PILLS[hop.status][0].lower()
        name = hop.node or hop.task.rpartition(".")[2]
        rows.append(_row(name, tuple(parts), end - start, word, hop.state == "failed", hop.key))
    return _fit(rows, more=max(0, len(hops) - ROWS_MAX))


def _row(
    label: str,
    parts: tuple[Part, ...],
    seconds: float,
    word: str = "",
    is_failed: bool = False,
    key: str = "",
) -> Fall:
    took = wording.duration(max(0.0, seconds))
    note = (f"{took}, {word}" if seconds >= 0.001 else word) if word else took
    return Fall(label=label, parts=parts, note=note, is_failed=is_failed, key=key, spoken=f"{label}: {note}")


def _fit(rows: Sequence[Fall], more: int = 0) -> Waterfall:
    total = max([part.end_s for row in rows for part in row.parts] + [0.001])
    return Waterfall(rows=tuple(rows), total_s=total, more=more)
