"""Pure: a request's headers, read once. Clients repeat them on a connection, and then so is what was read of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

Header = tuple[bytes, bytes]  # lower-case name, raw value
Fields = Mapping[bytes, Sequence[str]]  # all values of a header, in order, blanks stripped

LENGTH: Final = b"content-length"
OURS: Final = "x-legion-"
CREDENTIAL_BYTES_MAX: Final = 4096
CREDENTIAL_HEADERS: Final = (b"x-api-key", b"api-key", b"x-goog-api-key")
JUDGED: Final = frozenset(
    {
        *CREDENTIAL_HEADERS,
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"upgrade",
    }
)


class Head:
    """All headers but the body's length, which alone differs from one request of a client to its next.

    `is_plain`: none of them is ours (`x-legion-…`).

    `texts`: the first value of each, for handlers. `fields`: what a request is judged by. `tokens`: every distinct
    credential that a header carries, empty where it cannot be a token. `is_json`: whether a body would be JSON. `passed`
    is for the gate: the address whose judgement these headers have stood.
    """

    __slots__ = ("fields", "is_json", "is_plain", "pairs", "passed", "texts", "tokens")

    def __init__(self, pairs: Sequence[Header]) -> None:
        self.pairs = pairs
        texts, fields = dict[str, str](), dict[bytes, list[str]]()
        for name, value in pairs:
            text = value.decode("latin-1")
            texts.setdefault(name.decode("latin-1"), text)
            if name in JUDGED:
                fields.setdefault(name, []).append(text.strip())
        self.texts: Mapping[str, str] = texts
        self.fields: Fields = fields
        self.is_plain = not any(name.startswith(OURS) for name in texts)
        self.tokens = distinct(_tokens(fields))
        self.passed: object = None
        kinds = fields.get(b"content-type", ())
        self.is_json = len(kinds) == 1 and _is_json(kinds[0])


def head_of(headers: Iterable[Header], before: Head | None = None) -> tuple[Head, int]:
    """What the headers say, and the length that a body is said to have, 0 where none is told.

    The head is `before`, the connection's last, if they say the same.
    """
    pairs: list[Header] = []
    told = b""
    for pair in headers:
        if pair[0] != LENGTH:
            pairs.append(pair)
        else:
            told = told or pair[1]
    length = int(told) if told.isdigit() and len(told) < 20 else 0
    return (before if before is not None and before.pairs == pairs else Head(pairs)), length


def distinct(tokens: Iterable[str]) -> tuple[str, ...]:
    """Each once; an empty string stands for those that cannot be a token (of another scheme, not ASCII, too long)."""
    return tuple(dict.fromkeys([_token_like(token) for token in tokens]))


def _token_like(text: str) -> str:
    return text if text.isascii() and text.isprintable() and len(text) <= CREDENTIAL_BYTES_MAX else ""


def _tokens(fields: Fields) -> tuple[str, ...]:
    found: list[str] = []
    for value in fields.get(b"authorization", ()):
        scheme, _, token = value.partition(" ")
        found.append(token.strip() if scheme.lower() == "bearer" else "")
    for name in CREDENTIAL_HEADERS:
        found.extend(fields.get(name, ()))
    return tuple(found)


def _is_json(content_type: str) -> bool:
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() != "application/json":
        return False
    charset = parameters.strip().lower().replace('"', "").replace(" ", "")
    return charset in ("", "charset=utf-8", "charset=utf8")
