"""Tokens of clients: who they stand for, what they may do at most, and until when. Only their hashes are kept.

A token holds 256 random bits, so a plain SHA-256 of it cannot be guessed backwards; a slow hash would only slow every
request. `subject` is what is stored beside what a client did: it is never given to another token, so that a new token
under an old name does not inherit what was begun under the old one.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, InvalidInput, LimitReached, NotFound
from legion_core.kernel.ids import Rng
from legion_core.rbac.rules import Rule, read_scope
from legion_core.storage.home import TOKEN_PREFIX
from legion_core.storage.opening import Place, connect
from legion_core.storage.sqlite import Connection, Migration, Row, execute, row, rows

MIGRATIONS: Final = (
    Migration(
        "rbac-0001",
        """
        CREATE TABLE tokens (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, subject TEXT NOT NULL UNIQUE, hash BLOB NOT NULL UNIQUE,
            tail TEXT NOT NULL, scopes TEXT NOT NULL, client TEXT NOT NULL, created_ms INTEGER NOT NULL,
            expires_ms INTEGER, revoked_ms INTEGER, used_ms INTEGER
        ) STRICT;
        CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_ms IS NULL;
        CREATE TABLE policies (
            n INTEGER PRIMARY KEY, text TEXT NOT NULL, at_ms INTEGER NOT NULL, who TEXT NOT NULL
        ) STRICT;
        """,
    ),
)
TOKENS_MAX: Final = 1_000
SCOPES_MAX: Final = 100
NAME_HINT: Final = "Use 1 to 64 lower-case letters, digits, dots, dashes and underscores."
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
_RESERVED = frozenset({"owner", "nobody", "local", "workbench", "everybody"})
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_COLUMNS = "id, name, subject, hash, tail, scopes, client, created_ms, expires_ms, revoked_ms, used_ms"

# What a client usually needs, by one word; a scope may be written as such a word.
PRESETS: Final[dict[str, tuple[str, ...]]] = {
    "chat": ("gateway/*:use", "models:read", "routes:read"),
    "read": (
        "tasks:read", "chains:read", "chains/*:read", "schedules:read", "hooks:read", "events:read", "nodes:read",
        "models:read", "providers:read", "routes:read", "ledger:read", "extensions:read", "knowledge:read",
    ),
    "tasks": ("tasks:read,write,cancel,retry", "tasks/*:run", "extensions:read", "events:read"),
    "mcp": (
        "mcp:use,read", "mcp/*:use,read", "gateway/*:use", "models:read", "tasks:read,cancel", "tasks/*:run",
        "chains:read", "chains/*:run,read", "extensions:read", "knowledge:read,use", "knowledge/*:read,use",
    ),
}  # fmt: skip
PRESETS["connected-app"] = tuple(dict.fromkeys((*PRESETS["mcp"], *PRESETS["chat"])))

State = Literal["active", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Token:
    """One of them, with its scopes as rules."""

    id: str
    name: str
    subject: str
    digest: bytes
    tail: str
    scopes: tuple[str, ...]
    rules: tuple[Rule, ...]
    client: str
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    used_ms: int | None

    def state(self, now_ms: float) -> State:
        """Whether it opens anything at that moment."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and self.expires_ms <= now_ms else "active"


def fingerprint(secret: str) -> bytes:
    """What is kept of a token."""
    return sha256(b"legion-token\0" + secret.encode("utf-8", "surrogatepass")).digest()


def fresh_secret(rng: Rng) -> str:
    """A new token, of 256 random bits."""
    number, letters = rng.getrandbits(256), ""
    while len(letters) < 43:
        number, rest = divmod(number, len(_LETTERS))
        letters = _LETTERS[rest] + letters
    return TOKEN_PREFIX + letters


def expanded(scopes: Sequence[str]) -> tuple[str, ...]:
    """Scopes with presets spelled out; InvalidInput names the one that is wrong."""
    found: list[str] = []
    for scope in scopes:
        found += PRESETS.get(scope.strip(), (scope.strip(),))
    if len(found) > SCOPES_MAX:
        raise InvalidInput(f"There are {len(found)} scopes; at most {SCOPES_MAX} are taken.")
    for scope in found:
        try:
            read_scope(scope)
        except InvalidInput as error:
            known = ", ".join(sorted(PRESETS))
            raise InvalidInput(error.message, hint=f"{error.hint} Presets are {known}.") from error
    return tuple(dict.fromkeys(found))


def check_name(name: str) -> None:
    """Raise InvalidInput unless a token may be called so."""
    if not _NAME.match(name) or name in _RESERVED:
        raise InvalidInput(f"{name[:80]!r} cannot be the name of a token.", hint=NAME_HINT)


def insert(connection: Connection, token: Token) -> Token:
    """Keep a new one, under a subject that was never used; Conflict if the name is taken, LimitReached."""
    if row(connection, "SELECT 1 FROM tokens WHERE name = ? AND revoked_ms IS NULL", [token.name]):
        raise Conflict(
            f"There is a token {token.name!r} already.",
            hint=f"`legion token revoke {token.name}` makes room for a new one.",
        )
    count = row(connection, "SELECT count(*) FROM tokens WHERE revoked_ms IS NULL")
    if count is not None and count[0] >= TOKENS_MAX:
        raise LimitReached(f"There are {TOKENS_MAX:,} tokens, the most that are kept.", hint="Revoke some.")
    before = row(connection, "SELECT count(*) FROM tokens WHERE name = ?", [token.name])
    subject = token.name if before is None or not before[0] else f"{token.name}~{before[0] + 1}"
    execute(
        connection,
        f"INSERT INTO tokens ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",  # noqa: S608
        [
            token.id, token.name, subject, token.digest, token.tail, "\n".join(token.scopes), token.client,
            token.created_ms, token.expires_ms,
        ],
    )  # fmt: skip
    found = row(connection, f"SELECT {_COLUMNS} FROM tokens WHERE id = ?", [token.id])  # noqa: S608
    assert found is not None
    return _token(found)


def revoke(connection: Connection, name: str, now_ms: int) -> Token:
    """End the live one of that name; NotFound."""
    found = row(connection, f"SELECT {_COLUMNS} FROM tokens WHERE name = ? AND revoked_ms IS NULL", [name])  # noqa: S608
    if found is None:
        raise NotFound(f"There is no token {name[:80]!r}.", hint="`legion token list` shows them.")
    execute(connection, "UPDATE tokens SET revoked_ms = ? WHERE id = ?", [now_ms, found[0]])
    ended = row(connection, f"SELECT {_COLUMNS} FROM tokens WHERE id = ?", [found[0]])  # noqa: S608
    assert ended is not None
    return _token(ended)


def note_used(connection: Connection, used: Sequence[tuple[str, int]]) -> None:
    """When tokens, by id, were last shown."""
    for token_id, at_ms in used:
        execute(
            connection,
            "UPDATE tokens SET used_ms = max(coalesce(used_ms, 0), ?) WHERE id = ?",
            [at_ms, token_id],
        )


def every(connection: Connection) -> list[Token]:
    """All, also those that ended, by name and age."""
    found = rows(connection, f"SELECT {_COLUMNS} FROM tokens ORDER BY name, created_ms")  # noqa: S608
    return [_token(each) for each in found]


def last_policy(connection: Connection) -> str | None:
    """The text of the last policy that was sound; None if there never was one, or it was taken away on purpose."""
    found = row(connection, "SELECT text FROM policies ORDER BY n DESC LIMIT 1")
    return None if found is None or not found[0] else str(found[0])


def keep_policy(connection: Connection, text: str, at_ms: int, who: str) -> None:
    """Keep a sound policy, empty for none; the last hundred are kept."""
    execute(connection, "INSERT INTO policies (text, at_ms, who) VALUES (?, ?, ?)", [text, at_ms, who])
    execute(connection, "DELETE FROM policies WHERE n <= (SELECT max(n) FROM policies) - 100")


def read_now(path: Path, clock: Clock, rng: Rng) -> tuple[list[Token], str | None]:
    """All tokens and the last sound policy, read at once on a connection of its own: for a decision that cannot wait."""
    place = Place(path=path, clock=clock, rng=rng, stopping=threading.Event())
    connection = connect(place, is_reader=True)
    try:
        return every(connection), last_policy(connection)
    finally:
        connection.close()


def _token(found: Row) -> Token:
    token_id, name, subject, digest, tail, scopes, client, created_ms, expires_ms, revoked_ms, used_ms = found
    words = tuple(scopes.split("\n")) if scopes else ()
    return Token(
        token_id, name, subject, digest, tail, words, tuple(read_scope(each) for each in words), client, created_ms,
        expires_ms, revoked_ms, used_ms,
    )  # fmt: skip


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is shown. `tail` is the end of its secret, to tell it from others."""

    name: str
    subject: str
    tail: str
    scopes: tuple[str, ...]
    client: str
    state: State
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None

    @classmethod
    def of(cls, token: Token, now_ms: float) -> "TokenRow":
        """What is shown of `token`."""
        return cls(
            name=token.name, subject=token.subject, tail=token.tail, scopes=token.scopes, client=token.client,
            state=token.state(now_ms), created_at=moment(token.created_ms),
            expires_at=None if token.expires_ms is None else moment(token.expires_ms),
            last_used_at=None if token.used_ms is None else moment(token.used_ms),
        )  # fmt: skip


def moment(at_ms: int) -> datetime:
    """Milliseconds since 1970 as a date."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)
