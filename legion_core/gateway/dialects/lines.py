"""JSON that stays on one line, also for readers that end a line wherever Unicode does."""

from typing import Final

import msgspec

# Clients' libraries cut a stream with `splitlines`; inside a string these must not be seen. JSON itself escapes the rest.
_LINE_ENDS: Final = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))

_json = msgspec.json.Encoder().encode


def encode_line(value: object) -> bytes:
    """The value as JSON without any line end, of whichever alphabet."""
    encoded = _json(value)
    for end, escaped in _LINE_ENDS:
        if end in encoded:
            encoded = encoded.replace(end, escaped)
    return encoded
