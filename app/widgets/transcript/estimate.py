"""Guesses of heights before anything is laid out, from lengths alone; pure.

A guess need not be right: laying out corrects it without moving what is read. It must be cheap, since a long chat asks
for ten thousand of them before its first frame.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a guess needs to know about the type and the column; all in px."""

    width: int
    letter: float
    """Mean advance of a letter of body text."""
    line: int
    code_line: int
    own_indent: int
    chrome_answer: int
    """What an answer has besides its text: gap and footer."""
    chrome_own: int


def message_height(letters: int, breaks: int, metrics: Metrics, *, own: bool) -> int:
    """Height of a whole message with `letters` characters and `breaks` line breaks."""
    width = metrics.width - metrics.own_indent if own else metrics.width
    per_line = max(8.0, width / metrics.letter)
    # Every second break starts a new block with a half-empty last line.
    lines = int(letters / per_line + breaks * 0.7) + 1
    return lines * metrics.line + (metrics.chrome_own if own else metrics.chrome_answer)


def text_height(letters: int, breaks: int, width: int, letter: float, line: int) -> int:
    """Height of one block of wrapped text."""
    return (int(letters / max(8.0, width / letter)) + breaks + 1) * line
