"""Colour classes of code by Pygments, as five tokens of the theme; pure and in slices."""

from collections.abc import Iterator
from typing import Literal

CodeClass = Literal["keyword", "string", "number", "function", "comment"]
LETTERS_MAX = 200_000


def classes(code: str, language: str) -> Iterator[tuple[int, int, CodeClass]]:
    """(start, length, class) in order, lazily; nothing for an unknown language or very long code."""
    if not language or len(code) > LETTERS_MAX:
        return
    from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]
    from pygments.token import Comment, Keyword, Name, Number, Operator, String
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language.lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return
    for start, kind, words in lexer.get_tokens_unprocessed(code):
        if not words.strip():
            continue
        if kind in Keyword or kind is Operator.Word:
            yield start, len(words), "keyword"
        elif kind in String:
            yield start, len(words), "string"
        elif kind in Number:
            yield start, len(words), "number"
        elif kind in Comment:
            yield start, len(words), "comment"
        elif any(kind in named for named in (Name.Function, Name.Class, Name.Decorator)) or (
            kind in Name and code[start + len(words) : start + len(words) + 1] == "("
        ):
            yield start, len(words), "function"
