"""Which methods an address takes: for the `Allow` header, and for saying 405 before anything else is wrong."""

from legion_core.surfaces.rest.calls import Operation


class Methods:
    """Made from the route table; asked only where something is refused, so it need not be quick."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        from starlette.routing import compile_path

        self._rows = tuple((compile_path(operation.path)[0], operation.method) for operation in operations)

    def at(self, path: str) -> frozenset[str]:
        """What this address takes; HEAD goes where GET goes, and nothing where there is no such address."""
        found: set[str] = {method for pattern, method in self._rows if pattern.match(path)}
        return frozenset(found | {"HEAD"} if "GET" in found else found)


def allow(methods: frozenset[str]) -> str:
    """The value of an `Allow` header."""
    return ", ".join(sorted(methods))
