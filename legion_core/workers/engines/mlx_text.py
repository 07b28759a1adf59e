"""A generated text told apart on its way: answer, thinking, tool calls, and where a stop sequence ends it. Pure.

A marker may come in pieces: what could be the beginning of one is held back until it is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Mode = Literal["text", "thinking", "call", "stopped"]


@dataclass(frozen=True, slots=True)
class Marks:
    """What a model's template writes around thinking and around a tool call; empty where it has none."""

    think_start: str = ""
    think_end: str = ""
    call_start: str = ""
    call_end: str = ""  # empty though `call_start` is not: the call goes to the answer's end
    stop: tuple[str, ...] = ()


class Splitter:
    """Pieces out of text; a `call` piece is a whole call's words, all others come as they do."""

    def __init__(self, marks: Marks, *, is_thinking: bool = False) -> None:
        """`is_thinking`: the prompt ended with the beginning of a thought."""
        self._marks = marks
        self._mode: Mode = "thinking" if is_thinking and marks.think_end else "text"
        self._held = ""
        self._call = ""

    @property
    def is_stopped(self) -> bool:
        """Whether a stop sequence came; it and what follows are no part of the answer."""
        return self._mode == "stopped"

    def feed(self, text: str) -> Iterator[tuple[Mode, str]]:
        """What is certain by now."""
        self._held += text
        while self._mode != "stopped":
            found = self._next()
            if found is None:
                break
            at, mark, following = found
            yield from self._out(self._held[:at])
            self._held = self._held[at + len(mark) :]
            if self._mode == "call":
                yield from self._end_call()
            self._mode = following
        if self._mode == "stopped":
            self._held = ""
            return
        at = len(self._held) - self._open_end()
        yield from self._out(self._held[:at])
        self._held = self._held[at:]

    def close(self) -> Iterator[tuple[Mode, str]]:
        """What is left at the end; an unfinished call counts only where its model marks no end."""
        yield from self._out(self._held)
        self._held = ""
        if self._mode == "call" and not self._marks.call_end:
            yield from self._end_call()

    def _marks_here(self) -> dict[str, Mode]:
        marks = self._marks
        here: dict[str, Mode]
        match self._mode:
            case "text":
                here = {marks.think_start: "thinking", marks.call_start: "call"}
                here.update((stop, "stopped") for stop in marks.stop)
            case "thinking":
                here = {marks.think_end: "text"}
            case _:
                here = {marks.call_end: "text"}
        return {mark: following for mark, following in here.items() if mark}

    def _next(self) -> tuple[int, str, Mode] | None:
        """The first mark in what is held; of two at one place the longer."""
        here = self._marks_here()
        hits = [(at, -len(mark), mark) for mark in here if (at := self._held.find(mark)) >= 0]
        if not hits:
            return None
        at, _, mark = min(hits)
        return at, mark, here[mark]

    def _open_end(self) -> int:
        """How many characters at the end may be the beginning of a mark."""
        return max(
            (
                size
                for mark in self._marks_here()
                for size in range(1, min(len(mark), len(self._held) + 1))
                if self._held.endswith(mark[:size])
            ),
            default=0,
        )

    def _out(self, text: str) -> Iterator[tuple[Mode, str]]:
        if self._mode == "call":
            self._call += text
        elif text:
            yield self._mode, text

    def _end_call(self) -> Iterator[tuple[Mode, str]]:
        call, self._call = self._call, ""
        if call.strip():
            yield "call", call
