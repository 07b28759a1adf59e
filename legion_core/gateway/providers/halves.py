"""Characters of two halves that a server told in two events, or of which it told only one.

JSON may hold half of a surrogate pair as an escape (RFC 8259, 8.2), and servers that cut text by UTF-16 units write such
halves: the first at the end of one event, the second at the beginning of the next. Decoders refuse them.
"""

import re
from typing import Final

_LONE: Final = "\ufffd"
# Escaped backslashes first, so that what follows one is no escape; then pairs, so that what is left is a half.
_HALVES: Final = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class Halves:
    """Mends the events of one stream, in order."""

    def __init__(self) -> None:
        self._first = ""  # the escape of a first half that waits for its second

    def mended(self, data: str) -> str:
        """`data` with every half joined with the one it belongs to; one that has none is U+FFFD.

        A first half at the end of a string is taken out, to come with its second at the beginning of a later one. If
        that never comes, it is left out: what is half a character at the very end is nothing anybody could read.
        """
        waiting = self._first

        def mend(match: re.Match[str]) -> str:
            nonlocal waiting
            half = match[1]
            if half is None:
                return match[0]
            if half[3] in "89abAB":
                if data[match.end() : match.end() + 1] != '"':
                    return _LONE
                waiting = half
                return ""
            if not waiting or data[match.start() - 1] != '"':
                return _LONE
            joined, waiting = waiting + half, ""
            return joined

        told = _HALVES.sub(mend, data)
        self._first = waiting
        return told
