"""The line under every answer: where it came from, how long it took and what it cost. Pure."""

from dataclasses import dataclass

from app.viewmodels import wording
from legion_core.api.types import ChatMessage, Usage


@dataclass(frozen=True, slots=True)
class Step:
    """One glyph of the badge's chain: a tier, and whether the attempt there failed."""

    tier: str
    is_failed: bool = False


@dataclass(frozen=True, slots=True)
class Badge:
    """The chain of glyphs and the parts of the line, to be joined by dots."""

    steps: tuple[Step, ...]
    parts: tuple[str, ...]

    @property
    def spoken(self) -> str:
        """The line as a screen reader says it."""
        return ", ".join(self.parts)


def badge_of(message: ChatMessage) -> Badge | None:
    """The badge of an answer, or None while it grows and where nothing answered."""
    if message.role != "assistant" or message.status == "streaming":
        return None
    steps = tuple(
        Step(attempt.tier, attempt.outcome not in ("succeeded", "cancelled")) for attempt in message.attempts
    )
    if not steps and message.tier:
        steps = (Step(message.tier),)
    if not message.tier:
        return Badge(steps, ("not answered",)) if steps else None
    parts = [message.tier, lane_words(message)]
    tokens = message.usage.output_tokens if message.usage else 0
    if message.usage is not None:
        parts.append(f"{'about ' if message.usage.is_estimated else ''}{wording.count(tokens)} tok")
    if message.duration_s is not None:
        parts.append(wording.duration(message.duration_s))
    if (speed := speed_of(message)) is not None:
        parts.append(wording.rate(speed))
    parts.append(wording.price(message.cost_usd, message.tier))
    if message.status in ("stopped", "interrupted"):
        parts.append(message.status)
    return Badge(steps, tuple(parts))


def prompt_tokens(usage: Usage) -> int:
    """All of the prompt, what the provider read from or wrote to its cache too."""
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def context_usage(message: ChatMessage) -> Usage:
    """What the model that gave the answer read and wrote for it: an answer's own usage adds up its attempts."""
    whole = message.usage or Usage()
    last = message.attempts[-1].usage if message.attempts else whole
    return last if prompt_tokens(whole) and prompt_tokens(last) else whole


def lane_words(message: ChatMessage) -> str:
    """Instance and model; an instance named as its tier says nothing more."""
    instance = "" if message.instance == message.tier else message.instance
    return f"{instance} {message.model}".strip()


def speed_of(message: ChatMessage) -> float | None:
    """Tokens per second while tokens came, the wait for the first one left out; None where it cannot be known."""
    if message.usage is None or message.duration_s is None or message.usage.output_tokens < 2:
        return None
    streaming_s = message.duration_s - (message.first_token_s or 0.0)
    # The first token ends the wait; what streamed after it are the others.
    if streaming_s <= 0:
        return None
    return (message.usage.output_tokens - 1) / streaming_s
