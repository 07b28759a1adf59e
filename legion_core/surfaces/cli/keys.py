"""What the command line asks of a node about tokens of other programs: over HTTP, or of one opened for the command."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from legion_core.surfaces.cli.http import Wire, part

if TYPE_CHECKING:
    from legion_core.api.tokens import TokenMade, TokenRow, Tokens

_PATH = "/api/v1/rbac/tokens"


class KeyDoor(Protocol):
    """See `legion_core.api.tokens`; all calls block."""

    def live(self) -> frozenset[str]:
        """The names of those in force."""
        ...

    def create(self, name: str, scopes: tuple[str, ...], client: str) -> "TokenMade":
        """A new one; its secret is given this once."""
        ...

    def revoke(self, name: str) -> None:
        """End it."""
        ...


class LocalKeys(KeyDoor):
    """See `KeyDoor`. `run` waits for a coroutine; `door` opens the node."""

    # ruff: noqa: D102  (every method is documented in the Protocol)

    def __init__(
        self, run: "Callable[[Coroutine[Any, Any, Any]], Any]", door: "Callable[[], Tokens]"
    ) -> None:
        self._run = run
        self._door = door

    def live(self) -> frozenset[str]:
        return _live(self._run(self._door().list()))

    def create(self, name: str, scopes: tuple[str, ...], client: str) -> "TokenMade":
        return self._run(self._door().create(name, scopes, client=client))

    def revoke(self, name: str) -> None:
        self._run(self._door().revoke(name))


class RemoteKeys(KeyDoor):
    """See `KeyDoor`: the running node."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def live(self) -> frozenset[str]:
        from legion_core.api.tokens import TokenRow

        return _live(self._wire.get(_PATH, tuple[TokenRow, ...]))

    def create(self, name: str, scopes: tuple[str, ...], client: str) -> "TokenMade":
        from legion_core.api.tokens import TokenMade

        body = {"name": name, "scopes": scopes, "client": client}
        return self._wire.ask("POST", _PATH, TokenMade, body=body)

    def revoke(self, name: str) -> None:
        from legion_core.api.tokens import TokenRow

        self._wire.ask("DELETE", f"{_PATH}/{part(name)}", TokenRow)


def _live(rows: "tuple[TokenRow, ...]") -> frozenset[str]:
    return frozenset(row.name for row in rows if row.state == "active")
