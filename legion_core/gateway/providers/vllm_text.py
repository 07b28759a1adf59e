"""Words of a model's chat template that a server let through: taken off an answer's beginning and end. Pure.

A stop word the server does not know as one comes out as text. Only what stands at the very beginning or the very end is
taken: a text that speaks about such words keeps them.
"""

import re
from collections.abc import Sequence
from typing import Final

from legion_core.gateway.providers.openai_wire import ChatReader
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.types import Chunk, Finished, TextDelta, Usage

OPENERS: Final = (
    "<|im_start|>assistant\n",
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "<start_of_turn>model\n",
    "<|turn>model\n",
    "<|channel|>final<|message|>",
    "<|assistant|>\n",
)
CLOSERS: Final = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<turn|>",
    "<eos>",
    "</s>",
)
HELD_MAX: Final = 512  # characters kept back at most, to see whether more comes behind them
_CLOSER_CHARS: Final = max(map(len, CLOSERS))
_ALL_CLOSERS = re.compile(f"(?:(?:{'|'.join(map(re.escape, CLOSERS))})\\s*)+\\Z")


class TemplateWords:
    """One answer's text on its way: what may still turn out to be the template's is held back for a moment."""

    def __init__(self) -> None:
        self._held = ""
        self._is_begun = False

    def feed(self, text: str) -> str:
        """What of the text so far can go out now."""
        self._held += text
        if not self._is_begun and not self._begin():
            return ""
        at = self._kept_from()
        out, self._held = self._held[:at], self._held[at:]
        return out

    def close(self) -> str:
        """What is left at the end of the text, without the template's words."""
        rest, self._held = self._held, ""
        return "" if _ALL_CLOSERS.fullmatch(rest) else rest

    def _begin(self) -> bool:
        """Whether it is clear how the answer begins."""
        for opener in OPENERS:
            if self._held.startswith(opener):
                self._held = self._held.removeprefix(opener)
                self._is_begun = True
                return True
        self._is_begun = not any(opener.startswith(self._held) for opener in OPENERS)
        return self._is_begun

    def _kept_from(self) -> int:
        held = self._held
        if len(held) > HELD_MAX and _ALL_CLOSERS.fullmatch(held):
            return len(held)
        at = held.rfind("<", max(0, len(held) - _CLOSER_CHARS))
        begun = len(held) if at < 0 or not any(c.startswith(held[at:]) for c in CLOSERS) else at
        whole = _ALL_CLOSERS.search(held, 0, begun)
        return whole.start() if whole else begun


class CleanReader:
    """`ChatReader` without the template's words; see `wire.Reader`."""

    def __init__(self, inner: ChatReader) -> None:
        self._inner = inner
        self._words = TemplateWords()

    def read(self, event: SseEvent) -> Sequence[Chunk]:
        """See `wire.Reader`."""
        out = list[Chunk]()
        for chunk in self._inner.read(event):
            match chunk:
                case TextDelta():
                    self._say(self._words.feed(chunk.text), out)
                case Finished():
                    self._say(self._words.close(), out)
                    out.append(chunk)
                case _:
                    out.append(chunk)
        if self._inner.is_ending:
            self._say(self._words.close(), out)
        return out

    def at_end(self) -> Finished | None:
        """See `wire.Reader`; nothing is held back by then, for a finish reason was given."""
        return self._inner.at_end()

    def so_far(self) -> Usage | None:
        """See `wire.Reader`."""
        return self._inner.so_far()

    @staticmethod
    def _say(text: str, out: list[Chunk]) -> None:
        if text:
            out.append(TextDelta(text=text))
