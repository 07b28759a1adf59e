"""Readers of streamed bodies: server-sent events, and JSON one a line. Pure: bytes in, events out, in any split.

Source: the WHATWG rules for `text/event-stream`. One byte order mark is dropped; lines end at LF, CR or CRLF (a CR at
the end of a chunk waits for the next byte); an event is given out at a blank line only, and one unfinished at the end
of the stream is dropped; UTF-8 is decoded line by line, with replacement.
"""

from typing import Final

import msgspec

from legion_core.kernel.errors import Malformed

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. `event` is empty where the stream names none; `id` is the last one seen, also by earlier events."""

    data: str
    event: str = ""
    id: str = ""
    retry_ms: int | None = None


class Lines:
    """Cuts bytes into lines without their ends; linear in the bytes however they are split."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._is_first = True
        self._skip_lf = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are now complete; raises Malformed past `LINE_BYTES_MAX`."""
        buffer = self._buffer
        buffer += chunk
        if self._is_first:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                return []
            self._is_first = False
            if buffer.startswith(_BOM):
                del buffer[: len(_BOM)]
        if self._skip_lf and buffer:
            self._skip_lf = False
            if buffer[0] == 0x0A:
                del buffer[:1]
        # Whatever CR came before this chunk has been dealt with.
        lines = self._cut_any() if b"\r" in chunk else self._cut_lf()
        if len(buffer) > LINE_BYTES_MAX or any(len(line) > LINE_BYTES_MAX for line in lines):
            raise Malformed(f"The provider sent a line of over {LINE_BYTES_MAX} bytes.")
        return lines

    def _cut_lf(self) -> list[bytes]:
        buffer = self._buffer
        last = buffer.rfind(b"\n", self._searched)
        if last < 0:
            self._searched = len(buffer)
            return []
        lines = bytes(buffer[:last]).split(b"\n")
        del buffer[: last + 1]
        self._searched = len(buffer)
        return lines

    def _cut_any(self) -> list[bytes]:
        buffer, lines, start, at = self._buffer, list[bytes](), 0, self._searched
        size = len(buffer)
        while True:
            lf, cr = buffer.find(b"\n", at), buffer.find(b"\r", at)
            end = min(lf if lf >= 0 else size, cr if cr >= 0 else size)
            if end == size:
                break
            lines.append(bytes(buffer[start:end]))
            at = end + 1
            if end == cr:
                if at == size:
                    # Whether a LF belongs to this CR is known only with the next byte.
                    self._skip_lf = True
                elif buffer[at] == 0x0A:
                    at += 1
            start = at
        del buffer[:start]
        self._searched = len(buffer)
        return lines

    @property
    def is_between(self) -> bool:
        """Whether what comes next begins a line."""
        return not self._buffer and not self._skip_lf

    def pass_by(self) -> None:
        """Whole lines were read by somebody else: no byte order mark may come any more."""
        self._is_first = False

    def close(self) -> bytes:
        """What was left behind the last line's end; empty if the stream ended with a line's end."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


class SseParser:
    """Events out of bytes; see the module."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._data: list[str] = []
        self._size = 0
        self._event = ""
        self._id = ""
        self._retry_ms: int | None = None
        self.is_between = True  # nothing waits from before: what comes next begins an event
        self._was_plain = False  # lines were read without the cutter's help

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that are now complete."""
        if (
            self.is_between
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
            and chunk.find(b"\r") < 0
        ):
            # Nearly always a piece is one event of one line, or some of them.
            self._was_plain = True
            told = chunk[6:-2].decode("utf-8", "replace").split("\n\ndata: ")
            if "\n" not in "".join(told):
                if not self._id:
                    return list(map(SseEvent, told))
                return [SseEvent(data, "", self._id) for data in told]
        events: list[SseEvent] = []
        if self._was_plain:
            self._lines.pass_by()
        for line in self._lines.feed(chunk):
            if not line:
                self._dispatch(events)
            elif line[0] != 0x3A:  # a colon starts a comment
                self._field(line)
        self.is_between = (
            not self._data and not self._event and self._retry_ms is None and self._lines.is_between
        )
        return events

    def close(self) -> list[SseEvent]:
        """Nothing: an event without its blank line is dropped."""
        self._lines.close()
        return []

    def _dispatch(self, events: list[SseEvent]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else "\n".join(self._data)
            events.append(SseEvent(data, self._event, self._id, self._retry_ms))
            self._data.clear()
            self._size = 0
        self._event = ""
        self._retry_ms = None

    def _field(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._size += len(value) + 1
                if self._size > LINE_BYTES_MAX:
                    raise Malformed(f"The provider sent an event of over {LINE_BYTES_MAX} characters.")
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self._retry_ms = int(value[:10])
            case _:
                pass


class JsonLines:
    """Lines of JSON out of bytes, blank ones left out; a last line without its end counts if it is whole."""

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are now complete."""
        return [line for line in self._lines.feed(chunk) if line.strip()]

    @property
    def is_between(self) -> bool:
        """Whether nothing waits from before."""
        return self._lines.is_between

    def close(self) -> list[bytes]:
        """The last line, if its end never came."""
        rest = self._lines.close()
        try:
            msgspec.json.decode(rest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return []
        return [rest]
