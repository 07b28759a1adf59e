"""Recognition of events that are alike but for their text, so that each need not be decoded anew.

The events of an answer mostly differ in one string. A frame is what stands around it, learned from one event and proved
on it: with other texts in that place the event must say exactly those. Whatever does not fit is read as ever.
"""

from collections.abc import Callable
from typing import Final, Self

PROBES: Final = ("a", "an other text, with ünd 🌊")


class Frame:
    """The bytes before and behind the text of one kind of event."""

    __slots__ = ("_around", "_before", "_behind", "_from", "_to")

    def __init__(self, before: bytes, behind: bytes) -> None:
        self._before = before
        self._behind = behind
        self._around = len(before) + len(behind)
        self._from, self._to = len(before), -len(behind)

    @classmethod
    def learned(cls, event: bytes, text: str, told_by: Callable[[bytes], str | None]) -> Self | None:
        """The frame of an event that says `text`; None where it has none that can be trusted.

        `told_by` gives the text of an event that says nothing else, and None for any other.
        """
        quoted = b'"%b"' % text.encode()
        if not is_plain(text) or event.count(quoted) != 1:
            return None
        before, _, behind = event.partition(quoted)
        frame = cls(before + b'"', b'"' + behind)
        told = [told_by(frame._before + probe.encode() + frame._behind) for probe in (*PROBES, text)]
        return frame if told == [*PROBES, text] else None

    def text_of(self, event: bytes) -> str | None:
        """The text of an event that fits, if it stands there as it is; None: the event has to be decoded."""
        if not (event.startswith(self._before) and event.endswith(self._behind)):
            return None
        if len(event) <= self._around:
            return None
        try:
            text = event[self._from : self._to].decode()
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() and '"' not in text and "\\" not in text else None  # as `is_plain`


def is_plain(text: str) -> bool:
    """Whether JSON writes it as it is: no quotes, escapes or control characters (and nothing else unusual)."""
    return text.isprintable() and '"' not in text and "\\" not in text and text != ""
