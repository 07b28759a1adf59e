"""Another name for a chain, in one transaction: its versions, its past runs, and what starts it by name.

Runs under way stay with the old name, whose versions are kept for them, as when a chain is deleted.
"""

import json
import re
from typing import Any

import msgspec

from legion_core.engine import chain_store as store
from legion_core.engine.chain import Chain
from legion_core.engine.run_types import Renamed
from legion_core.kernel.errors import Conflict, InvalidInput
from legion_core.storage.sqlite import Connection, execute, row, rows

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME_LINE = re.compile(r"^name:[^\n#]*", re.MULTILINE)
_encode = msgspec.json.Encoder().encode


def rename(connection: Connection, old: str, new: str, who: str, now_ms: int) -> Renamed:
    """Do it; NotFound, InvalidInput where the name is none, Conflict where it is taken."""
    if not NAME.fullmatch(new):
        raise InvalidInput(
            f"{new[:80]!r} cannot be a chain's name.",
            hint="Letters, digits, dot, dash and underscore, at most 64.",
        )
    if store.version_of(connection, old) is None:
        raise store.unknown_chain(old)
    if row(connection, "SELECT 1 FROM chains WHERE name = ?", [new]) is not None:
        if store.version_of(connection, new) is not None:
            raise Conflict(f"There is a chain {new!r} already.", hint="Choose another name.")
        _drop_deleted(connection, new)
    for version, document, text in rows(
        connection, "SELECT version, document, text FROM chains WHERE name = ? AND NOT is_deleted", [old]
    ):
        chain = msgspec.json.decode(document, type=Chain)
        execute(
            connection,
            "INSERT INTO chains(name, version, document, text, applied, who) "
            "SELECT ?1, version, ?2, ?3, applied, who FROM chains WHERE name = ?4 AND version = ?5",
            [new, _encode(msgspec.structs.replace(chain, name=new)), _text(str(text), new), old, version],
        )
    execute(connection, "UPDATE runs SET chain = ? WHERE chain = ? AND ended IS NOT NULL", [new, old])
    if row(connection, "SELECT 1 FROM runs WHERE chain = ?", [old]) is None:
        execute(connection, "DELETE FROM chains WHERE name = ?", [old])
    else:
        store.delete(connection, old)
    newest = store.version_of(connection, new)
    assert newest is not None
    return Renamed(
        version=newest.version,
        schedules=_retarget(connection, "schedules", old, new),
        hooks=_retarget(connection, "hooks", old, new),
        chains=_callers(connection, old, new, who, now_ms),
    )


def _drop_deleted(connection: Connection, name: str) -> None:
    """A chain of this name was taken away: it makes room, unless runs of it are kept."""
    if row(connection, "SELECT 1 FROM runs WHERE chain = ?", [name]) is not None:
        raise Conflict(f"A chain {name!r} was deleted, and runs of it are kept.", hint="Choose another name.")
    execute(connection, "DELETE FROM chains WHERE name = ?", [name])


def _text(text: str, new: str) -> str:
    """The same YAML with the other name; empty, which has it written anew, where the line is not a plain one."""
    written = new if new[0].isalpha() and new.lower() not in ("true", "false", "null") else f'"{new}"'
    return _NAME_LINE.sub(f"name: {written}", text, count=1) if len(_NAME_LINE.findall(text)) == 1 else ""


def _retarget(connection: Connection, table: str, old: str, new: str) -> tuple[str, ...]:
    """Schedules and webhooks that start it; the decision under way about a schedule is taken anew."""
    if row(connection, "SELECT 1 FROM sqlite_schema WHERE name = ?", [table]) is None:
        return ()  # an engine alone keeps neither
    moved: list[str] = []
    fence = ", fencing = fencing + 1" if table == "schedules" else ""
    for name, spec in rows(connection, f"SELECT name, spec FROM {table}"):  # noqa: S608 - our own words
        told: dict[str, Any] = json.loads(bytes(spec))
        if told.get("target") == f"chain:{old}":
            fresh = _encode({**told, "target": f"chain:{new}"})
            execute(connection, f"UPDATE {table} SET spec = ?{fence} WHERE name = ?", [fresh, name])  # noqa: S608
            moved.append(str(name))
    return tuple(moved)


def _callers(connection: Connection, old: str, new: str, who: str, now_ms: int) -> tuple[str, ...]:
    """Chains with a node that runs it get a version that calls it by its name."""
    moved: list[str] = []
    for version in store.newest(connection):
        chain = msgspec.json.decode(version.document, type=Chain)
        if not any(node.chain == old for node in chain.nodes):
            continue
        nodes = tuple(
            msgspec.structs.replace(node, chain=new) if node.chain == old else node for node in chain.nodes
        )
        fresh = msgspec.structs.replace(chain, nodes=nodes, version=0)
        store.add_version(connection, fresh, "", who, now_ms)
        moved.append(version.name)
    return tuple(moved)
