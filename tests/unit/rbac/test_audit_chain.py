"""The audit chain: whatever is done to it without the key shows, and where it begins shows."""

import os
import random

import msgspec
import pytest

from legion_core.rbac.audit_chain import (
    GENESIS,
    Entry,
    Finding,
    Mark,
    Note,
    check,
    hash_of,
    linked,
    mark_of,
    seal_of,
)

KEY, OTHER = b"k" * 32, b"o" * 32
TAMPERINGS = 10_000 if os.environ.get("LEGION_TEST_PROFILE") == "full" else 1_500
LENGTH = 40


def some_log(chance: random.Random, length: int = LENGTH) -> tuple[list[Entry], Mark]:
    """A log as it is kept: written in several transactions."""
    head, entries = Mark(seq=0, hash=GENESIS, seal=b""), []
    while len(entries) < length:
        notes = [
            Note(
                kind=chance.choice(("a.b", "c")),
                who=f"w{chance.randrange(9)}",
                detail="x" * chance.randrange(9),
            )
            for _ in range(min(chance.randrange(1, 6), length - len(entries)))
        ]
        made = linked(KEY, head, chance.randrange(1 << 50), notes)
        entries += made
        head = mark_of(KEY, "head", made[-1].seq, made[-1].hash)
    return entries, head


@pytest.mark.requirement("rbac.audit")
def test_an_untouched_log_is_whole() -> None:
    entries, head = some_log(random.Random(1))

    assert check(entries, KEY, None, head, head) == Finding(LENGTH)


def test_an_empty_log_is_whole_unless_there_once_was_one() -> None:
    assert check((), KEY, None, None) == Finding(0)
    _, head = some_log(random.Random(1))
    assert check((), KEY, None, None, head).first_bad == 1


def _edit(chance: random.Random, entries: list[Entry], head: Mark) -> tuple[list[Entry], Mark | None, int]:
    at = chance.randrange(len(entries))
    name = chance.choice(
        ("at_us", "kind", "who", "path", "action", "outcome", "detail", "prev", "hash", "seal")
    )
    old = getattr(entries[at], name)
    fresh = {int: lambda: old + 1, str: lambda: old + "!", bytes: lambda: bytes([old[0] ^ 1]) + old[1:]}[
        type(old)
    ]()
    entries[at] = msgspec.structs.replace(entries[at], **{name: fresh})
    return entries, head, at + 1


def _delete(chance: random.Random, entries: list[Entry], head: Mark) -> tuple[list[Entry], Mark | None, int]:
    at = chance.randrange(len(entries))
    count = chance.randrange(1, min(5, len(entries) - at) + 1)
    del entries[at : at + count]
    return entries, head, at + 1


def _swap(chance: random.Random, entries: list[Entry], head: Mark) -> tuple[list[Entry], Mark | None, int]:
    one, two = sorted(chance.sample(range(len(entries)), 2))
    a, b = entries[one], entries[two]
    if chance.random() < 0.5:  # the rows trade places, and their numbers with them
        a, b = msgspec.structs.replace(a, seq=b.seq), msgspec.structs.replace(b, seq=a.seq)
    entries[one], entries[two] = b, a
    return entries, head, one + 1


def _truncate(
    chance: random.Random, entries: list[Entry], head: Mark
) -> tuple[list[Entry], Mark | None, int]:
    keep = chance.randrange(len(entries))
    del entries[keep:]
    mark: Mark | None = head
    match chance.randrange(3):
        case 0:
            mark = None
        case 1 if entries:  # a head of one's own, with a seal borrowed from the entry
            last = entries[-1]
            mark = Mark(seq=last.seq, hash=last.hash, seal=last.seal)
        case _:
            pass
    return entries, mark, keep + 1


def _insert(chance: random.Random, entries: list[Entry], head: Mark) -> tuple[list[Entry], Mark | None, int]:
    at = chance.randrange(len(entries))
    entries.insert(at, msgspec.structs.replace(chance.choice(entries), seq=at + 1))
    for place in range(at + 1, len(entries)):
        entries[place] = msgspec.structs.replace(entries[place], seq=place + 1)
    if entries[at] == msgspec.structs.replace(entries[at + 1], seq=at + 1):
        return entries, head, at + 2  # the very same entry once more: the second of the two is too many
    return entries, head, at + 1


def _rechain(chance: random.Random, entries: list[Entry], head: Mark) -> tuple[list[Entry], Mark | None, int]:
    """Change one, and make every hash behind it right again; seals only with another key."""
    at = chance.randrange(len(entries))
    entries[at] = msgspec.structs.replace(entries[at], who="mallory")
    prev = entries[at].prev
    for place in range(at, len(entries)):
        entry = entries[place]
        digest = hash_of(prev, entry.seq, entry.at_us, entry)
        seal = seal_of(OTHER, digest) if chance.random() < 0.5 else entry.seal
        entries[place] = msgspec.structs.replace(entry, prev=prev, hash=digest, seal=seal)
        prev = digest
    return entries, mark_of(OTHER, "head", entries[-1].seq, prev), at + 1


KINDS = (_edit, _delete, _swap, _truncate, _insert, _rechain)


@pytest.mark.parametrize("tamper", KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_every_tampering_is_found_with_the_first_bad_entry(tamper: object) -> None:
    for seed in range(TAMPERINGS // len(KINDS) + 1):
        chance = random.Random(seed)
        entries, head = some_log(chance)
        changed, mark, first = tamper(chance, list(entries), head)
        found = check(changed, KEY, None, mark, head if chance.random() < 0.3 else None)

        assert found.first_bad == first, (seed, found)
        assert found.why


def test_an_older_copy_of_the_whole_log_is_found_by_the_head_kept_elsewhere() -> None:
    entries, head = some_log(random.Random(3))
    older = entries[:25]
    its_head = mark_of(KEY, "head", 25, older[-1].hash)

    assert check(older, KEY, None, its_head).first_bad is None, "that alone cannot be seen"
    assert check(older, KEY, None, its_head, head).first_bad == 26


def test_what_was_moved_out_hangs_on_a_sealed_base() -> None:
    entries, head = some_log(random.Random(4))
    base = mark_of(KEY, "base", 10, entries[9].hash)

    assert check(entries[10:], KEY, base, head) == Finding(30)
    assert check(entries[11:], KEY, base, head).first_bad == 11
    forged = Mark(seq=12, hash=entries[11].hash, seal=entries[11].seal)
    assert check(entries[12:], KEY, forged, head).first_bad == 1
    as_head = mark_of(KEY, "head", 10, entries[9].hash)
    assert check(entries[10:], KEY, as_head, head).first_bad == 1, "one kind of seal is not another"


def test_the_wrong_key_vouches_for_nothing() -> None:
    entries, head = some_log(random.Random(5))

    assert check(entries, OTHER, None, head).first_bad == 1
