"""Pure: a Liquid template as tokens, in one pass over its text.

Every pattern here is possessive: what has been read is not read again, so an unclosed tag costs its length once.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

CHARS_MAX = 65_536
TOKENS_MAX = 20_000

Kind = Literal["text", "output", "tag"]
Word = Literal["string", "number", "name", "op"]

_OPEN = re.compile(r"\{\{|\{%")
# Only single characters are repeated possessively: Python before 3.11.4 misreads a possessive group of alternatives.
# These need none: each alternative begins with another character, so there is one way to read a text.
_OUTPUT = re.compile(r"""\{\{(-?)((?:"[^"]*"|'[^']*'|-(?!\}\})|[^"'}-]|\}(?!\}))*)(-?)\}\}""")
_TAG = re.compile(r"""\{%(-?)((?:"[^"]*"|'[^']*'|-(?!%\})|[^"'%-]|%(?!\}))*)(-?)%\}""")
_COMMENT_TAG = re.compile(r"\{%(-?)\s*+(#(?:-(?!%\})|[^%-]|%(?!\}))*)(-?)%\}")
_END_RAW = re.compile(r"\{%(-?)\s*+endraw\s*+(-?)%\}")
_END_COMMENT = re.compile(r"\{%(-?)\s*+(end)?comment\s*+(-?)%\}")
_WORDS = re.compile(
    r"""\s++|(?P<string>"[^"]*+"|'[^']*+')|(?P<number>-?\d++(?:\.\d++)?)|(?P<name>[A-Za-z_][\w-]*+\??)"""
    r"""|(?P<op>==|!=|<>|<=|>=|\.\.|[<>|:,.\[\]()=])"""
)


class LiquidFault(ValueError):
    """What is wrong with a template, or with rendering it: a sentence, and the line in the template from 1."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.message = message
        self.line = line


class Token(NamedTuple):
    """A stretch of text, the inside of `{{ }}`, or the inside of `{% %}`."""

    kind: Kind
    text: str
    line: int


class Lexeme(NamedTuple):
    """A word of an expression. A string is without its quotes."""

    kind: Word
    text: str


def tokens(template: str) -> Iterator[Token]:
    """The parts of a template in order, white space beside a dash already taken away; raises LiquidFault."""
    if len(template) > CHARS_MAX:
        raise LiquidFault(f"the template has {len(template)} characters; at most {CHARS_MAX} are taken.")
    at, line, strip_next, count = 0, 1, False, 0
    while at < len(template):
        opening = _OPEN.search(template, at)
        end = opening.start() if opening else len(template)
        text = template[at:end]
        part, part_line = text.lstrip() if strip_next else text, line
        line += text.count("\n")
        if opening is None:
            if part:
                yield Token("text", part, part_line)
            return
        match = _inside(template, end, line)
        if match[1]:
            part = part.rstrip()
        if part:
            yield Token("text", part, part_line)
        kind: Kind = "output" if opening.group() == "{{" else "tag"
        inside = match[2]
        strip_next = bool(match[3])
        count += 1
        if count > TOKENS_MAX:
            raise LiquidFault(f"the template has more than {TOKENS_MAX} parts.", line)
        at = match.end()
        word = inside.split(None, 1)[0] if kind == "tag" and inside.strip() else ""
        word = "#" if word.startswith("#") else word
        if word == "raw":
            after = _END_RAW.search(template, at)
            if after is None:
                raise LiquidFault("{% raw %} is not closed.", line)
            raw = template[at : after.start()]
            raw_line = line + match.group().count("\n")
            raw = raw.lstrip() if strip_next else raw
            yield Token("text", raw.rstrip() if after[1] else raw, raw_line)
            at, strip_next = after.end(), bool(after[2])
        elif word == "comment":
            at, strip_next = _past_comment(template, at, line)
        elif word != "#":
            yield Token(kind, inside.strip(), line)
        line += template.count("\n", end, at)


def lexemes(expression: str, line: int) -> list[Lexeme]:
    """The words of an expression; raises LiquidFault at the first letter that is none."""
    found: list[Lexeme] = []
    at = 0
    while at < len(expression):
        match = _WORDS.match(expression, at)
        if match is None:
            raise LiquidFault(f"{expression[at : at + 20]!r} is not understood.", line)
        at = match.end()
        match match.lastgroup:
            case "string":
                found.append(Lexeme("string", match.group()[1:-1]))
            case "number":
                found.append(Lexeme("number", match.group()))
            case "name":
                found.append(Lexeme("name", match.group()))
            case "op":
                found.append(Lexeme("op", match.group()))
            case _:
                pass
    return found


def _inside(template: str, at: int, line: int) -> re.Match[str]:
    is_output = template.startswith("{{", at)
    found = _OUTPUT.match(template, at) if is_output else _COMMENT_TAG.match(template, at)
    if found is None and not is_output:
        found = _TAG.match(template, at)
    if found is None:
        opened = "{{" if is_output else "{%"
        raise LiquidFault(f"{opened} is not closed.", line)
    return found


def _past_comment(template: str, at: int, line: int) -> tuple[int, bool]:
    """Where the text goes on after a comment, which may hold others, and whether white space is to be taken away."""
    depth = 1
    while depth:
        match = _END_COMMENT.search(template, at)
        if match is None:
            raise LiquidFault("{% comment %} is not closed.", line)
        depth += -1 if match[2] else 1
        at = match.end()
        if depth == 0:
            return at, bool(match[3])
    return at, False
