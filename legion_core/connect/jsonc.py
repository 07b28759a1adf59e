"""Pure: where everything stands in a JSON text, with or without comments and trailing commas.

The standard parser gives values and no places. To change two keys and leave every other byte alone, the places are what
matters. The values come from the standard parser all the same, so that two readers have to agree on each text.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from legion_core.kernel.errors import ConfigError

DEPTH_MAX = 100
Kind = Literal["object", "array", "string", "number", "word"]

_TRIVIA = re.compile(r"[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"true|false|null")
_BREAK = re.compile(r"\r\n|\r|\n")


class Invalid(ConfigError):
    """The text is not what its format says; `line` and `column` count from 1."""

    def __init__(self, words: str, line: int, column: int) -> None:
        super().__init__(f"{words} (line {line}, column {column}).")
        self.words = words
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place; `items` only in objects and arrays."""

    kind: Kind
    start: int
    end: int
    items: "tuple[Item, ...]" = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A member of an object or an element of an array; `comma` is the place of the comma after it, or -1."""

    key: str
    start: int
    value: Node
    comma: int


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text. `root` is None where there is no value at all. `extras`: places of what strict JSON lacks."""

    text: str
    root: Node | None
    extras: tuple[tuple[int, int], ...]

    def value(self, node: Node | None = None) -> Any:
        """What `plain` makes of `node` (of everything, without one); None where there is nothing."""
        node = node or self.root
        if node is None:
            return None
        pieces: list[str] = []
        at = node.start
        for start, end in self.extras:
            if node.start <= start and end <= node.end:
                pieces += (self.text[at:start], " ")
                at = end
        return plain("".join((*pieces, self.text[at : node.end])))


def plain(text: str) -> Any:
    """Strict JSON as values to compare; a number stays as it is written, however long."""
    return json.loads(text, parse_int=_number, parse_float=_number)


def _number(words: str) -> tuple[str, str]:
    return ("number", words)


def parse(text: str, *, is_strict: bool) -> Document:
    """`text` with its places; raises Invalid naming the first fault.

    `is_strict` refuses comments and trailing commas, for programs that do. A text of blanks and comments alone is no
    fault: many programs make such a file.
    """
    return _Parser(text, is_strict=is_strict).document()


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column of an index, both from 1."""
    line, begin = 1, 0
    for each in _BREAK.finditer(text, 0, at):
        if each.end() > at:
            break
        line, begin = line + 1, each.end()
    return line, at - begin + 1


class _Parser:
    def __init__(self, text: str, *, is_strict: bool) -> None:
        self._text = text
        self._at = 0
        self._is_strict = is_strict
        self._extras: list[tuple[int, int]] = []

    def document(self) -> Document:
        self._skip()
        if self._at == len(self._text):
            return Document(self._text, None, tuple(self._extras))
        root = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise self._fault("Something stands after the end of the document")
        return Document(self._text, root, tuple(sorted(self._extras)))

    def _value(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise self._fault(f"This is nested deeper than {DEPTH_MAX} levels")
        start = self._at
        letter = self._text[start : start + 1]
        if letter == "{":
            return Node("object", start, *self._items("}", depth))
        if letter == "[":
            return Node("array", start, *self._items("]", depth))
        if letter == '"':
            return Node("string", start, self._string())
        if found := _NUMBER.match(self._text, start):
            kind: Kind = "number"
        elif found := _WORD.match(self._text, start):
            kind = "word"
        else:
            raise self._fault(
                "A value is expected here" if letter else "The text ends where a value is expected"
            )
        self._at = found.end()
        if self._text[self._at : self._at + 1].isalnum():
            raise self._fault("A value is expected here", start)
        return Node(kind, start, self._at)

    def _items(self, closing: str, depth: int) -> "tuple[int, tuple[Item, ...]]":
        opened = self._at
        self._at += 1
        items: list[Item] = []
        while True:
            self._skip()
            if self._text.startswith(closing, self._at):
                self._end_of_items(items)
                return self._at, tuple(items)
            if items and items[-1].comma < 0:
                self._refuse_unclosed(opened)
                raise self._fault(f"A comma or {closing} is expected here")
            self._refuse_unclosed(opened)
            items.append(self._item(closing, depth))

    def _item(self, closing: str, depth: int) -> Item:
        start, key = self._at, ""
        if closing == "}":
            if self._text[start] != '"':
                raise self._fault("A name in double quotes is expected here")
            key = json.loads(self._text[start : self._string()])
            self._skip()
            if not self._text.startswith(":", self._at):
                raise self._fault("A colon is expected here")
            self._at += 1
            self._skip()
        value = self._value(depth + 1)
        self._skip()
        comma = self._at if self._text.startswith(",", self._at) else -1
        self._at += comma >= 0
        return Item(key, start, value, comma)

    def _end_of_items(self, items: list[Item]) -> None:
        if items and items[-1].comma >= 0:
            if self._is_strict:
                raise self._fault("A comma stands before the closing bracket", items[-1].comma)
            self._extras.append((items[-1].comma, items[-1].comma + 1))
        self._at += 1

    def _refuse_unclosed(self, opened: int) -> None:
        if self._at == len(self._text):
            raise self._fault("This bracket is never closed", opened)

    def _string(self) -> int:
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise self._fault("This text in quotes does not end on its line, or holds what it may not")
        self._at = found.end()
        return self._at

    def _skip(self) -> None:
        while found := _TRIVIA.match(self._text, self._at):
            if self._text[self._at] == "/":
                if self._is_strict:
                    raise self._fault("A comment stands here, which this program does not read")
                self._extras.append(found.span())
            self._at = found.end()

    def _fault(self, words: str, at: int | None = None) -> Invalid:
        return Invalid(words, *place(self._text, self._at if at is None else at))
