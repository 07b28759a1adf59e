"""An answer while it grows: from where, how much so far, how fast. Pure."""

from dataclasses import dataclass, replace

from app.viewmodels import wording

CHARS_PER_TOKEN = 4  # an estimate, said as one, where the provider counts nothing while it streams


@dataclass(frozen=True, slots=True)
class Live:
    """`first_s` and `last_s` are monotonic moments of the first byte and of the latest piece."""

    tier: str
    instance: str
    model: str
    first_s: float
    last_s: float
    tokens: int = 0
    chars: int = 0

    @property
    def is_estimated(self) -> bool:
        """Whether the tokens are reckoned from the letters."""
        return not self.tokens and bool(self.chars)

    @property
    def count(self) -> int:
        """Tokens so far."""
        return self.tokens or self.chars // CHARS_PER_TOKEN

    @property
    def tokens_per_s(self) -> float | None:
        """The speed since the first byte; None until there is something to divide."""
        span_s = self.last_s - self.first_s
        return (self.count - 1) / span_s if self.count > 1 and span_s > 0 else None

    @property
    def words(self) -> str:
        """`local · smollm2-135m · 34 tok · 64 tok/s`."""
        instance = "" if self.instance == self.tier else self.instance
        parts = [self.tier, f"{instance} {self.model}".strip()]
        if self.count:
            parts.append(f"{'about ' if self.is_estimated else ''}{wording.count(self.count)} tok")
        if (speed := self.tokens_per_s) is not None:
            parts.append(wording.rate(speed))
        return " · ".join(parts)

    def joined(self, tier: str, lane: str) -> "Live":
        """The same answer after another lane took it over."""
        instance, _, model = lane.partition("/")
        return replace(self, tier=tier, instance=instance, model=model)

    def grown(self, chars: int, tokens: int, at_s: float) -> "Live":
        """The same answer after another piece."""
        return replace(
            self, chars=self.chars + chars, tokens=self.tokens + tokens, last_s=max(self.last_s, at_s)
        )
