"""Which line of a TOML text each key stands on; the standard parser does not tell.

Only for text the standard parser has accepted: anything else gives a partial answer.
"""

import contextlib
import tomllib
from bisect import bisect_right

_BARE_END = frozenset(",]}\n#")
_KEY_END = frozenset(".=] \t")


def lines_of(text: str) -> dict[str, int]:
    """Line numbers (from 1) by dotted path: `gateway.instances[0].models[1].price.input`, tables included."""
    scanner = _Scanner(text)
    # Past what is TOML there is nothing right to say: what was found so far stands.
    with contextlib.suppress(IndexError, _LostError, tomllib.TOMLDecodeError):
        scanner.scan()
    return scanner.lines


class _LostError(Exception):
    """This is no TOML, so there are no right lines to tell."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text + "\n"
        self._at = 0
        self._breaks = [index for index, letter in enumerate(self._text) if letter == "\n"]
        self._counts: dict[str, int] = {}  # lists of tables: how many so far
        self.lines: dict[str, int] = {}

    def scan(self) -> None:
        table = ""
        while True:
            self._skip("\n\r")
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> str:
        is_list = self._text.startswith("[[", self._at)
        start = self._at
        self._at += 2 if is_list else 1
        names = self._names()
        self._at += 2 if is_list else 1
        path = ""
        for place, name in enumerate(names):
            path = f"{path}.{name}" if path else name
            if place == len(names) - 1 and is_list:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = f"{path}[{self._counts[path]}]"
        self._note(path, start)
        return path

    def _pair(self, table: str) -> None:
        start = self._at
        names = self._names()
        self._at += 1  # the equals sign
        path = table
        for name in names:
            path = f"{path}.{name}" if path else name
            self._note(path, start)
        self._value(path)

    def _value(self, path: str) -> None:
        self._skip("")
        letter = self._text[self._at]
        if letter in "\"'":
            self._string()
        elif letter == "[":
            self._sequence(path, "]", is_table=False)
        elif letter == "{":
            self._sequence(path, "}", is_table=True)
        else:
            start = self._at
            while self._text[self._at] not in _BARE_END:
                self._at += 1
            if self._at == start:
                raise _LostError

    def _sequence(self, path: str, end: str, *, is_table: bool) -> None:
        self._at += 1
        place = 0
        while True:
            self._skip("\n\r,")
            if self._text[self._at] == end:
                self._at += 1
                return
            if is_table:
                self._pair(path)
            else:
                self._note(f"{path}[{place}]", self._at)
                self._value(f"{path}[{place}]")
                place += 1

    def _names(self) -> list[str]:
        names: list[str] = []
        while True:
            self._skip("")
            start = self._at
            if self._text[self._at] in "\"'":
                self._string()
                # The standard parser undoes the escapes; an empty name is written as it stands.
                names.append(tomllib.loads(f"name = {self._text[start : self._at]}")["name"] or '""')
            else:
                while self._text[self._at] not in _KEY_END:
                    self._at += 1
                names.append(self._text[start : self._at])
            self._skip("")
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        if self._text.startswith(quote * 3, self._at):
            self._at += 3
            while not self._text.startswith(quote * 3, self._at):
                self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
            while self._text[self._at] == quote:  # up to two quotes may belong to the text itself
                self._at += 1
            return
        self._at += 1
        while self._text[self._at] != quote:
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += 1

    def _skip(self, more: str) -> None:
        """Past blanks, comments and the letters in `more`; comments only where a line may end."""
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter in " \t" or letter in more:
                self._at += 1
            elif letter == "#" and more:
                while self._text[self._at] != "\n":
                    self._at += 1
            else:
                return

    def _note(self, path: str, at: int) -> None:
        line = bisect_right(self._breaks, at - 1) + 1
        self.lines.setdefault(path, line)
