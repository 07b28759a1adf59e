"""Access and audit at their full counts: policies against an oracle, the time of a decision, tamperings, appends.

    python -m benchmarks.rights policies|decisions|tampering|append|matrix [--count N]

The last line is one JSON object. `append` runs interleaved with the same rows written without a chain, in the same run.
"""

import argparse
import asyncio
import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.ids import system_rng
from legion_core.kernel.ports import Principal
from legion_core.kernel.supervise import Supervisor
from legion_core.rbac import audit_store as store
from legion_core.rbac.audit import AuditLog
from legion_core.rbac.audit_chain import Note, check, hash_of, mark_of, seal_of
from legion_core.rbac.audit_key import open_key
from legion_core.rbac.authorizer import PolicyAuthorizer
from legion_core.rbac.policy import decide, parse, rights_of
from legion_core.rbac.rules import read_scope
from legion_core.rbac.tokens import Token
from legion_core.storage.secrets import Secrets
from legion_core.storage.sqlite import Database, Migration, execute, row, rows, script
from tests.unit.rbac import oracle

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY, OTHER = b"k" * 32, b"o" * 32
LENGTH = 60


def policies(count: int) -> dict[str, Any]:
    """Random pairs of a policy and a question: how many answers differ from the oracle's."""
    wrong = asked = 0
    for seed in range(count):
        chance = random.Random(seed)
        policy = oracle.some_policy(chance)
        scopes = tuple(oracle.some_rule(chance) for _ in range(chance.randrange(3)) if chance.random() < 0.5)
        rights = rights_of(policy, "ada", scopes, NOW)
        for _ in range(5):
            path, action = oracle.some_question(chance)
            asked += 1
            if decide(rights, path, action).is_allowed is not oracle.allows(
                policy, "ada", scopes, path, action
            ):
                wrong += 1
    return {"pairs": count, "questions": asked, "wrong": wrong}


def decisions(count: int) -> dict[str, Any]:
    """Each call timed alone: cached ones, and ones never asked before, under a policy of 120 rules."""
    rules = ", ".join(f'{{ path = "tasks/ext{n}/*", actions = ["run"] }}' for n in range(100))
    denies = ", ".join(f'{{ path = "tasks/bad{n}/*", actions = ["*"] }}' for n in range(20))
    text = f'version = 1\n[roles.r]\nallow = [{rules}]\ndeny = [{denies}]\n[[assign]]\nsubject = "bot"\nroles = ["r"]\n'
    authorizer = PolicyAuthorizer(SystemClock())
    authorizer.put_policy(parse(text))
    scope = read_scope("tasks/*:run")
    authorizer.put_tokens(
        [Token("t", "bot", "bot", b"d", "tail", ("tasks/*:run",), (scope,), "", 0, None, None, None)]
    )
    who = Principal(name="bot", carrier="token", token="t")
    warm = [f"tasks/ext{n}/runner/do" for n in range(100)]
    for path in warm:
        authorizer.authorise(who, path, "run")
    gc.disable()
    cached = [_timed_us(lambda p=warm[n % 100]: authorizer.authorise(who, p, "run")) for n in range(count)]
    # Of the processor's time: one look in a hundred would otherwise be another program's turn.
    cold = [
        _worked_us(lambda n=n: authorizer.authorise(who, f"tasks/ext{n % 100}/r{n}/do", "run"))
        for n in range(min(count, 15_000))
    ]
    gc.enable()
    return {
        "calls": count,
        "cached_p50_us": _at(cached, 0.5),
        "cached_p99_us": _at(cached, 0.99),
        "cold_p50_us": _at(cold, 0.5),
        "cold_p99_us": _at(cold, 0.99),
    }


def _timed_us(call: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1000


def _worked_us(call: Callable[[], object]) -> float:
    start = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - start) / 1000


def _at(values: list[float], share: float) -> float:
    return round(sorted(values)[int(len(values) * share)], 2)


def tampering(count: int) -> dict[str, Any]:
    """A real table of the journal's own schema, changed by SQL without the key; each change is undone after its check."""
    connection = apsw.Connection(":memory:")
    script(connection, store.MIGRATIONS[0].sql)
    for n in range(LENGTH // 4):
        notes = [Note(kind="a.b", who=f"w{n}", path="p", detail="x" * (n % 7)) for _ in range(4)]
        store.append(connection, KEY, 1_000_000 + n, notes)
    head = store.mark(connection, "head")
    assert head is not None
    found_kinds: dict[str, int] = {}
    missed: list[str] = []
    kinds = (_edit, _delete, _swap, _truncate, _insert, _rechain)
    for seed in range(count):
        chance = random.Random(seed)
        kind = kinds[seed % len(kinds)]
        script(connection, "BEGIN")
        first = kind(chance, connection)
        anchor = head if chance.random() < 0.5 else None
        found = check(
            store.every(connection),
            KEY,
            store.mark(connection, "base"),
            store.mark(connection, "head"),
            anchor,
        )
        script(connection, "ROLLBACK")
        if found.first_bad == first:
            found_kinds[kind.__name__.strip("_")] = found_kinds.get(kind.__name__.strip("_"), 0) + 1
        else:
            missed.append(f"{kind.__name__} seed {seed}: {found} instead of {first}")
    whole = check(store.every(connection), KEY, None, head, head)
    assert whole.first_bad is None
    share = 100.0 * (count - len(missed)) / count
    return {"tamperings": count, "named_percent": share, "by_kind": found_kinds, "missed": missed[:5]}


def _edit(chance: random.Random, connection: apsw.Connection) -> int:
    seq = chance.randrange(1, LENGTH + 1)
    column = chance.choice(
        ("at_us", "kind", "who", "path", "action", "outcome", "detail", "prev", "hash", "seal")
    )
    value = row(connection, f"SELECT {column} FROM audit WHERE seq = ?", [seq])
    assert value is not None
    old = value[0]
    fresh = old + 1 if isinstance(old, int) else old + "!" if isinstance(old, str) else _flipped(chance, old)
    execute(connection, f"UPDATE audit SET {column} = ? WHERE seq = ?", [fresh, seq])
    return seq


def _flipped(chance: random.Random, content: bytes) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]


def _delete(chance: random.Random, connection: apsw.Connection) -> int:
    first = chance.randrange(1, LENGTH + 1)
    last = min(LENGTH, first + chance.randrange(4))
    execute(connection, "DELETE FROM audit WHERE seq BETWEEN ? AND ?", [first, last])
    if chance.random() < 0.5:  # close the gap
        execute(connection, "UPDATE audit SET seq = -seq WHERE seq > ?", [last])
        execute(connection, "UPDATE audit SET seq = -seq - ? WHERE seq < 0", [last - first + 1])
    return first


def _swap(chance: random.Random, connection: apsw.Connection) -> int:
    one, two = sorted(chance.sample(range(1, LENGTH + 1), 2))
    for old, new in ((one, -1), (two, one), (-1, two)):
        execute(connection, "UPDATE audit SET seq = ? WHERE seq = ?", [new, old])
    return one


def _truncate(chance: random.Random, connection: apsw.Connection) -> int:
    keep = chance.randrange(LENGTH)
    execute(connection, "DELETE FROM audit WHERE seq > ?", [keep])
    match chance.randrange(3):
        case 0:
            execute(connection, "DELETE FROM audit_marks")
        case 1 if keep:
            last = row(connection, "SELECT hash, seal FROM audit WHERE seq = ?", [keep])
            assert last is not None
            execute(connection, "UPDATE audit_marks SET seq = ?, hash = ?, seal = ?", [keep, *last])
        case _:
            pass
    # With nothing left and no head it looks like a log that never was: only the head kept elsewhere knows.
    if keep == 0 and store.mark(connection, "head") is None:
        execute(connection, "INSERT INTO audit_marks VALUES ('head', 0, zeroblob(32), zeroblob(32))")
    return keep + 1


def _insert(chance: random.Random, connection: apsw.Connection) -> int:
    at = chance.randrange(1, LENGTH + 1)
    execute(connection, "UPDATE audit SET seq = -seq - 1 WHERE seq >= ?", [at])
    execute(connection, "UPDATE audit SET seq = -seq WHERE seq < 0")
    near = row(connection, "SELECT prev, hash, seal FROM audit WHERE seq = ?", [at + 1])
    assert near is not None
    columns = "seq, at_us, kind, who, path, action, outcome, detail, prev, hash, seal"
    execute(
        connection, f"INSERT INTO audit ({columns}) VALUES (?, 1, 'a.b', 'mallory', '', '', 'done', '', ?, ?, ?)",
        [at, *near],
    )  # fmt: skip
    return at


def _rechain(chance: random.Random, connection: apsw.Connection) -> int:
    """Change one entry and make every hash behind it right again, sealed with a key of one's own or with the old seals."""
    at = chance.randrange(1, LENGTH + 1)
    is_own = chance.random() < 0.5
    entries = list(store.every(connection, at - 1))
    prev = entries[0].prev
    for entry in entries:
        who = "mallory" if entry.seq == at else entry.who
        changed = Note(
            kind=entry.kind,
            who=who,
            path=entry.path,
            action=entry.action,
            outcome=entry.outcome,
            detail=entry.detail,
        )
        digest = hash_of(prev, entry.seq, entry.at_us, changed)
        seal = seal_of(OTHER, digest) if is_own else entry.seal
        execute(
            connection, "UPDATE audit SET who = ?, prev = ?, hash = ?, seal = ? WHERE seq = ?",
            [who, prev, digest, seal, entry.seq],
        )  # fmt: skip
        prev = digest
    forged = mark_of(OTHER, "head", LENGTH, prev)
    execute(connection, "UPDATE audit_marks SET hash = ?, seal = ?", [forged.hash, forged.seal])
    return at


async def append(count: int) -> dict[str, Any]:
    """Entries a second, fsynced before they are acknowledged: each its own call, and in groups as refusals are written."""
    plain_table = Migration(
        "plain-0001", "CREATE TABLE plain (seq INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT"
    )
    calls: list[float] = []
    grouped: list[float] = []
    plain: list[float] = []
    verified: list[float] = []
    cpu: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        home, clock, rng, supervisor = Path(folder), SystemClock(), system_rng(), Supervisor()
        database = await Database.open(
            home / "journal.db", migrations=(*store.MIGRATIONS, plain_table), clock=clock
        )
        secrets = Secrets(home, {}, clock=clock, rng=rng)
        audit = AuditLog(clock, supervisor, database, home, lambda: open_key(home, secrets, database, rng))
        await audit.ready()
        note = Note(kind="task.ordered", who="bot", path="tasks/a/b/c", action="run", detail="task_01")
        for _ in range(5):
            start = time.perf_counter()
            await asyncio.gather(*(database.write(_plain) for _ in range(count // 5)))
            plain.append(count / 5 / (time.perf_counter() - start))
            start = time.perf_counter()
            await asyncio.gather(*(audit.note(note) for _ in range(count // 5)))
            calls.append(count / 5 / (time.perf_counter() - start))
            start, start_cpu = time.perf_counter(), time.process_time()
            for _ in range(count // 5):
                audit.note_nowait(note)
                if len(audit._pending) >= 5_000:  # noqa: SLF001 - the bound drops, the benchmark waits
                    await audit.flush()
            await audit.flush()
            grouped.append(count / 5 / (time.perf_counter() - start))
            cpu.append((time.process_time() - start_cpu) * 1e6 / (count / 5))
        start = time.perf_counter()
        found, _ = await audit.verify()
        verified.append(found.count / (time.perf_counter() - start))
        assert found.first_bad is None
        total = await database.read(lambda connection: rows(connection, "SELECT count(*) FROM audit"))
        assert total[0][0] == found.count
        await audit.aclose()
        await database.close()
        await supervisor.stop()
    return {
        "entries": found.count,
        "append_per_s": round(statistics.median(grouped)),
        "single_calls_per_s": round(statistics.median(calls)),
        "plain_rows_per_s": round(statistics.median(plain)),
        "cpu_us_per_entry": round(statistics.median(cpu), 1),
        "verify_per_s": round(verified[0]),
    }


def _plain(connection: Any) -> None:
    execute(connection, "INSERT INTO plain (what) VALUES ('task_01')")


def matrix() -> dict[str, Any]:
    """Every route and command by every verdict, as the tests try it."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/e2e/rights/test_matrix.py", "tests/e2e/rights/test_tokens.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {
        "enforced_percent": 100 if done.returncode == 0 else 0,
        "said": done.stdout.strip().splitlines()[-1:],
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("policies", "decisions", "tampering", "append", "matrix"))
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="for the table of floors; it is always JSON")
    args = parser.parse_args()
    match args.what:
        case "policies":
            told = policies(args.count or 100_000)
        case "decisions":
            told = decisions(args.count or 200_000)
        case "tampering":
            told = tampering(args.count or 10_000)
        case "append":
            told = asyncio.run(append(args.count or 50_000))
        case _:
            told = matrix()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
