"""The objects of a JSON list, one at a time: a file of any size is read with the memory of its largest object.

{"conversations": [ {…}, {…} ]}   or   [ {…}, {…} ]   ──▶   {…} ──▶ {…}
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from legion_core.gateway.types import JsonObject

PIECE_BYTES = 1 << 20
OBJECT_BYTES_MAX = 256 << 20
DEPTH_MAX = 500  # exports have a dozen; below what the reader of JSON itself can bear
_PASSED = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)  # of a text, up to its end or half an escape
_OUTSIDE = re.compile(rb'["{}\[\]]')
_OPEN, _CLOSE, _QUOTE = frozenset(b"{["), frozenset(b"}]"), ord('"')


class Readable(Protocol):
    """A file, or what stands for one."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; none at the end."""
        ...


class CutShort(Exception):
    """The file ends in the middle of an object, or is no list of objects."""


def objects_in(file: Readable, on_read: Callable[[int], None] = lambda count: None) -> Iterator[JsonObject]:
    """Each object of the list, or of the list that an object's member holds; `on_read` is told bytes as they are read.

    CutShort where the file ends too soon or an object is larger than 256 MB; ValueError for what is no JSON. Bytes that
    are not UTF-8 become U+FFFD.
    """
    scanner = _Scanner()
    while piece := file.read(PIECE_BYTES):
        on_read(len(piece))
        for each in scanner.take(piece):
            value: Any = json.loads(each.decode("utf-8", "replace"), strict=False)
            if isinstance(value, dict):
                yield cast("JsonObject", value)
    scanner.end()


class _Scanner:
    """Cuts a stream of bytes into the objects of its list."""

    def __init__(self) -> None:
        self._held = bytearray()  # from the object's beginning, or from where a token may be cut
        self._at: int = 0  # looked at so far
        self._begin = -1  # of the object, in `_held`
        self._depth = 0
        self._list_depth = 0  # at which the list's objects begin
        self._is_text = False
        self._is_known = False  # what stands at the beginning

    def take(self, piece: bytes) -> Iterator[bytes]:
        self._held += piece
        if not self._is_known:
            head = bytes(self._held[:64]).removeprefix(b"\xef\xbb\xbf").lstrip()
            if not head:
                return
            if head[:1] not in b"[{":
                raise ValueError("it does not begin with a list")
            self._is_known = True
        while True:
            if self._is_text:
                passed = _PASSED.match(self._held, self._at)
                assert passed is not None  # it matches nothing, too
                self._at = passed.end()
                if self._at >= len(self._held) or self._held[self._at] != _QUOTE:
                    self._let_go()  # the rest of the text, or of an escape, comes with the next piece
                    return
                self._at, self._is_text = self._at + 1, False
            token = _OUTSIDE.search(self._held, self._at)
            if token is None:
                self._at = len(self._held)
                self._let_go()
                return
            code, self._at = self._held[token.start()], token.end()
            if code == _QUOTE:
                self._is_text = True
            elif code in _OPEN:
                self._open(code, token.start())
            elif code in _CLOSE:
                self._depth -= 1
                if self._begin >= 0 and self._depth == self._list_depth:
                    yield bytes(self._held[self._begin : self._at])
                    del self._held[: self._at]
                    self._at, self._begin = 0, -1

    def end(self) -> None:
        if self._depth or self._is_text or not self._is_known:
            raise CutShort("it ends too soon")

    def _open(self, code: int, place: int) -> None:
        if self._begin < 0:
            if code == ord("["):
                # The list itself, or one that a member of the outermost object holds.
                self._list_depth = self._depth + 1
            elif self._list_depth and self._depth == self._list_depth:
                self._begin = place
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise CutShort(f"it is nested more than {DEPTH_MAX:,} deep")

    def _let_go(self) -> None:
        """Forget what nobody needs; an object that grows beyond all bounds ends the reading."""
        if self._begin < 0:
            del self._held[: self._at]
            self._at = 0
        elif len(self._held) > OBJECT_BYTES_MAX:
            raise CutShort(f"one conversation has more than {OBJECT_BYTES_MAX >> 20} MB")
