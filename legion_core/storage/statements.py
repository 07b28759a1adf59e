"""Running SQL inside a work, typed: the one place that knows how `apsw` spells it."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, cast

import apsw

Connection: TypeAlias = apsw.Connection
Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Any, ...]  # int, float, str, bytes or None in each column, as the statement says


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


def rows_of_many(connection: Connection, sql: str, many_args: Sequence[Sequence[Value]]) -> list[Row]:
    """Run one statement for each of `many_args` and give all rows, as `RETURNING` says."""
    return cast("_Executes", connection).executemany(sql, many_args).fetchall()


def script(connection: Connection, sql: str) -> None:
    """Run any number of statements without arguments."""
    # A cursor stops at the first row it can give, and some PRAGMAs give one: exhausting it runs the rest.
    cast("_Executes", connection).execute(sql).fetchall()
