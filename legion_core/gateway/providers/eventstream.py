"""Reader of AWS event streams, `application/vnd.amazon.eventstream`. Pure: bytes in, messages out, in any split.

A message is a prelude (its whole length, its headers' length, a checksum of both), headers, a payload and a checksum of
all before it; numbers are big-endian, checksums CRC-32. Source: the AWS documentation of the encoding.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from legion_core.kernel.errors import Malformed

MESSAGE_BYTES_MAX: Final = (
    24 * 1024 * 1024
)  # source: the AWS documentation; a payload may have 16 MB and more
HEADERS_BYTES_MAX: Final = 128 * 1024
HeaderValue = bool | int | bytes | str
_PRELUDE: Final = struct.Struct(">III")
_TAIL: Final = struct.Struct(">I")
_FRAME_BYTES: Final = _PRELUDE.size + _TAIL.size
# Header types with a fixed size: the number of each in the encoding, and how it is packed.
_FIXED: Final = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),  # milliseconds since 1970
}
_TRUE: Final = 0
_FALSE: Final = 1
_BYTES: Final = 6
_STRING: Final = 7
_UUID: Final = 9
_UUID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One message. Reserved headers begin with a colon, such as `:event-type`."""

    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str:
        """A header that is a string; empty if it is not there or is no string."""
        value = self.headers.get(name, "")
        return value if isinstance(value, str) else ""


class EventStreamParser:
    """Messages out of bytes; linear in the bytes however they are split. Raises Malformed for what is no message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._need = _PRELUDE.size  # bytes until there is something to decide

    def feed(self, chunk: bytes) -> list[StreamMessage]:
        """The messages that are now complete."""
        buffer, messages, at = self._buffer, list[StreamMessage](), 0
        buffer += chunk
        while len(buffer) - at >= self._need:
            # The prelude is checked before its length is believed.
            total = self._checked_length(bytes(buffer[at : at + _PRELUDE.size]))
            if len(buffer) - at < total:
                self._need = total
                break
            messages.append(_message(bytes(buffer[at : at + total])))
            at += total
            self._need = _PRELUDE.size
        del buffer[:at]
        return messages

    @property
    def is_between(self) -> bool:
        """Whether nothing waits from before."""
        return not self._buffer

    def close(self) -> list[StreamMessage]:
        """Nothing: a message without its end is dropped."""
        self._buffer.clear()
        return []

    def _checked_length(self, prelude: bytes) -> int:
        total, headers, checksum = _PRELUDE.unpack(prelude)
        if crc32(prelude[:8]) != checksum:
            raise Malformed(f"The provider did not send an event stream; it begins with {prelude[:8]!r}.")
        if not _FRAME_BYTES + headers <= total <= MESSAGE_BYTES_MAX or headers > HEADERS_BYTES_MAX:
            raise Malformed(
                f"The provider announced a message of {total} bytes with {headers} bytes of headers."
            )
        return total


def _message(frame: bytes) -> StreamMessage:
    (checksum,) = _TAIL.unpack_from(frame, len(frame) - _TAIL.size)
    if crc32(frame[: -_TAIL.size]) != checksum:
        raise Malformed("A message of the provider's event stream was damaged on its way.")
    payload_at = _PRELUDE.size + int.from_bytes(frame[4:8], "big")
    try:
        headers = _headers(frame[_PRELUDE.size : payload_at])
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise Malformed(f"A message's headers cannot be read: {error}.") from error
    return StreamMessage(headers, frame[payload_at : -_TAIL.size])


def _headers(raw: bytes) -> dict[str, HeaderValue]:
    found = dict[str, HeaderValue]()
    at = 0
    while at < len(raw):
        name, at = _cut(raw, at + 1, raw[at])
        kind = raw[at]
        found[name.decode()], at = _value(raw, at + 1, kind)
    return found


def _value(raw: bytes, at: int, kind: int) -> tuple[HeaderValue, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in (_BYTES, _STRING):
        value, at = _cut(raw, at + 2, int.from_bytes(_cut(raw, at, 2)[0], "big"))
        return (value.decode() if kind == _STRING else value), at
    if kind == _UUID:
        return _cut(raw, at, _UUID_BYTES)
    if kind not in _FIXED:
        raise Malformed(f"A message's header has the unknown type {kind}.")
    packing = _FIXED[kind]
    return packing.unpack_from(raw, at)[0], at + packing.size


def _cut(raw: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(raw):
        raise IndexError("they end too early")
    return raw[at : at + size], at + size
