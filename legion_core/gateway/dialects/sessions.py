"""Which session a client says its request belongs to: the history it resends is known by that name too.

Claude Code names it in `metadata.user_id`, Codex, opencode and others in a header. The name is the client's own; two clients
may use one, so nothing that was said is ever found by it alone.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

HEADERS: Final = (
    "x-session-id",
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "thread-id",
    "conversation_id",
    "x-opencode-session",
    "x-session-affinity",
)
NAME_MAX: Final = 128
_NAMES: Final = frozenset(HEADERS)
_OF_CLAUDE_CODE = re.compile(r"_session_([0-9A-Za-z-]{8,64})\Z")


class _Metadata(msgspec.Struct):
    user_id: str = ""


class _UserId(msgspec.Struct):
    session_id: str = ""


_metadata = msgspec.json.Decoder(_Metadata)
_user_id = msgspec.json.Decoder(_UserId)


def session(headers: Mapping[str, str], metadata: bytes = b"") -> str:
    """The session's name, empty where none is given; `metadata` is the JSON of a Messages request's field."""
    for header in () if _NAMES.isdisjoint(headers) else HEADERS:
        if (name := headers.get(header, "").strip()) and len(name) <= NAME_MAX and name.isprintable():
            return name
    return _of_metadata(metadata) if metadata else ""


def _of_metadata(metadata: bytes) -> str:
    try:
        user = _metadata.decode(metadata).user_id
        if user.startswith("{"):
            return _user_id.decode(user).session_id[:NAME_MAX]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    found = _OF_CLAUDE_CODE.search(user)
    return found[1] if found else ""
