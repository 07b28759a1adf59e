"""The route of one answer, told for the inspector: the verdict, every attempt on one time axis, who was left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from app.viewmodels import wording
from app.viewmodels.badge import prompt_tokens, speed_of
from legion_core.api.types import Attempt, ChatMessage, LeftOut, PassedOver, RouteDecision, Seam

REASON_WORDS = {
    "pin": ("Pinned", "neutral"),
    "capability": ("Capability", "neutral"),
    "context": ("Context", "neutral"),
    "circuit": ("Circuit open", "err"),
    "policy": ("Policy", "warn"),
    "operation": ("Operation", "neutral"),
    "unavailable": ("Unavailable", "err"),
    "price": ("Price", "warn"),
}
CIRCUIT_REASONS = (
    ("Tripped", "Tripped", "err"),
    ("Draining", "Draining", "warn"),
    ("Resting", "Resting", "warn"),
    ("Circuit half-open", "Half-open", "warn"),
)
# What this computer is taken to draw while it answers: it cannot be read without rights nobody should give.
WATTS = 30.0
OUTCOME_WORDS = {
    "connection_lost": "connection lost",
    "overloaded": "busy",
    "rate_limited": "rate limited",
    "timed_out": "timed out",
    "stream_broken": "stream broke off",
    "worker_died": "process ended",
    "bad_credentials": "key refused",
    "context_length_exceeded": "too long",
    "unavailable": "not available",
    "cancelled": "stopped",
}
# After the first words some ends have a better name.
SEAM_WORDS = {**OUTCOME_WORDS, "timed_out": "stalled", "interrupted": "workbench restarted"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt: when it began after the first one, how long it waited and streamed, in seconds."""

    label: str
    tier: str
    start_s: float
    wait_s: float
    stream_s: float
    outcome: str
    is_failed: bool
    note: str


@dataclass(frozen=True, slots=True)
class Out:
    """A lane that was not tried."""

    tier: str
    name: str
    why: str
    reason: str
    tone: str


@dataclass(frozen=True, slots=True)
class Trace:
    """All the inspector shows of one answer. `total_s` is the length of the time axis."""

    message_id: str
    tier: str
    name: str
    state: str
    state_tone: str
    verdict: str
    bars: tuple[Bar, ...]
    total_s: float
    figures: tuple[tuple[str, str], ...]
    raw_json: str
    left_out: tuple[Out, ...] = ()
    is_of_now: bool = False
    """Who was left out then was not kept: it is who would be left out now."""


def trace_of(message: ChatMessage, decision: RouteDecision | None = None) -> Trace:
    """The trace of an answer; `decision` says who would be left out now, where it is not kept who was."""
    if message.status == "complete" and not (message.tier or message.request_id or message.attempts):
        return _trace_of_foreign(message)
    bars = _bars(message.attempts)
    ends = [bar.start_s + bar.wait_s + bar.stream_s for bar in bars]
    state, tone = _state(message)
    return Trace(
        message_id=message.id,
        tier=message.tier,
        name=" / ".join(part for part in (message.instance, message.model) if part) or "No model",
        state=state,
        state_tone=tone,
        verdict=_verdict(message),
        bars=bars,
        total_s=max([*ends, message.duration_s or 0.0, 0.001]),
        figures=tuple(_figures(message)),
        raw_json=raw_json(message),
        left_out=_passed_over(message, decision),
        is_of_now=message.left_out is None,
    )


def seam_words(seam: Seam) -> tuple[str, str]:
    """Why another model went on: in a word or two, and in whole sentences."""
    known = SEAM_WORDS.get(seam.outcome or seam.reason, "")
    before = "" if seam.outcome == "interrupted" else f"{seam.from_lane}: "
    how = " Told to go on, so a word may differ at the join." if seam.is_degraded else ""
    # A seam of an older home has a sentence only.
    return known or "broke off", f"{before}{seam.reason if seam.reason not in SEAM_WORDS else known}{how}"


def _trace_of_foreign(message: ChatMessage) -> Trace:
    """An answer that nobody gave here: what is not known is not said as if it were."""
    return Trace(
        message_id=message.id,
        tier="",
        name=message.model or "Written elsewhere",
        state="Imported",
        state_tone="neutral",
        verdict="It came in by an import. Its route, its time and its cost are not known here.",
        bars=(),
        total_s=0.001,
        figures=(),
        raw_json=raw_json(message),
    )


def outs_of(left_out: Sequence[LeftOut]) -> tuple[Out, ...]:
    """The lanes that were not candidates, each with its reason in a word and a sentence."""
    return tuple(_out(entry) for entry in left_out)


def reason_of(entry: LeftOut | PassedOver) -> tuple[str, str]:
    """A reason in a word, and its tone; what keeps requests from a circuit has more words than one."""
    if entry.reason == "circuit":
        for begins, word, tone in CIRCUIT_REASONS:
            if entry.why.startswith(begins):
                return word, tone
    return REASON_WORDS.get(entry.reason, (entry.reason.replace("_", " ").capitalize(), "neutral"))


def _passed_over(message: ChatMessage, decision: RouteDecision | None) -> tuple[Out, ...]:
    if message.left_out is None:
        return outs_of(decision.left_out) if decision else ()
    told = [(entry, reason_of(entry)) for entry in message.left_out]
    return tuple(
        Out(tier=entry.tier, name=f"{entry.instance}/{model}", why=entry.why, reason=word, tone=tone)
        for entry, (word, tone) in told
        for model in entry.models
    )


def _out(entry: LeftOut) -> Out:
    word, tone = reason_of(entry)
    return Out(tier=entry.lane.tier.word, name=entry.lane.name, why=entry.why, reason=word, tone=tone)


def raw_json(message: ChatMessage) -> str:
    """The answer as the engine holds it, indented."""
    return msgspec.json.format(msgspec.json.encode(message), indent=2).decode()


def _state(message: ChatMessage) -> tuple[str, str]:
    match message.status:
        case "complete":
            return "Answered", "ok"
        case "streaming":
            return "Running", "accent"
        case "stopped":
            return "Stopped", "neutral"
        case "interrupted":
            return "Interrupted", "warn"
        case "failed":
            return "Failed", "err"


def _verdict(message: ChatMessage) -> str:
    if message.status == "failed":
        return message.error
    failed = [attempt for attempt in message.attempts if attempt.outcome not in ("succeeded", "cancelled")]
    first = {
        "local": "Answered on this computer.",
        "direct": "Answered by a machine you named.",
        "fleet": "Answered by a shared machine.",
        "cloud": "Answered by a cloud model.",
        "frontier": "Answered by a frontier model.",
    }.get(message.tier, "")
    if not failed:
        return first
    seams = {seam.from_lane for seam in message.seams}
    broke = [attempt for attempt in failed if f"{attempt.instance}/{attempt.model}" in seams]
    silent = [attempt for attempt in failed if attempt not in broke]
    parts = [first]
    if silent:
        parts.append(f"{_names(silent)} could not answer.")
    if broke:
        own = "its" if len({attempt.instance for attempt in broke}) == 1 else "their"
        parts.append(f"{_names(broke)} broke off after {own} first words.")
    return " ".join(part for part in parts if part)


def _names(attempts: Sequence[Attempt]) -> str:
    times = Counter(f"{attempt.tier}/{attempt.instance}" for attempt in attempts)
    names = [name if count == 1 else f"{name} ({count} times)" for name, count in times.items()]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _bars(attempts: Sequence[Attempt]) -> tuple[Bar, ...]:
    if not attempts:
        return ()
    origin = min(attempt.started_at for attempt in attempts)
    bars: list[Bar] = []
    for attempt in attempts:
        wait = (
            attempt.duration_s
            if attempt.first_token_s is None
            else min(attempt.first_token_s, attempt.duration_s)
        )
        is_failed = attempt.outcome not in ("succeeded", "cancelled")
        bars.append(
            Bar(
                label=attempt.instance,
                tier=attempt.tier,
                start_s=max(0.0, (attempt.started_at - origin) / timedelta(seconds=1)),
                wait_s=max(0.0, wait),
                stream_s=max(0.0, attempt.duration_s - wait),
                outcome=attempt.outcome,
                is_failed=is_failed,
                note=_note(attempt) if is_failed else "",
            )
        )
    return tuple(bars)


def _note(attempt: Attempt) -> str:
    word = OUTCOME_WORDS.get(attempt.outcome, attempt.outcome.replace("_", " "))
    tokens = attempt.usage.output_tokens
    return f"{word} at {wording.count(tokens)} tok" if tokens else word


def _figures(message: ChatMessage) -> list[tuple[str, str]]:
    figures: list[tuple[str, str]] = []
    if (usage := message.usage) is not None:
        about = "about " if usage.is_estimated else ""
        figures.append(
            (
                "Tokens in, out",
                f"{about}{wording.count(prompt_tokens(usage))} and {wording.count(usage.output_tokens)}",
            )
        )
        if usage.cache_read_tokens:
            figures.append(("Of it from cache", wording.count(usage.cache_read_tokens)))
        if usage.thinking_tokens:
            figures.append(("Thinking", f"{wording.count(usage.thinking_tokens)} tokens"))
    figures += [
        ("First token", wording.duration(message.first_token_s)),
        ("Duration", wording.duration(message.duration_s)),
        ("Speed", wording.rate(speed_of(message))),
        ("Cost", _cost(message)),
        ("Attempts", str(len(message.attempts) or 1)),
        *_joins(message),
        ("Request", message.request_id or wording.DASH),
    ]
    return figures


def _cost(message: ChatMessage) -> str:
    words = wording.price(message.cost_usd, message.tier)
    if words != "free":
        return words
    here_s = sum(attempt.duration_s for attempt in message.attempts if attempt.tier == "local")
    if not here_s and message.tier == "local":
        here_s = message.duration_s or 0.0
    if not here_s:
        return "Free"
    energy_wh = here_s * WATTS / 3600
    return f"Free, about {energy_wh:.2f} Wh" if energy_wh >= 0.005 else "Free, under 0.01 Wh"


def _joins(message: ChatMessage) -> list[tuple[str, str]]:
    """How often another model went on, and whether by the very text or only by being asked to."""
    if not message.seams:
        return []
    asked = sum(seam.is_degraded for seam in message.seams)
    how = (
        "from the exact text"
        if not asked
        else "by being asked to"
        if asked == len(message.seams)
        else "partly by being asked to"
    )
    times = "once" if len(message.seams) == 1 else f"{len(message.seams)} times"
    return [("Continued", f"{times}, {how}")]
