"""Tool names as a provider takes them, and back.

Clients name tools as they like (`files.read`, 80 characters); providers take letters, digits, `_` and `-`, up to a
length. A name that fits is kept; another becomes a readable stem and a digest, the same each time.
"""

import re
from collections.abc import Iterable
from hashlib import sha256

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST_CHARS = 8


class ToolNames:
    """The two-way table of one request."""

    def __init__(self, names: Iterable[str], *, length_max: int = 64, starts_as_word: bool = False) -> None:
        """`length_max` in characters. Source: 64 at OpenAI, 128 at Anthropic.

        `starts_as_word`: the provider wants a letter or `_` in front, as Gemini does.
        """
        self._length_max = length_max
        self._starts_as_word = starts_as_word
        self._original: dict[str, str] = {}
        self._sent: dict[str, str] = {}
        for name in names:
            self.sent(name)

    def sent(self, name: str) -> str:
        """What the provider is told."""
        if name not in self._sent:
            fit = name if self._fits(name) and name not in self._original else self._shortened(name)
            self._sent[name] = fit
            self._original[fit] = name
        return self._sent[name]

    def original(self, name: str) -> str:
        """What the client called it; a name the model made up is given back as it is."""
        return self._original.get(name, name)

    def _fits(self, name: str) -> bool:
        return 0 < len(name) <= self._length_max and _UNFIT.search(name) is None and self._starts_well(name)

    def _starts_well(self, name: str) -> bool:
        return not self._starts_as_word or name[0].isalpha() or name[0] == "_"

    def _shortened(self, name: str) -> str:
        digest = sha256(name.encode()).hexdigest()[:_DIGEST_CHARS]
        stem = _UNFIT.sub("_", name)[: self._length_max - _DIGEST_CHARS - 1]
        if stem and not self._starts_well(stem):
            stem = f"_{stem[1:]}"
        return f"{stem}_{digest}"
