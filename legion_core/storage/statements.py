"""Running SQL inside a work, typed: the one place that knows how `apsw` spells it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeAlias, cast

import apsw

Connection: TypeAlias = apsw.Connection
Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Any, ...]  # int, float, str, bytes or None in each column, as the statement says


_SIZES = (64, 16, 4, 1)  # rows in one INSERT: so few that their statements stay prepared


class _Cursor(Protocol):
    def fetchall(self) -> list[Row]: ...
    def fetchone(self) -> Row | None: ...


class _Executes(Protocol):
    """`apsw.Connection.execute` as we use it; its own stubs need Python 3.12."""

    def execute(self, statements: str, bindings: Sequence[Value] | None = None, /) -> _Cursor: ...

    def executemany(self, statements: str, bindings: Sequence[Sequence[Value]], /) -> _Cursor: ...


def rows(connection: Connection, sql: str, args: Sequence[Value] = ()) -> list[Row]:
    """Run one statement and give all its rows; `args` fill its question marks."""
    return cast("_Executes", connection).execute(sql, args).fetchall()


def row(connection: Connection, sql: str, args: Sequence[Value] = ()) -> Row | None:
    """The first row, or None."""
    return cast("_Executes", connection).execute(sql, args).fetchone()


def execute(connection: Connection, sql: str, args: Sequence[Value] = ()) -> int:
    """Run one INSERT, UPDATE or DELETE; gives how many rows it changed."""
    cast("_Executes", connection).execute(sql, args).fetchall()
    return connection.changes()


def execute_many(connection: Connection, sql: str, many_args: Sequence[Sequence[Value]]) -> None:
    """Run one statement for each of `many_args`."""
    cast("_Executes", connection).executemany(sql, many_args)


def insert(connection: Connection, into: str, many: Sequence[Sequence[Value]], then: str = "") -> list[Row]:
    """`INSERT {into} VALUES (…), (…) {then}` of equally long rows, in few statements; gives what `then` returns.

    A statement for each row would let go of the interpreter's lock and wait for it again, row by row, while others
    of this process want it.
    """
    found, at = list[Row](), 0
    for size in _SIZES:
        while len(many) - at >= size:
            chunk = many[at : at + size]
            sql = _insertion(into, len(chunk[0]), size, then)
            found += rows(connection, sql, [value for each in chunk for value in each])
            at += size
    return found


@lru_cache(maxsize=64)
def _insertion(into: str, width: int, count: int, then: str) -> str:
    row = f"({','.join('?' * width)})"
    return f"INSERT {into} VALUES {','.join([row] * count)} {then}"  # noqa: S608  # of a store's own words


def script(connection: Connection, sql: str) -> None:
    """Run any number of statements without arguments."""
    # A cursor stops at the first row it can give, and some PRAGMAs give one: exhausting it runs the rest.
    cast("_Executes", connection).execute(sql).fetchall()
