"""Which methods an address takes, and whose it is where two rows of the table could serve it."""

import re

from legion_core.surfaces.rest.calls import Operation

_PARAMETER = re.compile(r"\{[^}]*\}")


class Methods:
    """Made from the route table. The row with the most written out owns an address: `/tasks/batch` is no task's id."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        from starlette.routing import compile_path

        self._used: dict[str, set[str]] = {}
        for operation in operations:
            self._used.setdefault(operation.path, set()).add(operation.method)
        paths = sorted(self._used, key=_written, reverse=True)
        self._rows = tuple((path, compile_path(path)[0]) for path in paths)

    def at(self, path: str) -> frozenset[str]:
        """What this address takes; HEAD goes where GET goes, and nothing where there is no such address."""
        owner = next((row for row, pattern in self._rows if pattern.match(path)), "")
        used = self._used.get(owner, set())
        return frozenset(used | {"HEAD"} if "GET" in used else used)

    def rivals(self, operation: Operation) -> tuple[re.Pattern[str], ...]:
        """Rows that own some of the addresses this operation's own pattern matches; asked once for each operation."""
        begins = operation.path.partition("{")[0]
        if begins == operation.path:
            return ()
        return tuple(
            pattern
            for path, pattern in self._rows
            if path.startswith(begins)
            and _written(path) > _written(operation.path)
            and operation.method not in self._used[path]
        )


def allow(methods: frozenset[str]) -> str:
    """The value of an `Allow` header."""
    return ", ".join(sorted(methods))


def _written(path: str) -> int:
    return len(_PARAMETER.sub("", path))
