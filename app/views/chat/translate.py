"""From the engine's messages to what a transcript shows."""

from typing import Any

from app.viewmodels import wording
from app.viewmodels.badge import badge_of, lane_words, speed_of
from app.viewmodels.trace import seam_words
from app.widgets.transcript.model import Action, Badge, ChainStep, Message, Seam

WAITING = "Waiting for a model"
RULE_CHARS_MAX = 600
NOBODY_ELSE = "Nobody else could take it over; the route says why. Try again, or add a provider."
STATUS = {
    "complete": "done",
    "streaming": "streaming",
    "interrupted": "stopped",
    "stopped": "stopped",
    "failed": "failed",
}


def shown(
    message: Any,
    text: str | None = None,
    *,
    time: str = "",
    thinking: str | None = None,
    shows_thinking: bool = False,
) -> Message:
    """A message as the transcript takes it; `text` and `thinking` are the whole ones where they have grown since."""
    if message.role == "system":
        return Message(
            id=message.id, role="notice", text=f"Instructions of this chat: {_brief(message.text)}"
        )
    is_failed = message.status == "failed"
    badge = badge_of(message)
    return Message(
        id=message.id,
        role=message.role,
        text=message.text if text is None else text,
        pictures=message.pictures if message.role == "user" else 0,
        documents=message.documents if message.role == "user" else (),
        time=time,
        thinking=message.thinking if thinking is None else thinking,
        shows_thinking=shows_thinking,
        status=STATUS[message.status],  # type: ignore[arg-type]
        variant=max(0, message.variant - 1),
        variants=max(1, message.variants),
        badge=_badge(badge, message) if badge is not None and not is_failed else None,
        seams=tuple(seam_of(seam) for seam in message.seams),
        note=WAITING if message.status == "streaming" and not message.text else "",
    )


def _brief(rule: str) -> str:
    """A rule as one paragraph, cut at a word; the export has all of it."""
    flat = " ".join(rule.split())
    if len(flat) <= RULE_CHARS_MAX:
        return flat
    cut = flat[:RULE_CHARS_MAX].rsplit(" ", 1)[0].rstrip(" .,:;")
    return f"{cut}… ({len(rule):,} characters in all)"


def failure(message: Any) -> Message | None:
    """The block below an answer that failed: what happened, and what can be done."""
    if message.status != "failed":
        return None
    title, _, rest = message.error.partition(". ")
    return Message(
        id=f"{message.id}.error",
        role="error",
        note=title.rstrip("."),
        text=rest or NOBODY_ELSE,
        actions=(Action("retry", "Try again"), Action("trace", "Show the route")),
    )


def seam_of(seam: Any) -> Seam:
    """The line where another attempt carried on."""
    reason, whole = seam_words(seam)
    return Seam(
        tier=seam.to_tier,
        instance=f"{seam.to_tier}/{seam.to_lane.split('/')[0]}",
        reason=f"after {wording.plural(seam.after_tokens, 'token')}, {reason}",
        at=seam.at_char,
        detail=whole,
    )


def _badge(badge: Any, message: Any) -> Badge:
    lines = [
        f"{attempt.tier}/{attempt.instance}: {attempt.why or attempt.outcome}, {wording.duration(attempt.duration_s)}"
        for attempt in message.attempts
    ]
    ended = f", {message.status}" if message.status in ("stopped", "interrupted") else ""
    return Badge(
        chain=tuple(ChainStep(step.tier, step.is_failed) for step in badge.steps),
        tier=message.tier,
        model=lane_words(message),
        tokens=message.usage.output_tokens if message.usage else None,
        duration_s=message.duration_s,
        tokens_per_s=speed_of(message),
        cost=wording.price(message.cost_usd, message.tier) + ended if message.tier else "",
        detail="\n".join(lines),
    )
