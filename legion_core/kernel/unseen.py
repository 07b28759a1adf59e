"""What a reader of a text does not see, or sees elsewhere than it stands.

Text of strangers may hold controls that a terminal obeys, marks that turn the direction of what follows, and characters
that are drawn as nothing and still read by models and programs.
"""

import re
import unicodedata
from typing import Final

# Drawn as nothing, though by their category they are letters, marks or blanks: fillers, joiners, separators of lines.
_BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2028\u2029\u2800\u3164\uffa0"
)
_STYLES: Final = "\ufe0e\ufe0f"  # whether a sign is drawn as text or as a picture: one behind it is honest
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]+")  # a byte each, to whoever hides text
_CATEGORIES: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})


def is_unseen(char: str) -> bool:
    """Controls, zero-width and direction marks, private use, and the tag characters that spell text nobody sees."""
    return char in _BLANK or unicodedata.category(char) in _CATEGORIES


def has_unseen(text: str) -> bool:
    """Whether anything of it is not seen; line breaks and tabs are."""
    if any(match[0] not in _STYLES for match in _SELECTORS.finditer(text)):
        return True
    return any(is_unseen(char) and char not in "\n\t\r" for char in text)


def without_unseen(text: str) -> str:
    """Only what is seen, line breaks and tabs."""
    text = _SELECTORS.sub(lambda match: match[0] if match[0] in _STYLES else "", text)
    return "".join(char for char in text if char in "\n\t\r" or not is_unseen(char))


def spelled(text: str, *, kept: str = "\n\t") -> str:
    r"""What is not seen, written out: `\u202e`. In JSON it means the same, so what is shown is what would be called."""
    text = _SELECTORS.sub(
        lambda match: match[0] if match[0] in _STYLES else "".join(map(_code, match[0])), text
    )
    return "".join(char if char in kept or not is_unseen(char) else _code(char) for char in text)


def _code(char: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in _units(char))


def _units(char: str) -> tuple[int, ...]:
    number = ord(char)
    if number < 0x10000:
        return (number,)
    return (0xD7C0 + (number >> 10), 0xDC00 + (number & 0x3FF))
