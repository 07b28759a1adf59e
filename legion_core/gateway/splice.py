"""Pure joining of two halves of one text, where the second was written by a model that was only asked to go on.

Such a model is told to begin by repeating the last words it was given (the anchor), so that the place where new text
begins can be found and not guessed. It may also repeat more than that, begin the whole answer anew, or write a sentence
with a colon before the anchor. In each case the anchor comes, and everything up to its end is dropped. A model that
does not repeat the anchor is taken at its word: nothing of what it writes is dropped.

The anchor occurs only once in the text it ends, wherever that text has such an end: so the place is unambiguous.
"""

from typing import Final

ANCHOR_CHARS: Final = (
    32  # about eight tokens: too long for chance, short enough to be repeated without a slip
)
ANCHOR_CHARS_MAX: Final = 512
PREAMBLE_CHARS: Final = 160  # "Here is the rest of the answer:"
QUOTES: Final = "\"'`“”‘’«»…. \t\r\n"  # what models put around a quotation


def anchor_of(text: str) -> str:
    """The end of `text` to be repeated, without white space around it; empty only if `text` is blank.

    At least ANCHOR_CHARS where there are so many, from the beginning of a word, and found nowhere else in `text`. An
    end that repeats over ANCHOR_CHARS_MAX has no such place: then it is just the last words.
    """
    bare = text.rstrip()
    size = ANCHOR_CHARS
    while size <= ANCHOR_CHARS_MAX:
        anchor = _last_words(bare, size)
        if bare.find(anchor) == len(bare) - len(anchor):
            return anchor
        size *= 2
    return _last_words(bare, ANCHOR_CHARS)


def _last_words(text: str, size: int) -> str:
    start = max(0, len(text) - size)
    for place in range(start, max(-1, start - ANCHOR_CHARS), -1):
        if place == 0 or (text[place - 1].isspace() and not text[place].isspace()):
            start = place
            break
    return text[start:].lstrip()


class Splice:
    """Takes the second half piece by piece and gives back what is new; `end` gives what was held until then."""

    def __init__(self, text: str) -> None:
        """`text` is what was given already."""
        self.anchor = anchor_of(text)
        self._text = text.rstrip()
        # The first half ended so; a model that repeats it with the anchor must not double it.
        self._space = text[len(self._text) :] if self.anchor else ""
        self._held = ""
        self._at = 0  # where in `text` all that is held stands, as far as it does
        self._is_settled = not self.anchor
        self._is_found = False

    @property
    def is_found(self) -> bool:
        """Whether the anchor came, so that the two halves are known to fit."""
        return self._is_found

    def feed(self, piece: str) -> str:
        """What of the text so far is known to be new."""
        if self._is_settled:
            return self._without_space(piece)
        seen = max(0, len(self._held) - len(self.anchor))
        self._held += piece
        at = self._held.find(self.anchor, seen)
        if at >= 0:
            self._is_found = self._may_precede(self._held[:at])
            return self._settle(at + len(self.anchor) if self._is_found else 0)
        return "" if self._may_come() else self._settle(0)

    def end(self) -> str:
        """The second half is over: what was held is new, unless it is the beginning of the whole answer once more."""
        if self._is_settled:
            return ""
        begun = self._held.strip()
        is_repeat = len(begun) >= ANCHOR_CHARS and self._text.startswith(begun)
        return self._settle(len(self._held) if is_repeat else 0)

    def _settle(self, at: int) -> str:
        self._is_settled = True
        rest, self._held = self._held[at:], ""
        if not self._is_found:
            self._space = ""
        return self._without_space(rest)

    def _without_space(self, text: str) -> str:
        """`text` without the white space that the first half ended with, if it begins with it."""
        if not self._space or not text:
            return text
        shared = 0
        for mine, new in zip(self._space, text, strict=False):
            if mine != new:
                break
            shared += 1
        self._space = self._space[shared:] if shared == len(text) else ""
        return text[shared:]

    def _may_precede(self, before: str) -> bool:
        """Whether this may stand before the anchor: nothing but quotation marks, what stands there, or a preamble."""
        if any(self._text.endswith(start + self.anchor) for start in _bare(before)):
            return True
        return len(before) <= PREAMBLE_CHARS and before.rstrip(QUOTES).endswith(":")

    def _may_come(self) -> bool:
        """Whether the anchor can still come at a place where it may stand."""
        held = self._held
        if any(self.anchor.startswith(start) or self._stands(start) for start in _bare(held)):
            return True
        if len(held) > PREAMBLE_CHARS + len(self.anchor):
            return False
        at = held.find(":", 0, PREAMBLE_CHARS)
        while at >= 0:
            if self.anchor.startswith(held[at + 1 :].lstrip(QUOTES)):
                return True
            at = held.find(":", at + 1, PREAMBLE_CHARS)
        return len(held) <= PREAMBLE_CHARS and "\n" not in held.strip()

    def _stands(self, piece: str) -> bool:
        """Whether `piece` stands in the first half, so that its writer may be on the way to the anchor."""
        if not self._text.startswith(piece, self._at):
            self._at = max(0, self._text.find(piece))
        return self._text.startswith(piece, self._at)


def _bare(text: str) -> tuple[str, ...]:
    """The text as it is and without what models put before a quotation."""
    return text, text.lstrip(), text.lstrip(QUOTES)
