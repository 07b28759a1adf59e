"""What the command line asks of a node about the network: through its HTTP surface, or of one opened for the command."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from legion_core.surfaces.cli.http import Wire, part

if TYPE_CHECKING:
    from legion_core.api.network import Contact, Network, NetworkState

T = TypeVar("T")
_PATH = "/api/v1/network"


class NetworkDoor(Protocol):
    """See `legion_core.api.network`; all calls block."""

    def hosts(self) -> "tuple[Contact, ...]":
        """Every host contacted."""
        ...

    def state(self) -> "NetworkState":
        """Offline or not, and what is blocked."""
        ...

    def set_offline(self, is_offline: bool) -> "NetworkState":
        """Contact only this computer, or others again."""
        ...

    def block(self, host: str) -> "NetworkState":
        """Never contact it."""
        ...

    def allow(self, host: str) -> "NetworkState":
        """Let it through."""
        ...

    def forget(self) -> None:
        """Empty the record."""
        ...


class LocalNetwork(NetworkDoor):
    """See `NetworkDoor`. `run` waits for a coroutine; `door` opens the node."""

    # ruff: noqa: D102  (every method is documented in the Protocol)

    def __init__(self, run: "Callable[[Coroutine[Any, Any, T]], T]", door: "Callable[[], Network]") -> None:
        self._run: Callable[[Coroutine[Any, Any, Any]], Any] = run
        self._door = door

    def hosts(self) -> "tuple[Contact, ...]":
        return self._run(self._door().hosts())

    def state(self) -> "NetworkState":
        return self._door().state()

    def set_offline(self, is_offline: bool) -> "NetworkState":
        return self._run(self._door().set_offline(is_offline))

    def block(self, host: str) -> "NetworkState":
        return self._run(self._door().block(host))

    def allow(self, host: str) -> "NetworkState":
        return self._run(self._door().allow(host))

    def forget(self) -> None:
        self._run(self._door().forget())


class RemoteNetwork(NetworkDoor):
    """See `NetworkDoor`: the running node."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def hosts(self) -> "tuple[Contact, ...]":
        from legion_core.api.network import Contact

        return self._wire.get(_PATH, tuple[Contact, ...])

    def state(self) -> "NetworkState":
        return self._asked("GET", f"{_PATH}/state")

    def set_offline(self, is_offline: bool) -> "NetworkState":
        return self._asked("PUT", f"{_PATH}/offline", {"is_offline": is_offline})

    def block(self, host: str) -> "NetworkState":
        return self._asked("PUT", f"{_PATH}/blocked/{part(host)}")

    def allow(self, host: str) -> "NetworkState":
        return self._asked("DELETE", f"{_PATH}/blocked/{part(host)}")

    def forget(self) -> None:
        self._asked("DELETE", f"{_PATH}/hosts")

    def _asked(self, method: str, path: str, body: dict[str, bool] | None = None) -> "NetworkState":
        from legion_core.api.network import NetworkState

        return self._wire.ask(method, path, NetworkState, body=body)
