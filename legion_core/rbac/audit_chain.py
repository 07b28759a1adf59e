"""Pure: entries that hang together, and which of them is the first that does not.

    hash(n) = SHA-256("legion-audit-1" ‖ hash(n-1) ‖ n and what it says)        anybody can check it
    seal(n) = HMAC-SHA256(key, "entry" ‖ hash(n))                              nobody without the key can make it
    head    = HMAC-SHA256(key, "head" ‖ n ‖ hash(n)) of the last entry         so that cutting off the end shows
    base    = the same with "base", of the last entry that was moved out       so that cutting off the beginning shows

A head is sealed with the word "anchored" from when it was first kept outside of the journal too: that it is gone there
shows then, also over an older copy of the journal.

The words before each are there so that one kind of seal can never be passed off as another.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

GENESIS: Final = bytes(32)
BROKEN: Final = (
    "audit.broken"  # written where the log was found to be other than it was left: it stays a finding
)
_MARK: Final = b"legion-audit-1\0"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded: `kind` is dotted words (`token.created`), `outcome` such as `done`, `denied`, `granted`."""

    kind: str
    who: str
    path: str = ""
    action: str = ""
    outcome: str = "done"
    detail: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A note in its place. `at_us` is microseconds since 1970, UTC; `seq` counts from 1 without gaps."""

    seq: int
    at_us: int
    kind: str
    who: str
    path: str
    action: str
    outcome: str
    detail: str
    prev: bytes
    hash: bytes
    seal: bytes


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the chain with its seal: the head, or the base. `seq` 0 is before the first entry."""

    seq: int
    hash: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check gives. `first_bad` is the number of the first entry that is not what it was; None if all is whole."""

    count: int
    first_bad: int | None = None
    why: str = ""


def hash_of(prev: bytes, seq: int, at_us: int, note: Note | Entry) -> bytes:
    """The hash of an entry behind `prev`."""
    said = msgspec.json.encode(
        (seq, at_us, note.kind, note.who, note.path, note.action, note.outcome, note.detail)
    )
    return sha256(_MARK + prev + said).digest()


def seal_of(key: bytes, digest: bytes) -> bytes:
    """The seal of one entry."""
    return hmac.digest(key, b"entry\0" + digest, "sha256")


def mark_of(key: bytes, word: str, seq: int, digest: bytes) -> Mark:
    """A sealed `head` or `base`."""
    said = word.encode() + b"\0" + seq.to_bytes(8, "big") + digest
    return Mark(seq=seq, hash=digest, seal=hmac.digest(key, said, "sha256"))


def linked(key: bytes, head: Mark, at_us: int, notes: Iterable[Note]) -> list[Entry]:
    """`notes` as the entries that follow `head`."""
    made: list[Entry] = []
    seq, prev = head.seq, head.hash
    for note in notes:
        seq += 1
        digest = hash_of(prev, seq, at_us, note)
        made.append(
            Entry(
                seq=seq, at_us=at_us, kind=note.kind, who=note.who, path=note.path, action=note.action,
                outcome=note.outcome, detail=note.detail, prev=prev, hash=digest, seal=seal_of(key, digest),
            )
        )  # fmt: skip
        prev = digest
    return made


def check(
    entries: Iterable[Entry], key: bytes, base: Mark | None, head: Mark | None, anchor: Mark | None = None
) -> Finding:
    """Whether `entries`, in the order in which they are kept, are all there is and as they were written.

    `anchor` is a head that was kept elsewhere at some time: what it saw must still be there.
    """
    seq, prev, count = 0, GENESIS, 0
    if base is not None:
        if not is_vouched(key, "base", base):
            return Finding(0, 1, "what was moved out of the log is not vouched for")
        seq, prev = base.seq, base.hash
    for entry in entries:
        seq += 1
        if why := _fault(entry, key, seq, prev, anchor):
            return Finding(count, seq, why)
        prev, count = entry.hash, count + 1
    bad, why = _end(key, seq, prev, head, anchor)
    return Finding(count, bad, why)


def _fault(entry: Entry, key: bytes, seq: int, prev: bytes, anchor: Mark | None) -> str:
    """What is wrong with the entry that should be number `seq` behind `prev`; empty if nothing."""
    if entry.seq != seq:
        return f"entry {seq} {'is missing' if entry.seq > seq else 'stands twice or out of order'}"
    if entry.prev != prev or entry.hash != hash_of(prev, seq, entry.at_us, entry):
        return f"entry {seq} is not what was written"
    if not hmac.compare_digest(entry.seal, seal_of(key, entry.hash)):
        return f"entry {seq} was written without the key"
    if entry.kind == BROKEN:
        return f"before entry {seq} the log was not as it was left: {entry.detail}"
    if anchor is not None and anchor.seq == seq and anchor.hash != entry.hash:
        return f"entry {seq} is another one than was seen there before"
    return ""


def _end(key: bytes, seq: int, prev: bytes, head: Mark | None, anchor: Mark | None) -> tuple[int | None, str]:
    """The first entry that is not there although it should be, or is there although it should not."""
    after = seq + 1
    if head is None:
        is_empty = seq == 0 and (anchor is None or anchor.seq == 0)
        return (None, "") if is_empty else (after, f"the log has no head, so entry {after} may be missing")
    if not is_head(key, head):
        return after, f"the head is not vouched for, so entry {after} and later ones may be missing"
    if head.seq > seq:
        return after, f"entry {after} is missing, and all behind it"
    if head.seq < seq or head.hash != prev:
        return head.seq + 1, f"entry {head.seq + 1} stands behind the head"
    if anchor is not None and anchor.seq > seq and is_head(key, anchor):
        return after, f"entry {after} is missing: an older copy of the log was put in its place"
    if anchor is None and is_anchored(key, head):
        return (
            after,
            f"the head that was kept elsewhere is gone, so entry {after} and later ones may be missing",
        )
    return None, ""


def is_vouched(key: bytes, word: str, mark: Mark | None) -> bool:
    """Whether a head or base was sealed with the key."""
    return mark is not None and hmac.compare_digest(mark.seal, mark_of(key, word, mark.seq, mark.hash).seal)


def is_head(key: bytes, mark: Mark | None) -> bool:
    """Whether it is a head that was sealed with the key."""
    return is_anchored(key, mark) or is_vouched(key, "head", mark)


def is_anchored(key: bytes, mark: Mark | None) -> bool:
    """Whether it is a head of a log that is kept outside of the journal too."""
    return is_vouched(key, "anchored", mark)
