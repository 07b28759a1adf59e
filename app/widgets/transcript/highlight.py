"""Colour classes of code by Pygments, as five tokens of the theme; pure and in slices.

Finding a lexer imports it, which costs up to 70 ms the first time: `load` does that and may run on any thread; `classes`
only uses what is loaded.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pygments.lexer import Lexer

CodeClass = Literal["keyword", "string", "number", "function", "comment"]
LETTERS_MAX = 200_000
NAMES_MAX = 200

_lexers: "dict[str, Lexer | None]" = {}


def is_loaded(language: str) -> bool:
    """Whether `classes` can answer for a language without an import."""
    return language.lower() in _lexers


def load(language: str) -> None:
    """Imports the lexer of a language; an unknown language is remembered as one without colours."""
    from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]
    from pygments.util import ClassNotFound

    if len(_lexers) >= NAMES_MAX:
        _lexers.clear()  # a stream of made-up names must not grow this without end
    try:
        _lexers[language.lower()] = get_lexer_by_name(language.lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        _lexers[language.lower()] = None


def classes(code: str, language: str) -> Iterator[tuple[int, int, CodeClass]]:
    """(start, length, class) in order, lazily; nothing for an unknown language or very long code."""
    lexer = _lexers.get(language.lower())
    if lexer is None or len(code) > LETTERS_MAX:
        return
    from pygments.token import Comment, Keyword, Name, Number, Operator, String

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
