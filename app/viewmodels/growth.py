"""Decides what a piece of a growing answer means for the text already held: take it, part of it, or load again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Growth:
    """`tail` is what to append; `is_lost` says that characters before it never arrived."""

    tail: str = ""
    is_lost: bool = False


def grow(length: int, at_char: int, text: str) -> Growth:
    """The growth of a text of `length` characters by `text` that begins at `at_char` of the whole answer.

    A piece may overlap what a fresh copy of the conversation already held; a gap can only mean loss.
    """
    assert length >= 0
    assert at_char >= 0
    if at_char > length:
        return Growth(is_lost=True)
    return Growth(tail=text[length - at_char :])
